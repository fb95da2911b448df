"""The Recognizer port on Amazon Rekognition: two calls at once on warm connections; it never decides.

Only DetectFaces and SearchFacesByImage are ever called. The service's word on who somebody is counts only where the
enroller has signed the FaceId, and only for the face that was asked about.
"""

from __future__ import annotations

import functools
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from smileaccess.errors import (
    PictureError,
    RecognizerError,
    RecognizerFailed,
    RecognizerTimedOut,
    RecognizerUnavailable,
)
from smileaccess.model import Emotion, Examination, Health, Purpose
from smileaccess.recognizers import answers
from smileaccess.recognizers.answers import Detected, Searched
from smileaccess.recognizers.cloud import (
    WORTH_A_RETRY,
    Service,
    ServiceError,
    Trouble,
    make_client,
    translated,
    trusted,
    well_formed,
)
from smileaccess.recognizers.lane import Current, Lane
from smileaccess.recognizers.picture import Encoding, encoded
from smileaccess.recognizers.transport import Transport, TransportError

if TYPE_CHECKING:
    from smileaccess.model import Candidate, Member, Question
    from smileaccess.ports import Purse

SHOWN_FROM = 80.0
"""Similarity from which on a match is worth showing: the service's own default, far below any threshold of ours."""

MOST_MATCHES = 80
"""Faces that a search returns: more than any two members have."""

OPEN_S = 3.0
"""Seconds that opening a connection ahead of its use may take."""

READY_S = 15.0
"""Seconds to wait for client and connections where nobody stands at a door: looking for credentials may take 10."""

Told = TypeVar("Told")
Tell = Callable[[str, str, Mapping[str, Any]], None]

log = structlog.get_logger(__name__)


class RekognitionRecognizer:
    """Fulfils ports.Recognizer. `examine` belongs to one thread; it makes its calls on two of its own.

    The boto3 client is made on one of these, at the first `prepare`: it takes about a second, and looking for
    credentials may take longer.
    """

    name = "rekognition"

    def __init__(
        self,
        service: Service,
        collection: str,
        purse: Purse,
        *,
        timeout_s: float = 2.0,
        encoding: Encoding | None = None,
        attributes: Mapping[Purpose, tuple[str, ...]] | None = None,
        tell: Tell = lambda _kind, _why, _detail: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take where to ask, what is paid from, and how long an examination may take at the most.

        `attributes` are those of DetectFaces that are asked for beside its defaults; `tell` is called, on the thread of
        `examine`, with what must go on record (kind, why, detail).
        """
        self._service = service
        self._collection = collection
        self._purse = purse
        self._timeout_s = timeout_s
        self._encoding = encoding or Encoding()
        self._attributes = {Purpose.EXPRESSION: ("SMILE",)} if attributes is None else attributes
        self._tell = tell
        self._monotonic = monotonic
        self._current = Current()
        self._making = threading.Lock()
        self._preparing = threading.Lock()
        self._openings: list[Future[None]] = []
        self._client: Any = None
        trust = self._trust()
        self._lanes = tuple(Lane(f"rekognition {number}", Transport(trust), self._current) for number in (1, 2))
        self._faces: Mapping[str, str] = {}
        self._unsigned: set[str] = set()
        self._model = ""
        self._unreachable = ""
        self._closed = False

    # --- the port

    def prepare(self) -> None:
        """Have the client made and the connections opened, where that was not done lately; any thread."""
        self._begin_opening()

    def get_ready(self) -> None:
        """Get ready, and wait until that is so or has failed; any thread."""
        wait(self._begin_opening(), timeout=READY_S)

    def examine(self, question: Question) -> Examination:
        """Ask who a neutral face is and where it is, or what a smiling one shows."""
        if self._closed:
            raise RecognizerUnavailable(f"{self._service.host}: closed")
        began = self._monotonic()
        asking = _Asking(question, min(question.timeout_s, self._timeout_s), began, self._encoded(question))
        try:
            detected, searched = self._answers(asking)
        except RecognizerError as error:
            error.calls = asking.end()
            raise
        return self._examination(asking, detected, searched, 1000 * (self._monotonic() - began))

    def health(self) -> Health:
        """Say that this one would answer; any thread."""
        return Health(self.name)

    def use(self, members: Sequence[Member]) -> None:
        """Take these members' faces, as signed, for all later searches; any thread."""
        known = [member for member in members if member.searchable]
        self._faces = {face_id: member.id for member in known for face_id in member.faces_in(self._collection)}

    def close(self) -> None:
        """Cut what is under way and close the connections; any thread, more than once."""
        self._closed = True
        for lane in self._lanes:
            lane.close()

    @property
    def connections(self) -> int:
        """How many connections were opened so far."""
        return sum(lane.transport.opened for lane in self._lanes)

    # --- asking

    def _answers(self, asking: _Asking) -> tuple[tuple[Detected, ...], Searched | None]:
        """Make the calls at the same time; return what was detected, and found where somebody was searched for.

        A search that met no face is None, where DetectFaces agrees.
        """
        one, other = self._lanes
        detection = one.begin(lambda: self._detect(asking), asking.deadline)
        search: Future[Searched] | None = None
        if asking.question.purpose is Purpose.IDENTITY:
            search = other.begin(lambda: self._search(asking), asking.deadline)
        try:
            self._await(asking, detection, search)
            detected = detection.result(timeout=0)
            if search is None:
                return detected, None
            if _met_no_face(search):
                return self._without_a_face(search, detected)
            return detected, search.result(timeout=0)
        except (ServiceError, RecognizerError, TimeoutError) as error:
            raise self._ours(asking, error) from error
        finally:
            asking.end()
            one.give_up(detection)
            if search is not None:
                other.give_up(search)

    def _await(self, asking: _Asking, detection: Future[Any], search: Future[Any] | None) -> None:
        """Wait until both have ended, one has failed, or the time is up."""
        both = [detection] if search is None else [detection, search]
        wait(both, timeout=max(0.0, asking.deadline - self._monotonic()), return_when=FIRST_EXCEPTION)
        if search is not None and _met_no_face(search):
            # It refuses a picture without a face as it does a bad question: DetectFaces must tell which.
            wait([detection], timeout=max(0.0, asking.deadline - self._monotonic()))
        elif search is not None and search.done():
            search.result()  # where this one has failed there is no sense in waiting for the other

    def _without_a_face(
        self, search: Future[Searched], detected: tuple[Detected, ...]
    ) -> tuple[tuple[Detected, ...], None]:
        if detected:
            raise RecognizerFailed(f"{search.exception()}, though DetectFaces sees a face")
        return detected, None

    def _ours(self, asking: _Asking, error: ServiceError | RecognizerError | TimeoutError) -> RecognizerError:
        if isinstance(error, RecognizerError):
            return error
        if not isinstance(error, ServiceError) or error.trouble is Trouble.TIMED_OUT:
            return RecognizerTimedOut(f"{self._service.host}: no answer within {asking.allowed_s:.2f} s")
        if error.trouble is Trouble.REJECTED:
            return RecognizerFailed(str(error))
        return RecognizerUnavailable(str(error))

    def _detect(self, asking: _Asking) -> tuple[Detected, ...]:
        wanted = ["DEFAULT", *self._attributes.get(asking.question.purpose, ())]
        return self._call(asking, "DetectFaces", answers.detected_of, Attributes=wanted)

    def _search(self, asking: _Asking) -> Searched:
        return self._call(
            asking,
            "SearchFacesByImage",
            answers.searched_of,
            CollectionId=self._collection,
            FaceMatchThreshold=SHOWN_FROM,
            MaxFaces=MOST_MATCHES,
        )

    def _call(self, asking: _Asking, operation: str, read: Callable[[Mapping[str, Any]], Told], **asked: Any) -> Told:
        """Make one call, and once more where that may help and is allowed for; on a lane's thread."""
        self._current.pay = lambda: asking.pay(self._purse, self._monotonic())
        while True:
            try:
                return self._once(operation, read, Image={"Bytes": asking.picture}, **asked)
            except ServiceError as error:
                if error.trouble not in WORTH_A_RETRY or not asking.may_retry(operation, self._monotonic()):
                    raise
                log.info("the service is asked again", kind="service_retried", operation=operation, error=str(error))

    def _once(self, operation: str, read: Callable[[Mapping[str, Any]], Told], **asked: Any) -> Told:
        method = {"DetectFaces": "detect_faces", "SearchFacesByImage": "search_faces_by_image"}[operation]
        what = f"{self._service.host}: {operation}"
        try:
            with translated(what):
                answer = getattr(self._ready_client(), method)(**asked)
        except TransportError as error:
            trouble = Trouble.TIMED_OUT if error.timed_out else Trouble.UNAVAILABLE
            raise ServiceError(trouble, what, f"{error}: check the network and [rekognition] endpoint") from error
        with well_formed(what):
            return read(answer)

    # --- the answer

    def _examination(
        self, asking: _Asking, detected: tuple[Detected, ...], searched: Searched | None, took_ms: float
    ) -> Examination:
        question, place = asking.question, asking.question.face.box
        hindrance = answers.hindrance(place, detected, None if searched is None else searched.box)
        found = None if searched is None or hindrance is not None else self._candidates(searched)
        face = None if hindrance is not None else answers.bound(place, detected)
        emotions: Mapping[Emotion, float] = {} if face is None else face.emotions
        return Examination(
            recognizer=self.name,
            model=self._model,
            purpose=question.purpose,
            sequence=question.frame.sequence,
            track=question.face.track,
            box=place if face is None else face.box,
            candidates=found,
            smile=None if face is None else face.smile,
            emotions=emotions,
            duration_ms=took_ms,
            calls=asking.made,
            hindrance=hindrance,
        )

    def _candidates(self, searched: Searched) -> tuple[Candidate, ...]:
        self._model = searched.model
        faces = self._faces
        for match in searched.matches:
            if match.face_id not in faces and match.face_id not in self._unsigned:
                self._unsigned.add(match.face_id)
                told = {"face": match.face_id, "label": match.label, "collection": self._collection}
                log.error("a face of the collection is in no signed list, and is nobody's", kind="face_refused", **told)
                self._tell("face_refused", "a face of the collection that the enroller has not signed", told)
        return answers.candidates(searched.matches, faces)

    def _encoded(self, question: Question) -> bytes:
        try:
            return encoded(question.frame, question.face, self._encoding)
        except PictureError as error:
            raise RecognizerFailed(f"{self._service.host}: {error}") from error

    # --- connections

    def _begin_opening(self) -> list[Future[None]]:
        """Have each lane open its connection, unless it is about to: a sensor that fires must not fill their queues."""
        with self._preparing:
            if not self._closed and all(each.done() for each in self._openings):
                deadline = self._monotonic() + OPEN_S
                self._openings = [lane.begin(functools.partial(self._open, lane), deadline) for lane in self._lanes]
            return self._openings

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=trusted(self._service))
        except ServiceError as error:
            raise RecognizerUnavailable(str(error)) from error
        except (OSError, ValueError) as error:
            raise RecognizerUnavailable(
                f"{self._service.host}: [rekognition] ca_bundle = {self._service.ca_file!r}: {error}: "
                "name a readable file of certificates (PEM)"
            ) from error

    def _open(self, lane: Lane) -> None:
        try:
            lane.transport.open(self._ready_client().meta.endpoint_url, OPEN_S)
        except (ServiceError, TransportError) as error:
            self._tell_unreachable(str(error))
        else:
            self._unreachable = ""

    def _tell_unreachable(self, why: str) -> None:
        """Log why there is no connection, once until there is one again or another cause."""
        if why != self._unreachable:
            self._unreachable = why
            log.warning(
                "the service cannot be reached ahead of its use",
                kind="service_unreachable",
                service=self._service.host,
                error=why,
            )

    def _ready_client(self) -> Any:
        with self._making:
            if self._client is None:
                client = make_client(self._service, timeout_s=self._timeout_s, attempts=1)
                client.meta.events.register("before-send.rekognition", self._carry)
                self._client = client
            return self._client

    def _carry(self, request: Any, **_: Any) -> Any:
        """Send a request of boto3's on the calling lane's connection."""
        if self._current.transport is None or self._current.pay is None:
            raise TransportError("asked outside a lane")
        self._current.pay()  # signed and about to be sent: what cannot be signed costs nothing
        return self._current.transport.send(request, self._current.deadline)


class _Asking:
    """One question under way: its picture, encoded once, its deadline, and the billed calls made for it."""

    def __init__(self, question: Question, allowed_s: float, began: float, picture: bytes) -> None:
        self.question = question
        self.allowed_s = allowed_s
        self.deadline = began + allowed_s
        self.picture = picture
        self.made = 0
        self._ended = False
        self._lock = threading.Lock()
        self._retried: set[str] = set()

    def pay(self, purse: Purse, now: float) -> None:
        """Pay for one call.

        RecognizerTimedOut where it would come too late, RecognizerUnavailable beyond the number allowed.
        """
        if now >= self.deadline:
            raise RecognizerTimedOut("rekognition: no time was left to ask")
        with self._lock:
            if self._ended:
                raise RecognizerUnavailable("rekognition: the question was given up")
            if self.made >= self.question.calls:
                raise RecognizerUnavailable(f"rekognition: {self.made} billed calls were made: no more are allowed")
            self.made += 1
        try:
            purse.pay(self.question.attempt)
        except RecognizerError:
            with self._lock:
                self.made -= 1
            raise

    def end(self) -> int:
        """Allow no further call, whatever a lane is about to do; return how many were made."""
        with self._lock:
            self._ended = True
            return self.made

    def may_retry(self, operation: str, now: float) -> bool:
        """Say, once an operation, whether it may be tried again."""
        with self._lock:
            again = operation not in self._retried and self.made < self.question.calls and now < self.deadline
            self._retried.add(operation)
            return again


def _met_no_face(search: Future[Any]) -> bool:
    """Say whether a search has ended as one without a face does."""
    error = search.exception() if search.done() and not search.cancelled() else None
    return isinstance(error, ServiceError) and error.code == "InvalidParameterException"
