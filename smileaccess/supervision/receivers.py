"""Waits until who receives datagrams takes another one, so that a send that follows does not wait.

systemd's library for Python keeps the interpreter locked while it sends: where systemd or its journal hangs, and its
queue is full, a send would stop every thread of the door.
"""

from __future__ import annotations

import select
import socket


def wait_for_room(address: str) -> None:
    """Return once the receiver at a Unix socket takes a datagram, or is not there; other threads go on meanwhile.

    An address that begins with @ is an abstract one (unix(7)).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        except OSError:
            return  # whoever sends learns why
        waiting = select.poll()
        waiting.register(probe, select.POLLOUT)
        waiting.poll()
