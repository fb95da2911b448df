"""What the daemon looks after beside the door: changes of the members' list, a camera that is gone, reloads.

One thread. It never decides about an attempt and never touches the strike: what it finds goes to the controller as
events.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import structlog

from smileaccess.errors import CameraError, KeysError, RecognizerError, RecordsError
from smileaccess.events import Event, MembersChanged, Noted
from smileaccess.membership import Refusal, load_roster
from smileaccess.model import DoorEvent, MemberStatus, uuid7

if TYPE_CHECKING:
    from smileaccess.delivery import Room
    from smileaccess.model import Member
    from smileaccess.ports import Camera, Clock, Members, Recognizer, Worker
    from smileaccess.recorder import Recorder

LOOK_S = 0.4
"""Seconds between two looks at the members' list: a change is known well within a second."""

CAMERA_RETRY_S = (1.0, 30.0)
"""Seconds to the first retry of a camera that could not be opened, doubling up to the second number."""

CAMERA_GONE_S = 3.0
"""Seconds that a camera may be gone before somebody is told: it may only be opened anew."""

ROOM_S = 5.0
"""Seconds between two looks at how full the record is."""

log = structlog.get_logger(__name__)

_FULLNESS = {
    "record_filling": (log.warning, "the record is filling: make room before the door has to deny"),
    "record_full": (log.error, "the record is full: the door opens to nobody until there is room"),
}


class MembersWatch:
    """Loads the members' list whenever it has changed, verified; one thread at a time."""

    def __init__(
        self,
        door: str,
        members: Members,
        public_key: bytes,
        recognizer: Recognizer,
        clock: Clock,
        put: Callable[[Event], None],
    ) -> None:
        """Take where the list is, whose signature counts, and whom to tell."""
        self._door = door
        self._members = members
        self._public_key = public_key
        self._recognizer = recognizer
        self._clock = clock
        self._put = put
        self._revision: int | None = None
        self._told: tuple[Member, ...] | None = None
        self._in_use = False
        self._refused: frozenset[Refusal] = frozenset()

    def look(self) -> None:
        """Take the list over where it has changed; RecordsError, and then the list in use stays.

        KeysError or RecognizerError where a face of the new list cannot be used: then the faces in use stay, while
        what else the list says (who is disabled, who is gone) holds already.
        """
        if self._members.revision() == self._revision:
            return
        roster = load_roster(self._members, self._public_key)
        for refusal in sorted(set(roster.refused) - self._refused, key=lambda refusal: refusal.member_id):
            self._alarm(refusal)
        self._refused = frozenset(roster.refused)
        if roster.members != self._told:
            self._told = roster.members
            self._put(MembersChanged(roster.members))
            self._in_use = False
        if not self._in_use:
            self._recognizer.use(roster.members)
            self._in_use = True
            living = sum(member.status is not MemberStatus.FORGOTTEN for member in roster.members)
            log.info("members loaded", kind="members_loaded", members=living, refused=len(roster.refused))
        self._revision = roster.revision

    def _alarm(self, refusal: Refusal) -> None:
        log.error(
            "a member was refused: not as the enroller signed it",
            kind="member_refused",
            member_id=refusal.member_id,
            why=refusal.why,
        )
        detail = {"member": refusal.member_id}
        event = DoorEvent(uuid7(), self._door, self._clock.now(), "member_refused", "smileaccess", refusal.why, detail)
        self._put(Noted(event))


class RecognizerWatch:
    """Tells when the fallback has taken over, when that lasts, and when it is over; one thread."""

    def __init__(
        self,
        recognizer: Recognizer,
        clock: Clock,
        tell: Callable[[str, str, Mapping[str, Any]], None],
        alarm_after_s: Callable[[], float],
    ) -> None:
        """Take whom to watch, what puts on record (kind, why, detail), and how long is too long, in seconds."""
        self._recognizer = recognizer
        self._clock = clock
        self._tell = tell
        self._alarm_after_s = alarm_after_s
        self._since: float | None = None
        self._alarmed = False

    def look(self) -> None:
        """See who would answer now."""
        health = self._recognizer.health()
        detail: dict[str, Any] = {"recognizer": self._recognizer.name, "active": health.active}
        if health.since is None:
            if self._since is not None:
                log.warning("the first recognizer answers again", kind="recognizer_back", **detail)
                self._tell("recognizer_back", "the first recognizer answers again", detail)
            self._since, self._alarmed = None, False
            return
        if self._since is None:
            log.warning("the fallback is asked from now on", kind="recognizer_moved", cause=health.cause, **detail)
            self._tell("recognizer_moved", health.cause, detail)
            self._since = health.since
        lasts_s = self._clock.monotonic() - health.since
        if lasts_s >= self._alarm_after_s() and not self._alarmed:
            self._alarmed = True
            detail |= {"for_s": round(lasts_s)}
            log.error(
                "the first recognizer has been gone for long", kind="recognizer_alarm", cause=health.cause, **detail
            )
            self._tell("recognizer_alarm", health.cause, detail)


class CameraWatch:
    """Tells when the camera has been gone for a while, and when it is back; one thread."""

    def __init__(self, camera: Camera, clock: Clock, tell: Callable[[str, str, Mapping[str, Any]], None]) -> None:
        """Take what to watch, and what puts on record (kind, why, detail)."""
        self._camera = camera
        self._clock = clock
        self._tell = tell
        self._since: float | None = None
        self._told = False

    def look(self) -> None:
        """See whether there are pictures."""
        trouble = self._camera.trouble()
        now = self._clock.monotonic()
        if not trouble:
            if self._told:
                log.warning("the camera is back", kind="camera_back")
                self._tell("camera_back", "the camera is back", {})
            self._since, self._told = None, False
            return
        self._since = now if self._since is None else self._since
        if now - self._since >= CAMERA_GONE_S and not self._told:
            self._told = True
            log.error("the camera is gone: nobody is let in until it is back", kind="camera_lost", error=trouble)
            self._tell("camera_lost", trouble, {})


class RoomWatch:
    """Tells when the record is filling, and when it is full and the door therefore denies; one thread."""

    def __init__(
        self, room: Callable[[], Room], clock: Clock, tell: Callable[[str, str, Mapping[str, Any]], None]
    ) -> None:
        """Take what says how full the record is, and what puts on record (kind, why, detail)."""
        self._room = room
        self._clock = clock
        self._tell = tell
        self._look_at = clock.monotonic()
        self._told = ""

    def look(self) -> None:
        """See how full it is, now and then; RecordsError."""
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + ROOM_S
        room = self._room()
        kind = "record_full" if room.full else "record_filling" if room.filling else ""
        if kind and kind != self._told:
            detail = {"used_mb": room.used >> 20, "limit_mb": room.limit >> 20, "free_mb": room.free >> 20}
            write, why = _FULLNESS[kind]
            write(why, kind=kind, **detail)
            self._tell(kind, why, detail)
        self._told = kind


class Upkeep:
    """The thread; made, started and closed by the daemon."""

    def __init__(
        self,
        watch: MembersWatch,
        camera: Camera,
        clock: Clock,
        recorder: Recorder,
        writing: Worker,
        recognizer: RecognizerWatch,
        room: RoomWatch,
        eye: CameraWatch,
        *,
        on_ready: Callable[[], None],
        reload: Callable[[], None],
        on_crash: Callable[[], None],
        look_s: float = LOOK_S,
    ) -> None:
        """Take what to look after, and the worker that the recorder belongs to.

        On this thread `on_ready` is called when the camera has been tried, `reload` when that was asked for, and
        `on_crash` when something unforeseen happens.
        """
        self._watch = watch
        self._camera = camera
        self._clock = clock
        self._recorder = recorder
        self._writing = writing
        self._recognizer = recognizer
        self._room = room
        self._eye = eye
        self._on_ready = on_ready
        self._reload = reload
        self._on_crash = on_crash
        self._look_s = look_s
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._retry_at: float | None = None
        self._retry_s = CAMERA_RETRY_S[0]
        self._list_failed = False

    def start(self) -> None:
        """Open the camera, then look after everything, on the own thread: the way out waits for none of it."""
        self._thread.start()

    def ask_reload(self) -> None:
        """Have the settings read again; any thread, also from a signal's handler."""
        self._tasks.put(self._reload)

    def close(self) -> None:
        """End the thread."""
        self._tasks.put(None)
        self._thread.join(self._look_s * 5)

    def _run(self) -> None:
        try:
            self._open_camera()
            self._on_ready()
            while self._turn():
                pass
        # The thread's root: what nobody foresaw stops the process, and its supervisor starts it again.
        except Exception:
            self._on_crash()
            log.exception("the upkeep failed; the daemon stops", kind="crashed")

    def _turn(self) -> bool:
        try:
            task = self._tasks.get(timeout=self._look_s)
        except Empty:
            self._look_around()
            return True
        if task is not None:
            task()
        return task is not None

    def _look_around(self) -> None:
        try:
            self._watch.look()
            self._room.look()
            self._list_failed = False
        except (RecordsError, KeysError, RecognizerError) as error:
            if not self._list_failed:
                log.error(
                    "the members' list cannot be used; the one in use stays", kind="members_unusable", error=str(error)
                )
            self._list_failed = True
        self._recognizer.look()
        self._eye.look()
        if self._recorder.waiting:
            self._writing.submit(self._recorder.try_again)
        if self._retry_at is not None and self._clock.monotonic() >= self._retry_at:
            self._open_camera()

    def _open_camera(self) -> None:
        try:
            self._camera.start()
        except CameraError as error:
            log.error("no camera; it is tried again", kind="camera_missing", error=str(error), in_s=self._retry_s)
            self._retry_at = self._clock.monotonic() + self._retry_s
            self._retry_s = min(self._retry_s * 2, CAMERA_RETRY_S[1])
        else:
            self._retry_at, self._retry_s = None, CAMERA_RETRY_S[0]
