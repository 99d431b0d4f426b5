"""What is true and what to do about it: tables and properties on pure functions."""
