"""What users rely on: the models, their schemas, manifests, and the table of reasons."""
