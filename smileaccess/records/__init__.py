"""Adapters of the Records and Members ports: what is kept."""
