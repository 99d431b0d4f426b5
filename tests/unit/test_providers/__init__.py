"""Calls to providers, whichever it is; and the one that is built in."""
