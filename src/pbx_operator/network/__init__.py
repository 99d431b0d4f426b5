"""What every call to a host that users named has in common: which addresses, how patient, and how much is read."""
