"""What the recognizer on Amazon Rekognition takes, on the stand-in: python -m tests.bench; 1 where it takes too long.

Times are compared within one run only: the two calls at once with the slower of them alone, a frame's size with its
full size. Nothing here says how fast Amazon is.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2

from smileaccess.model import Frame, IndexedFace, Member, MemberStatus, Purpose, Question
from smileaccess.recognizers.cloud import Service
from smileaccess.recognizers.picture import Encoding, encoded
from smileaccess.recognizers.rekognition import RekognitionRecognizer
from smileaccess.vision.eyes import LocalEyes
from tests.fakes_vision import photograph, scene
from tests.standin import StandIn

COLLECTION = "smileaccess"
DETECT_S, SEARCH_S = 0.3, 0.4
ROUNDS = 30
ALLOWED_MS = 15.0
"""How much longer than the slower of the two calls a neutral frame may take, at the median."""


class Free:
    """Pays for everything."""

    def pay(self, attempt: str) -> None:
        """Count nothing."""


@dataclass(frozen=True)
class Bench:
    """The stand-in, a member in it, and a recognizer that knows them."""

    service: StandIn
    eyes: LocalEyes
    recognizer: RekognitionRecognizer

    def question(self, frame: Frame, purpose: Purpose = Purpose.IDENTITY) -> Question:
        self.eyes.reset()
        return Question(frame, self.eyes.look(frame).faces[0], purpose, "bench", 5.0, 6)


@contextmanager
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder, StandIn() as service, closing(LocalEyes()) as eyes:
        credentials = service.write_credentials(Path(folder) / "credentials")
        place = Service(service.region, service.url, str(service.ca_file), str(credentials), "door")
        with closing(RekognitionRecognizer(place, COLLECTION, Free(), timeout_s=5.0)) as recognizer:
            recognizer.use([_member(service)])
            recognizer.get_ready()
            yield Bench(service, eyes, recognizer)


def _member(service: StandIn) -> Member:
    admin = service.client("admin")
    admin.create_collection(CollectionId=COLLECTION)
    _, picture = cv2.imencode(".jpg", photograph("obama-speaking"))
    told = admin.index_faces(CollectionId=COLLECTION, Image={"Bytes": picture.tobytes()}, ExternalImageId="m_ann")
    then = datetime.now(UTC)
    face = IndexedFace(told["FaceRecords"][0]["Face"]["FaceId"], COLLECTION, told["FaceModelVersion"], then)
    return Member("m_ann", 1, "Ann", MemberStatus.ACTIVE, then, None, faces=(face,))


def both_at_once(made: Bench) -> bool:
    """Time a neutral frame with both calls slowed down; say whether it is as quick as it should be."""
    made.service.faults.latency("DetectFaces", DETECT_S)
    made.service.faults.latency("SearchFacesByImage", SEARCH_S)
    question = made.question(Frame(scene("obama-neutral"), 1, 0.0))
    made.recognizer.examine(question)
    took = [made.recognizer.examine(question).duration_ms for _ in range(ROUNDS)]
    made.service.faults.clear()
    slower, median = 1000 * max(DETECT_S, SEARCH_S), statistics.median(took)
    print(f"a neutral frame, DetectFaces {1000 * DETECT_S:.0f} ms and SearchFacesByImage {1000 * SEARCH_S:.0f} ms:")
    print(f"  median {median:.1f} ms of {ROUNDS}, {min(took):.1f} to {max(took):.1f}")
    print(f"  {median / slower:.3f} of the slower call, {median - slower:+.1f} ms (allowed {ALLOWED_MS:+.1f})")
    print(f"  {median / (1000 * (DETECT_S + SEARCH_S)):.2f} of both, one after the other")
    return median - slower <= ALLOWED_MS


def sizes(made: Bench) -> None:
    """Show what the size of the face in the frame that is sent costs and brings."""
    print("\na frame of 1920x1080 with a face of about 330 pixels, JPEG quality 90:")
    print("  face px    bytes  of full  encoding ms  of full  similarity")
    frame = Frame(cv2.resize(scene("obama-neutral"), (1920, 1080), interpolation=cv2.INTER_CUBIC), 1, 0.0)
    question = made.question(frame)
    full = _encoding(question, 10_000)
    for face_px in (60, 80, 120, 160, 240, 10_000):
        size, took_ms = _encoding(question, face_px)
        told = f"{face_px:>9}" if face_px < 10_000 else "     full"
        shares = f"{size:>7} {size / full[0]:>8.2f} {took_ms:>12.1f} {took_ms / full[1]:>8.2f}"
        print(f"{told}  {shares} {_similarity(made, question, face_px):>11}")


def _encoding(question: Question, face_px: int) -> tuple[int, float]:
    took = []
    for _ in range(7):
        began = time.perf_counter()
        picture = encoded(question.frame, question.face, Encoding(face_px, 90))
        took.append(1000 * (time.perf_counter() - began))
    return len(picture), statistics.median(took)


def _similarity(made: Bench, question: Question, face_px: int) -> str:
    picture = encoded(question.frame, question.face, Encoding(face_px, 90))
    told = made.service.client("admin").search_faces_by_image(
        CollectionId=COLLECTION, Image={"Bytes": picture}, FaceMatchThreshold=0
    )
    return f"{told['FaceMatches'][0]['Similarity']:.2f}" if told["FaceMatches"] else "none"


def main() -> int:
    """Run everything."""
    with bench() as made:
        quick = both_at_once(made)
        sizes(made)
    return 0 if quick else 1


if __name__ == "__main__":
    sys.exit(main())
