"""A mouth's corners that rise by themselves, told from a picture that is tilted, rolled, folded or bent."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from smileaccess.curling import LEAST, curled
from smileaccess.demo.scenes import HEIGHT, WIDTH, doorway
from smileaccess.model import Frame
from smileaccess.vision.eyes import LocalEyes
from tests.attacks import SIZES, Slope, Studio, bent_over, folded, rolled
from tests.builders import PLACE, make_mesh
from tests.people import PEOPLE, PHOTOGRAPHED, Person

ASPECT = WIDTH / HEIGHT
STILL = 0.01
CALM, SMILING = (make_mesh(PLACE, smile, 5.0).astype(np.float64) for smile in (0.0, 80.0))

RISEN = 0.096 * 0.4 / (0.15 * ASPECT)
"""Eyes are half the box of 0.3 apart, the corners rise by 0.096 of its height of 0.4."""


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with closing(LocalEyes()) as eyes:
        yield Studio(eyes)


def test_corners_that_rise_are_held_against_a_face_that_hardly_moves() -> None:
    assert curled(CALM, SMILING, ASPECT) == pytest.approx(RISEN / STILL, rel=1e-3)
    assert curled(SMILING, CALM, ASPECT) == pytest.approx(-RISEN / STILL, rel=1e-3)


@pytest.mark.parametrize("smile", [0.0, 80.0])
@pytest.mark.parametrize("turn", [0.0, 20.0, -35.0])
def test_place_size_and_turn_of_the_whole_do_not_count(smile: float, turn: float) -> None:
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    moved = make_mesh(PLACE, smile, 5.0) * (ASPECT, 1.0) @ np.array([[cos, sin], [-sin, cos]]) * 1.4 + (0.1, -0.2)
    moved = moved / (ASPECT, 1.0)
    assert curled(CALM, moved, ASPECT) == pytest.approx(curled(CALM, make_mesh(PLACE, smile, 5.0), ASPECT), abs=1e-3)


def test_a_bend_of_the_whole_is_no_smile() -> None:
    """A picture whose sides are higher than its middle smiles all over."""
    bent = CALM + np.column_stack([np.zeros(478), -0.8 * (CALM[:, 0] - 0.5) ** 2])
    assert abs(curled(CALM, bent, ASPECT)) < 1e-6


def test_the_more_the_rest_is_bent_the_more_the_mouth_must_move() -> None:
    """The same corners, in a face that is squeezed from above, are less than half as much."""
    squeezed = SMILING * (1.0, 0.8)
    assert curled(CALM, squeezed, ASPECT) < 0.5 * curled(CALM, SMILING, ASPECT)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0])
def test_a_mesh_gone_wrong_has_not_smiled(wrong: float) -> None:
    assert curled(CALM, np.full((478, 2), wrong), ASPECT) == 0.0
    assert curled(np.full((478, 2), wrong), SMILING, ASPECT) == 0.0


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_a_living_smile_rises_enough(studio: Studio, person: Person) -> None:
    """The full smile of everybody, at every size."""
    for face_px in SIZES:
        stages = studio.stages(person, face_px)
        calm, smiling = (studio.eyes_on(pixels) for pixels in (stages[0], stages[-1]))
        assert curled(calm, smiling, stages[0].shape[1] / stages[0].shape[0]) > 1.1 * LEAST


@pytest.mark.parametrize("person", PHOTOGRAPHED, ids=lambda person: person.name)
@pytest.mark.parametrize(
    "slope",
    [rolled(274, arc) for arc in (0.0, 130.0, -130.0)]
    + [folded(274, lean, at) for lean in (-50, -35, -20, 20, 35, 50) for at in (0.0, 0.06)],
    ids=[
        *("flat", "bulging", "hollow"),
        *(f"fold {lean} {at}" for lean in (-50, -35, -20, 20, 35, 50) for at in (0, 6)),
    ],
)
def test_no_tilted_print_smiles(studio: Studio, person: Person, slope: Slope) -> None:
    """From no calm view to none that measures as a smile, though many do."""
    paper, wall, middle = studio.paper(person.neutral, 150.0), doorway(), (WIDTH / 2, HEIGHT / 2)
    assert paper.shape[1] == 274
    views = []
    for tilt in (-48, -30, -10, 0, 10, 30, 42):
        studio.eyes.reset()
        faces = studio.eyes.look(Frame(bent_over(wall, paper, slope, tilt, middle), 1, 0.0)).faces
        views += [(face.smile, face.mesh) for face in faces if face.mesh is not None and face.smile is not None]
    calm = [mesh for smile, mesh in views if smile < 30]
    smiling = [mesh for smile, mesh in views if smile >= 50]
    assert calm
    assert all(curled(one, other, ASPECT) < LEAST for one in calm for other in smiling)


def test_some_prints_measure_as_smiles(studio: Studio) -> None:
    """So that the test before has something to find."""
    paper = studio.paper(PHOTOGRAPHED[0].neutral, 150.0)
    seen = bent_over(doorway(), paper, folded(274, -35), 42, (WIDTH / 2, HEIGHT / 2))
    studio.eyes.reset()
    smile = studio.eyes.look(Frame(seen, 1, 0.0)).faces[0].smile
    assert smile is not None
    assert smile >= 50
