"""The desk behind the exchange: what peers are told, and what their words change."""
