"""The members' watch and the upkeep's thread, over a list in memory and a clock that stands still until told."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from smileaccess.delivery import Room
from smileaccess.errors import CameraUnavailable, KeysError, RecognizerFailed, RecordsUnavailable, SmileAccessError
from smileaccess.events import Event, MembersChanged, Noted
from smileaccess.keys import public_half
from smileaccess.membership import sign
from smileaccess.model import DoorEvent, Health, Member, MemberStatus, uuid7
from smileaccess.recorder import Recorder
from smileaccess.rehearsal import InlineWorker
from smileaccess.upkeep import (
    CAMERA_GONE_S,
    CAMERA_RETRY_S,
    ROOM_S,
    CameraWatch,
    MembersWatch,
    RecognizerWatch,
    RoomWatch,
    Upkeep,
)
from tests.builders import NOON, make_event, make_member
from tests.doors import eventually
from tests.fakes_devices import PATIENCE_S, FakeCamera, FakeClock
from tests.fakes_records import FakeMembers, FakeRecords

PRIVATE, FOREIGN = b"e" * 32, b"f" * 32


class Gallery:
    """The recognizer's end of the watch: takes lists, or raises `error`."""

    name = "fake"

    def __init__(self) -> None:
        self.lists: list[tuple[Member, ...]] = []
        self.standing = Health(self.name)
        self.error: SmileAccessError | None = None

    def use(self, members: Sequence[Member]) -> None:
        if self.error is not None:
            raise self.error
        self.lists.append(tuple(members))

    def prepare(self) -> None:
        """Be ready."""

    def health(self) -> Health:
        return self.standing

    def examine(self, *_: Any) -> Any:
        raise AssertionError("the watch examines nobody")

    def close(self) -> None:
        """Hold nothing."""


class WatchedList(FakeMembers):
    """A members' list that fails when told, and whose looks can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.records.door = "front"
        self.error: SmileAccessError | None = None
        self.looks = 0
        self.looked = threading.Condition()

    def revision(self) -> int:
        with self.looked:
            self.looks += 1
            self.looked.notify_all()
        if self.error is not None:
            raise self.error
        return super().revision()

    def await_looks(self, more: int = 3) -> None:
        """Wait until the revision was asked for `more` times: a look that loads the list asks twice.

        With three or more, a look that began after this moment is over.
        """
        with self.looked:
            wanted = self.looks + more
            assert self.looked.wait_for(lambda: self.looks >= wanted, PATIENCE_S)

    def store(self, member: Member, private: bytes = PRIVATE) -> None:
        self.put_member(sign(member, private), make_event(kind="member_changed"))


class Scene:
    """A watch and all that it is connected to."""

    def __init__(self) -> None:
        self.members = WatchedList()
        self.gallery = Gallery()
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.watch = MembersWatch(
            "front", self.members, public_half(PRIVATE), self.gallery, self.clock, self.events.append
        )

    @property
    def told(self) -> list[tuple[Member, ...]]:
        """The lists that the controller was told of."""
        return [event.members for event in self.events if isinstance(event, MembersChanged)]

    @property
    def alarms(self) -> list[tuple[str, str]]:
        """The refusals that were put on record: kind and member."""
        return [(event.event.kind, event.event.detail["member"]) for event in self.events if isinstance(event, Noted)]


@pytest.fixture
def scene() -> Scene:
    return Scene()


ANN, BOB = make_member("m_ann"), make_member("m_bob")


# The watch


def test_the_first_look_tells_of_an_empty_list_too(scene: Scene) -> None:
    """A door that knows nobody says so, once."""
    scene.watch.look()
    scene.watch.look()
    assert (scene.told, scene.gallery.lists) == ([()], [()])


def test_a_change_is_taken_over_by_controller_and_recognizer(scene: Scene) -> None:
    """Whoever is enrolled or disabled shows at the next look, in both."""
    scene.watch.look()
    scene.members.store(ANN)
    scene.watch.look()
    disabled = replace(ANN, version=2, status=MemberStatus.DISABLED)
    scene.members.store(disabled)
    scene.watch.look()
    assert scene.told == scene.gallery.lists == [(), (ANN,), (disabled,)]


def test_no_change_is_no_event(scene: Scene) -> None:
    """Looking again changes nothing."""
    scene.members.store(ANN)
    for _ in range(5):
        scene.watch.look()
    assert scene.told == scene.gallery.lists == [(ANN,)]


def test_a_revision_that_moves_over_the_same_list_is_no_event(scene: Scene) -> None:
    """A list that was written anew with the same content is not loaded anew, and nothing is logged."""
    scene.members.store(ANN)
    scene.watch.look()
    scene.members.changes += 1
    with capture_logs() as logged:
        scene.watch.look()
    assert scene.told == scene.gallery.lists == [(ANN,)]
    assert logged == []


def test_a_member_that_the_enroller_did_not_sign_is_refused_and_on_record_once(scene: Scene) -> None:
    """A foreign signature makes nobody; the alarm goes off at the first sight of it, not at each look."""
    scene.members.store(ANN)
    scene.members.store(BOB, FOREIGN)
    with capture_logs() as logged:
        for _ in range(3):
            scene.members.changes += 1
            scene.watch.look()
    assert scene.told == scene.gallery.lists == [(ANN,)]
    assert scene.alarms == [("member_refused", "m_bob")]
    refusals = [line for line in logged if line["log_level"] == "error"]
    assert [(line["event"], line["member_id"]) for line in refusals] == [
        ("a member was refused: not as the enroller signed it", "m_bob")
    ]


def test_the_alarm_goes_off_again_for_a_new_cause(scene: Scene) -> None:
    """A member who is mended and forged again is alarmed again, and a second one has an alarm of its own."""
    scene.members.store(BOB, FOREIGN)
    scene.watch.look()
    scene.members.store(replace(BOB, version=2))
    scene.watch.look()
    scene.members.store(replace(BOB, version=3), FOREIGN)
    scene.members.store(ANN, FOREIGN)
    scene.watch.look()
    assert [member for _, member in scene.alarms] == ["m_bob", "m_ann", "m_bob"]
    assert scene.told[-1] == ()


def test_a_list_that_cannot_be_read_stays_as_it_was(scene: Scene) -> None:
    """An error of the database reaches the caller and changes nothing; the next look catches up."""
    scene.members.store(ANN)
    scene.watch.look()
    scene.members.store(BOB)
    scene.members.error = RecordsUnavailable("records: held by another process")
    with pytest.raises(RecordsUnavailable):
        scene.watch.look()
    assert scene.told == [(ANN,)]
    scene.members.error = None
    scene.watch.look()
    assert scene.told == scene.gallery.lists == [(ANN,), (ANN, BOB)]


@pytest.mark.parametrize("error", [KeysError("sealed with another key"), RecognizerFailed("no embedding")])
def test_faces_that_cannot_be_used_do_not_hide_who_is_disabled(scene: Scene, error: SmileAccessError) -> None:
    """The controller hears of the new list although its faces stay unusable, which each look tries anew."""
    scene.members.store(ANN)
    scene.watch.look()
    disabled = replace(ANN, version=2, status=MemberStatus.DISABLED)
    scene.members.store(disabled)
    scene.gallery.error = error
    for _ in range(2):
        with pytest.raises(type(error)):
            scene.watch.look()
    assert scene.told == [(ANN,), (disabled,)]
    scene.gallery.error = None
    scene.watch.look()
    assert scene.told == [(ANN,), (disabled,)]
    assert scene.gallery.lists == [(ANN,), (disabled,)]


# A camera that is gone


class Eye:
    """A watched camera, and what was told of it."""

    def __init__(self) -> None:
        self.clock, self.camera = FakeClock(), FakeCamera()
        self.told: list[tuple[str, str]] = []
        self.watch = CameraWatch(self.camera, self.clock, lambda kind, why, _detail: self.told.append((kind, why)))

    def look_for(self, seconds: float, trouble: str) -> list[tuple[str, str]]:
        self.camera.error = CameraUnavailable(trouble) if trouble else None
        self.watch.look()
        self.clock.advance(seconds)
        self.watch.look()
        return self.told


def test_a_camera_that_is_gone_is_told_once_and_so_is_its_return() -> None:
    """With what is wrong with it; a second loss is told anew."""
    eye = Eye()
    with capture_logs() as logged:
        eye.look_for(CAMERA_GONE_S, "unplugged")
        eye.look_for(100.0, "unplugged")
        eye.look_for(0.0, "")
        eye.look_for(CAMERA_GONE_S, "busy")

    lost, back = ("camera_lost", "unplugged"), ("camera_back", "the camera is back")
    assert eye.told == [lost, back, ("camera_lost", "busy")]
    assert [(line["kind"], line["log_level"]) for line in logged] == [
        ("camera_lost", "error"),
        ("camera_back", "warning"),
        ("camera_lost", "error"),
    ]


def test_a_camera_that_is_gone_for_a_moment_is_not_told() -> None:
    """It is opened anew by itself; two moments are not one loss."""
    eye = Eye()
    eye.look_for(CAMERA_GONE_S - 0.1, "stalled")
    eye.look_for(0.0, "")

    assert eye.look_for(CAMERA_GONE_S - 0.1, "stalled") == []


# The thread


class StubbornCamera(FakeCamera):
    """A camera that counts how often it was to be opened."""

    def __init__(self) -> None:
        super().__init__()
        self.tried = 0

    def start(self) -> None:
        self.tried += 1
        super().start()


class Round:
    """An upkeep that looks around all the time, by a clock that stands still."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.camera = StubbornCamera()
        self.reloads: list[str] = []
        self.crashed = threading.Event()
        self.unforeseen: Exception | None = None
        self.ready = threading.Event()
        self.told: list[tuple[Any, ...]] = []
        self.records = FakeRecords()
        self.recorder = Recorder(self.records)
        self.upkeep = Upkeep(
            scene.watch,
            self.camera,
            scene.clock,
            self.recorder,
            InlineWorker(),
            RecognizerWatch(scene.gallery, scene.clock, lambda *told: self.told.append(told), lambda: 60.0),
            RoomWatch(self.room, scene.clock, lambda *told: self.told.append(told)),
            CameraWatch(self.camera, scene.clock, lambda *told: self.told.append(told)),
            on_ready=self.ready.set,
            reload=self._reload,
            on_crash=self.crashed.set,
            look_s=0.002,
        )

    def room(self) -> Room:
        return Room(0, 0, 1 << 30, 0)

    def _reload(self) -> None:
        if self.unforeseen is not None:
            raise self.unforeseen
        self.reloads.append(threading.current_thread().name)

    def begin(self) -> None:
        """Start the upkeep and wait until it has tried the camera."""
        self.upkeep.start()
        assert self.ready.wait(PATIENCE_S)

    def end(self) -> None:
        """Close the upkeep and wait until its thread is gone."""
        threads = [thread for thread in threading.enumerate() if thread.name == "upkeep"]
        self.upkeep.close()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def tries_after(self, seconds: float) -> int:
        """Let so much time pass, wait until the upkeep has seen it, and return the camera's tries so far."""
        self.scene.clock.advance(seconds)
        self.scene.members.await_looks(3)
        return self.camera.tried


@pytest.fixture
def round_(scene: Scene) -> Iterator[Round]:
    made = Round(scene)
    yield made
    made.end()


def test_the_thread_looks_at_the_list_by_itself(scene: Scene, round_: Round) -> None:
    """Once started, a change of the list needs nobody to ask."""
    round_.begin()
    scene.members.await_looks()
    scene.members.store(ANN)
    scene.members.await_looks()
    assert scene.told == [(), (ANN,)]


def test_a_camera_that_opens_is_opened_once(round_: Round) -> None:
    """A camera that works is left alone."""
    round_.begin()
    assert [round_.tries_after(100.0) for _ in range(3)] == [1, 1, 1]
    assert round_.camera.running


def test_a_missing_camera_is_tried_again_with_growing_pauses(round_: Round) -> None:
    """After 1, 2, 4 ... seconds, never more than 30, and not a moment earlier."""
    round_.camera.error = CameraUnavailable("no camera")
    round_.begin()
    pauses = [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert (pauses[0], pauses[-1]) == CAMERA_RETRY_S
    tries = [(round_.tries_after(pause - 0.01), round_.tries_after(0.01)) for pause in pauses]
    assert tries == [(count, count + 1) for count in range(1, 8)]


def test_a_camera_that_comes_back_is_used_and_its_pauses_start_anew(round_: Round) -> None:
    """Plugged in again, the camera runs after the pause under way, and is not opened once more."""
    round_.camera.error = CameraUnavailable("no camera")
    round_.begin()
    round_.tries_after(1.0)
    round_.camera.error = None
    assert (round_.tries_after(2.0), round_.camera.running) == (3, True)
    assert round_.tries_after(100.0) == 3


def test_a_failing_list_is_logged_once_and_kept(scene: Scene, round_: Round) -> None:
    """A database that is gone for a while fills no log, and a second failure after a good look is told again."""
    scene.watch.look()
    with capture_logs() as logged:
        round_.begin()
        for _ in range(2):
            scene.members.error = RecordsUnavailable("records: gone")
            scene.members.await_looks(4)
            scene.members.error = None
            scene.members.await_looks(4)
    problems = [(line["event"], line["error"]) for line in logged if line["log_level"] == "error"]
    assert problems == [("the members' list cannot be used; the one in use stays", "records: gone")] * 2
    assert not round_.crashed.is_set()


def test_unusable_faces_do_not_stop_the_daemon(scene: Scene, round_: Round) -> None:
    """A template that another key sealed is told once; the thread goes on."""
    scene.gallery.error = KeysError("sealed with another templates key")
    with capture_logs() as logged:
        round_.begin()
        scene.members.await_looks(4)
    assert [line["error"] for line in logged if line["log_level"] == "error"] == ["sealed with another templates key"]
    assert not round_.crashed.is_set()


def test_a_reload_is_done_on_the_upkeeps_own_thread(round_: Round) -> None:
    """Whoever asks, also a signal's handler, waits for nothing: the thread does the work."""
    round_.begin()
    round_.upkeep.ask_reload()
    round_.end()
    assert round_.reloads == ["upkeep"]


def test_what_nobody_foresaw_stops_the_daemon(round_: Round) -> None:
    """An error that is none of ours ends the thread and is told, so that the supervisor starts the process again."""
    round_.unforeseen = ZeroDivisionError()
    round_.begin()
    with capture_logs() as logged:
        round_.upkeep.ask_reload()
        assert round_.crashed.wait(PATIENCE_S)
        round_.end()
    assert "the upkeep failed; the daemon stops" in [line["event"] for line in logged]


def test_close_ends_the_thread(scene: Scene, round_: Round) -> None:
    """After the end nothing looks any more."""
    round_.begin()
    scene.members.await_looks()
    round_.end()
    assert "upkeep" not in {thread.name for thread in threading.enumerate()}


def test_a_camera_that_takes_its_time_holds_up_nobody(round_: Round) -> None:
    """The start returns while the camera is still being opened; ready is told once it has been tried."""
    opened = threading.Event()
    round_.camera.start = lambda: opened.wait(PATIENCE_S) and None  # type: ignore[method-assign]
    round_.upkeep.start()
    early = round_.ready.is_set()
    opened.set()

    assert (early, round_.ready.wait(PATIENCE_S)) == (False, True)


def test_a_row_that_waits_is_written_without_another_one(round_: Round) -> None:
    """Once the record is back, what could not be written is, though nothing else happens at the door."""
    event = DoorEvent(uuid7(), "test", NOON, "rex", "smileaccess")
    round_.records.fail(1)
    round_.recorder.event_later(event)
    assert (round_.recorder.waiting, round_.records.put_down) == (1, [])
    round_.upkeep.start()
    round_.scene.members.await_looks(3)

    assert (round_.recorder.waiting, round_.records.put_down) == (0, [event])


# The fallback


class Fallback:
    """A recognizer that may be gone, and all that is told of it."""

    def __init__(self, alarm_after_s: float = 60.0) -> None:
        self.clock = FakeClock()
        self.gallery = Gallery()
        self.told: list[str] = []
        self.watch = RecognizerWatch(
            self.gallery, self.clock, lambda kind, _why, _detail: self.told.append(kind), lambda: alarm_after_s
        )

    def look(self, health: Health, after_s: float = 0.0) -> list[str]:
        self.clock.advance(after_s)
        self.gallery.standing = health
        self.watch.look()
        return self.told


def test_a_recognizer_that_is_well_is_no_news() -> None:
    """Nothing is told of it, however often it is looked at."""
    fallback = Fallback()
    assert [*fallback.look(Health("fake")), *fallback.look(Health("fake"), 100.0)] == []


def test_the_fallback_is_told_once_and_so_is_its_end() -> None:
    """One line and one event when it begins, and when it is over."""
    fallback = Fallback()
    gone = Health("embedded", fallback.clock.time, "throttled")
    for _ in range(3):
        fallback.look(gone, 1.0)
    assert fallback.told == ["recognizer_moved"]
    fallback.look(Health("fake"))
    fallback.look(Health("fake"))
    assert fallback.told == ["recognizer_moved", "recognizer_back"]


def test_an_alarm_is_raised_once_when_it_lasts() -> None:
    """Not before its time, and anew for the next outage."""
    fallback = Fallback(alarm_after_s=60.0)
    gone = Health("embedded", fallback.clock.time, "throttled")
    with capture_logs() as logs:
        fallback.look(gone, 59.9)
        assert "recognizer_alarm" not in fallback.told
        fallback.look(gone, 0.1)
        fallback.look(gone, 100.0)
    assert fallback.told == ["recognizer_moved", "recognizer_alarm"]
    assert [line["log_level"] for line in logs] == ["warning", "error"]

    fallback.look(Health("fake"))
    fallback.look(Health("embedded", fallback.clock.time - 61.0, "gone again"))
    assert fallback.told[2:] == ["recognizer_back", "recognizer_moved", "recognizer_alarm"]


def test_the_upkeep_looks_at_the_recognizer(scene: Scene) -> None:
    """It is one of the things that it looks after all the time."""
    round_ = Round(scene)
    scene.gallery.standing = Health("embedded", scene.clock.time, "throttled")
    round_.upkeep.start()
    try:
        eventually(lambda: round_.told)
    finally:
        round_.upkeep.close()
    assert [told[0] for told in round_.told] == ["recognizer_moved"]


# How full the record is


class Filling:
    """A record that holds so much of 100, and what was told of it."""

    def __init__(self, used: int) -> None:
        self.used = used
        self.clock = FakeClock()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.watch = RoomWatch(
            lambda: Room(self.used << 20, 100 << 20, 1 << 40, 0),
            self.clock,
            lambda kind, _why, detail: self.told.append((kind, dict(detail))),
        )

    def look(self, used: int) -> list[str]:
        self.used = used
        self.clock.advance(ROOM_S)
        self.watch.look()
        return [kind for kind, _ in self.told]


def test_a_record_with_room_is_not_spoken_of() -> None:
    assert Filling(0).look(79) == []


def test_a_filling_record_is_told_once_and_again_when_it_is_full() -> None:
    filling = Filling(0)
    assert filling.look(80) == filling.look(90) == ["record_filling"]
    assert filling.look(100) == filling.look(101) == ["record_filling", "record_full"]
    assert filling.told[0][1] == {"used_mb": 80, "limit_mb": 100, "free_mb": 1 << 20}


def test_a_record_that_fills_anew_is_told_anew() -> None:
    filling = Filling(0)
    filling.look(85)
    filling.look(10)
    assert filling.look(85) == ["record_filling", "record_filling"]


def test_the_room_is_looked_at_now_and_then_only() -> None:
    filling = Filling(10)
    filling.watch.look()
    filling.used = 99
    filling.watch.look()
    assert filling.told == []
