"""Numbering rules of a PBX: what a dialled number becomes, and whether emergency calls still get through."""
