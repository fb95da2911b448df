"""Rigs: the whole installation, on real parts, without hardware."""
