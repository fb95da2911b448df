"""A thread with a connection of its own, on which calls are made one after the other and can be given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from smileaccess.workers import ThreadWorker

if TYPE_CHECKING:
    from smileaccess.recognizers.transport import Transport

Answer = TypeVar("Answer")

CLOSE_S = 1.0
"""Seconds that a lane's thread may take to end."""


class Current(threading.local):
    """What the calling thread sends with, what pays for it, and by when (monotonic seconds) the answer must be here."""

    transport: Transport | None = None
    deadline: float = 0.0
    pay: Callable[[], None] | None = None


class Lane:
    """One thread, one connection; every method from any thread."""

    def __init__(self, name: str, transport: Transport, current: Current) -> None:
        """Take the connection, and where boto3's sending looks for it."""
        self.transport = transport
        self._current = current
        self._worker = ThreadWorker(name, lambda: None)

    def begin(self, call: Callable[[], Answer], deadline: float) -> Future[Answer]:
        """Have a call made on the lane's thread, and return its answer to come."""
        answer: Future[Answer] = Future()

        def job() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            self._current.transport, self._current.deadline, self._current.pay = self.transport, deadline, None
            try:
                answer.set_result(call())
            except BaseException as error:  # noqa: BLE001 -- handed on whole to whoever waits for the answer
                answer.set_exception(error)

        self._worker.submit(job)
        return answer

    def give_up(self, answer: Future[Any]) -> None:
        """Want an answer no longer: a call that has not begun is never made, one under way is cut."""
        if not answer.cancel() and not answer.done():
            self.transport.cut()

    def close(self) -> None:
        """End what is under way, and the thread."""
        self.transport.close()
        self._worker.close(CLOSE_S)
