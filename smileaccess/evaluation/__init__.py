"""Error rates on the owner's own pictures and captures, measured with the code that decides at the door."""
