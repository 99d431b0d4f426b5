"""Providers: where phone systems and their customers really are, each behind the same few calls."""
