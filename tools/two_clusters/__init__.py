"""The story of two clusters; what it shares with the other demo is in `three_offices`."""
