"""Rainbow as a provider: the operator's client against the simulator, over HTTPS on loopback."""
