"""People to stand before a door: photographed, or drawn from photographs, each at rest and smiling.

Only of one man there are both pictures. The others borrow the mouth that they lack from another photograph, or are
mixtures of two people, head and hair the first one's; and everybody has a mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from smileaccess.demo.morph import Portrait, morphed
from smileaccess.demo.scenes import FACES, MEMBER_PHOTOGRAPH
from smileaccess.model import Frame

if TYPE_CHECKING:
    from smileaccess.model import Pixels
    from smileaccess.ports import Vision

_LIPS = (61, 291, 0, 17)
"""The corners, the upper and the lower edge of the mouth in MediaPipe's face mesh (canonical face model)."""

_AROUND_LIPS = 0.1  # of the face's width: what of the skin around a borrowed mouth comes with it
_MIXING = 8  # steps from one person to the other; half of them are taken


@dataclass(frozen=True)
class Picture:
    """A photograph by its name, with another one's mouth where `mouth` names it, or half way to another picture."""

    name: str
    mouth: str = ""
    mixed: Picture | None = None
    mirrored: bool = False


@dataclass(frozen=True)
class Person:
    """Somebody at rest and smiling; `enrolled` is the picture that the door knows them by."""

    name: str
    neutral: Picture
    smiling: Picture
    enrolled: Picture

    def mixed_with(self, other: Person) -> Person:
        """Return a person half way to another one, enrolled at rest."""
        neutral = replace(self.neutral, mixed=other.neutral)
        return Person(f"{self.name} x {other.name}", neutral, replace(self.smiling, mixed=other.smiling), neutral)

    def in_the_mirror(self) -> Person:
        """Return the person who looks as this one does in a mirror."""
        neutral, smiling, enrolled = (
            replace(one, mirrored=True) for one in (self.neutral, self.smiling, self.enrolled)
        )
        return Person(f"{self.name}, mirrored", neutral, smiling, enrolled)


OBAMA = Person("obama", Picture("obama-neutral"), Picture("obama-smiling"), Picture(MEMBER_PHOTOGRAPH.stem))
BIDEN = Person(
    "biden", Picture("biden-neutral"), Picture("biden-neutral", mouth="obama-smiling"), Picture("biden-neutral")
)
COLLINS = Person(
    "collins",
    Picture("collins-smiling", mouth="obama-neutral"),
    Picture("collins-smiling"),
    Picture("collins-smiling", mouth="obama-neutral"),
)

PHOTOGRAPHED = (OBAMA, OBAMA.in_the_mirror())
"""Who is photographed both at rest and smiling: attacks show photographs only."""

_ONE_WAY = (
    OBAMA,
    BIDEN,
    COLLINS,
    BIDEN.mixed_with(OBAMA),
    BIDEN.mixed_with(COLLINS),
    COLLINS.mixed_with(OBAMA),
    COLLINS.mixed_with(BIDEN),
)
PEOPLE = (*_ONE_WAY, *(person.in_the_mirror() for person in _ONE_WAY))
"""Living members. Not among them are mixtures on the first man's head: they measure up to 36 at rest, which is no calm
face by the default `neutral_below`, so that the door would never ask them to smile.
"""


class Album:
    """The pictures, each with the mesh of its face; one thread."""

    def __init__(self, eyes: Vision) -> None:
        self._eyes = eyes
        self.portrait = cache(self._portrait)

    def _portrait(self, picture: Picture) -> Portrait:
        if picture.mirrored:
            other_way = self.portrait(replace(picture, mirrored=False)).pixels
            return self._measured(np.ascontiguousarray(other_way[:, ::-1]))
        if picture.mixed:
            first, last = self.portrait(replace(picture, mixed=None)), self.portrait(picture.mixed)
            return self._measured(morphed(first, last, _MIXING)[_MIXING // 2])
        if picture.mouth:
            face, other = (self.portrait(Picture(name)) for name in (picture.name, picture.mouth))
            return self._measured(with_the_mouth(face, other))
        return self._measured(cast("Pixels", cv2.imread(str(FACES / f"{picture.name}.jpg"))))

    def _measured(self, pixels: Pixels) -> Portrait:
        self._eyes.reset()
        mesh = self._eyes.look(Frame(pixels, 1, 0.0)).faces[0].mesh
        assert mesh is not None
        height, width = pixels.shape[:2]
        return Portrait(pixels, (mesh * np.array([width, height])).astype(np.float32))


def with_the_mouth(portrait: Portrait, other: Portrait) -> Pixels:
    """Return a face with another one's mouth, laid over it by the meshes and cloned without a seam."""
    known = np.column_stack([other.mesh, np.ones(len(other.mesh), np.float32)])
    onto = np.linalg.lstsq(known, portrait.mesh, rcond=None)[0].T.astype(np.float32)
    height, width = portrait.pixels.shape[:2]
    laid = cv2.warpAffine(other.pixels, onto, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    lips = np.concatenate([portrait.mesh[[*_LIPS]], other.mesh[[*_LIPS]] @ onto[:, :2].T + onto[:, 2]])
    around = _AROUND_LIPS * np.ptp(portrait.mesh[:, 0])
    low, high = lips.min(axis=0) - around, lips.max(axis=0) + around
    center, axes = np.rint((low + high) / 2).astype(int), np.rint((high - low) / 2).astype(int)
    mask = cv2.ellipse(np.zeros((height, width), np.uint8), center.tolist(), axes.tolist(), 0, 0, 360, 255, cv2.FILLED)
    face = cv2.fillConvexPoly(np.zeros_like(mask), cv2.convexHull(np.rint(portrait.mesh).astype(np.int32)), 255)
    mask &= cv2.erode(face, np.ones((9, 9), np.uint8))
    left, top, across, down = cv2.boundingRect(mask)
    middle = (left + across // 2, top + down // 2)
    return cast("Pixels", cv2.seamlessClone(laid, portrait.pixels, mask, middle, cv2.NORMAL_CLONE))
