"""A worker's thread: jobs in order, an end that waits for a while, and a crash that is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from smileaccess.workers import ThreadWorker
from tests.fakes_devices import PATIENCE_S


@pytest.fixture
def crashed() -> threading.Event:
    return threading.Event()


@pytest.fixture
def worker(crashed: threading.Event) -> Iterator[ThreadWorker]:
    made = ThreadWorker("writing", crashed.set)
    yield made
    assert made.close(PATIENCE_S)


def test_jobs_are_done_in_order_on_one_thread_of_its_own(worker: ThreadWorker) -> None:
    """What was submitted first is done first, all on the thread that bears the worker's name."""
    done: list[tuple[int, str]] = []
    for number in range(200):
        worker.submit(lambda number=number: done.append((number, threading.current_thread().name)))
    assert worker.close(PATIENCE_S)
    assert done == [(number, "writing") for number in range(200)]


def test_submitting_does_not_wait_for_a_job(worker: ThreadWorker) -> None:
    """A job that hangs does not hold up whoever submits, and the next job waits behind it."""
    go_on, done = threading.Event(), list[str]()
    worker.submit(lambda: go_on.wait(PATIENCE_S))
    worker.submit(lambda: done.append("second"))
    assert done == []
    go_on.set()
    assert worker.close(PATIENCE_S)
    assert done == ["second"]


def test_close_says_when_a_job_did_not_end_in_time(worker: ThreadWorker) -> None:
    """Closing waits for so long and no longer, and tells the truth about it."""
    go_on = threading.Event()
    worker.submit(lambda: go_on.wait(PATIENCE_S))
    assert not worker.close(0.01)
    go_on.set()
    assert worker.close(PATIENCE_S)


def test_a_hanging_worker_does_not_keep_the_process_alive(worker: ThreadWorker) -> None:
    """The thread is a daemon, so that a camera that hangs for ever does not."""
    threads: list[threading.Thread] = []
    worker.submit(lambda: threads.append(threading.current_thread()))
    assert worker.close(PATIENCE_S)
    assert [thread.daemon for thread in threads] == [True]


def test_a_job_that_raises_is_told_once_and_ends_the_worker(worker: ThreadWorker, crashed: threading.Event) -> None:
    """What a job did not foresee stops the daemon: it is logged with the worker's name, and no job follows."""
    done: list[str] = []
    with capture_logs() as logged:
        worker.submit(lambda: 1 // 0)
        worker.submit(lambda: done.append("after"))
        assert crashed.wait(PATIENCE_S)
        assert worker.close(PATIENCE_S)
    assert done == []
    assert [(line["event"], line["worker"], line["log_level"]) for line in logged] == [
        ("a worker failed; the daemon stops", "writing", "error")
    ]


def test_a_worker_that_ends_as_told_reports_no_crash(worker: ThreadWorker, crashed: threading.Event) -> None:
    """An ordinary end is no crash."""
    worker.submit(lambda: None)
    assert worker.close(PATIENCE_S)
    assert not crashed.is_set()
