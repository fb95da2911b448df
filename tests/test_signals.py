"""Tests of the table of signals."""

import itertools

import pytest

from smileaccess.model import Decision, Outcome, Reason, Signal
from smileaccess.signals import (
    HINTS,
    LOOKS,
    Color,
    Look,
    light_in_words,
    signal_for,
    signals_as_markdown,
    sound_in_words,
)

FAULT = {
    Reason.INTERNAL_ERROR,
    Reason.CAMERA_UNAVAILABLE,
    Reason.RECOGNIZER_UNAVAILABLE,
    Reason.RECORDS_UNAVAILABLE,
    Reason.SPENDING_CAP,
    Reason.MEMBERS_STALE,
    Reason.CLOCK_UNTRUSTED,
}
LOCKED = {Reason.OPERATOR_LOCKED, Reason.LOCKED_OUT}
AGAIN = {
    Reason.NO_FACE,
    Reason.TOO_DARK,
    Reason.TOO_FAR,
    Reason.TOO_BLURRED,
    Reason.FACE_OCCLUDED,
    Reason.MULTIPLE_FACES,
    Reason.TIMEOUT,
}


def test_a_grant_opens():
    """A granted decision is shown as the open door."""
    assert signal_for(Decision(Outcome.GRANTED, None, "m")) is Signal.OPEN


@pytest.mark.parametrize("reason", Reason)
def test_every_denial_has_its_signal(reason):
    """Each reason is shown by its class: a fault, a lock, another try, or a refusal."""
    expected = Signal.REFUSED
    if reason in FAULT:
        expected = Signal.FAULT
    elif reason in LOCKED:
        expected = Signal.LOCKED_OUT
    elif reason in AGAIN:
        expected = Signal.TRY_AGAIN
    assert signal_for(Decision(Outcome.DENIED, reason)) is expected


def test_every_signal_has_a_look():
    """The table holds each signal once."""
    assert list(LOOKS) == list(Signal)


def test_no_two_signals_look_alike():
    """Light alone or light with sound tells any two signals apart."""
    for one, other in itertools.combinations(LOOKS.values(), 2):
        assert (light_in_words(one), one.buzzer) != (light_in_words(other), other.buzzer)


def test_only_a_way_in_is_green():
    """Green is shown for those who were recognized, and for nobody else."""
    assert {signal for signal, look in LOOKS.items() if Color.GREEN in look.lamps} == {Signal.WELCOME, Signal.OPEN}


def test_every_signal_is_lit_prompted_and_explained():
    """No signal leaves the panel dark or the person without words."""
    for look in LOOKS.values():
        assert look.lamps
        assert look.prompt
        assert look.meaning
        assert look.on_s > 0


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_hint(reason):
    """A hint is one short sentence."""
    hint = HINTS[reason]
    assert hint.endswith(".")
    assert hint.count(".") == 1
    assert len(hint) <= 90


def test_blinking_follows_its_period():
    """A lamp of 0.2 s on and 0.3 s off is judged by the time since the signal, the other lamps stay dark."""
    look = Look(frozenset({Color.RED}), "p", "m", on_s=0.2, off_s=0.3)
    assert [look.lit(Color.RED, at) for at in (0.0, 0.1, 0.25, 0.45, 0.55, 0.75)] == [
        True,
        True,
        False,
        False,
        True,
        False,
    ]
    assert not look.lit(Color.GREEN, 0.0)


def test_a_steady_lamp_stays_lit():
    """Without a pause the lamp never goes dark."""
    look = Look(frozenset({Color.GREEN}), "p", "m")
    assert all(look.lit(Color.GREEN, at) for at in (0.0, 0.99, 1.0, 7.3))


def test_the_buzzer_plays_once():
    """Two tones with a pause sound when they should and never again."""
    look = Look(frozenset({Color.RED}), "p", "m", buzzer=((0.2, 0.1), (0.4, 0.0)))
    assert [look.sounding(at) for at in (0.1, 0.25, 0.35, 0.65, 0.75, 5.0)] == [True, False, True, True, False, False]


def test_words_for_light_and_sound():
    """The table's words name lamps, pace and tones."""
    blinking = Look(frozenset({Color.RED, Color.AMBER}), "p", "m", on_s=0.4, off_s=0.6, buzzer=((0.2, 0.1), (0.5, 0.0)))
    assert light_in_words(blinking) == "amber and red, blinking (0.4 s on, 0.6 s off)"
    assert sound_in_words(blinking) == "0.2 s + 0.5 s"
    steady = Look(frozenset({Color.GREEN}), "p", "m")
    assert light_in_words(steady) == "green, steady"
    assert sound_in_words(steady) == "none"


def test_the_markdown_table_holds_every_signal():
    """The table has a header, a rule and a row a signal, each with five cells."""
    lines = signals_as_markdown().splitlines()
    assert lines[:2] == ["| signal | LEDs | buzzer | prompt | meaning |", "|---|---|---|---|---|"]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == [signal.value for signal in Signal]
    assert all(line.count("|") == 6 for line in lines)
    assert (
        "| smile_now | amber, blinking (0.15 s on, 0.15 s off) | 0.08 s + 0.08 s | Smile now! "
        "| The cue: smile at the camera, or show your own gesture |"
    ) in lines
