"""Opens a door to a face and a smile."""

__version__ = "0.1.0"
