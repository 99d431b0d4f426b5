"""The command `pbx`."""
