"""The machinery that carries out what the domain decides."""
