"""The operator's socket over a real Unix socket, with a door behind it that answers as it is told."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import resource
import select
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from smileaccess.control import (
    LONGEST_REQUEST,
    MOST_CALLERS,
    UNLOCK_S,
    Caller,
    ControlClient,
    ControlServer,
    Groups,
    caller_of,
)
from smileaccess.errors import CameraTimedOut, ControlError, ControlUnavailable, NotPermitted
from smileaccess.events import Event, HoldAsked, LockAsked, Noted, ReleaseAsked, StatusAsked, Summoned, UnlockAsked
from smileaccess.model import DoorEvent, Frame, Trigger
from tests.fakes_devices import PATIENCE_S, FakeCamera, FakeClock, picture

GROUPS = Groups("look-group", "operate-group", "enroll-group")
COMMANDS = ("status", "attempt", "unlock", "lock", "hold", "release", "pictures")
ORDERS = UnlockAsked | LockAsked | HoldAsked | ReleaseAsked
ME = pwd.getpwuid(os.geteuid()).pw_name

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can call as somebody else")


class FakeDoor:
    """Takes the server's events and answers at once; nothing at all while `silent`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.silent = False
        self.busy = False
        self.trouble = ""

    def put(self, event: Event) -> None:
        self.events.append(event)
        if self.silent:
            return
        if isinstance(event, StatusAsked):
            event.answer({"door": "front", "strike": "locked"})
        elif isinstance(event, Summoned):
            event.answer(None if self.busy else "attempt-1")
        elif isinstance(event, UnlockAsked | LockAsked | HoldAsked):
            event.answer(self.trouble)
        elif isinstance(event, ReleaseAsked):
            event.answer((self.trouble, ("lock",)))

    @property
    def on_record(self) -> list[DoorEvent]:
        """Everything that was sent to the record, in order."""
        return [event.event for event in self.events if isinstance(event, Noted | ORDERS)]

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.on_record]


class Post:
    """A server with everything that it needs."""

    def __init__(self, path: Path, groups: Groups = GROUPS, answer_s: float = 3.0) -> None:
        self.path = path
        self.door = FakeDoor()
        self.clock = FakeClock()
        self.camera = FakeCamera()
        self.crashed = threading.Event()
        self.server = ControlServer(
            path,
            groups=groups,
            door="front",
            clock=self.clock,
            camera=self.camera,
            put=self.door.put,
            on_crash=self.crashed.set,
            answer_s=answer_s,
        )

    def client(self) -> ControlClient:
        return ControlClient(self.path)


@pytest.fixture
def path() -> Iterator[Path]:
    """Return a path for a socket that any user of the machine can reach."""
    with tempfile.TemporaryDirectory(prefix="smileaccess-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "control.sock"


@pytest.fixture
def make(path: Path) -> Iterator[Callable[..., Post]]:
    """Return what makes a post that listens, and is closed after the test."""
    made: list[Post] = []

    def listen(**options: Any) -> Post:
        post = Post(path, **options)
        made.append(post)
        post.server.start()
        return post

    yield listen
    for post in made:
        post.server.close()
    for thread in callers():
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@pytest.fixture
def post(make: Callable[..., Post]) -> Post:
    return make()


def callers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "control caller"]


def connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE_S)
    connection.connect(str(path))
    return connection


def asked(path: Path, request: bytes) -> dict[str, Any]:
    """Send bytes and return the one reply; the server closes after it."""
    with connected(path) as connection:
        connection.sendall(request)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    reply: dict[str, Any] = json.loads(received)
    return reply


# What may be asked


def test_status_is_what_the_controller_says(post: Post) -> None:
    """A status question is answered by the controller, and its use is put on record with who and why."""
    with post.client() as client:
        told = client.status("looking around")
    assert told == {"door": "front", "strike": "locked"}
    [event] = post.door.on_record
    assert (event.door, event.kind, event.who, event.why) == ("front", "control_status", ME, "looking around")
    assert (event.at, event.detail) == (post.clock.now(), {"uid": os.geteuid()})


def test_an_attempt_is_summoned_for_an_operator(post: Post) -> None:
    """An attempt is asked of the controller under the operator's trigger, and its id comes back."""
    with post.client() as client:
        assert client.attempt("the button is broken") == "attempt-1"
    assert [event.trigger for event in post.door.events if isinstance(event, Summoned)] == [Trigger.OPERATOR]
    assert [(event.kind, event.why) for event in post.door.on_record] == [("control_attempt", "the button is broken")]


def test_an_attempt_at_a_busy_door_is_refused_and_on_record(post: Post) -> None:
    """Where the door is busy the caller is told so; that it was asked stays on record."""
    post.door.busy = True
    with post.client() as client, pytest.raises(ControlError, match="busy with another attempt: try again"):
        client.attempt()
    assert post.door.kinds == ["control_attempt"]


def test_an_unlock_carries_its_record_and_its_end(post: Post) -> None:
    """An unlock goes to the controller with the event to be put on record first, and with the time it is stale at."""
    with post.client() as client:
        client.unlock("a parcel")
    [asked_for] = [event for event in post.door.events if isinstance(event, UnlockAsked)]
    event = asked_for.event
    assert (event.kind, event.who, event.why) == ("control_unlock", ME, "a parcel")
    assert asked_for.expires == post.clock.monotonic() + UNLOCK_S


def test_an_unlock_that_is_not_on_record_is_said_to_have_failed(post: Post) -> None:
    """No record, no entry: and the operator hears of it."""
    post.door.trouble = "the unlock could not be put on record in time"
    with post.client() as client, pytest.raises(ControlError, match=r"not unlocked: .* on record in time"):
        client.unlock("a parcel")


@pytest.mark.parametrize("why", ["", "   ", "\t"])
@pytest.mark.parametrize("command", ["unlock", "lock", "hold", "release"])
def test_an_order_without_a_reason_is_refused(post: Post, command: str, why: str) -> None:
    """Nothing reaches the controller of an order that does not say why."""
    with post.client() as client, pytest.raises(ControlError, match="needs a reason for the record"):
        order(client, command, why)
    assert post.door.events == []


def order(client: ControlClient, command: str, why: str) -> object:
    return client.hold(why, 60.0) if command == "hold" else getattr(client, command)(why)


@pytest.mark.parametrize(("command", "kind"), [("lock", LockAsked), ("hold", HoldAsked), ("release", ReleaseAsked)])
def test_an_order_carries_its_record(post: Post, command: str, kind: type) -> None:
    """It goes to the controller with the event for the record, and what ended comes back."""
    with post.client() as client:
        answer = order(client, command, "a parcel")
    [asked_for] = post.door.events
    assert isinstance(asked_for, kind)
    event = asked_for.event
    assert (event.kind, event.who, event.why) == (f"control_{command}", ME, "a parcel")
    assert answer == (["lock"] if command == "release" else None)


@pytest.mark.parametrize(
    ("command", "said"),
    [("lock", "locked, but told"), ("hold", "not held unlocked: told"), ("release", "not released")],
)
def test_an_order_that_failed_is_told(post: Post, command: str, said: str) -> None:
    """What the door answers reaches whoever asked, as an error."""
    post.door.trouble = "told"
    with post.client() as client, pytest.raises(ControlError, match=said):
        order(client, command, "a parcel")


@pytest.mark.parametrize("for_s", [None, 0, -1, "1h", True, float("inf")])
def test_a_hold_says_for_how_long(post: Post, for_s: object) -> None:
    """Nothing reaches the controller of a hold without an end."""
    request = json.dumps({"command": "hold", "why": "a parcel", "for_s": for_s}).encode() + b"\n"
    assert "must say for how many seconds" in asked(post.path, request)["error"]
    assert post.door.events == []


def test_pictures_come_one_for_each_question(post: Post) -> None:
    """The camera's frames arrive whole and in order, each asked for anew; the use is put on record once."""
    shots = [picture(7, (64, 48)), picture(9, (320, 240))]
    shots[1][3, 5] = (1, 2, 3)
    post.camera.frames = [Frame(pixels, number, 0.0) for number, pixels in enumerate(shots, start=1)]
    post.camera.start()
    with post.client() as client:
        taken = client.pictures("enrolling")
        received = [next(taken), next(taken)]
        assert [np.array_equal(*pair) for pair in zip(received, shots, strict=True)] == [True, True]
        with pytest.raises(ControlError, match="no frame after 2"):
            next(taken)
    assert [(event.kind, event.why) for event in post.door.on_record] == [("control_pictures", "enrolling")]


def test_a_camera_that_fails_is_reported_to_the_caller(post: Post) -> None:
    """What is wrong with the camera reaches the person at the command line."""
    post.camera.start()
    post.camera.error = CameraTimedOut("camera: stuck: replug it")
    with post.client() as client, pytest.raises(ControlError, match="camera: stuck: replug it"):
        next(client.pictures())


def test_a_controller_that_does_not_answer_bounds_the_wait(make: Callable[..., Post]) -> None:
    """A door that hangs costs the caller the bound, and is named as what hangs."""
    post = make(answer_s=0.05)
    post.door.silent = True
    with post.client() as client, pytest.raises(ControlError, match=r"no answer within 0.05 s: see its journal"):
        client.status()


# Who may ask


ALLOWED = {
    ("look-group", "status"),
    ("operate-group", "status"),
    ("operate-group", "attempt"),
    ("operate-group", "unlock"),
    ("operate-group", "lock"),
    ("operate-group", "hold"),
    ("operate-group", "release"),
    ("enroll-group", "status"),
    ("enroll-group", "pictures"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("group", ["look-group", "operate-group", "enroll-group", "another-group"])
def test_each_group_may_what_it_is_for_and_no_more(group: str, command: str) -> None:
    """One group looks, one operates, one takes pictures; the latter two look as well."""
    stranger = Caller(os.geteuid() + 12345, "somebody", frozenset({group, "users"}))
    assert stranger.may(command, GROUPS) == ((group, command) in ALLOWED)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("uid", [0, os.geteuid()])
def test_root_and_the_daemons_own_user_may_all(uid: int, command: str) -> None:
    """Whoever could read the door's keys anyway is not kept out."""
    assert Caller(uid, "somebody", frozenset()).may(command, GROUPS)


def test_an_unknown_command_is_in_no_group(post: Post) -> None:
    """What the table does not name is refused, also to somebody in every group."""
    everyone = Caller(os.geteuid() + 12345, "somebody", frozenset({"look-group", "operate-group", "enroll-group"}))
    assert not everyone.may("relock", GROUPS)
    assert asked(post.path, b'{"command": "relock"}\n')["error"].startswith("control: command = 'relock': must be one")
    assert post.door.events == []


def test_the_caller_is_who_the_kernel_says() -> None:
    """The peer's identity comes from the socket itself, with its groups from the user database."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        caller = caller_of(ours)
    expected = {grp.getgrgid(gid).gr_name for gid in os.getgrouplist(ME, os.getegid())}
    assert (caller.uid, caller.user, caller.groups) == (os.geteuid(), ME, expected)


def test_who_a_caller_claims_to_be_counts_for_nothing(post: Post) -> None:
    """Names and numbers in the request itself are not read."""
    request = {"command": "unlock", "why": "x", "who": "somebody else", "user": "admin", "uid": 4711}
    assert asked(post.path, json.dumps(request).encode() + b"\n") == {"ok": True}
    assert [(event.who, event.detail) for event in post.door.on_record] == [(ME, {"uid": os.geteuid()})]


_CALL_AS = """
import json, os, sys
from pathlib import Path

import numpy  # now: the other user may not be able to read where it is installed

from smileaccess.control import ControlClient
from smileaccess.errors import NotPermitted

path, uid, gid = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
os.setgroups([])
os.setgid(gid)
os.setuid(uid)
calls = {
    "status": lambda client: client.status("test"),
    "attempt": lambda client: client.attempt("test"),
    "unlock": lambda client: client.unlock("test"),
    "lock": lambda client: client.lock("test"),
    "hold": lambda client: client.hold("test", 60),
    "release": lambda client: client.release("test"),
    "pictures": lambda client: next(client.pictures("test")),
}
told = {}
for command, call in calls.items():
    with ControlClient(path) as client:
        try:
            call(client)
            told[command] = ""
        except NotPermitted as error:
            told[command] = str(error)
print(json.dumps(told))
"""


def call_as(path: Path, uid: int, gid: int) -> dict[str, str]:
    """Use every command as another user; return the refusals by command, empty for what was granted."""
    arguments = [sys.executable, "-c", _CALL_AS, str(path), str(uid), str(gid)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    refusals: dict[str, str] = json.loads(done.stdout)
    return refusals


def three_groups() -> list[grp.struct_group]:
    """Return three groups of this machine that nobody (the user) is in."""
    nobody = pwd.getpwnam("nobody")
    taken = {0, *os.getgrouplist("nobody", nobody.pw_gid)}
    return [group for group in grp.getgrall() if group.gr_gid not in taken][:3]


@as_root
@pytest.mark.parametrize("role", ["look", "operate", "enroll", "none"])
def test_another_user_may_what_the_kernels_word_allows(make: Callable[..., Post], role: str) -> None:
    """A real process of another user gets what its group is for; each refusal is on record as that user's."""
    look, operate, enroll = three_groups()
    post = make(groups=Groups(look.gr_name, operate.gr_name, enroll.gr_name))
    post.camera.frames = [Frame(picture(1), 1, 0.0)]
    post.camera.start()
    nobody = pwd.getpwnam("nobody")
    gids = {"look": look.gr_gid, "operate": operate.gr_gid, "enroll": enroll.gr_gid, "none": nobody.pw_gid}
    told = call_as(post.path, nobody.pw_uid, gids[role])
    granted = {command for group, command in ALLOWED if group == f"{role}-group"}
    assert {command for command, refusal in told.items() if not refusal} == granted
    assert [(event.kind, event.who, event.why, event.detail["uid"]) for event in post.door.on_record] == [
        (f"control_{command}{'' if command in granted else '_refused'}", "nobody", "test", nobody.pw_uid)
        for command in COMMANDS
    ]
    assert {refusal for refusal in told.values() if refusal} == {
        f"control: nobody may not {command}: ask to be put into the group that may"
        for command in set(COMMANDS) - granted
    }
    asked_of_the_door = [type(event) for event in post.door.events if isinstance(event, Summoned | ORDERS)]
    wanted = [Summoned, UnlockAsked, LockAsked, HoldAsked, ReleaseAsked]
    assert asked_of_the_door == (wanted if role == "operate" else [])


@as_root
def test_a_user_whom_no_database_knows_is_told_by_number(post: Post) -> None:
    """A uid without a name, as in a container, is refused and on record by its number."""
    unknown = 54321
    with pytest.raises(KeyError):
        pwd.getpwuid(unknown)
    told = call_as(post.path, unknown, unknown)
    assert told["unlock"] == "control: uid 54321 may not unlock: ask to be put into the group that may"
    assert {event.who for event in post.door.on_record} == {"uid 54321"}


def refused(post: Post, times: int, user: int) -> list[tuple[str, int]]:
    """Have the server refuse a caller so many times, and return what went on record of it: kind and further ones."""
    stranger = Caller(user, "mallory", frozenset())
    before = len(post.door.on_record)
    for _ in range(times):
        with pytest.raises(NotPermitted):
            post.server._refuse(stranger, "unlock", "let me in")
    return [(event.kind, event.detail["more"]) for event in post.door.on_record[before:]]


def test_refusals_without_end_do_not_fill_the_record(post: Post) -> None:
    """A caller's refusals are on record once a minute, with the number of those between, each caller's apart."""
    assert refused(post, 100, 1001) == [("control_unlock_refused", 0)]
    assert refused(post, 5, 1002) == [("control_unlock_refused", 0)]
    post.clock.advance(60.0)
    assert refused(post, 2, 1001) == [("control_unlock_refused", 99)]


# What is no request of ours


DEEP = b"[" * (LONGEST_REQUEST - 10) + b"\n"


@pytest.mark.parametrize(
    ("request_line", "message"),
    [
        (b"status\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b"\n", "not JSON"),
        (DEEP, "not JSON"),
        (b"[]\n", "must be an object"),
        (b"{}\n", "command = None: must be one of status, attempt, unlock, lock, hold, release, pictures"),
        (b'{"command": []}\n', "must be one of status, attempt, unlock, lock, hold, release, pictures"),
        (b'{"command": {"status": 1}}\n', "must be one of status, attempt, unlock, lock, hold, release, pictures"),
        (b'{"command": "Status"}\n', "command = 'Status': must be one of"),
        (b'{"command": "status", "why": 3}\n', "with a text why"),
        (b'{"command": "status", "why": null}\n', "with a text why"),
        (b"x" * (LONGEST_REQUEST + 1), f"a line of more than {LONGEST_REQUEST} bytes"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_what_is_no_request_is_refused_with_what_is_wrong(post: Post, request_line: bytes, message: str) -> None:
    """Broken requests get an answer, reach nobody, and the socket goes on."""
    reply = asked(post.path, request_line)
    assert (reply["ok"], reply["permitted"]) == (False, True)
    assert message in reply["error"]
    assert post.door.events == []
    with post.client() as client:
        assert client.status()["door"] == "front"


def test_a_line_of_exactly_the_longest_length_is_read(post: Post) -> None:
    """The bound itself still passes."""
    line = json.dumps({"command": "status", "why": ""}).encode()
    assert asked(post.path, line + b" " * (LONGEST_REQUEST - len(line) - 1) + b"\n")["ok"] is True


def test_a_reason_is_kept_short_and_in_text_that_can_be_recorded(post: Post) -> None:
    """Half a surrogate pair, which JSON lets through, is escaped; what is too long is cut."""
    assert asked(post.path, b'{"command": "status", "why": "a\\ud800b"}\n')["ok"] is True
    assert asked(post.path, json.dumps({"command": "status", "why": "x" * 600}).encode() + b"\n")["ok"] is True
    assert [event.why for event in post.door.on_record] == ["a\\ud800b", "x" * 500]


def test_a_caller_that_breaks_off_holds_nothing_up(post: Post) -> None:
    """A line that ends in the middle leaves no thread behind, and others are served."""
    with connected(post.path) as connection:
        connection.sendall(b'{"command": ')
    with connected(post.path) as connection:
        connection.sendall(b'{"command": "status"}\n')  # and the answer is never read
    with post.client() as client:
        assert client.status()["door"] == "front"
    for thread in callers():
        thread.join(PATIENCE_S)
    assert callers() == []


def test_a_caller_that_says_nothing_is_let_go(make: Callable[..., Post]) -> None:
    """Whoever connects and stays silent is disconnected after the bound."""
    post = make(answer_s=0.05)
    with connected(post.path) as connection:
        assert connection.recv(100) == b""


def test_a_caller_that_dribbles_is_let_go(make: Callable[..., Post]) -> None:
    """The bound is the whole line's: a byte now and then does not renew it."""
    post = make(answer_s=0.2)
    with connected(post.path) as connection:
        while not select.select([connection], [], [], 0.01)[0]:
            connection.sendall(b" ")
        assert connection.recv(100) == b""


def test_a_crowd_of_callers_waits_in_line(make: Callable[..., Post]) -> None:
    """No more callers than the bound are served at a time; the next gets its turn when one has gone."""
    post = make(answer_s=PATIENCE_S)
    crowd = [connected(post.path) for _ in range(MOST_CALLERS)]
    with connected(post.path) as late:
        late.sendall(b'{"command": "status"}\n')
        assert select.select([late], [], [], 0.2)[0] == []
        assert len(callers()) == MOST_CALLERS
        crowd.pop().close()
        assert json.loads(late.recv(65536))["ok"] is True
    for connection in crowd:
        connection.close()


def test_a_socket_that_can_no_longer_be_served_stops_the_daemon(post: Post) -> None:
    """Where nobody can be taken in any more (here: no file descriptors) the daemon is told, instead of going deaf."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller, capture_logs() as logged:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            caller.connect(str(post.path))
            crashed = post.crashed.wait(PATIENCE_S)
            for thread in [each for each in threading.enumerate() if each.name == "control"]:
                thread.join(PATIENCE_S)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert crashed
    assert [line["event"] for line in logged] == ["the operator's socket failed; the daemon stops"]


def test_a_stop_is_no_crash(post: Post) -> None:
    """Closing ends the thread without a word to the supervisor; closing again does nothing."""
    post.server.close()
    post.server.close()
    assert "control" not in {thread.name for thread in threading.enumerate()}
    assert not post.crashed.is_set()


# The socket itself


def test_anybody_may_connect_so_that_the_kernel_can_say_who(post: Post) -> None:
    """The socket's mode lets every user ask; the groups decide."""
    assert post.path.stat().st_mode & 0o777 == 0o666


def test_the_socket_is_gone_after_close(post: Post) -> None:
    """A closed daemon leaves no socket, and callers are told what to do."""
    post.server.close()
    assert not post.path.exists()
    with pytest.raises(ControlUnavailable, match=r"no daemon listens there; start it with `smileaccess run`"):
        post.client().__enter__()


def test_a_second_daemon_is_refused_and_the_first_goes_on(post: Post) -> None:
    """Two daemons never share a socket: the second one is told to stop the first."""
    second = Post(post.path)
    with pytest.raises(ControlUnavailable, match="another daemon listens there: stop it first"):
        second.server.claim()
    second.server.close()
    with post.client() as client:
        client.status()
    assert second.door.events == []
    assert post.door.kinds == ["control_status"]


def test_the_socket_of_a_killed_daemon_is_taken_over(path: Path, make: Callable[..., Post]) -> None:
    """What a killed process left behind does not keep the next one from starting."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.is_socket()
    with make().client() as client:
        assert client.status()["door"] == "front"


def test_who_calls_between_claim_and_start_waits(path: Path) -> None:
    """A claimed socket belongs to us already; its callers are answered once the door is ready."""
    post = Post(path)
    post.server.claim()
    with connected(path) as early:
        early.sendall(b'{"command": "status"}\n')
        assert select.select([early], [], [], 0)[0] == []
        post.server.start()
        assert json.loads(early.recv(65536))["ok"] is True
    post.server.close()


def test_a_file_in_the_sockets_place_is_left_alone(path: Path) -> None:
    """Only sockets that nobody listens on are removed."""
    path.write_text("somebody's notes")
    with pytest.raises(ControlUnavailable, match="Address already in use"):
        Post(path).server.start()
    assert path.read_text() == "somebody's notes"


@pytest.mark.parametrize(
    ("name", "cause"), [("missing/control.sock", "No such file or directory"), ("x" * 120, "AF_UNIX path too long")]
)
def test_a_path_that_cannot_be_used_is_named_with_the_fix(path: Path, name: str, cause: str) -> None:
    """Both ends say which path, what is wrong with it and what to do."""
    wrong = path.parent / name
    with pytest.raises(ControlUnavailable, match=f"{name}: {cause}: set \\[control\\] socket to a path in a directory"):
        Post(wrong).server.start()
    with pytest.raises(ControlUnavailable, match=f"{name}: {cause}: no daemon listens there"):
        ControlClient(wrong).__enter__()


# The caller's end


def test_a_refusal_keeps_its_kind_at_the_callers_end(post: Post) -> None:
    """What is wrong with the question is not reported as a lack of rights."""
    post.door.busy = True
    with post.client() as client, pytest.raises(ControlError) as caught:
        client.attempt()
    assert not isinstance(caught.value, NotPermitted)


def test_a_daemon_that_hangs_is_unavailable(path: Path) -> None:
    """A caller waits for a bounded time for a daemon that took the call and says nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hung:
        hung.bind(str(path))
        hung.listen()
        with ControlClient(path, answer_s=0.05) as client, pytest.raises(ControlUnavailable, match="does not answer"):
            client.status()


def test_a_client_that_is_not_connected_says_so(path: Path) -> None:
    """Without the context manager nothing is sent anywhere."""
    with pytest.raises(ControlError, match="use the client as a context manager"):
        ControlClient(path).status()


def test_a_picture_travels_as_text(post: Post) -> None:
    """The reply is one line of JSON: the shape, and the pixels in base64."""
    pixels = picture(3, (4, 2))
    post.camera.frames = [Frame(pixels, 1, 0.0)]
    post.camera.start()
    with connected(post.path) as connection, connection.makefile("rb") as replies:
        connection.sendall(b'{"command": "pictures"}\n')
        reply = json.loads(replies.readline())
    assert reply == {"ok": True, "shape": [2, 4, 3], "pixels": base64.b64encode(pixels.tobytes()).decode()}
