"""Watching, planning and acting: the machinery that carries out what the domain decides."""
