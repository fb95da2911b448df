"""The composition root of `run`: start order, reverse stop order, signals, exit codes."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from smileaccess import __version__, wiring
from smileaccess import settings as configuration
from smileaccess.clock import SystemClock
from smileaccess.conduct import Conduct
from smileaccess.control import ControlServer, Groups
from smileaccess.controller import Controller
from smileaccess.errors import AlertsUnavailable, PanelError, RecordsUnavailable, SettingsError
from smileaccess.events import ConductChanged, Event, Noted, Pressed, StopAsked
from smileaccess.jobs import Ports
from smileaccess.model import Attempt, Bill, DoorEvent, DoorInput, LivenessMode, Signal, uuid7
from smileaccess.orders import RELEASING, TELLING, Lock, counted_from, standing_lock
from smileaccess.policy import EmotionRule, replayed_lock_out
from smileaccess.recorder import Recorder
from smileaccess.spending import Spending
from smileaccess.supervisor import NOBODY
from smileaccess.upkeep import CameraWatch, MembersWatch, RecognizerWatch, RoomWatch, Upkeep
from smileaccess.workers import ThreadWorker

if TYPE_CHECKING:
    from smileaccess.fleet import Fleet
    from smileaccess.keys import KeyRing
    from smileaccess.ports import Camera, Panel, Recognizer, Supervisor, Vision, Worker
    from smileaccess.records.spool import Spool
    from smileaccess.settings import Settings

RESTART_SECTIONS = frozenset({"camera", "panel", "gpio", "records", "mysql", "alerts", "keys", "control", "log"})
"""Sections of which a change takes effect at the next start only."""

STOP_S = 5.0
"""Seconds that a worker may take at the stop for what it was given before."""

RELEASED = timedelta(days=9)
"""How far back an operator's release still matters: no lock-out and no count of refusals lasts as long."""

REPLAYED = 500
"""Attempts read at the start to find where the lock-out stands: far more denials than reach its limit."""

log = structlog.get_logger(__name__)


class Daemon:
    """One door, from start to stop; `run` belongs to the process's main thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        keys: KeyRing,
        camera: Camera,
        panel: Panel,
        reload: Callable[[], Settings] | None = None,
        on_attempt: Callable[[Attempt, str], None] = lambda _attempt, _who: None,
        on_ready: Callable[[Controller], None] = lambda _controller: None,
        supervisor: Supervisor | None = None,
        last: bool = False,
    ) -> None:
        """Take the settings and the adapters that differ from place to place.

        `supervisor` is nobody where none is given. `reload` reads the settings again (SettingsError keeps the old
        ones); `on_attempt` is called on the controller's thread after an attempt has ended, `on_ready` on the upkeep's
        once the camera has been tried.
        `last` says that the process ends with the daemon: then a second TERM does not cut the stop short.
        """
        self._settings = self._reloaded = settings
        self._name = settings.door.name
        self._clock = SystemClock()
        self._keys = keys
        self._camera = camera
        self._panel = panel
        self._reload = reload
        self._on_attempt = on_attempt
        self._on_ready = on_ready
        self._supervisor: Supervisor = supervisor or NOBODY
        self._last = last
        self._crashed = self._stop_asked = False
        self._upkeep: Upkeep | None = None
        self._spending: Spending | None = None
        self._fleet: Fleet | None = None
        self._controller: Controller | None = None

    def run(self) -> int:
        """Run the door until it is told to stop; return the process's exit code.

        What cannot be opened at the start raises ours (KeysError, RecordsError, PanelUnavailable, ControlUnavailable),
        except for the camera, which is tried again for ever: the way out must work without it.
        """
        with ExitStack() as stack:
            stack.enter_context(self._signals())
            controller = self._start(stack)
            if self._stop_asked:
                controller.put(StopAsked())
            try:
                controller.run()
            except Exception:  # the main thread's root: told while there is still somebody to tell it
                log.exception("the controller failed; the daemon stops", kind="crashed")
                raise
            self._supervisor.stopping()
            log.info("stopping", kind="stopping")
        log.info("stopped", kind="stop", door=self._name)
        return 1 if self._crashed else 0

    def stop(self) -> None:
        """Ask the door to stop; any thread, also a signal's handler."""
        self._stop_asked = True
        if self._controller is not None:
            self._controller.put(StopAsked())

    def crash(self) -> None:
        """Stop, and exit as a failure, so that a supervisor starts the process again; any thread."""
        self._crashed = True
        self.stop()

    def press(self, door_input: DoorInput) -> None:
        """Report an input that does not come from the panel; any thread; heard once the door is there."""
        self._put(Pressed(door_input))

    def _start(self, stack: ExitStack) -> Controller:
        """Start in this order: strike, record, eyes, recognizer, workers, members, panel, camera, answers to operators.

        The operators' socket is claimed before all else: where another daemon has it, its record is left alone, and so
        is its strike.
        """
        stack.enter_context(_only_daemon(Path(self._settings.records.database)))
        server = self._claimed_socket(stack)
        self._send_alerts(stack)
        stack.callback(self._panel.close)
        self._panel.secure()
        records, cut_off = self._open_records()
        eyes = wiring.make_eyes(self._settings)
        stack.callback(eyes.close)
        released = records.last_event(RELEASING, self._clock.now() - RELEASED)
        since = counted_from(released, self._clock.now())
        lock_out = replayed_lock_out(records.attempts(since=since, limit=REPLAYED), self._settings.lock_out_rules())
        lock = standing_lock(records.last_event(TELLING))
        newest, recorder = records.newest(), Recorder(records)
        writing = self._worker("writing", stack, last=recorder.close)
        self._spending = spending = self._counted(records, recorder, writing)
        recognizer = wiring.make_recognizer(self._settings, eyes, self._keys, spending, self._tell)
        stack.callback(recognizer.close)
        self._fleet = self._joined(stack)
        ports = self._ports(stack, eyes, recognizer, recorder, writing)
        conduct = Conduct.of(self._settings)
        controller = Controller(
            self._name,
            ports,
            conduct,
            lock_out=lock_out,
            lock=lock,
            released=None if released is None else released.at,
            newest=newest,
            on_attempt=self._on_attempt,
        )
        self._controller = controller
        if self._settings.recognition.cloud:
            # Nobody knows how many calls these made: all that they might have.
            spending.charge(cut_off * self._settings.rekognition.max_calls)
        members = self._opened_members(stack)
        watch = self._watch(members, recognizer, controller)
        self._panel.start(controller.put_input)
        self._panel.signal(Signal.LOCKED)
        stack.callback(self._camera.close)
        self._upkeep = upkeep = Upkeep(
            watch,
            self._camera,
            self._clock,
            recorder,
            ports.writing,
            RecognizerWatch(recognizer, self._clock, self._tell, lambda: self._reloaded.recognition.fallback_alarm_s),
            RoomWatch(members.room, self._clock, self._tell),
            CameraWatch(self._camera, self._clock, self._tell),
            on_ready=lambda: self._ready(controller),
            reload=self._apply_reload,
            on_crash=self.crash,
        )
        ports.eyes.submit(lambda: wiring.warm_up(eyes))
        recognizer.prepare()
        upkeep.start()
        stack.callback(upkeep.close)
        if self._fleet is not None:
            self._fleet.start()
        controller.put(Noted(self._event("start", lock)))  # before any order: the newest line tells of a lock
        server.start()
        stack.callback(server.close)
        stack.callback(lambda: ports.writing.submit(lambda: recorder.event_later(self._event("stop"))))
        stack.callback(self._lock)
        return controller

    def _send_alerts(self, stack: ExitStack) -> None:
        """Let alerts leave the box, where there are channels; the door goes on without them."""
        try:
            alerts = wiring.make_alerts(self._settings, self.crash)
        except (SettingsError, AlertsUnavailable) as error:
            log.error("alerts cannot be sent", kind="alerts_unusable", error=str(error))
            return
        if alerts is None:
            return
        from smileaccess.supervision.journal import heard_by  # noqa: PLC0415

        alerts.start()
        stack.callback(alerts.close, STOP_S)
        stack.enter_context(heard_by(alerts.hear))

    def _ready(self, controller: Controller) -> None:
        log.info("ready", kind="ready", door=self._name, version=__version__)
        self._supervisor.ready()
        self._on_ready(controller)

    def _lock(self) -> None:
        """De-energize before anything else is closed, which may take its time."""
        try:
            self._panel.de_energize()
        except PanelError as error:
            log.error("the strike may still be energized at the stop", kind="strike_stuck", error=str(error))

    def _open_records(self) -> tuple[Spool, int]:
        """Open the record; return it with the number of attempts that a crash had cut off."""
        records = wiring.open_spool(self._settings, self._keys)
        cut_off = records.close_open_attempts(self._name, self._clock.now())
        for attempt in cut_off:
            log.warning(
                "an attempt was cut off by a crash; closed as internal_error",
                kind="attempt_cut_off",
                attempt_id=attempt.id,
            )
        return records, len(cut_off)

    def _counted(self, records: Spool, recorder: Recorder, writing: Worker) -> Spending:
        """Return what counts billed calls from where the record left off, and puts them there."""
        month = self._clock.now().date().replace(day=1)

        def keep(bill: Bill) -> None:
            writing.submit(lambda: recorder.bill_later(bill))

        return Spending(self._settings.spending_rules(), records.bills(month), self._clock, keep, self._warn)

    def _warn(self, kind: str, why: str, detail: Mapping[str, Any]) -> None:
        """Have something put on record and into the journal; any thread."""
        log.warning(why, kind=kind, **detail)
        self._tell(kind, why, detail)

    def _tell(self, kind: str, why: str, detail: Mapping[str, Any]) -> None:
        """Have something put on record that no attempt tells of; any thread."""
        self._put(Noted(DoorEvent(uuid7(), self._name, self._clock.now(), kind, "smileaccess", why, detail)))

    def _ports(
        self, stack: ExitStack, eyes: Vision, recognizer: Recognizer, recorder: Recorder, writing: Worker
    ) -> Ports:
        spending, fleet = self._spending, self._fleet
        asking, looking = self._worker("asking", stack), self._worker("eyes", stack)
        return Ports(
            camera=self._camera,
            vision=eyes,
            recognizer=recognizer,
            panel=self._panel,
            recorder=recorder,
            clock=self._clock,
            eyes=looking,
            asking=asking,
            writing=writing,
            spending=lambda: spending.summary() if spending and self._settings.recognition.cloud else None,
            paid=lambda attempt: spending.paid(attempt) if spending else 0,
            stale=lambda: fleet is not None and fleet.freshness.stale(),
            central=lambda: fleet.summary() if fleet is not None else None,
            supervisor=self._supervisor,
        )

    def _joined(self, stack: ExitStack) -> Fleet | None:
        """Make what keeps the door in step with the central database, where the settings name one."""
        if not self._settings.mysql.addresses:
            return None
        from smileaccess.fleet import Fleet  # noqa: PLC0415 -- only where there is a central database

        fleet = Fleet(self._settings, self._keys, self._clock, self._tell, self.crash)

        def close() -> None:
            if not fleet.close(STOP_S):
                log.error(
                    "the liaison with the central database did not end in time", kind="slow_stop", waited_s=STOP_S
                )

        stack.callback(close)
        return fleet

    def _opened_members(self, stack: ExitStack) -> Spool:
        """Open the record once more, for the upkeep's thread."""
        members = wiring.open_spool(self._settings, self._keys, must_exist=True)
        stack.callback(members.close)
        return members

    def _watch(self, members: Spool, recognizer: Recognizer, controller: Controller) -> MembersWatch:
        public = self._keys.enroller_public
        watch = MembersWatch(self._name, members, public, recognizer, self._clock, controller.put)
        watch.look()
        return watch

    def _claimed_socket(self, stack: ExitStack) -> ControlServer:
        control = self._settings.control
        server = ControlServer(
            Path(control.socket),
            groups=Groups(control.look_group, control.operate_group, control.enroll_group),
            door=self._name,
            clock=self._clock,
            camera=self._camera,
            put=self._put,
            on_crash=self.crash,
        )
        server.claim()
        stack.callback(server.close)
        return server

    def _put(self, event: Event) -> None:
        if self._controller is not None:
            self._controller.put(event)

    def _worker(self, name: str, stack: ExitStack, last: Callable[[], None] | None = None) -> ThreadWorker:
        worker = ThreadWorker(name, self.crash)

        def close() -> None:
            if last is not None:
                worker.submit(last)
            if not worker.close(STOP_S):
                log.error("a worker did not end in time", kind="slow_stop", worker=name, waited_s=STOP_S)

        stack.callback(close)
        return worker

    def _event(self, kind: str, lock: Lock | None = None) -> DoorEvent:
        detail: dict[str, Any] = {"version": __version__, "pid": os.getpid()}
        if lock is not None:
            detail["locked"] = lock.told()
        return DoorEvent(uuid7(), self._name, self._clock.now(), kind, "smileaccess", "", detail)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let TERM and INT stop the door, and HUP have the settings read again, while this context lasts."""

        def stop(*_: object) -> None:
            self.stop()

        def reload(*_: object) -> None:
            if self._upkeep is not None:
                self._upkeep.ask_reload()

        # They only enqueue: SimpleQueue.put is safe in a signal's handler.
        handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if self._last else handler)

    def _apply_reload(self) -> None:
        if self._reload is None or self._controller is None:
            return
        self._supervisor.reloading()
        try:
            self._take_over(self._reload, self._controller)
        finally:
            self._supervisor.ready()

    def _take_over(self, reload: Callable[[], Settings], controller: Controller) -> None:
        try:
            settings = reload()
        except SettingsError as error:
            log.error(
                "the settings were not reloaded; the old ones stay in force",
                kind="settings_refused",
                problems=error.problems,
            )
            return
        in_force, later = _until_the_next_start(self._settings, settings)
        if later:
            log.warning("a change of these takes effect at the next start", kind="settings_later", settings=later)
        controller.put(ConductChanged(Conduct.of(in_force)))
        if self._spending is not None:
            self._spending.use(in_force.spending_rules())
        log.info(
            "settings reloaded",
            kind="settings_reloaded",
            changed=configuration.changed_sections(self._reloaded, settings),
        )
        self._reloaded = settings


@contextmanager
def _only_daemon(database: Path) -> Iterator[None]:
    """Hold the lock of the one daemon that a database may have; RecordsUnavailable where another holds it.

    It is a file of its own: opening and closing the database beside SQLite would drop SQLite's locks.
    """
    path = database.with_name(f"{database.name}.lock")
    try:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise RecordsUnavailable(
            f"records: {database}: cannot be locked ({error.strerror}): make its folder, and let this user write there"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RecordsUnavailable(f"records: {database}: another daemon runs on it: stop that one first") from error
        yield
    finally:
        os.close(handle)


def _until_the_next_start(started: Settings, wanted: Settings) -> tuple[Settings, list[str]]:
    """Return what of the wanted settings can hold now, and the names of what has to wait for the next start."""
    later = sorted(RESTART_SECTIONS & set(configuration.changed_sections(started, wanted)))
    if wanted.door.name != started.door.name:
        later.insert(0, "door name")
    if (wanted.rules.emotions is EmotionRule.OFF) != (started.rules.emotions is EmotionRule.OFF):
        # The eyes have, or have not, loaded the network that judges emotions.
        later.append("rules emotions")
        rules = wanted.rules.model_copy(update={"emotions": started.rules.emotions})
        wanted = wanted.model_copy(update={"rules": rules})
    # What of the wiring the door's rules go by is as it was claimed at the start.
    wanted = wanted.model_copy(update={"panel": started.panel, "gpio": started.gpio})
    wanted = _with_recognizers_of(started, wanted, later)
    return wanted, later


def _with_recognizers_of(started: Settings, wanted: Settings, later: list[str]) -> Settings:
    """Return the wanted settings with the recognizers that were made at the start, and what they were made with."""
    if wanted.recognition.recognizers != started.recognition.recognizers:
        later.append("recognition recognizers")
        kept = {"recognizers": started.recognition.recognizers}
        wanted = wanted.model_copy(update={"recognition": wanted.recognition.model_copy(update=kept)})
    at_once = wanted.rekognition.model_dump(include={"threshold", "max_calls"})
    cloud = started.rekognition.model_copy(update=at_once)
    if wanted.rekognition != cloud:
        later.append("rekognition")
        wanted = wanted.model_copy(update={"rekognition": cloud})
    off = {settings.liveness.mode is LivenessMode.OFF for settings in (started, wanted)}
    if started.recognition.cloud and len(off) > 1:
        # Which attributes the service is asked for was settled at the start.
        later.append("liveness mode")
        liveness = wanted.liveness.model_copy(update={"mode": started.liveness.mode})
        wanted = wanted.model_copy(update={"liveness": liveness})
    return wanted
