"""The operator's socket: status, attempt, unlock, lock, hold, release, and pictures, as events of the controller.

Who calls is asked of the kernel, never of the caller. It drives no adapter but reads the camera for pictures, and
answers nothing before the use is on its way to the record.

One line of JSON is the request: {"command": ..., "why": ...}, for `hold` with "for_s"; one line of JSON the reply:
{"ok": true, ...} or {"ok": false, "error": ..., "permitted": ...}. `pictures` is answered by one picture,
its pixels in base64, and by another for each empty line sent after that.
"""

from __future__ import annotations

import base64
import grp
import json
import math
import os
import pwd
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn, Self

import structlog

from smileaccess.errors import CameraError, ControlError, ControlUnavailable, NotPermitted
from smileaccess.events import Event, HoldAsked, LockAsked, Noted, ReleaseAsked, StatusAsked, Summoned, UnlockAsked
from smileaccess.model import DoorEvent, Trigger, uuid7

if TYPE_CHECKING:
    from smileaccess.model import Pixels
    from smileaccess.ports import Camera, Clock

LONGEST_REQUEST = 4096
"""Bytes of a request line; a longer one is refused."""

ANSWER_S = 3.0
"""How long the controller may take for an answer, and a caller for a request, in seconds."""

UNLOCK_S = 2.0
"""An unlock, a hold or a release that is not on record within so many seconds does nothing."""

MOST_CALLERS = 16
"""Callers who are served at a time; further ones wait until one of these has gone."""

STRANGER_S, MOST_STRANGERS = 0.5, 4
"""How long who may do nothing here may take for a request, in seconds, and how many of them are heard at a time."""

REFUSAL_S = 60.0
"""A caller's refusals go on record once in so many seconds, with their number: nobody shall fill the disk with them."""

MOST_PICTURES = 200
"""Pictures that one request gets at the most."""

PICTURE_WAIT_S = 60.0
"""How long a caller may take, in seconds, before asking for the next picture: people move slowly."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Groups:
    """The system groups that may look, operate and take pictures for enrollment."""

    look: str
    operate: str
    enroll: str


ALLOWED: Mapping[str, tuple[str, ...]] = {
    "status": ("look", "operate", "enroll"),
    "attempt": ("operate",),
    "unlock": ("operate",),
    "lock": ("operate",),
    "hold": ("operate",),
    "release": ("operate",),
    "pictures": ("enroll",),
}
"""Which of the groups may use a command."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end, as the kernel says."""

    uid: int
    user: str
    groups: frozenset[str]

    def may(self, command: str, groups: Groups) -> bool:
        """Say whether the caller may use a command; root and the daemon's own user may use all."""
        if self.uid in {0, os.geteuid()}:
            return True
        allowed = {getattr(groups, name) for name in ALLOWED.get(command, ())}
        return bool(allowed & self.groups)


def caller_of(connection: socket.socket) -> Caller:
    """Ask the kernel who connected (SO_PEERCRED, unix(7)), and the user database for the groups."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, gid = struct.unpack("3i", raw)
    try:
        user = pwd.getpwuid(uid).pw_name
        gids = os.getgrouplist(user, gid)
    except KeyError:
        user, gids = f"uid {uid}", [gid]
    return Caller(uid, user, frozenset(_group_names(gids)))


def _group_names(gids: list[int]) -> Iterator[str]:
    for gid in gids:
        try:
            yield grp.getgrgid(gid).gr_name
        except KeyError:
            continue


class ControlServer:
    """Listens on the socket; one thread accepts, and each caller has a thread of their own, for seconds at most."""

    def __init__(
        self,
        path: Path,
        *,
        groups: Groups,
        door: str,
        clock: Clock,
        camera: Camera,
        put: Callable[[Event], None],
        on_crash: Callable[[], None],
        answer_s: float = ANSWER_S,
    ) -> None:
        """Take where to listen, who may do what, and the controller's `put`.

        `on_crash` is called when something unforeseen ends the thread that accepts.
        """
        self._path = path
        self._groups = groups
        self._door = door
        self._clock = clock
        self._camera = camera
        self._put = put
        self._on_crash = on_crash
        self._answer_s = answer_s
        self._free = threading.Semaphore(MOST_CALLERS)
        self._strangers = threading.Semaphore(MOST_STRANGERS)
        self._refusing = threading.Lock()
        self._refused: dict[tuple[int, str], tuple[float, int]] = {}
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def claim(self) -> None:
        """Take the socket, so that no other daemon does; who calls waits for `start`.

        ControlUnavailable where another daemon has it, or the path cannot be used.
        """
        try:
            self._socket = _listener(self._path)
        except OSError as error:
            raise ControlUnavailable(
                f"control: {self._path}: {error.strerror or error}: set [control] socket to a path in a directory "
                "that exists and that this user may write to"
            ) from error

    def start(self) -> None:
        """Begin to answer; ControlUnavailable as for `claim`, which this does where it was not done before."""
        if self._socket is None:
            self.claim()
        self._thread = threading.Thread(target=self._run, args=(self._socket,), name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and remove the socket; callers under way end by themselves."""
        listener, self._socket = self._socket, None
        if listener is None:
            return
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        self._path.unlink(missing_ok=True)
        if self._thread is not None:
            self._thread.join(self._answer_s)

    def _run(self, listener: socket.socket) -> None:
        try:
            while self._socket is listener:
                self._accept(listener)
        # The thread's root: what nobody foresaw stops the process, and its supervisor starts it again.
        except Exception:
            if self._socket is listener:
                self._on_crash()
                log.exception("the operator's socket failed; the daemon stops", kind="crashed")

    def _accept(self, listener: socket.socket) -> None:
        # Before the caller is taken in, so that no crowd of callers uses up threads and file descriptors.
        self._free.acquire()
        try:
            connection, _ = listener.accept()
            threading.Thread(target=self._serve, args=(connection,), name="control caller", daemon=True).start()
        except ConnectionAbortedError:
            self._free.release()

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._converse(connection)
        finally:
            self._free.release()

    def _converse(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(self._answer_s)
            caller = caller_of(connection)
            if any(caller.may(command, self._groups) for command in ALLOWED):
                self._hear(connection, caller, self._answer_s)
            elif self._strangers.acquire(blocking=False):
                try:
                    self._hear(connection, caller, STRANGER_S)
                finally:
                    self._strangers.release()

    def _hear(self, connection: socket.socket, caller: Caller, within_s: float) -> None:
        try:
            for reply in self._replies(connection, caller, _request(connection, within_s)):
                connection.sendall(json.dumps(reply).encode() + b"\n")
        except ControlError as error:
            refusal = {"ok": False, "error": str(error), "permitted": not isinstance(error, NotPermitted)}
            _send_last(connection, refusal)
        except OSError as error:
            log.info("a caller went away", kind="caller_gone", error=str(error))

    def _replies(
        self, connection: socket.socket, caller: Caller, request: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        command, why = request.get("command"), request.get("why", "")
        handlers: dict[str, Callable[[Caller, str], Iterator[dict[str, Any]]]] = {
            "status": self._status,
            "attempt": self._attempt,
            "unlock": self._unlock,
            "lock": self._lock,
            "hold": lambda who, what: self._hold(who, what, request.get("for_s")),
            "release": self._release,
            "pictures": lambda who, what: self._pictures(connection, who, what),
        }
        if not isinstance(command, str) or command not in handlers or not isinstance(why, str):
            raise ControlError(f"control: command = {command!r}: must be one of {', '.join(handlers)}, with a text why")
        if not caller.may(command, self._groups):
            self._refuse(caller, command, why)
        yield from handlers[command](caller, why)

    def _refuse(self, caller: Caller, command: str, why: str) -> NoReturn:
        """Raise NotPermitted, on record: the first time, and then once in REFUSAL_S with the number of all since."""
        now, key = self._clock.monotonic(), (caller.uid, command)
        with self._refusing:
            noted_at, more = self._refused.get(key, (-math.inf, 0))
            due = now - noted_at >= REFUSAL_S
            self._refused[key] = (now, 0) if due else (noted_at, more + 1)
        if due:
            event = self._event(caller, f"control_{command}_refused", why)
            self._put(Noted(replace(event, detail={**event.detail, "more": more})))
        raise NotPermitted(f"control: {caller.user} may not {command}: ask to be put into the group that may")

    def _status(self, caller: Caller, why: str) -> Iterator[dict[str, Any]]:
        self._put(Noted(self._event(caller, "control_status", why)))
        status: dict[str, Any] = self._answer(lambda answer: self._put(StatusAsked(answer)))
        yield {"ok": True, "status": status}

    def _attempt(self, caller: Caller, why: str) -> Iterator[dict[str, Any]]:
        self._put(Noted(self._event(caller, "control_attempt", why)))
        attempt_id: str | None = self._answer(lambda answer: self._put(Summoned(Trigger.OPERATOR, answer)))
        if attempt_id is None:
            raise ControlError("control: the door is busy with another attempt: try again in a few seconds")
        yield {"ok": True, "attempt": attempt_id}

    def _unlock(self, caller: Caller, why: str) -> Iterator[dict[str, Any]]:
        _need_reason("an unlock", why)
        event = self._event(caller, "control_unlock", why)
        expires = self._clock.monotonic() + UNLOCK_S
        trouble: str = self._answer(lambda answer: self._put(UnlockAsked(event, expires, answer)))
        if trouble:
            raise ControlError(f"control: not unlocked: {trouble}")
        yield {"ok": True}

    def _lock(self, caller: Caller, why: str) -> Iterator[dict[str, Any]]:
        _need_reason("a lock", why)
        event = self._event(caller, "control_lock", why)
        trouble: str = self._answer(lambda answer: self._put(LockAsked(event, answer)))
        if trouble:
            raise ControlError(f"control: locked, but {trouble}")
        yield {"ok": True}

    def _hold(self, caller: Caller, why: str, for_s: Any) -> Iterator[dict[str, Any]]:
        _need_reason("a hold", why)
        if isinstance(for_s, bool) or not isinstance(for_s, int | float) or not 0 < for_s < math.inf:
            raise ControlError(f"control: for_s = {for_s!r}: must say for how many seconds: --for 2h")
        event = self._event(caller, "control_hold", why)
        event = replace(event, detail={**event.detail, "for_s": for_s})
        expires = self._clock.monotonic() + UNLOCK_S
        trouble: str = self._answer(lambda answer: self._put(HoldAsked(event, for_s, "hold", expires, answer)))
        if trouble:
            raise ControlError(f"control: not held unlocked: {trouble}")
        yield {"ok": True}

    def _release(self, caller: Caller, why: str) -> Iterator[dict[str, Any]]:
        _need_reason("a release", why)
        event = self._event(caller, "control_release", why)
        expires = self._clock.monotonic() + UNLOCK_S
        trouble, ended = self._answer(lambda answer: self._put(ReleaseAsked(event, expires, answer)))
        if trouble:
            raise ControlError(f"control: not released: {trouble}")
        yield {"ok": True, "ended": ended}

    def _pictures(self, connection: socket.socket, caller: Caller, why: str) -> Iterator[dict[str, Any]]:
        self._put(Noted(self._event(caller, "control_pictures", why)))
        connection.settimeout(PICTURE_WAIT_S)
        sequence = 0
        for _ in range(MOST_PICTURES):
            try:
                frame = self._camera.read(sequence, self._answer_s)
            except CameraError as error:
                raise ControlError(str(error)) from error
            sequence = frame.sequence
            pixels = base64.b64encode(frame.best.tobytes()).decode()
            yield {"ok": True, "shape": frame.best.shape, "pixels": pixels}
            _line(connection, LONGEST_REQUEST, PICTURE_WAIT_S)

    def _answer(self, ask: Callable[[Callable[[Any], None]], None]) -> Any:
        """Put a question to the controller and wait for its answer, but not for ever."""
        answers: SimpleQueue[Any] = SimpleQueue()
        ask(answers.put)
        try:
            return answers.get(timeout=self._answer_s)
        except Empty:
            raise ControlError(
                f"control: the door gave no answer within {self._answer_s:g} s: see its journal"
            ) from None

    def _event(self, caller: Caller, kind: str, why: str) -> DoorEvent:
        # Half a surrogate pair, which JSON lets through, could not be put on record.
        said = why.encode("utf-8", "backslashreplace").decode()[:500]
        return DoorEvent(uuid7(), self._door, self._clock.now(), kind, caller.user, said, {"uid": caller.uid})


def _need_reason(what: str, why: str) -> None:
    if not why.strip():
        raise ControlError(f'control: {what} needs a reason for the record: --why "..."')


def _send_last(connection: socket.socket, reply: Mapping[str, Any]) -> None:
    try:
        connection.sendall(json.dumps(reply).encode() + b"\n")
    except OSError as error:
        log.info("a caller went away", kind="caller_gone", error=str(error))


def _request(connection: socket.socket, within_s: float) -> Mapping[str, Any]:
    line = _line(connection, LONGEST_REQUEST, within_s)
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError(f"control: the request is not JSON: {error}") from error
    if not isinstance(request, dict):
        raise ControlError('control: the request must be an object: {"command": "status"}')
    return request


def _line(connection: socket.socket, longest: int, within_s: float) -> bytes:
    """Receive one line; ControlError for one that is too long or breaks off, TimeoutError for one that takes longer."""
    received, deadline = bytearray(), time.monotonic() + within_s
    while not received.endswith(b"\n"):
        # The whole line has the time, not each part of it: a byte now and then would hold the caller's place for hours.
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"no whole line within {within_s:g} s")
        connection.settimeout(left_s)
        part = connection.recv(65536)
        if not part:
            raise ControlError("control: the other side closed the connection in the middle of a line")
        received += part
        if len(received) > longest:
            raise ControlError(f"control: a line of more than {longest} bytes: not one of ours")
    connection.settimeout(within_s)
    return bytes(received)


def _listener(path: Path) -> socket.socket:
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        # Who may do what is settled by the kernel's word about the caller, so anyone may ask.
        path.chmod(0o666)
        listener.listen(64)
    except BaseException:
        listener.close()
        raise
    return listener


def _clear(path: Path) -> None:
    """Remove a socket that a daemon left behind when it was killed; ControlUnavailable where one still listens."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # Without a limit a daemon that has stopped answering, with a full queue of callers, would hold us for ever.
        probe.settimeout(ANSWER_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except (BlockingIOError, TimeoutError):
            pass
    raise ControlUnavailable(f"control: {path}: another daemon listens there: stop it first")


LONGEST_REPLY = 64 << 20
"""Bytes of a reply line: an uncompressed 4K picture in base64 is 33 million."""


class ControlClient:
    """Asks a running daemon; a context manager, for one question each, on one thread."""

    def __init__(self, path: Path, answer_s: float = ANSWER_S * 2) -> None:
        """Take the daemon's socket and how long to wait for an answer; nothing is opened yet."""
        self._path = path
        self._answer_s = answer_s
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        """Connect; ControlUnavailable where no daemon listens."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._answer_s)
        try:
            connection.connect(str(self._path))
        except OSError as error:
            connection.close()
            raise ControlUnavailable(
                f"control: {self._path}: {error.strerror or error}: no daemon listens there; "
                "start it with `smileaccess run`, or name its settings with --config"
            ) from error
        self._socket = connection
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def status(self, why: str = "") -> dict[str, Any]:
        """Return how the door stands; ControlError, NotPermitted."""
        status: dict[str, Any] = self._ask("status", why)["status"]
        return status

    def attempt(self, why: str = "") -> str:
        """Start an attempt and return its id; ControlError where the door is busy, NotPermitted."""
        return str(self._ask("attempt", why)["attempt"])

    def unlock(self, why: str) -> None:
        """Have the strike energized once; ControlError where it was not, NotPermitted."""
        self._ask("unlock", why)

    def lock(self, why: str) -> None:
        """Have nobody let in until a release; ControlError where it is not on record, NotPermitted."""
        self._ask("lock", why)

    def hold(self, why: str, for_s: float) -> None:
        """Have the door held unlocked for so many seconds; ControlError where it is not, NotPermitted."""
        self._ask("hold", why, for_s=for_s)

    def release(self, why: str) -> list[str]:
        """End lock, hold and lock-out, and return which of them there were; ControlError, NotPermitted."""
        ended: list[str] = self._ask("release", why)["ended"]
        return ended

    def pictures(self, why: str = "") -> Iterator[Pixels]:
        """Yield what the door's camera sees now, BGR, a fresh picture each time one is asked for."""
        import numpy as np  # noqa: PLC0415 -- heavy, and only needed here

        reply = self._ask("pictures", why)
        while True:
            pixels = np.frombuffer(base64.b64decode(reply["pixels"]), np.uint8)
            yield pixels.reshape(reply["shape"])
            reply = self._told(b"")

    @property
    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise ControlError("control: not connected: use the client as a context manager")
        return self._socket

    def _ask(self, command: str, why: str, **more: float) -> dict[str, Any]:
        return self._told(json.dumps({"command": command, "why": why, **more}).encode())

    def _told(self, line: bytes) -> dict[str, Any]:
        """Send a line and return the reply to it."""
        connected = self._connected
        try:
            connected.sendall(line + b"\n")
            reply: dict[str, Any] = json.loads(_line(connected, LONGEST_REPLY, self._answer_s))
        except OSError as error:
            raise ControlUnavailable(
                f"control: {self._path}: the daemon does not answer ({error.strerror or error}): see its journal"
            ) from error
        if not reply["ok"]:
            kind = ControlError if reply["permitted"] else NotPermitted
            raise kind(reply["error"])
        return reply
