"""The image: the archive that is written, and what the Dockerfile says about it."""
