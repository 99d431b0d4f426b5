"""What of the Helm chart follows from other files: its values, their schema and reference, the CRDs and the renders."""
