"""The demonstration: a reel of scenes made from photographs, before the door of production."""
