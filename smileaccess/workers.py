"""A thread that does one job after the other; it never keeps the process from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

import structlog

log = structlog.get_logger(__name__)


class ThreadWorker:
    """Jobs go in from any thread and are done in order on a thread of its own."""

    def __init__(self, name: str, on_crash: Callable[[], None]) -> None:
        """Start the thread; `on_crash` is called on it when a job raises, which is never foreseen."""
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._on_crash = on_crash
        # A daemon thread: a camera or a network that hangs for ever must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], object]) -> None:
        """Enqueue a job; any thread."""
        self._jobs.put(job)

    def close(self, timeout_s: float) -> bool:
        """Let what was submitted be done, for `timeout_s` at the most; say whether all of it was."""
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            # The thread's root: what nobody foresaw stops the process, and its supervisor starts it again.
            except Exception:
                self._on_crash()
                log.exception("a worker failed; the daemon stops", kind="crashed", worker=self._thread.name)
                return
