"""What installations of the operator say to each other, how they sign it, and which key means what."""
