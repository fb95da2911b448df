"""The scenes of the virtual machine: a door on the kernel's simulated lines, and what may go wrong with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from door import (
    SHARE,
    UNIT,
    Failed,
    Show,
    attempts,
    check,
    cursor,
    guard_pid,
    journal,
    kill,
    main_pid,
    milliseconds,
    report,
    rows,
    run,
    settings,
    told,
    until,
    wait_for_end,
)
from lines import AMBER, APPROACH, BUZZER, CONTACT, ENTRY, GREEN, RED, REX, SPARE, STRIKE, TAMPER, Chip

CAP_S, UNLOCK_S, WATCHDOG_S = 6.0, 4.0, 5.0
"""As the rig's settings and the unit say."""

WORST_S = WATCHDOG_S + 2.0
"""By when the strike must be locked whatever dies, hangs or stops (the cap is less)."""

PRESSES = 200

ATTEMPT_S = 10.0

WATCHED = {"amber": AMBER, "buzzer": BUZZER, "strike": STRIKE, "green": GREEN}

chip: Chip


def locked() -> bool:
    return not chip.high(STRIKE)


def idle() -> bool:
    return "idle" in told("StatusText")


def energize() -> float:
    """Have the strike energized by REX, which needs no camera; return when it was."""
    until(locked)
    chip.press(REX)
    until(lambda: chip.high(STRIKE), "strike energized")
    return time.monotonic()


def comes_back() -> None:
    """Wait until the service is up again after whatever was done to it, and locked."""
    until(lambda: told("ActiveState") == "active" and told("SubState") == "running", pause_s=0.2)
    until(lambda: guard_pid() is not None, "a guard")
    until(locked, "locked")
    chip.rest()


def time_to_lock(began: float, most_s: float) -> str:
    until(locked, within_s=3 * most_s)
    took_s = time.monotonic() - began
    check(took_s <= most_s, f"energized for {took_s:.2f} s, at most {most_s:g} allowed")
    return f"{took_s:.2f} s"


# --- scenes


def starts() -> str:
    """The service starts to READY with the strike locked and its guard on the line."""
    began = time.monotonic()
    run("systemctl", "start", UNIT)
    took_s = time.monotonic() - began
    chip.rest()
    check(told("ActiveState") == "active", told("ActiveState"))
    check(locked(), "the strike is energized")
    check(guard_pid() is not None, "no guard")
    until(lambda: chip.high(RED), "red LED")
    return f"{took_s:.1f} s; {told('StatusText')}"


def a_member_is_let_in() -> str:
    """A member presses the button: LED, buzzer, strike for its time, green; one granted row"""
    before = len(attempts())
    until(idle, "idle", pause_s=0.2)
    seen = _watched_press()
    check(wait_for_end(before) == ("granted", None), attempts()[-1])
    check(seen["strike"] and seen["green"], seen)
    until(locked, "locked")
    held_s = time.monotonic() - seen["strike"]
    check(held_s <= CAP_S, f"held for {held_s:.2f} s")
    check(seen["buzzer"], "the buzzer was not heard")
    lit, opened = (seen[name] - seen["pressed"] for name in ("amber", "strike"))
    return f"LED {lit * 1000:.0f} ms, strike {opened:.1f} s after the press, for {held_s:.2f} s"


def _watched_press() -> dict[str, float]:
    """Press the button, and return when each line was first seen high, 0 for never, until the attempt is over."""
    seen = dict.fromkeys(WATCHED, 0.0) | {"pressed": time.monotonic()}
    chip.pull(ENTRY, high=False)
    while not (seen["green"] and seen["strike"]) and time.monotonic() < seen["pressed"] + 1.2 * ATTEMPT_S:
        if time.monotonic() > seen["pressed"] + 0.2:
            chip.pull(ENTRY, high=True)
        for name, line in WATCHED.items():
            if not seen[name] and chip.high(line):
                seen[name] = time.monotonic()
        if seen["amber"] and not chip.high(AMBER) and idle():
            break
        time.sleep(0.002)
    return seen


def the_journal_tells() -> str:
    """The journal has one line of that attempt, with its fields and its text in the catalog."""
    (line,) = journal("OUTCOME=granted")
    for field in ("ATTEMPT_ID", "MEMBER_ID", "SIMILARITY", "DURATION_MS", "DOOR", "RECOGNIZER", "MESSAGE_ID"):
        check(line.get(field), f"no {field}")
    check(line["PRIORITY"] == "6", "priority", line["PRIORITY"])
    explained = run("journalctl", "--no-pager", "-x", "-u", "smileaccess", "OUTCOME=granted")
    check("Defined-By: smileaccess" in explained, "no text in the catalog")
    return line["MESSAGE"]


def rex_opens() -> str:
    """REX opens at once, and relocks after its time."""
    until(locked)
    began = time.monotonic()
    chip.pull(REX, high=False)
    until(lambda: chip.high(STRIKE), "strike energized")
    took_s = time.monotonic() - began
    chip.pull(REX, high=True)
    time_to_lock(time.monotonic(), UNLOCK_S + 1.5)
    return f"{took_s * 1000:.0f} ms after the press"


def rex_opens_during_an_attempt() -> str:
    """REX opens while an attempt is under way."""
    before = len(attempts())
    chip.press(ENTRY)
    until(lambda: chip.high(AMBER), "amber LED")
    chip.press(REX)
    until(lambda: chip.high(STRIKE), "strike energized", within_s=2)
    wait_for_end(before)
    until(locked)
    return ""


def bounces() -> str:
    """A button that bounces opens one attempt; spikes shorter than the debouncing open none."""
    until(idle, pause_s=0.2)
    before = len(attempts())
    for _ in range(5):
        chip.pull(ENTRY, high=False)
        chip.pull(ENTRY, high=True)
    time.sleep(1.0)
    check(len(attempts()) == before, "spikes opened an attempt")
    for _ in range(5):
        chip.pull(ENTRY, high=False)
        chip.pull(ENTRY, high=True)
    chip.press(ENTRY, for_s=0.3)
    wait_for_end(before)
    until(locked)
    check(len(attempts()) == before + 1, len(attempts()) - before, "attempts")
    return ""


def stuck_button() -> str:
    """A button that stays pressed is told as stuck once, opens one attempt, and is freed."""
    until(idle, pause_s=0.2)
    before, since = len(attempts()), cursor()
    chip.pull(ENTRY, high=False)
    until(lambda: journal("KIND=entry_stuck", since=since), "journal: entry_stuck", pause_s=0.3)
    chip.pull(ENTRY, high=True)
    until(lambda: journal("KIND=entry_freed", since=since), "journal: entry_freed", pause_s=0.3)
    wait_for_end(before)
    until(locked)
    check(len(attempts()) == before + 1, len(attempts()) - before, "attempts")
    return ""


def approach_wakes() -> str:
    """The approach sensor wakes the door: amber blinks, no attempt."""
    until(idle, pause_s=0.2)
    before = len(attempts())
    chip.press(APPROACH, for_s=0.3)
    until(lambda: chip.high(AMBER), "amber LED")
    check(len(attempts()) == before, "an attempt was opened")
    return ""


def door_and_box() -> str:
    """Door contact and tamper loop are told and on record."""
    since = cursor()
    chip.press(CONTACT, for_s=0.5)
    chip.press(TAMPER, for_s=0.5)
    wanted = ("door_opened", "door_closed", "tampered", "tamper_cleared")
    for kind in wanted:
        until(lambda kind=kind: journal(f"KIND={kind}", since=since), f"journal: {kind}", pause_s=0.3)
    kinds = {kind for (kind,) in rows("SELECT DISTINCT kind FROM door_events")}
    check(set(wanted) <= kinds, kinds)
    return ""


def two_hundred_presses() -> str:
    """200 presses: none missed, the LED within 50 ms at the median beyond the line's own latency."""
    with settings(camera='kind = "reel"\npath = "/nowhere"', door="cool_down_s = 0.0"):
        until(lambda: chip.high(RED), "red LED")
        chip.rest()
        time.sleep(3)
        before = len(attempts())
        lit = [_lit_after_a_press() for _ in range(PRESSES)]
        until(lambda: len(attempts()) == before + PRESSES, pause_s=0.2)
        check(len(attempts()) == before + PRESSES, len(attempts()) - before, "attempts")
    comes_back()
    bare = _bare_line()
    more_s = sorted(lit)[PRESSES // 2] - sorted(bare)[len(bare) // 2]
    check(more_s <= 0.050, f"{more_s * 1000:.1f} ms more; {milliseconds(lit)}; the line's own: {milliseconds(bare)}")
    return f"{more_s * 1000:.1f} ms more; {milliseconds(lit)}; the line's own: {milliseconds(bare)}"


def _lit_after_a_press() -> float:
    until(lambda: not chip.high(AMBER), "amber LED off")
    began = time.monotonic()
    chip.pull(ENTRY, high=False)
    until(lambda: chip.high(AMBER), "amber LED", within_s=10, pause_s=0.0005)
    took_s = time.monotonic() - began
    chip.pull(ENTRY, high=True)
    time.sleep(0.08)
    return took_s


def _bare_line() -> list[float]:
    """Measure the same with nothing but gpiozero between a button and an LED, on two other lines."""
    chip.pull(SPARE[0], high=True)
    helper = subprocess.Popen(
        ["/opt/smileaccess/venv/bin/python", str(Path(__file__).parent / "bare_line.py"), *map(str, SPARE)], cwd="/tmp"
    )
    try:
        until(Path("/tmp/bare-line").exists, pause_s=0.2)
        times = []
        for _ in range(PRESSES):
            began = time.monotonic()
            chip.pull(SPARE[0], high=False)
            until(lambda: chip.high(SPARE[1]), within_s=10, pause_s=0.0005)
            times.append(time.monotonic() - began)
            chip.pull(SPARE[0], high=True)
            until(lambda: not chip.high(SPARE[1]), within_s=10)
            time.sleep(0.02)
        return times
    finally:
        helper.terminate()
        helper.wait(10)


def _after(what: str, act: Callable[[], None], most_s: float, *, guard_only: bool) -> str:
    began, restarts, guard = energize(), int(told("NRestarts")), guard_pid()
    act()
    took = time_to_lock(began, most_s)
    if not guard_only:
        until(lambda: int(told("NRestarts")) > restarts, "a restart", pause_s=0.2)
    until(lambda: guard_pid() not in (None, guard), "another guard", pause_s=0.05)
    back_s = time.monotonic() - began
    comes_back()
    run("smileaccess", "attempts", "verify")
    return f"{what}: locked after {took}, back after {back_s:.1f} s"


def _hit(whom: Callable[[], int | None], number: signal.Signals) -> None:
    pid = whom()
    if pid is None:
        raise Failed("nobody to hit")
    kill(pid, number)


def deaths(keep: bool) -> list[Callable[[], object]]:
    """Return the scenes of whatever dies or stops while the strike is energized."""
    kind = "lines that keep their level" if keep else "lines that drop"

    def scene(name: str, act: Callable[[], None], most_s: float, *, guard_only: bool = False) -> Callable[[], object]:
        def play() -> str:
            chip.keep(keep)
            return _after(name, act, most_s, guard_only=guard_only)

        play.__doc__ = f"{name}, with {kind}: locked within {most_s:g} s, and back"
        return play

    def everybody(number: signal.Signals) -> None:
        run("systemctl", "kill", f"--signal={number.name}", "--kill-whom=all", UNIT)

    return [
        scene("SIGKILL of the daemon", lambda: _hit(main_pid, signal.SIGKILL), CAP_S),
        scene("SIGSTOP of the daemon", lambda: _hit(main_pid, signal.SIGSTOP), CAP_S),
        scene("SIGKILL of the guard", lambda: _hit(guard_pid, signal.SIGKILL), CAP_S, guard_only=True),
        scene("SIGSTOP of the guard", lambda: _hit(guard_pid, signal.SIGSTOP), CAP_S, guard_only=True),
        scene("SIGKILL of both at once", lambda: everybody(signal.SIGKILL), WORST_S),
        scene("SIGSTOP of both at once", lambda: everybody(signal.SIGSTOP), WORST_S),
    ]


def memory_limit() -> str:
    """A door that runs out of memory with the strike energized is ended, locked and restarted."""
    began, restarts = energize(), int(told("NRestarts"))
    run("systemctl", "set-property", "--runtime", UNIT, "MemoryMax=40M")
    took = time_to_lock(began, WORST_S)
    run("systemctl", "set-property", "--runtime", UNIT, "MemoryMax=1G")
    until(lambda: int(told("NRestarts")) > restarts, "a restart", pause_s=0.2)
    comes_back()
    return f"locked after {took}, and back"


def verified() -> str:
    """The record verifies."""
    return run("smileaccess", "attempts", "verify").strip().splitlines()[-1]


def stops() -> str:
    """The service stops in order, with the strike locked."""
    energize()
    run("systemctl", "stop", UNIT)
    check(locked(), "energized after the stop")
    check(told("Result") == "success", told("Result"))
    run("systemctl", "start", UNIT)
    return ""


def cut() -> str:
    """The power is cut in the middle of an attempt, with the strike energized."""
    chip.keep(True)
    energize()
    chip.press(ENTRY)
    (row,) = until(lambda: [row for row in attempts() if not row[1]], "a row that is open", pause_s=0.01)
    (SHARE / "attempt").write_text(row[0])
    check(chip.high(STRIKE), "the strike is locked already")
    report("the power is about to be cut", right=True, seen="")
    (SHARE / "cut").write_text("now")
    time.sleep(60)
    raise Failed("the machine goes on")


def after_the_cut() -> str:
    """After the cut the strike is locked, and the attempt stands as internal_error."""
    check(locked(), "the strike is energized")
    until(lambda: told("ActiveState") == "active", pause_s=0.5)
    cut_off = (SHARE / "attempt").read_text()
    ends = {row[0]: row[1:] for row in attempts()}
    check(ends.get(cut_off) == ("denied", "internal_error"), cut_off, ends.get(cut_off))
    check(None not in {outcome for outcome, _ in ends.values()}, "a row is open")
    return verified()


FIRST = [
    starts,
    a_member_is_let_in,
    the_journal_tells,
    rex_opens,
    rex_opens_during_an_attempt,
    bounces,
    stuck_button,
    approach_wakes,
    door_and_box,
    two_hundred_presses,
    *deaths(keep=False),
    *deaths(keep=True),
    memory_limit,
    stops,
    verified,
    cut,
]
SECOND = [starts, after_the_cut, a_member_is_let_in, stops]


def main(which: str) -> int:
    global chip  # noqa: PLW0603 -- one machine, one chip
    chip = Chip()
    run("udevadm", "trigger")
    run("udevadm", "settle")
    show = Show()
    for act in FIRST if which == "first" else SECOND:
        show.scene(act)
    return show.failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
