"""The dial plan: which numbers there are, what a peer may dial of them, and what is published and read."""
