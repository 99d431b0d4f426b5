"""CommServers: what to do about one at its provider, what it shows, and the boxes of the built-in provider."""
