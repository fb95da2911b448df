"""What is slow to make and serves many tests: the real eyes, the scenes, the cloud's stand-in, a real MariaDB."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from smileaccess.demo.scenes import Scene, build_scenes
from smileaccess.vision.eyes import LocalEyes

if TYPE_CHECKING:
    from tests.mariadb import MariaDB
    from tests.standin import StandIn

# Tables are as wide in a test as in a pipe; a test that wants another width says so.
os.environ.pop("COLUMNS", None)


@pytest.fixture(scope="session")
def eyes() -> Iterator[LocalEyes]:
    """Return the real eyes, whose networks are loaded once; who looks at another sequence resets them."""
    made = LocalEyes()
    yield made
    made.close()


@pytest.fixture(scope="session")
def scenes(eyes: LocalEyes) -> dict[int, Scene]:
    """Return the demonstration's scenes by number."""
    return {scene.number: scene for scene in build_scenes(eyes)}


@pytest.fixture(scope="session")
def standin() -> Iterator[StandIn]:
    """Return the stand-in as the last test left it."""
    from tests.standin import StandIn  # noqa: PLC0415 -- moto, where it is needed

    with StandIn() as made:
        yield made


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """Return a running MariaDB server; who wants tables asks it for a database of their own."""
    from tests.mariadb import running  # noqa: PLC0415 -- a server is started

    with running() as server:
        yield server


@pytest.fixture
def service(standin: StandIn) -> Iterator[StandIn]:
    """Return the stand-in with nothing in it and nothing wrong with it."""
    standin.reset()
    yield standin
    standin.faults.clear()
