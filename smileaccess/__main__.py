"""Lets `python -m smileaccess` be the command `smileaccess`; it does nothing when imported."""

from smileaccess.cli import main

if __name__ == "__main__":
    main()
