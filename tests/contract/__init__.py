"""What the API server and other readers of our kinds can rely on."""
