"""The node of the end-to-end tests: what is said where there can be none."""
