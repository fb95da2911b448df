"""Rekognition's collections and faces, of one account and region, in memory; it answers in the service's words.

It extends moto's backend, which has none of these operations.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from moto.core.base_backend import BackendDict
from moto.rekognition.models import RekognitionBackend

from smileaccess.model import Box
from smileaccess.recognizers.similarity import similarity
from tests.standin import contract
from tests.standin.details import bounding_box, confidence, face_detail, shortcomings
from tests.standin.errors import AwsError
from tests.standin.pictures import Picture, looking
from tests.standin.policies import arn

if TYPE_CHECKING:
    from smileaccess.model import Vector

FACE_MODEL = "7.0"
MOST_RESULTS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """One indexed face; `indexed_at` is on the monotonic clock, `sequence` counts within the collection."""

    face_id: str
    image_id: str
    external_id: str | None
    box: Box
    confidence: float
    vector: Vector
    digest: str
    sequence: int
    indexed_at: float

    def told(self) -> dict[str, Any]:
        """Return it as a Face."""
        face = {
            "FaceId": self.face_id,
            "BoundingBox": bounding_box(self.box),
            "ImageId": self.image_id,
            "Confidence": self.confidence,
            "IndexFacesModelVersion": FACE_MODEL,
        }
        return face if self.external_id is None else {**face, "ExternalImageId": self.external_id}


@dataclass(eq=False)
class Collection:
    """A collection and its faces by their id, in the order of indexing; `sequence` counts collections."""

    name: str
    sequence: int
    created_at: datetime
    faces: dict[str, Stored] = field(default_factory=dict)
    indexed: int = 0

    def add(self, picture: Picture, rank: int, external_id: str | None, image_id: str) -> Stored:
        """Store a face, or return the one that is there: AWS stores the same picture and label only once."""
        face = picture.faces[rank]
        for one in self.faces.values():
            if (one.digest, one.external_id, one.box) == (picture.digest, external_id, face.box):
                return one
        self.indexed += 1
        stored = Stored(
            str(uuid.uuid4()), image_id, external_id, face.box, confidence(face), looking().embed(picture, rank),
            picture.digest, self.indexed, time.monotonic(),
        )  # fmt: skip
        self.faces[stored.face_id] = stored
        return stored


class StandInBackend(RekognitionBackend):
    """One account's Rekognition in one region, for any thread; AwsError for what the service refuses."""

    consistency_s: Callable[[], float] = staticmethod(lambda: 0.0)
    """How long a face that was just indexed is not found yet."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._lock = threading.RLock()
        self._collections: dict[str, Collection] = {}
        self._created = 0

    def create_collection(self, name: str) -> dict[str, Any]:
        """Answer CreateCollection; its ARN begins otherwise than DescribeCollection's, as in AWS's documentation."""
        with self._lock:
            if name in self._collections:
                message = f"The collection id: {name} already exists"
                raise AwsError("ResourceAlreadyExistsException", message)
            self._created += 1
            self._collections[name] = Collection(name, self._created, datetime.now(UTC))
        collection_arn = arn(self.region_name, name).removeprefix("arn:")
        return {"StatusCode": 200, "CollectionArn": collection_arn, "FaceModelVersion": FACE_MODEL}

    def describe_collection(self, name: str) -> dict[str, Any]:
        """Answer DescribeCollection."""
        with self._lock:
            found = self._collection(name)
            return {
                "FaceCount": len(found.faces),
                "FaceModelVersion": FACE_MODEL,
                "CollectionARN": arn(self.region_name, name),
                "CreationTimestamp": found.created_at,
                "UserCount": 0,
            }

    def list_collections(self, most: int | None, token: str | None) -> dict[str, Any]:
        """Answer ListCollections, in the order of creation."""
        after = _after(token, "")
        with self._lock:
            page, more = _page([one for one in self._collections.values() if one.sequence > after], most)
        answer = {"CollectionIds": [one.name for one in page], "FaceModelVersions": [FACE_MODEL] * len(page)}
        return {**answer, "NextToken": _token("", page[-1].sequence)} if more else answer

    def delete_collection(self, name: str) -> dict[str, Any]:
        """Answer DeleteCollection."""
        with self._lock:
            self._collection(name)
            del self._collections[name]
        return {"StatusCode": 200}

    def index_faces(
        self,
        name: str,
        data: bytes,
        external_id: str | None,
        attributes: Sequence[str] | None,
        most: int | None,
        quality_filter: str,
    ) -> dict[str, Any]:
        """Answer IndexFaces: what is not good enough is left out, and of the rest the largest are taken."""
        self._exists(name)
        picture = looking().look(data)
        wanted, refused = _sorted_out(picture, quality_filter, most)
        image_id = str(uuid.uuid4())
        with self._lock:
            collection = self._collection(name)
            stored = [collection.add(picture, rank, external_id, image_id) for rank in wanted]
        return {
            "FaceRecords": [
                {"Face": one.told(), "FaceDetail": face_detail(picture.faces[rank], attributes)}
                for rank, one in zip(wanted, stored, strict=True)
            ],
            "UnindexedFaces": [
                {"Reasons": reasons, "FaceDetail": face_detail(picture.faces[rank], attributes)}
                for rank, reasons in refused.items()
            ],
            "FaceModelVersion": FACE_MODEL,
        }

    def list_faces(
        self, name: str, most: int | None, token: str | None, user: str | None, ids: Sequence[str] | None
    ) -> dict[str, Any]:
        """Answer ListFaces, in the order of indexing; no face belongs to a user here."""
        with self._lock:
            faces = list(self._collection(name).faces.values())
        if user is not None:
            raise AwsError("ResourceNotFoundException", f"The user id: {user} does not exist")
        after = _after(token, name)
        faces = [one for one in faces if one.sequence > after and (ids is None or one.face_id in ids)]
        page, more = _page(faces, most)
        answer = {"Faces": [one.told() for one in page], "FaceModelVersion": FACE_MODEL}
        return {**answer, "NextToken": _token(name, page[-1].sequence)} if more else answer

    def delete_faces(self, name: str, ids: Iterable[str]) -> dict[str, Any]:
        """Answer DeleteFaces."""
        with self._lock:
            faces = self._collection(name).faces
            wanted = list(dict.fromkeys(ids))
            gone = [one for one in wanted if faces.pop(one, None) is not None]
        missing = [one for one in wanted if one not in gone]
        return {
            "DeletedFaces": gone,
            "UnsuccessfulFaceDeletions": [{"FaceId": one, "Reasons": ["FACE_NOT_FOUND"]} for one in missing],
        }

    def detect_faces(self, data: bytes, attributes: Sequence[str] | None) -> dict[str, Any]:
        """Answer DetectFaces, the largest face first."""
        return {"FaceDetails": [face_detail(face, attributes) for face in looking().look(data).faces]}

    def search_faces_by_image(
        self, name: str, data: bytes, most: int, threshold: float, quality_filter: str
    ) -> dict[str, Any]:
        """Answer SearchFacesByImage: only the largest face that is good enough is searched for."""
        self._exists(name)
        picture = looking().look(data)
        ranks, _ = _sorted_out(picture, quality_filter, 1)
        if not ranks:
            raise AwsError("InvalidParameterException", "There are no faces in the image. Should be at least one.")
        face, vector = picture.faces[ranks[0]], looking().embed(picture, ranks[0])
        matches = [(likeness, one) for likeness, one in self._likenesses(name, vector) if likeness >= threshold]
        matches.sort(key=lambda match: -match[0])
        return {
            "SearchedFaceBoundingBox": bounding_box(face.box),
            "SearchedFaceConfidence": confidence(face),
            "FaceMatches": [{"Similarity": likeness, "Face": one.told()} for likeness, one in matches[:most]],
            "FaceModelVersion": FACE_MODEL,
        }

    def _likenesses(self, name: str, vector: Vector) -> list[tuple[float, Stored]]:
        settled = time.monotonic() - self.consistency_s()
        with self._lock:
            faces = [one for one in self._collection(name).faces.values() if one.indexed_at <= settled]
        return [(similarity(float(np.dot(one.vector, vector))), one) for one in faces]

    def _exists(self, name: str) -> None:
        with self._lock:
            self._collection(name)

    def _collection(self, name: str) -> Collection:
        if name not in self._collections:
            raise AwsError("ResourceNotFoundException", f"The collection id: {name} does not exist")
        return self._collections[name]


def backends(consistency_s: Callable[[], float]) -> BackendDict[StandInBackend]:
    """Return fresh backends by account and region; no profile or setting of this machine is looked at."""

    class Backend(StandInBackend):
        pass

    Backend.consistency_s = staticmethod(consistency_s)
    regions = sorted(contract.regions())
    return BackendDict(Backend, "rekognition", use_boto3_regions=False, additional_regions=regions)


def _sorted_out(picture: Picture, quality_filter: str, most: int | None) -> tuple[list[int], dict[int, list[str]]]:
    """Return the ranks of the faces to use, and of the others why not."""
    short = {rank: shortcomings(face, quality_filter) for rank, face in enumerate(picture.faces)}
    good = [rank for rank, reasons in short.items() if not reasons]
    wanted = good if most is None else good[:most]
    refused = {rank: reasons or ["EXCEEDS_MAX_FACES"] for rank, reasons in short.items() if rank not in wanted}
    return wanted, refused


def _page(items: list[Any], most: int | None) -> tuple[list[Any], bool]:
    size = most or MOST_RESULTS
    return items[:size], len(items) > size


def _token(name: str, after: int) -> str:
    """Return an opaque token; it names the place and not a number of items, so that deletions skip nothing."""
    return base64.b64encode(json.dumps([_short(name), after]).encode()).decode()


def _after(token: str | None, name: str) -> int:
    if token is None:
        return 0
    try:
        short, after = json.loads(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError, TypeError):
        short, after = None, None
    if short != _short(name) or not isinstance(after, int):
        raise AwsError("InvalidPaginationTokenException", "Pagination token is invalid")
    return after


def _short(name: str) -> str:
    """Return a name that leaves a token far below the 255 characters that the model allows it."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]
