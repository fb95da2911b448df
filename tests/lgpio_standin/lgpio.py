"""Stands in for lgpio in a process under test: lines are files in $LGPIO_STANDIN, owned as long as the process lives.

Only what the strike's guard uses is here; tests/test_strike_guard.py holds it to the real module's signatures. For
line 17, `level.17` is what is driven, `owner.17` is locked by its owner, `history.17` has every level written.
Whoever tests may make `stuck.17` (what the line reads whatever is driven), `refuses.17` (writes fail).
"""

import fcntl
import os
from pathlib import Path

_folder = Path(os.environ["LGPIO_STANDIN"])
_owned = {}


class error(Exception):  # noqa: N801 -- its name in lgpio
    def __init__(self, value):
        self.value = value

    def __str__(self):
        return repr(self.value)


def _file(kind, gpio):
    return _folder / f"{kind}.{gpio}"


def gpiochip_open(gpiochip):
    if not (_folder / f"gpiochip{gpiochip}").exists():
        raise error("can not open gpiochip")
    return gpiochip << 16


def gpiochip_close(handle):
    for gpio in list(_owned):
        gpio_free(handle, gpio)
    return 0


def gpio_claim_output(handle, gpio, level=0, lFlags=0):  # noqa: ARG001, N803 -- lgpio's own
    owner = os.open(_file("owner", gpio), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(owner)
        raise error("GPIO busy") from None
    _owned[gpio] = owner
    _drive(gpio, level)
    return 0


def gpio_free(handle, gpio):  # noqa: ARG001
    os.close(_owned.pop(gpio))
    return 0


def gpio_write(handle, gpio, level):  # noqa: ARG001
    if gpio not in _owned:
        raise error("GPIO not allocated")
    if _file("refuses", gpio).exists():
        raise error("bad GPIO write")
    _drive(gpio, level)
    return 0


def gpio_read(handle, gpio):  # noqa: ARG001
    stuck = _file("stuck", gpio)
    return int((stuck if stuck.exists() else _file("level", gpio)).read_text())


def _drive(gpio, level):
    beside = _file("next", gpio)
    beside.write_text(str(int(bool(level))))
    beside.rename(_file("level", gpio))  # whoever measures meanwhile reads the old level or the new one
    with _file("history", gpio).open("a") as history:
        history.write(str(int(bool(level))))
