"""The Collection port on Amazon Rekognition: the faces that people are enrolled into; it never decides who somebody is.

What the service says of a picture counts only for the face that was asked about. A call may take tens of seconds:
nothing here is for a door.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from smileaccess.errors import (
    CollectionError,
    CollectionFailed,
    CollectionGone,
    CollectionUnavailable,
    FaceNotIndexed,
    PictureError,
    SpendingCapReached,
)
from smileaccess.model import Box, FaceMatch, IndexedFace
from smileaccess.recognizers import answers
from smileaccess.recognizers.cloud import Service, ServiceError, Trouble, make_client, translated, well_formed
from smileaccess.recognizers.picture import Encoding, encoded
from smileaccess.recognizers.rekognition import MOST_MATCHES, SHOWN_FROM

if TYPE_CHECKING:
    from smileaccess.model import Face, Frame
    from smileaccess.ports import Purse

TIMEOUT_S = 10.0
"""Seconds for each wait on the service, where nobody stands at a door."""

ATTEMPTS = 3
"""Tries of each call, which boto3 makes by itself where another one may help."""

PAGE = 4096
"""Faces that ListFaces returns, and DeleteFaces takes, at once (the service's model)."""

BILLED = ("IndexFaces", "SearchFacesByImage")
"""What is paid for by the picture; the rest of what is called here costs nothing."""

ENROLLED = Encoding(face_px=400, quality=95)
"""How pictures are sent that stay: larger than at the door, since every later search is made among them."""

REMARKS: Mapping[str, str] = {
    "EXCEEDS_MAX_FACES": "more than one face: one person at a time",
    "EXTREME_POSE": "turned away: turn toward the camera",
    "LOW_BRIGHTNESS": "too dark: turn to the light",
    "LOW_SHARPNESS": "blurred: hold still",
    "LOW_CONFIDENCE": "hardly a face: look straight at the camera, head and shoulders in the picture",
    "SMALL_BOUNDING_BOX": "face too small: come closer, or take a picture with more pixels",
    "LOW_FACE_QUALITY": "face hard to make out: turn to the light, with nothing in front of the face",
}
"""What to tell the person, by the service's reason not to index a face (its model's `Reason`)."""

_NO_FACE = "no face: look straight at the camera, head and shoulders in the picture"
_OTHER_FACE = "another face than the one meant: one person at a time"
_FINAL = frozenset({Trouble.REJECTED, Trouble.NO_COLLECTION, Trouble.EXISTS})
"""Where the same question would get the same answer."""

_UNDECIDED = frozenset({Trouble.TIMED_OUT, Trouble.UNAVAILABLE, Trouble.MALFORMED})
"""Where the service may have done what was asked of it, although it did not say so."""

_ADMINISTRATIVE = frozenset({"ListCollections", "DeleteCollection"})

Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class Description:
    """What the service tells of a collection."""

    name: str
    arn: str
    faces: int
    model: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class _Taken:
    """A face that IndexFaces took in."""

    face_id: str
    model: str
    box: Box


@dataclass(frozen=True, slots=True)
class _Indexing:
    """An answer of IndexFaces: what was taken in, and what was not, by its place and the service's reasons."""

    taken: _Taken | None
    refused: tuple[tuple[Box, tuple[str, ...]], ...]


class RekognitionCollection:
    """Fulfils ports.Collection, and makes, describes and deletes collections; it belongs to one thread.

    The boto3 client is made at the first call, which takes about a second.
    """

    def __init__(
        self,
        service: Service,
        name: str,
        purse: Purse,
        *,
        now: Callable[[], datetime],
        encoding: Encoding = ENROLLED,
        timeout_s: float = TIMEOUT_S,
        attempts: int = ATTEMPTS,
    ) -> None:
        """Take where to ask, the collection's id, and what is paid from; `now` is the wall time in UTC."""
        self.name = name
        self._service = service
        self._purse = purse
        self._now = now
        self._encoding = encoding
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._client: Any = None

    # --- the port

    def index(self, frame: Frame, face: Face, member_id: str) -> IndexedFace:
        """Take the face in, under the member's id; FaceNotIndexed says what to do about the picture.

        The same picture under the same id is kept once: its face comes back with the id that it has.
        """
        found = self._index(self._picture(frame, face), member_id)
        if found.taken is not None and found.taken.box.same_place(face.box):
            return IndexedFace(found.taken.face_id, self.name, found.taken.model, self._now())
        remark = _remark(found, face.box)
        if found.taken is not None:
            self._let_go(found.taken.face_id)
        raise FaceNotIndexed(remark)

    def search(self, frame: Frame, face: Face) -> tuple[FaceMatch, ...]:
        """Return what looks like this face from a similarity of 80 on; nothing where the service saw another face.

        It refuses a picture without a face as it does a bad parameter, and only indexing tells which it is.
        """
        try:
            picture = self._picture(frame, face)
        except FaceNotIndexed as error:
            raise CollectionFailed(str(error)) from error
        try:
            found = self._ask(
                "SearchFacesByImage",
                answers.searched_of,
                CollectionId=self.name,
                Image={"Bytes": picture},
                FaceMatchThreshold=SHOWN_FROM,
                MaxFaces=MOST_MATCHES,
            )
        except CollectionFailed as error:
            if getattr(error.__cause__, "code", "") == "InvalidParameterException":
                return ()
            raise
        if not found.box.same_place(face.box):
            return ()
        return tuple(FaceMatch(match.face_id, match.similarity) for match in found.matches)

    def remove(self, face_ids: Sequence[str]) -> None:
        """Take faces out, 4,096 at a time; CollectionFailed names those that the service would not let go of."""
        wanted = list(dict.fromkeys(face_ids))
        kept: dict[str, str] = {}
        for start in range(0, len(wanted), PAGE):
            batch = wanted[start : start + PAGE]
            kept |= self._ask("DeleteFaces", _kept_of, CollectionId=self.name, FaceIds=batch)
        if kept:
            told = ", ".join(f"{face_id} ({why})" for face_id, why in kept.items())
            raise CollectionFailed(
                f"collection {self.name}: not removed: {told}: take them off what uses them in the AWS console, "
                "then try again"
            )

    def faces(self) -> Iterator[tuple[str, str]]:
        """Yield every face's FaceId and its ExternalImageId ("" for none), a page at a time."""
        asked: dict[str, Any] = {"CollectionId": self.name, "MaxResults": PAGE}
        while True:
            page, more = self._ask("ListFaces", _page_of, **asked)
            yield from page
            if not more:
                return
            asked["NextToken"] = more

    # --- administration

    def create(self) -> bool:
        """Make the collection; False where it is there already. CollectionUnavailable, CollectionFailed."""
        try:
            self._ask("CreateCollection", _nothing, CollectionId=self.name)
        except CollectionFailed as error:
            if isinstance(error.__cause__, ServiceError) and error.__cause__.trouble is Trouble.EXISTS:
                return False
            raise
        return True

    def describe(self) -> Description:
        """Return what the service tells of the collection; CollectionUnavailable, CollectionFailed."""
        read = functools.partial(_description_of, self.name)
        return self._ask("DescribeCollection", read, CollectionId=self.name)

    def delete(self) -> None:
        """Delete the collection with all of its faces; CollectionUnavailable, CollectionFailed."""
        self._ask("DeleteCollection", _nothing, CollectionId=self.name)

    def list_ids(self) -> list[str]:
        """Return the ids of all collections of the account in the region; CollectionUnavailable, CollectionFailed."""
        found: list[str] = []
        asked: dict[str, Any] = {}
        while True:
            page, more = self._ask("ListCollections", _ids_of, **asked)
            found += page
            if not more:
                return found
            asked["NextToken"] = more

    def close(self) -> None:
        """Close the connections; more than once does no harm."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    # --- asking

    def _index(self, picture: bytes, member_id: str) -> _Indexing:
        try:
            return self._ask(
                "IndexFaces",
                _indexing_of,
                CollectionId=self.name,
                Image={"Bytes": picture},
                ExternalImageId=member_id,
                MaxFaces=1,
                QualityFilter="AUTO",
                DetectionAttributes=["DEFAULT"],
            )
        except CollectionUnavailable as error:
            cause = error.__cause__
            if isinstance(cause, ServiceError) and cause.trouble in _UNDECIDED:
                raise CollectionUnavailable(
                    f"{error}; a face may have been taken in all the same: `smileaccess members reconcile` tells"
                ) from cause
            raise

    def _let_go(self, face_id: str) -> None:
        """Remove a face that was taken in by mistake; the error names it where that fails."""
        try:
            self.remove([face_id])
        except CollectionError as error:
            raise CollectionFailed(
                f"{error}; the face {face_id} is left in collection {self.name}, and is nobody's: "
                "remove it with `smileaccess members reconcile --repair`"
            ) from error

    def _picture(self, frame: Frame, face: Face) -> bytes:
        try:
            return encoded(frame, face, self._encoding)
        except PictureError as error:
            raise FaceNotIndexed(str(error)) from error

    def _ask(self, operation: str, read: Callable[[Mapping[str, Any]], Told], **asked: Any) -> Told:
        """Make one call, which boto3 tries again where that may help, and read its answer."""
        what = f"{self._service.host}: {operation}"
        try:
            client = self._ready()
            with translated(what):
                answer = getattr(client, _method(operation))(**asked)
            with well_formed(what):
                return read(answer)
        except SpendingCapReached as error:
            raise CollectionUnavailable(str(error)) from error
        except ServiceError as error:
            raise _ours(error, operation) from error

    def _ready(self) -> Any:
        if self._client is None:
            client = make_client(self._service, timeout_s=self._timeout_s, attempts=self._attempts)
            for operation in BILLED:  # emitted before every try, those of boto3's own among them
                client.meta.events.register(f"before-send.rekognition.{operation}", self._pay)
            self._client = client
        return self._client

    def _pay(self, **_: Any) -> None:
        self._purse.pay("")


def _method(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")


def _ours(error: ServiceError, operation: str) -> CollectionError:
    told = str(error)
    if error.trouble is Trouble.NOT_PERMITTED and operation in _ADMINISTRATIVE:
        told += (
            "; listing and deleting collections need more than config/iam/enroller.json gives: "
            "name an administrator's profile with --profile"
        )
    if error.trouble is Trouble.THROTTLED:
        told += ": try again in a minute"
    elif error.trouble in _UNDECIDED:
        told += ": check the network and [rekognition] endpoint, then try again"
    if error.trouble is Trouble.NO_COLLECTION:
        return CollectionGone(told)
    return CollectionFailed(told) if error.trouble in _FINAL else CollectionUnavailable(told)


def _remark(found: _Indexing, place: Box) -> str:
    """Return why the face in this place was not taken in, in our words."""
    here = [reasons for box, reasons in found.refused if box.same_place(place)]
    reasons = here[0] if here else ()
    if not reasons and found.taken is None:
        reasons = tuple(dict.fromkeys(reason for _, each in found.refused for reason in each))
    if reasons:
        return "; ".join(REMARKS.get(reason, reason.lower().replace("_", " ")) for reason in reasons)
    return _NO_FACE if found.taken is None else _OTHER_FACE


# Reading answers; what has not the form of the service's model raises KeyError, TypeError or ValueError


def _indexing_of(answer: Mapping[str, Any]) -> _Indexing:
    records, model = answer["FaceRecords"], _text(answer["FaceModelVersion"])
    taken = [
        _Taken(_text(each["Face"]["FaceId"]), model, answers.box_of(each["Face"]["BoundingBox"])) for each in records
    ]
    if len(taken) > 1:
        raise ValueError(f"{len(taken)} faces where one was asked for")
    refused = tuple(
        (answers.box_of(each["FaceDetail"]["BoundingBox"]), tuple(_text(reason) for reason in each["Reasons"]))
        for each in answer.get("UnindexedFaces", ())
    )
    return _Indexing(taken[0] if taken else None, refused)


def _kept_of(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the faces that were not deleted although they are there, and why."""
    told = {_text(each["FaceId"]): each["Reasons"] for each in answer.get("UnsuccessfulFaceDeletions", ())}
    return {face_id: ", ".join(reasons) for face_id, reasons in told.items() if list(reasons) != ["FACE_NOT_FOUND"]}


def _page_of(answer: Mapping[str, Any]) -> tuple[list[tuple[str, str]], str]:
    faces = [(_text(each["FaceId"]), str(each.get("ExternalImageId", ""))) for each in answer["Faces"]]
    return faces, str(answer.get("NextToken") or "")


def _ids_of(answer: Mapping[str, Any]) -> tuple[list[str], str]:
    return [_text(each) for each in answer["CollectionIds"]], str(answer.get("NextToken") or "")


def _description_of(name: str, answer: Mapping[str, Any]) -> Description:
    created = answer["CreationTimestamp"].astimezone(UTC)
    return Description(
        name, _text(answer["CollectionARN"]), int(answer["FaceCount"]), _text(answer["FaceModelVersion"]), created
    )


def _nothing(_: Mapping[str, Any]) -> None:
    """Read nothing: that there is an answer is all."""


def _text(told: Any) -> str:
    if not isinstance(told, str) or not told:
        raise ValueError(f"{told!r} is no text")
    return told
