"""The eight scenes of the demonstration, made at run time from photographs; they never show a face cut into another."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from smileaccess.demo.morph import Portrait, framed, morphed
from smileaccess.errors import PictureError
from smileaccess.model import Frame, Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from smileaccess.cameras.reel import Clip
    from smileaccess.model import Pixels
    from smileaccess.ports import Vision

FACES = Path(__file__).parent / "faces"
"""The photographs; PROVENANCE.md beside them says whose they are."""

MEMBER_NAME = "Barack Obama"
MEMBER_PHOTOGRAPH = FACES / "obama-speaking.jpg"
"""The picture that the member is enrolled from; no scene shows it."""

WIDTH, HEIGHT = 640, 480
_MARGIN = 16  # pixels around a stage, so that its movement shows no edge
_STAGE = (WIDTH + 2 * _MARGIN, HEIGHT + 2 * _MARGIN)
_FACE_PX, _PAIR_PX, _PRINT_PX = 158.0, 125.0, 130.0
_FACE_AT, _LEFT_AT, _RIGHT_AT = (336.0, 232.0), (176.0, 196.0), (496.0, 196.0)

REACTION_S = 0.4
"""From the cue to the first movement of the face; simple reactions to a light take people 0.2 to 0.5 s."""

MORPH_S, _MORPH_STEPS = 0.7, 11
SMILE_S = 4.0
"""How long the smile is held before the face comes to rest again."""

_DARK = 0.05
_NOISES, _NOISE = 5, 1.6


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene and how it has to end; with `rex_first` somebody inside presses REX before the entry button."""

    number: int
    title: str
    clip: Clip
    outcome: Outcome
    reason: Reason | None
    rex_first: bool = False


class Sway:
    """The small movements of somebody who stands still: a few pixels, about a degree, about a percent."""

    def __init__(self, seed: int, share: float = 1.0) -> None:
        """Take the seed of the movements and how large they are, 1 for somebody's, 0 for none at all."""
        random = np.random.default_rng(seed)
        self._rates = random.uniform(0.7, 1.8, (4, 2))  # radians a second: periods of 3.5 to 9 s
        self._phases = random.uniform(0, 2 * np.pi, (4, 2))
        # pixels across and down, degrees, share of the size; two waves of each add up
        self._reach = share * np.array([2.0, 1.5, 0.5, 0.005])

    def matrix(self, elapsed_s: float, center: tuple[float, float], to: tuple[float, float]) -> NDArray[np.float64]:
        """Return the (2, 3) affine map that turns a picture about `center` and brings that point near `to`."""
        x, y, degrees, share = np.sin(self._rates * elapsed_s + self._phases).sum(axis=1) * self._reach
        matrix = cv2.getRotationMatrix2D(center, float(degrees), 1 + float(share))
        matrix[:, 2] += (to[0] - center[0] + x, to[1] - center[1] + y)
        return cast("NDArray[np.float64]", matrix)


class Living:
    """Somebody before the camera, moving a little, who may smile after the cue; 640 x 480.

    `stages` are pictures from rest to the full smile, a single one for a face that does not change. A picture that
    is smaller than the frame is held in front of `background`. `sway` is how large the movements are, `light` the share
    of the light that is left.
    """

    def __init__(
        self,
        stages: Sequence[Pixels],
        seed: int,
        *,
        sway: float = 1.0,
        light: float = 1.0,
        background: Pixels | None = None,
    ) -> None:
        self._stages = stages
        self._sway = Sway(seed, sway)
        self._light = light
        self._background = background
        self._noises = _sensor_noise(seed)

    def picture(self, elapsed_s: float, since_cue_s: float | None, since_calm_s: float | None = None) -> Pixels:
        """Return what is seen at this moment; the same moment looks the same each time."""
        stage = self._stages[round((len(self._stages) - 1) * _smiling(since_cue_s, since_calm_s))]
        height, width = stage.shape[:2]
        matrix = self._sway.matrix(elapsed_s, (width / 2, height / 2), (WIDTH / 2, HEIGHT / 2))
        seen = cv2.convertScaleAbs(self._placed(stage, matrix), alpha=self._light)
        noise = self._noises[floor(elapsed_s * 1000) * 7919 % _NOISES]
        return cast("Pixels", cv2.add(seen, noise, dtype=cv2.CV_8U))

    def _placed(self, stage: Pixels, matrix: NDArray[np.float64]) -> Pixels:
        size = (WIDTH, HEIGHT)
        if self._background is None:
            return cast("Pixels", cv2.warpAffine(stage, matrix, size, borderMode=cv2.BORDER_REFLECT_101))
        behind = self._background.copy()
        return cast("Pixels", cv2.warpAffine(stage, matrix, size, dst=behind, borderMode=cv2.BORDER_TRANSPARENT))


def _smiling(since_cue_s: float | None, since_calm_s: float | None) -> float:
    """Return how much of the way to the full smile a face has gone, 0..1.

    Cues are at least as far apart as a face takes to change, so that each change begins at one of its ends.
    """
    if since_cue_s is None:
        return 0.0
    risen = (since_cue_s - REACTION_S) / MORPH_S
    fallen = 1 + (REACTION_S + MORPH_S + SMILE_S - since_cue_s) / MORPH_S
    if since_calm_s is not None:
        calmed = 1 - (since_calm_s - REACTION_S) / MORPH_S
        if since_calm_s > since_cue_s:  # it has been asked to smile again
            return min(1.0, max(0.0, risen, calmed))
        fallen = min(fallen, calmed)
    return min(1.0, max(0.0, min(risen, fallen)))


class SideBySide:
    """Two clips, each seen in its half of the frame, with a soft seam."""

    def __init__(self, left: Clip, right: Clip) -> None:
        self._left = left
        self._right = right
        self._ramp = np.linspace(0, 1, 2 * _SEAM, dtype=np.float32)[None, :, None]

    def picture(self, elapsed_s: float, since_cue_s: float | None, since_calm_s: float | None = None) -> Pixels:
        """Return both people at this moment."""
        left = self._left.picture(elapsed_s, since_cue_s, since_calm_s)
        right = self._right.picture(elapsed_s, since_cue_s, since_calm_s)
        seam = slice(WIDTH // 2 - _SEAM, WIDTH // 2 + _SEAM)
        both = np.concatenate([left[:, : WIDTH // 2], right[:, WIDTH // 2 :]], axis=1)
        both[:, seam] = left[:, seam] * (1 - self._ramp) + right[:, seam] * self._ramp
        return both


_SEAM = 24  # pixels on either side


def build_scenes(vision: Vision) -> list[Scene]:
    """Return the eight scenes in order, made with the meshes that `vision` lays over the photographs.

    PictureError when a photograph is missing or shows no face; VisionFailed. The tracks of `vision` are forgotten.
    """
    neutral, smiling = _portrait(vision, "obama-neutral"), _portrait(vision, "obama-smiling")
    man, woman = _portrait(vision, "biden-neutral"), _portrait(vision, "collins-smiling")
    member = framed(neutral, _STAGE, _FACE_AT, _FACE_PX)
    stages = morphed(member, framed(smiling, _STAGE, _FACE_AT, _FACE_PX), _MORPH_STEPS)
    stranger = framed(woman, _STAGE, _FACE_AT, _FACE_PX)
    pair = SideBySide(
        Living([framed(neutral, _STAGE, _LEFT_AT, _PAIR_PX).pixels], 61),
        Living([framed(man, _STAGE, _RIGHT_AT, _PAIR_PX).pixels], 62),
    )
    wall = doorway()
    granted, denied = Outcome.GRANTED, Outcome.DENIED
    return [
        Scene(1, "a member smiles on cue", Living(stages, 1), granted, None),
        Scene(2, "the member never smiles", Living(stages[:1], 2), denied, Reason.NO_SMILE),
        Scene(3, "a smiling stranger", Living([stranger.pixels], 3), denied, Reason.NOT_RECOGNIZED),
        Scene(
            4,
            "a print of the smiling member",
            Living([_print(smiling)], 4, background=wall),
            denied,
            Reason.NO_EXPRESSION_CHANGE,
        ),
        Scene(5, "nobody", Living([wall], 5, sway=0.0), denied, Reason.NO_FACE),
        Scene(6, "two people at once", pair, denied, Reason.MULTIPLE_FACES),
        Scene(7, "a dark doorway", Living(stages[:1], 7, light=_DARK), denied, Reason.TOO_DARK),
        Scene(8, "REX, then the member again", Living(stages, 8), granted, None, rex_first=True),
    ]


def doorway() -> Pixels:
    """Draw an empty doorway, 640 x 480: a wall, a paneled door and a floor, with some texture."""
    random = np.random.default_rng(5)
    picture = np.full((HEIGHT, WIDTH, 3), (178, 190, 198), np.uint8)
    cv2.rectangle(picture, (0, 420), (WIDTH, HEIGHT), (92, 104, 118), cv2.FILLED)
    cv2.rectangle(picture, (184, 24), (456, 430), (120, 132, 142), cv2.FILLED)
    cv2.rectangle(picture, (200, 40), (440, 430), (62, 88, 122), cv2.FILLED)
    for top, bottom in ((64, 216), (248, 400)):
        for left in (224, 334):
            cv2.rectangle(picture, (left, top), (left + 82, bottom), (48, 70, 100), 3)
    cv2.circle(picture, (424, 246), 7, (150, 170, 180), cv2.FILLED)
    light = np.linspace(1.08, 0.86, WIDTH, dtype=np.float32)[None, :, None]
    coarse = random.normal(0, 5, (HEIGHT // 8, WIDTH // 8, 1)).astype(np.float32)
    texture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)[..., None]
    return cast("Pixels", np.clip(picture * light + texture, 0, 255).astype(np.uint8))


def _portrait(vision: Vision, name: str) -> Portrait:
    """Read a photograph and have the mesh of its largest face measured."""
    path = FACES / f"{name}.jpg"
    pixels = cv2.imread(str(path))
    if pixels is None:
        raise PictureError(f"demo: {path}: cannot be read: install smileaccess again")
    vision.reset()
    photograph = cast("Pixels", pixels)
    faces = vision.look(Frame(photograph, 1, 0.0)).faces
    vision.reset()
    if not faces or faces[0].mesh is None:
        raise PictureError(f"demo: {path}: no face is seen in it: install smileaccess again")
    height, width = photograph.shape[:2]
    return Portrait(photograph, (faces[0].mesh * np.array([width, height])).astype(np.float32))


def _print(portrait: Portrait) -> Pixels:
    """Make a print of a portrait with a white border, about 260 x 320 pixels."""
    picture = framed(portrait, (236, 296), (118.0, 130.0), _PRINT_PX).pixels
    return cast("Pixels", cv2.copyMakeBorder(picture, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=(240, 242, 243)))


def _sensor_noise(seed: int) -> list[NDArray[np.int16]]:
    random = np.random.default_rng(seed)
    shape = (HEIGHT, WIDTH, 3)
    return [np.rint(random.standard_normal(shape, np.float32) * _NOISE).astype(np.int16) for _ in range(_NOISES)]
