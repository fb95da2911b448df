"""Attacks drawn from photographs open nothing, and members drawn the same way are let in, by the door's own code.

Each from a seed, so that what fails once fails again; hundreds of each are played by `make bench-liveness`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from smileaccess.model import LivenessMode, Reason
from smileaccess.vision.eyes import LocalEyes
from tests.attacks import KINDS, NEVER, Studio, attempt, granted

ASKING = (LivenessMode.NEUTRAL_THEN_SMILE, LivenessMode.FOLLOW_THE_LIGHT)
RUNS = {
    "print": range(10),
    "tilt of a flat print": range(3),
    "tilt of a rolled print": range(3),
    "tilt of a folded print": range(4),
    "swap by a cut": range(4),
    "swap by a slide": range(3),
    "swap behind a hand": range(3),
    "stranger by a cut": range(4),
    "stranger leaning in": range(3),
    "stranger walking in": range(3),
}
"""Ten of each attack, over its variants."""

STILL = {Reason.NO_SMILE, Reason.NO_EXPRESSION_CHANGE}
CUT = {Reason.TRACK_LOST, Reason.NO_EXPRESSION_CHANGE}
UNSEEN = {Reason.NOT_RECOGNIZED, Reason.FACE_OCCLUDED}
DENIED_FOR = {"print": STILL, "tilt": STILL | CUT | UNSEEN, "swap": CUT, "stranger": CUT}
"""What ends them, by the first word of their kind: what they lack, and of a print's fold what it hides."""


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with closing(LocalEyes()) as eyes:
        yield Studio(eyes)


def test_every_attack_that_may_not_pass_is_played() -> None:
    assert set(RUNS) == set(NEVER)
    assert set(KINDS) == {*NEVER, "genuine", "replay", "replay begun with the light"}


@pytest.mark.parametrize(
    ("kind", "mode", "seed"),
    [
        *((kind, LivenessMode.NEUTRAL_THEN_SMILE, seed) for kind, seeds in RUNS.items() for seed in seeds),
        *((kind, LivenessMode.FOLLOW_THE_LIGHT, 0) for kind in RUNS),
    ],
)
def test_an_attack_opens_nothing(studio: Studio, kind: str, mode: LivenessMode, seed: int) -> None:
    """Prints, swapped prints and a stranger in the member's place are denied, and for what they are."""
    ended = attempt(studio, kind, mode, seed)
    assert not granted(ended)
    assert ended.reason in DENIED_FOR[kind.partition(" ")[0]]


@pytest.mark.parametrize("mode", ASKING)
@pytest.mark.parametrize("seed", range(3))
def test_a_living_member_is_let_in(studio: Studio, mode: LivenessMode, seed: int) -> None:
    """Who does as the light asks comes in: what is drawn is not denied for being drawn."""
    assert granted(attempt(studio, "genuine", mode, seed))


def test_the_attacks_are_denied_for_what_they_do(studio: Studio) -> None:
    """Without a sign of life asked for, the same prints come in."""
    assert granted(attempt(studio, "print", LivenessMode.OFF, 0))


def test_a_recording_in_time_with_the_cue_passes_the_default_mode_only(studio: Studio) -> None:
    """As the documents say: follow-the-light is what stops it, but for luck."""
    kind = "replay begun with the light"
    assert granted(attempt(studio, kind, LivenessMode.NEUTRAL_THEN_SMILE, 0))
    ended = attempt(studio, kind, LivenessMode.FOLLOW_THE_LIGHT, 0)
    assert (granted(ended), ended.reason) == (False, Reason.NO_EXPRESSION_CHANGE)


def test_the_same_seed_is_the_same_attempt(studio: Studio) -> None:
    one, again = (attempt(studio, "print", LivenessMode.NEUTRAL_THEN_SMILE, 3) for _ in range(2))
    assert (one.reason, one.similarity) == (again.reason, again.similarity)
    assert one.detail["frames"] == again.detail["frames"]
