"""The engine with all its parts on a simulated cluster: stories, and what a crash at any call leaves behind."""
