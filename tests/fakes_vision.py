"""A hand-written Vision and Recognizer for painted squares, and frames of the real photographs for real eyes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

import smileaccess
from smileaccess.errors import RecognizerFailed, RecognizerTimedOut, RecognizerUnavailable, VisionError, VisionFailed
from smileaccess.model import (
    Box,
    Candidate,
    Emotion,
    Examination,
    Face,
    Frame,
    Health,
    Member,
    MemberStatus,
    Pose,
    Purpose,
    Quality,
    Question,
    Sight,
    Template,
)
from tests.builders import make_mesh

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector

FACES = Path(smileaccess.__file__).resolve().parent / "demo" / "faces"
WIDTH, HEIGHT = 640, 480


@dataclass(frozen=True)
class Painted:
    """A face for FakeVision: who (1..255), the middle in pixels, the side, and whether it smiles."""

    who: int
    x: int = 320
    y: int = 240
    side: int = 120
    smiling: bool = False


def painting(*faces: Painted, brightness: int = 0) -> Pixels:
    """Return a frame's pixels with each face as a square of its own color."""
    pixels = np.full((HEIGHT, WIDTH, 3), (0, 0, brightness), np.uint8)
    for face in faces:
        half = face.side // 2
        top, left = face.y - half, face.x - half
        pixels[top : top + face.side, left : left + face.side] = (face.who, 255 if face.smiling else 1, 200)
    return pixels


def person(who: int) -> Vector:
    """Return the embedding that FakeVision gives to somebody: unit length, nearly at right angles to all others."""
    vector = np.random.default_rng(who).normal(size=128)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class FakeVision:
    """Fulfils ports.Vision for painted frames; a face keeps its track while its square moves less than half a side."""

    model = "painted-1"

    def __init__(self) -> None:
        self._tracks: dict[int, tuple[int, Box]] = {}
        self._used = 0
        self._closed = False

    def look(self, frame: Frame) -> Sight:
        self._check(frame)
        whos = np.unique(frame.pixels[..., 0][frame.pixels[..., 2] == 200])
        found = {int(who): self._face(frame.pixels, int(who)) for who in whos if who}
        self._tracks = {who: (face.track, face.box) for who, face in found.items()}
        faces = list(found.values())
        faces.sort(key=lambda face: -face.box.area)
        return Sight(frame, tuple(faces), float(frame.pixels.mean()) / 2.55)

    def embed(self, frame: Frame, face: Face) -> Vector:
        self._check(frame)
        x, y = face.box.center
        return person(int(frame.pixels[int(y * HEIGHT), int(x * WIDTH), 0]))

    def reset(self) -> None:
        self._tracks = {}

    def close(self) -> None:
        self._closed = True

    def _check(self, frame: Frame) -> None:
        if self._closed:
            raise VisionFailed("fake vision: closed")
        if frame.pixels.ndim != 3 or frame.pixels.dtype != np.uint8:
            raise VisionFailed(f"fake vision: {frame.pixels.dtype} {frame.pixels.shape}")

    def _face(self, pixels: Pixels, who: int) -> Face:
        rows, columns = np.nonzero((pixels[..., 0] == who) & (pixels[..., 2] == 200))
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        box = Box(left / WIDTH, top / HEIGHT, (right - left) / WIDTH, (bottom - top) / HEIGHT)
        spots = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
        smile = 95.0 if pixels[top, left, 1] == 255 else 5.0
        return Face(
            box=box,
            score=0.9,
            track=self._track(who, box),
            landmarks=tuple((box.left + x * box.width, box.top + y * box.height) for x, y in spots),
            quality=Quality(60.0, 70.0, float(right - left), 0.99),
            pose=Pose(0.0, 0.0, 0.0),
            smile=smile,
            eyes_open=90.0,
            mouth_open=5.0,
            emotions={Emotion.HAPPY: smile, Emotion.CALM: 100 - smile},
            mesh=make_mesh(box, smile, gap=5.0),
        )

    def _track(self, who: int, box: Box) -> int:
        track, before = self._tracks.get(who, (0, box))
        shift = max(abs(a - b) for a, b in zip(box.center, before.center, strict=True))
        if not track or shift > before.width / 2:
            self._used += 1
            return self._used
        return track


class FakeRecognizer:
    """Fulfils ports.Recognizer: knows whoever has a template of the model, with a similarity of 99.5, else nobody."""

    name = "fake"

    def __init__(self, vision: FakeVision, unseal: Callable[[Member, Template], Vector]) -> None:
        self._vision, self._unseal = vision, unseal
        self._known: dict[str, list[Vector]] = {}
        self._closed = False

    def use(self, members: Sequence[Member]) -> None:
        self._known = {
            member.id: [self._unseal(member, one) for one in member.templates if one.model == self._vision.model]
            for member in members
            if member.status is not MemberStatus.FORGOTTEN
        }

    def prepare(self) -> None:
        """Be ready, as always."""

    def health(self) -> Health:
        return Health(self.name)

    def examine(self, question: Question) -> Examination:
        frame, face = question.frame, question.face
        if self._closed:
            raise RecognizerUnavailable("fake recognizer: closed")
        if question.timeout_s <= 0:
            raise RecognizerTimedOut("fake recognizer: no time")
        try:
            probe = self._vision.embed(frame, face)
        except VisionError as error:
            raise RecognizerFailed(str(error)) from error
        same = [id_ for id_, own in self._known.items() if any(float(one @ probe) > 0.5 for one in own)]
        candidates = tuple(Candidate(id_, 99.5) for id_ in same)
        return Examination(
            self.name, self._vision.model, question.purpose, frame.sequence, face.track, face.box, candidates,
            face.smile, face.emotions, duration_ms=0.0,
        )  # fmt: skip

    def close(self) -> None:
        self._closed = True


def member(
    id_: str,
    embeddings: Iterable[Vector],
    *,
    model: str = FakeVision.model,
    status: MemberStatus = MemberStatus.ACTIVE,
) -> Member:
    """Return a member whose templates are sealed by nothing but their bytes; `opened` reads them."""
    then = datetime(2026, 1, 1, tzinfo=UTC)
    templates = tuple(Template(f"{id_}-{n}", model, one.tobytes(), then) for n, one in enumerate(embeddings))
    return Member(id_, 1, id_.title(), status, then, None, templates=templates)


def asked(frame: Frame, face: Face, purpose: Purpose = Purpose.IDENTITY, timeout_s: float = 5.0) -> Question:
    """Return a question that nobody at a door asks."""
    return Question(frame, face, purpose, "", timeout_s, 6)


def opened(_: Member, template: Template) -> Vector:
    """Unseal a template of `member`."""
    return np.frombuffer(template.sealed, np.float32)


@cache
def photograph(name: str) -> Pixels:
    """Return one of the project's photographs, BGR, not to be written to."""
    pixels = cv2.imread(str(FACES / f"{name}.jpg"))
    pixels.setflags(write=False)
    return pixels


BOXES = {
    "obama-neutral": (347, 142, 156, 194),
    "obama-smiling": (373, 84, 239, 327),
    "obama-speaking": (207, 231, 263, 402),
    "biden-neutral": (246, 102, 175, 225),
    "collins-smiling": (180, 63, 89, 112),
}
"""Where the face is in each photograph: left, top, width, height, in pixels."""


def scene(name: str, side: int = 200, x: int = 320, y: int = 240) -> Pixels:
    """Return a 640 x 480 frame in which the photograph's face is `side` pixels high, its middle at (x, y)."""
    left, top, width, height = BOXES[name]
    scale = side / height
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(photograph(name), None, fx=scale, fy=scale, interpolation=method)
    shift_x, shift_y = x - scale * (left + width / 2), y - scale * (top + height / 2)
    shift = np.array([[1, 0, round(shift_x)], [0, 1, round(shift_y)]], np.float32)
    return cv2.warpAffine(scaled, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)


def beside(left: str, right: str, side: int = 200, other: int = 120) -> Pixels:
    """Return a frame with two people, the left one's face `side` pixels high, the right one's `other`."""
    pixels = scene(left, side, 170, 240)
    pixels[:, 340:] = scene(right, other, 490, 240)[:, 340:]
    return pixels


def framed(pixels: Pixels, sequence: int = 1) -> Frame:
    """Return a frame of these pixels, ten a second, which nobody can write to."""
    pixels = pixels.copy()
    pixels.setflags(write=False)
    return Frame(pixels, sequence, sequence / 10)
