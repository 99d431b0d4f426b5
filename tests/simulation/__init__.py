"""A cluster in memory: the real engine against a simulated API server, one call at a time, in any order."""
