"""Accounts: what to do about one and its numbers, and what they show."""
