"""The simulator of the Rainbow admin API: what it gets wrong, a provider that is tested with it gets wrong, too."""
