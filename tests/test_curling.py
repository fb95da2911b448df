"""A mouth's corners that rise by themselves, told from a picture that is tilted, rolled or bent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from smileaccess.curling import LEAST, risen
from smileaccess.demo.scenes import HEIGHT, WIDTH, doorway
from smileaccess.vision.eyes import LocalEyes
from tests.attacks import SIZES, Studio, rolled_over
from tests.builders import PLACE, make_mesh
from tests.people import PEOPLE, PHOTOGRAPHED, Person

ASPECT = WIDTH / HEIGHT
CALM, SMILING = (make_mesh(PLACE, smile, 5.0).astype(np.float64) for smile in (0.0, 80.0))


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with closing(LocalEyes()) as eyes:
        yield Studio(eyes)


def test_corners_that_rise_are_measured_in_distances_between_the_eyes() -> None:
    """Eyes are half the box of 0.3 apart, the corners rise by 0.096 of its height of 0.4."""
    assert risen(CALM, SMILING, ASPECT) == pytest.approx(0.096 * 0.4 / (0.15 * ASPECT), rel=1e-3)
    assert risen(SMILING, CALM, ASPECT) == pytest.approx(-0.096 * 0.4 / (0.15 * ASPECT), rel=1e-3)


@pytest.mark.parametrize("smile", [0.0, 80.0])
@pytest.mark.parametrize("turn", [0.0, 20.0, -35.0])
def test_place_size_and_turn_of_the_whole_do_not_count(smile: float, turn: float) -> None:
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    moved = make_mesh(PLACE, smile, 5.0) * (ASPECT, 1.0) @ np.array([[cos, sin], [-sin, cos]]) * 1.4 + (0.1, -0.2)
    moved = moved / (ASPECT, 1.0)
    assert risen(CALM, moved, ASPECT) == pytest.approx(risen(CALM, make_mesh(PLACE, smile, 5.0), ASPECT), abs=1e-5)


def test_nor_does_a_bend_of_the_whole() -> None:
    """A picture whose sides are higher than its middle smiles all over."""
    bent = CALM + np.column_stack([np.zeros(478), -0.8 * (CALM[:, 0] - 0.5) ** 2])
    assert abs(risen(CALM, bent, ASPECT)) < 1e-6


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0])
def test_a_mesh_gone_wrong_has_not_smiled(wrong: float) -> None:
    assert risen(CALM, np.full((478, 2), wrong), ASPECT) == 0.0
    assert risen(np.full((478, 2), wrong), SMILING, ASPECT) == 0.0


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_a_living_smile_rises_enough(studio: Studio, person: Person) -> None:
    """The full smile of everybody, at every size."""
    for face_px in SIZES:
        stages = studio.stages(person, face_px)
        calm, smiling = (studio.eyes_on(pixels) for pixels in (stages[0], stages[-1]))
        assert risen(calm, smiling, stages[0].shape[1] / stages[0].shape[0]) > 1.5 * LEAST


@pytest.mark.parametrize("person", PHOTOGRAPHED, ids=lambda person: person.name)
@pytest.mark.parametrize("arc", [0.0, 130.0, -130.0])
def test_no_tilted_print_rises_so_far(studio: Studio, person: Person, arc: float) -> None:
    """Neither from upright nor from one end to the other, though some of them measure as smiles."""
    paper, wall, middle = studio.paper(person.neutral, 150.0), doorway(), (WIDTH / 2, HEIGHT / 2)
    meshes = [studio.eyes_on(rolled_over(wall, paper, arc, tilt, middle)) for tilt in (-48, -30, 0, 30, 42)]
    rises = [risen(one, other, ASPECT) for one in meshes for other in meshes]
    assert max(rises) < LEAST
