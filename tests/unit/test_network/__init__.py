"""What dials out: which addresses, and when a call goes through."""
