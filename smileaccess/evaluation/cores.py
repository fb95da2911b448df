"""Spreads work over the machine's cores, in processes of their own, since looking holds one core each."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import structlog

from smileaccess.errors import VisionFailed

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH = 8
"""Pictures for which another process is worth its start, about a second with the networks."""

_AT_ONCE = 4
"""Items handed to a process together, at the most: whoever stops the command waits for no more than these."""

_held: list[Callable[[Any], Any]] = []


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def each(
    make: Callable[[], Callable[[Item], Result]], items: Sequence[Item], jobs: int, worth: int = WORTH
) -> Iterator[Result]:
    """Yield what the function that `make` makes returns for each item, in order, from up to `jobs` processes.

    `make` must be picklable; each process makes a function of its own. With fewer than `worth` items a process all is
    done here. What the
    function raises is raised here; VisionFailed where a process ended (mostly for want of memory).
    """
    jobs = min(jobs, len(items) // worth)
    if jobs < 2:
        yield from map(make(), items) if items else ()
        return
    spawn = multiprocessing.get_context("spawn")  # OpenCV's threads do not survive a fork
    with ProcessPoolExecutor(jobs, spawn, _start, (make,)) as pool:
        try:
            yield from pool.map(_do, items, chunksize=min(_AT_ONCE, len(items) // jobs))
        except BrokenProcessPool as error:
            raise VisionFailed(
                f"evaluate: one of {jobs} processes ended by itself ({error}): most likely there was not memory "
                "enough for so many: give --jobs 1"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start(make: Callable[[], Callable[[Any], Any]]) -> None:
    """Make the function once a process; Ctrl-C is the parent's to handle, as is all there is to say.

    OpenCV gets one thread a process.
    """
    from smileaccess.vision.opencv import opencv  # noqa: PLC0415 -- OpenCV

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    opencv().setNumThreads(1)
    _held[:] = [make()]


def _do(item: Any) -> Any:
    return _held[0](item)
