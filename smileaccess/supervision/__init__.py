"""What the machine's own supervisor sees of the daemon: its journal."""
