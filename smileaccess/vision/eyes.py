"""The Vision port on this machine: finds, tracks, measures and embeds faces; it never decides and never stores."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from smileaccess.errors import VisionFailed
from smileaccess.model import Box, Face, Frame, Sight
from smileaccess.vision.detector import Detection, Detector
from smileaccess.vision.embedding import MODEL, Embedder
from smileaccess.vision.emotions import Emotions
from smileaccess.vision.mesh import Mesh, Mesher
from smileaccess.vision.pose import head_pose
from smileaccess.vision.quality import brightness, quality
from smileaccess.vision.smile import eyes_open, mouth_open, smile
from smileaccess.vision.tracking import Tracker

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector

Place = tuple[Box, tuple[tuple[float, float], ...]]
"""A face's box and its five landmarks, in fractions of the frame."""

MEASURED = 2
"""How many faces of a frame are measured: the person's, and the second one's to say how comparable it is."""

TOO_SMALL = 20.0
"""A face whose box's shorter side is less, in pixels, is found and tracked but not measured."""


class LocalEyes:
    """Fulfils ports.Vision with the shipped networks.

    The constructor loads detector, mesh and (with `emotions`) the emotion network, about 0.3 s with OpenCV itself,
    and raises VisionFailed; the embedding network is loaded at the first `embed`. Without `emotions` the smile is
    the mouth's alone. `look` and `reset` belong to one thread at a time; `embed` may run beside them on any other.
    """

    model = MODEL

    def __init__(self, *, emotions: bool = True) -> None:
        self._detector: Detector | None = Detector()
        self._mesher = Mesher()
        self._emotions = Emotions() if emotions else None
        self._tracker = Tracker()
        self._embedder: Embedder | None = None
        self._embedding = threading.Lock()

    def look(self, frame: Frame) -> Sight:
        """Find, track and judge the faces of a frame; frames come in the order of capture. VisionFailed."""
        detector = self._detector  # `close` on another thread may take it away meanwhile
        if detector is None:
            raise VisionFailed("vision: closed: make new eyes to go on looking")
        found = detector.find(_checked(frame.pixels))
        places = [_fractions(frame.pixels, one) for one in found]
        meshes = [self._mesh(frame.pixels, one) if rank < MEASURED else None for rank, one in enumerate(found)]
        views = [None if mesh is None else mesh.view for mesh in meshes]
        points = [None if mesh is None else mesh.points for mesh in meshes]
        tracks = self._tracker.update(places, frame.captured_at, views, points)
        seen = zip(found, places, tracks, meshes, strict=True)
        faces = tuple(self._face(frame.pixels, *one) for one in seen)
        return Sight(frame, faces, brightness(frame.pixels))

    def embed(self, frame: Frame, face: Face) -> Vector:
        """Return the face's embedding, (128,) float32 of length 1, of the view in the most pixels.

        Any thread, one after the other; VisionFailed.
        """
        pixels = _checked(frame.best)
        height, width = pixels.shape[:2]
        points = np.array(face.landmarks, np.float32) * (width, height)
        with self._embedding:
            if self._detector is None:
                raise VisionFailed("vision: closed: make new eyes to go on embedding")
            if self._embedder is None:
                self._embedder = Embedder()
            return self._embedder.embed(pixels, points)

    def reset(self) -> None:
        """Forget all tracks: the next frame belongs to another sequence."""
        self._tracker.reset()

    def close(self) -> None:
        """Let go of the networks once an embedding under way is done; any thread, more than once."""
        with self._embedding:
            self._detector = None
            self._embedder = None

    def _mesh(self, pixels: Pixels, found: Detection) -> Mesh | None:
        return None if min(found.box[2:]) < TOO_SMALL else self._mesher.measure(pixels, found)

    def _face(self, pixels: Pixels, found: Detection, place: Place, track: int, mesh: Mesh | None) -> Face:
        box, landmarks = place
        if mesh is None:
            return Face(box, found.score, track, landmarks, quality(pixels, found, 0.0))
        emotions = self._emotions.measure(pixels, found) if self._emotions else {}
        return Face(
            box,
            found.score,
            track,
            landmarks,
            quality(pixels, found, mesh.presence),
            pose=head_pose(mesh.points),
            smile=smile(mesh.blendshapes, emotions),
            eyes_open=eyes_open(mesh.blendshapes),
            mouth_open=mouth_open(mesh.blendshapes),
            emotions=emotions,
            mesh=(mesh.points[:, :2] / (pixels.shape[1], pixels.shape[0])).astype(np.float32),
        )


def _fractions(pixels: Pixels, found: Detection) -> Place:
    height, width = pixels.shape[:2]
    left, top, wide, high = found.box
    box = Box(left / width, top / height, wide / width, high / height)
    return box, tuple((x / width, y / height) for x, y in found.points.tolist())


def _checked(pixels: Pixels) -> Pixels:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or min(pixels.shape) == 0:
        raise VisionFailed(f"vision: a frame is {pixels.dtype} {pixels.shape}: must be uint8 (height, width, 3), BGR")
    return pixels
