"""Customers: the account at a provider that stands behind a PBXAccount."""
