"""One side of a link: what is known about an Interlink, what to do about it, and what it shows."""
