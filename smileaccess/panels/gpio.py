"""The panel on a Raspberry Pi's GPIO: inputs, lamps and buzzer here, the strike by its guard.

What comes from the GPIO library's own thread is only put on a queue, for that library calls everybody from one thread
and does not survive an exception there. This process never claims the strike's line.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from smileaccess.errors import PanelUnavailable
from smileaccess.model import DoorInput, Signal
from smileaccess.panels.guarding import Guard
from smileaccess.panels.inputs import Inputs, rules
from smileaccess.panels.lamps import Lamps
from smileaccess.signals import Color
from smileaccess.workers import ThreadWorker

if TYPE_CHECKING:
    from smileaccess.pins import Pins
    from smileaccess.ports import Clock

POLL_S = 1.0
"""Seconds after which all levels are read anew, so that an edge that was lost leaves no input deaf."""

RECENT_S = 1.0
"""By how much an edge may be older than its news: then its time is the kernel's, on our own clock (since Linux 5.7);
other libraries, and older kernels, count from another beginning."""

TONE_HZ = 2000.0
"""The tonal buzzer's note: small piezo discs are loudest between 2 and 4 kHz."""

CLOSE_S = 2.0

_FREE_IT = "free the line (gpioinfo shows who holds it), or give another one in [gpio]"

FACTORIES = {
    "lgpio": ("gpiozero.pins.lgpio", "LGPIOFactory"),
    "rpigpio": ("gpiozero.pins.rpigpio", "RPiGPIOFactory"),
    "pigpio": ("gpiozero.pins.pigpio", "PiGPIOFactory"),
    "native": ("gpiozero.pins.native", "NativeFactory"),
}
"""gpiozero's pin factories by their name in the settings."""

_RGB = {
    frozenset[Color](): (),
    frozenset({Color.GREEN}): ("green",),
    frozenset({Color.AMBER}): ("red", "green"),
    frozenset({Color.RED}): ("red",),
    frozenset({Color.AMBER, Color.RED}): ("red", "blue"),
}
"""What of an RGB LED is lit for each set of lamps; amber and red together are magenta, which is like nothing else."""

log = structlog.get_logger(__name__)


class Strike(Protocol):
    """What drives the strike; see Guard, whose methods these are."""

    @property
    def running(self) -> bool:
        """Whether it was started and not closed."""
        ...

    @property
    def energized(self) -> bool:
        """Whether the strike read energized lately."""
        ...

    def start(self, on_lost: Callable[[], None], on_back: Callable[[], None]) -> None:
        """Hold the strike de-energized; PanelUnavailable."""
        ...

    def energize(self, for_s: float) -> None:
        """Energize for at most `for_s` seconds; PanelUnavailable."""
        ...

    def de_energize(self) -> None:
        """De-energize; PanelUnavailable."""
        ...

    def close(self) -> None:
        """De-energize and end."""
        ...


def _nobody() -> None:
    """Tell nobody."""


class GpioPanel:
    """A panel wired as `pins` say; every method may be called from any thread."""

    def __init__(
        self,
        pins: Pins,
        clock: Clock,
        *,
        pin_factory: str = "lgpio",
        factory: Any = None,
        guard: Strike | None = None,
        on_crash: Callable[[], None] = _nobody,
    ) -> None:
        """Take the wiring; nothing is claimed before `secure` and `start`.

        `pin_factory` names gpiozero's library for inputs and lamps, unless a `factory` of gpiozero is given; `guard`
        drives the strike, a process of its own where none is given. `on_crash` is called when a thread of the panel
        fails in a way that nobody foresaw, and stops the process.
        """
        self._pins = pins
        self._clock = clock
        self._pin_factory = pin_factory
        self._factory = factory
        self._guard: Strike = guard or Guard(pins, on_crash=on_crash)
        self._on_crash = on_crash
        self._on_input: Callable[[DoorInput], None] | None = None
        self._lock = Lock()
        self._opened = ExitStack()
        self._lamps: Lamps | None = None
        self._shown = Signal.LOCKED

    def secure(self) -> None:
        """Have the strike's guard started, which de-energizes it; PanelUnavailable."""
        if not self._guard.running:
            self._guard.start(
                partial(self._report, DoorInput.STRIKE_LOST), partial(self._report, DoorInput.STRIKE_BACK)
            )

    def start(self, on_input: Callable[[DoorInput], None]) -> None:
        """Claim lamps and inputs, with the strike de-energized; PanelUnavailable names the part that cannot be had."""
        self._release()
        try:
            self.secure()
            self._guard.de_energize()
            self._on_input = on_input
            with self._lock:
                self._open(self._opened)
        except BaseException:
            self.close()
            raise

    def energize(self, for_s: float) -> None:
        """Energize the strike for at most `for_s` seconds from now; PanelUnavailable, also while the guard is lost."""
        if self._on_input is None:
            raise PanelUnavailable("panel: the strike cannot be energized: the panel is not open; start it first")
        self._guard.energize(for_s)

    def de_energize(self) -> None:
        """De-energize the strike; PanelUnavailable when it was not read back so within a second."""
        self._guard.de_energize()

    def signal(self, signal: Signal) -> None:
        """Show a signal on the lamps, where the panel is open; returns at once."""
        self._shown = signal
        lamps = self._lamps
        if lamps is not None:
            lamps.show(signal)

    def close(self) -> None:
        """De-energize the strike and end its guard, then let go of lamps and inputs."""
        self._on_input = None
        self._guard.close()
        self._release()

    @property
    def energized(self) -> bool:
        """Whether the strike read energized when its guard was last asked."""
        return self._guard.energized

    @property
    def shown(self) -> Signal:
        """The last signal; LOCKED before any."""
        return self._shown

    def _report(self, report: DoorInput) -> None:
        listener = self._on_input
        if listener is not None:
            listener(report)

    def _release(self) -> None:
        with self._lock:
            opened, self._opened = self._opened, ExitStack()
            self._lamps = None
        opened.close()

    def _open(self, opened: ExitStack) -> None:
        """Claim everything but the strike; what was claimed is let go of by `opened`, in reverse order."""
        factory = self._factory
        if factory is None:
            factory = make_factory(self._pin_factory, self._pins.chip)
            opened.callback(_quietly, factory.close)
        lights = Lights(self._pins, factory, opened)
        self._lamps = Lamps(self._clock, lights.paint, lights.sound, self._on_crash)
        opened.callback(self._lamps.close)
        listener = Listener(self._pins, factory, self._clock, self._report, self._on_crash, opened)
        opened.callback(listener.close)


class Lights:
    """The LEDs and the buzzer of a panel as gpiozero's devices; one thread."""

    def __init__(self, pins: Pins, factory: Any, opened: ExitStack) -> None:
        """Claim what is connected, dark and still, to be let go of by `opened`; PanelUnavailable."""
        self._rgb = pins.lamps == "rgb"
        self._leds: dict[str, Any] = {}
        self._buzzer: Any = None
        for part, line in pins.connected().items():
            if part in {"green", "amber", "red", "blue"}:
                self._leds[part] = _output(factory, part, line, pins.lamps_active, opened)
        if "buzzer" in pins.connected():
            tonal = pins.buzzer_kind == "tonal"
            self._buzzer = _output(factory, "buzzer", pins.buzzer, pins.buzzer_active, opened, tonal=tonal)
            self._loud = 0.5 if tonal else 1  # half of each period, or steadily

    def paint(self, lit: frozenset[Color]) -> None:
        """Light these colors and no other; PanelUnavailable."""
        on: Iterable[str] = _RGB[lit] if self._rgb else {color.value for color in lit}
        for part, led in self._leds.items():
            with _refusing(f"panel: {part}"):
                led.value = int(part in on)

    def sound(self, sounding: bool) -> None:
        """Let the buzzer sound, or be still; PanelUnavailable."""
        if self._buzzer is not None:
            with _refusing("panel: buzzer"):
                self._buzzer.value = self._loud if sounding else 0


class Listener:
    """The inputs of a panel: edges and levels go in, reports come out, on one thread of its own."""

    def __init__(
        self,
        pins: Pins,
        factory: Any,
        clock: Clock,
        report: Callable[[DoorInput], None],
        on_crash: Callable[[], None],
        opened: ExitStack,
    ) -> None:
        """Claim what is connected, to be let go of by `opened`, and listen; PanelUnavailable."""
        self._clock = clock
        self._report = report
        self._edges: SimpleQueue[tuple[str, bool, float] | None] = SimpleQueue()
        self._active = {name: pins.active(name) == "high" for name in rules(pins)}
        self._devices = {name: _input(factory, name, pins, opened) for name in self._active}
        self._callbacks = {name: self._callback(name) for name in self._devices}  # gpiozero keeps weak references
        self._unread: set[str] = set()
        for name, device in self._devices.items():
            with _claiming(name, pins):
                device.pin.when_changed = self._callbacks[name]
                opened.callback(_quietly, partial(setattr, device.pin, "when_changed", None))
        levels = {name: self._read(name) for name in self._devices}
        active = {name: level is True for name, level in levels.items()}
        self._inputs = Inputs(rules(pins), pins.debounce_s, active, clock.monotonic())
        self._worker = ThreadWorker("panel inputs", on_crash)
        self._worker.submit(self._listen)

    def close(self) -> None:
        """End the thread."""
        self._edges.put(None)
        if not self._worker.close(CLOSE_S):
            log.warning("the inputs' thread did not end in time", kind="panel_slow", waited_s=CLOSE_S)

    def _callback(self, name: str) -> Callable[[Any, Any], None]:
        edges, clock, high = self._edges, self._clock, self._active[name]

        def changed(ticks: Any, state: Any) -> None:
            # The library's only thread: it would die of an exception, and every input with it. This has none to raise.
            now = clock.monotonic()
            told = isinstance(ticks, float) and 0.0 <= now - ticks < RECENT_S
            edges.put((name, bool(state) is high, ticks if told else now))

        return changed

    def _listen(self) -> None:
        read_at = self._clock.monotonic()
        while True:
            now = self._clock.monotonic()
            try:
                edge = self._edges.get(timeout=min(self._inputs.wait_s(now), max(0.0, read_at + POLL_S - now)))
            except Empty:
                self._tell(self._levels())
                read_at = self._clock.monotonic()
                continue
            if edge is None:
                return
            self._tell(self._inputs.level(*edge))
            if self._clock.monotonic() >= read_at + POLL_S:  # a line that never rests must not keep others unread
                self._tell(self._levels())
                read_at = self._clock.monotonic()

    def _levels(self) -> list[DoorInput]:
        """Read every line anew, and return what is to be reported, the way out first."""
        reports: list[DoorInput] = []
        for name in self._devices:
            active = self._read(name)
            if active is not None:
                reports += self._inputs.read(name, active, self._clock.monotonic())
        return reports + self._inputs.pass_time(self._clock.monotonic())

    def _read(self, name: str) -> bool | None:
        """Return whether a line is active, None where it cannot be read, of which the log tells once."""
        try:
            with _refusing(f"panel: {name}"):
                active = bool(self._devices[name].pin.state) is self._active[name]
        except PanelUnavailable as error:
            if name not in self._unread:
                log.error("an input cannot be read", kind="input_failed", input=name, error=str(error))
            self._unread.add(name)
            return None
        self._unread.discard(name)
        return active

    def _tell(self, reports: Iterable[DoorInput]) -> None:
        for report in reports:
            self._report(report)


def make_factory(name: str, chip: int) -> Any:
    """Return gpiozero's factory of this name, on a chip where it can choose one; PanelUnavailable."""
    module, factory = FACTORIES[name]
    try:
        with _refusing(
            f"panel: /dev/gpiochip{chip} by {name}", "check [gpio] chip, and that this user is in group gpio"
        ):
            made = getattr(importlib.import_module(module), factory)
            return made(chip=chip) if name == "lgpio" else made()
    except ImportError as error:
        raise PanelUnavailable(
            f'panel: [panel] pin_factory = "{name}": {error.name or error} is not installed: '
            "pip install 'smileaccess[gpio]', or on Raspberry Pi OS apt install python3-gpiozero python3-lgpio"
        ) from error


def _input(factory: Any, name: str, pins: Pins, opened: ExitStack) -> Any:
    from gpiozero import InputDevice  # noqa: PLC0415

    with _claiming(name, pins):
        device = InputDevice(getattr(pins, name), pull_up=pins.pulled(name) == "high", pin_factory=factory)
        opened.callback(_quietly, device.close)
    return device


def _output(factory: Any, part: str, line: int, active: str, opened: ExitStack, *, tonal: bool = False) -> Any:
    from gpiozero import OutputDevice, PWMOutputDevice  # noqa: PLC0415

    kind = partial(PWMOutputDevice, frequency=TONE_HZ) if tonal else OutputDevice
    with _refusing(_part(part, line)):
        device = kind(line, active_high=active == "high", initial_value=0, pin_factory=factory)
        opened.callback(_quietly, device.close)
    return device


def _claiming(name: str, pins: Pins) -> Any:
    return _refusing(_part(name, getattr(pins, name)))


def _part(part: str, line: int) -> str:
    return f"panel: {part}: GPIO {line}"


@contextmanager
def _refusing(what: str, fix: str = _FREE_IT) -> Iterator[None]:
    """Turn what the GPIO libraries raise into PanelUnavailable; they are looked up only once something was raised."""
    try:
        yield
    except ImportError:
        raise
    except _refusals() as error:
        told = getattr(error, "value", None) or str(error) or type(error).__name__
        raise PanelUnavailable(f"{what}: {told}: {fix}") from error


def _refusals() -> tuple[type[Exception], ...]:
    """Return what gpiozero and the libraries below it raise where a pin or a chip cannot be had."""
    from gpiozero.exc import GPIOZeroError  # noqa: PLC0415

    own = [getattr(sys.modules.get(module), "error", None) for module in ("lgpio", "pigpio")]
    return (GPIOZeroError, OSError, RuntimeError, *(each for each in own if each is not None))


def _quietly(close: Callable[[], object]) -> None:
    """Let go of something, whatever its library says to that."""
    try:
        with _refusing("panel"):
            close()
    except PanelUnavailable as error:
        log.warning("a line could not be let go of in order", kind="line_kept", error=str(error))
