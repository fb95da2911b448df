"""Adapters of the Camera port: where frames come from."""
