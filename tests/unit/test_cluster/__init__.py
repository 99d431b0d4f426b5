"""The only speaker to the Kubernetes API."""
