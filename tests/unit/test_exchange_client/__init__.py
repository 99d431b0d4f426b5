"""The dialling side of the exchange, against peers that misbehave in every way."""
