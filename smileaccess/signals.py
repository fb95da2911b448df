"""What each signal looks and sounds like, in one table; it never drives a lamp, it only says which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from smileaccess.model import FAULTS, PRESENTATION, Decision, Outcome, Reason, Signal


class Color(StrEnum):
    """The panel's three LEDs."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Look:
    """How one signal looks and sounds.

    The LEDs of `lamps` are lit together, `on_s` seconds on and `off_s` seconds off, from the moment the signal is
    shown; `off_s` 0 is a steady light. `buzzer` is played once, as pairs of seconds on and seconds off. `prompt` is
    for the person at the door, `meaning` for the table in the README.
    """

    lamps: frozenset[Color]
    prompt: str
    meaning: str
    on_s: float = 1.0
    off_s: float = 0.0
    buzzer: tuple[tuple[float, float], ...] = ()

    def lit(self, color: Color, since_s: float) -> bool:
        """Say whether an LED is lit `since_s` seconds after the signal was shown."""
        return color in self.lamps and since_s % (self.on_s + self.off_s) < self.on_s

    def sounding(self, since_s: float) -> bool:
        """Say whether the buzzer sounds `since_s` seconds after the signal was shown."""
        start_s = 0.0
        for on_s, off_s in self.buzzer:
            if start_s <= since_s < start_s + on_s:
                return True
            start_s += on_s + off_s
        return False


_GREEN = frozenset({Color.GREEN})
_AMBER = frozenset({Color.AMBER})
_RED = frozenset({Color.RED})
_AMBER_RED = frozenset({Color.AMBER, Color.RED})
_SHORT = (0.08, 0.08)

LOOKS: Mapping[Signal, Look] = MappingProxyType(
    {
        Signal.LOCKED: Look(_RED, "Press the button to come in", "Locked and at rest"),
        Signal.AWAKE: Look(
            _AMBER, "Press the button to come in", "Somebody is near; camera and eyes are ready", on_s=0.2, off_s=1.8
        ),
        Signal.LOOKING: Look(
            _AMBER, "Look at the camera", "An attempt is under way; the camera looks", buzzer=((0.05, 0.0),)
        ),
        Signal.SMILE_NOW: Look(
            _AMBER,
            "Smile now!",
            "The cue: smile at the camera, or show your own gesture",
            on_s=0.15,
            off_s=0.15,
            buzzer=(_SHORT, _SHORT),
        ),
        Signal.RELAX: Look(
            _RED,
            "Now a calm face",
            "The cue of follow-the-light to stop smiling until the next one",
            buzzer=((0.3, 0.0),),
        ),
        Signal.WELCOME: Look(
            _GREEN, "Thank you", "Recognized; the entry is being put on record", on_s=0.15, off_s=0.15
        ),
        Signal.OPEN: Look(_GREEN, "Open: come in", "The strike is released", buzzer=((0.5, 0.0),)),
        Signal.TRY_AGAIN: Look(
            _AMBER_RED,
            "Please try again",
            "The camera could not see well enough, or nothing happened in time; this does not count against anyone",
            on_s=0.4,
            off_s=0.4,
            buzzer=((0.2, 0.1), (0.2, 0.1)),
        ),
        Signal.REFUSED: Look(
            _RED, "Sorry, not this time", "Refused; the door stays locked", on_s=0.25, off_s=0.25, buzzer=((0.8, 0.0),)
        ),
        Signal.LOCKED_OUT: Look(
            _RED,
            "Locked: please wait",
            "Too many failures, or locked by an operator; nobody is let in for now",
            on_s=1.0,
            off_s=1.0,
            buzzer=(_SHORT, _SHORT, _SHORT, _SHORT, _SHORT),
        ),
        Signal.FAULT: Look(
            _AMBER_RED,
            "Out of order: please use another way",
            "The system is at fault, not the person; the operator has to look",
            buzzer=((0.6, 0.2), (0.2, 0.2), (0.6, 0.0)),
        ),
        Signal.ALARM: Look(
            _RED,
            "Please close the door",
            "The door has been open for too long, or was opened by force; sounds again every ten seconds until closed",
            on_s=0.1,
            off_s=0.1,
            buzzer=((0.3, 0.1),) * 6,
        ),
    }
)
"""Every signal's look; no two light and sound alike."""

HINTS: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.INTERNAL_ERROR: "The door failed inside; the operator finds the cause in the journal.",
        Reason.CAMERA_UNAVAILABLE: "The camera does not answer; check its cable and run smileaccess doctor.",
        Reason.RECOGNIZER_UNAVAILABLE: "The recognizer does not answer; check its network and its credentials.",
        Reason.RECORDS_UNAVAILABLE: "The entry could not be put on record; check the disk and the database.",
        Reason.SPENDING_CAP: "The cap on paid calls is reached; the operator may raise it.",
        Reason.OPERATOR_LOCKED: "An operator has locked this door; ask them.",
        Reason.LOCKED_OUT: "Too many failures in a row; wait a little and try again.",
        Reason.NO_FACE: "Stand in front of the camera and look into it.",
        Reason.TOO_DARK: "It is too dark to see you; turn on the light.",
        Reason.TOO_FAR: "Step closer.",
        Reason.TOO_BLURRED: "Hold still for a moment.",
        Reason.FACE_OCCLUDED: "Uncover your face: no mask, no scarf, no dark glasses.",
        Reason.MULTIPLE_FACES: "One person at a time, please.",
        Reason.TRACK_LOST: "Stay in view from the beginning to the end.",
        Reason.NOT_RECOGNIZED: "This face is not enrolled here; ask the operator.",
        Reason.AMBIGUOUS_MATCH: "More than one member looks like this; ask the operator to enroll more pictures.",
        Reason.MEMBERS_STALE: "The members' list is too old; check the door's network.",
        Reason.MEMBER_DISABLED: "This membership is disabled; ask the operator.",
        Reason.MEMBER_EXPIRED: "This membership is not valid today; ask the operator.",
        Reason.DOOR_NOT_ALLOWED: "This membership does not hold for this door.",
        Reason.OUTSIDE_SCHEDULE: "This membership does not hold at this hour.",
        Reason.CLOCK_UNTRUSTED: "The door's clock is not set; the operator must set the time.",
        Reason.NO_EXPRESSION_CHANGE: "Look at the camera calmly first, and smile only when told.",
        Reason.NO_SMILE: "Smile when the lamp asks for it.",
        Reason.EMOTION_MISMATCH: "The face did not show what this door asks for; try again.",
        Reason.TIMEOUT: "That took too long; press the button again.",
    }
)
"""One short sentence a reason: what the person, or else the operator, should do."""

_LOCKED = frozenset({Reason.LOCKED_OUT, Reason.OPERATOR_LOCKED})


def signal_for(decision: Decision) -> Signal:
    """Return the signal that tells the person what was decided.

    A fault never looks like a refusal, and what the person can mend by standing differently asks for another try.
    """
    if decision.outcome is Outcome.GRANTED:
        return Signal.OPEN
    if decision.reason in FAULTS:
        return Signal.FAULT
    if decision.reason in _LOCKED:
        return Signal.LOCKED_OUT
    return Signal.TRY_AGAIN if decision.reason in PRESENTATION else Signal.REFUSED


def light_in_words(look: Look) -> str:
    """Describe a signal's light: which LEDs, steady or blinking, and how fast."""
    lamps = " and ".join(color.value for color in Color if color in look.lamps)
    return f"{lamps}, blinking ({look.on_s:g} s on, {look.off_s:g} s off)" if look.off_s else f"{lamps}, steady"


def sound_in_words(look: Look) -> str:
    """Describe a signal's sound: each tone's seconds, in order."""
    return " + ".join(f"{on_s:g} s" for on_s, _ in look.buzzer) or "none"


def signals_as_markdown() -> str:
    """Return the table of signals as Markdown, as it stands in the README, ending with a newline."""
    lines = ["| signal | LEDs | buzzer | prompt | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| {signal.value} | {light_in_words(look)} | {sound_in_words(look)} | {look.prompt} | {look.meaning} |"
        for signal, look in LOOKS.items()
    ]
    return "\n".join(lines) + "\n"
