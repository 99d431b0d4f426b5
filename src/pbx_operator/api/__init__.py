"""What users and readers of our objects can rely on: kinds, fields and reasons."""
