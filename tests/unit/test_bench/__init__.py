"""The pure parts of the benchmark: statistics, topologies and the page."""
