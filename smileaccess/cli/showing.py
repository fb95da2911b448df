"""Shows attempts to people: as a table, as a line, and as a story; it only reads what is on record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import console, counted, local, number, row, say, table
from smileaccess.liveness import Stage
from smileaccess.model import LivenessMode, Outcome, Trigger
from smileaccess.records.plain import attempt_to_plain
from smileaccess.signals import HINTS

if TYPE_CHECKING:
    from smileaccess.model import Attempt, DoorEvent

SHORT_ID = 13
"""Characters of an attempt's id that hold its millisecond: enough to tell attempts of one door apart."""

LONG_ID = 18
"""Characters of it that tell attempts of many doors apart as well."""

_YEAR = 5
"""Characters of a time that say the year, which a table leaves out for room."""

_WIDE = 76
"""Characters from which on a table has room for what was measured; time, result and id come first."""

_WIDER = 84
"""Characters from which on there is room for what an attempt cost as well."""

_LEAST = {"when": 14, "result": 20, "similar": 7, "smile": 5, "cost": 5, "id": SHORT_ID}
"""What each column of a table keeps on a narrow terminal: all of it, and the names give way."""

_TRIGGERS = {
    Trigger.BUTTON: "the entry button",
    Trigger.APPROACH: "the approach sensor",
    Trigger.PICTURE: "a new picture in the camera's folder",
    Trigger.OPERATOR: "an operator",
    Trigger.TRIAL: "a trial on pictures",
}

_STAGES = {
    "first_face": "a clear face",
    "neutral": "a calm face",
    "identified": "recognized",
    "cued": "asked to smile",
    "smiled": "smiled",
}
"""What a stage is for people; a stage that is not here is shown by its name."""

_ENDS: Mapping[Any, str] = {
    Stage.WATCHING: "the door was still waiting for a calm face",
    Stage.HOLDING: "a calm face was seen; the door had not asked for the smile yet",
    Stage.CUED: "the door was still waiting for the smile",
    Stage.PASSED: "passed",
    Stage.FAILED: "failed",
}
"""Where the challenge stood at the end, for people."""


def result(attempt: Attempt) -> str:
    """Return how it ended, in a word."""
    if attempt.outcome is None:
        return "open"
    return attempt.outcome.value if attempt.reason is None else attempt.reason.value


def print_attempts(attempts: Sequence[Attempt], names: Mapping[str, str]) -> None:
    """Print a table of attempts."""
    if not attempts:
        say("no attempts")
        return
    shown = console()
    measured = ["similar", "smile"] if shown.width >= _WIDE else []
    if shown.width >= _WIDER and any(each.cost is not None for each in attempts):
        measured.append("cost")
    several = several_doors(attempts)
    doors, id_length = (["door"], LONG_ID) if several else ([], SHORT_ID)
    least = {**_LEAST, "id": id_length}
    made = table("when", *doors, "result", "member", *measured, "id", right=measured, least=least)
    for each in attempts:
        values = {"similar": number(each.similarity), "smile": number(each.smile, 0), "cost": _cost(each.cost)}
        told = [values[name] for name in measured]
        place = [each.door] if several else []
        who = _name(each.member_id, names)
        row(made, local(each.opened_at)[_YEAR:], *place, result(each), who, *told, each.id[:id_length])
    shown.print(made)


def print_events(events: Sequence[DoorEvent]) -> None:
    """Print a table of what else is on record."""
    if not events:
        say("no events")
        return
    several = several_doors(events)
    least = {"when": 14, "event": 16}
    doors = ["door"] if several else []
    made = table("when", *doors, "event", "who", "why", "detail", fold=("why", "detail"), least=least)
    for each in events:
        detail = ", ".join(f"{name} {value}" for name, value in each.detail.items())
        place = [each.door or "-"] if several else []
        row(made, local(each.at)[_YEAR:], *place, each.kind, each.who, each.why or "-", detail or "-")
    console().print(made)


def several_doors(rows: Sequence[Attempt | DoorEvent]) -> bool:
    """Say whether these are of more doors than one, so that a table must tell them apart."""
    return len({each.door for each in rows}) > 1


def print_line(attempt: Attempt, names: Mapping[str, str], *, as_json: bool, with_door: bool = False) -> None:
    """Print one attempt as a line, at once."""
    if as_json:
        click.echo(json.dumps(attempt_to_plain(attempt)))
        return
    similarity, smile = number(attempt.similarity), number(attempt.smile, 0)
    who = _name(attempt.member_id, names)
    measured = f"similarity {similarity:>5}  smile {smile:>3}"
    place = f"{attempt.door}  " if with_door else ""
    short = attempt.id[: LONG_ID if with_door else SHORT_ID]
    say(f"{local(attempt.opened_at)}  {place}{result(attempt):<21}  {measured}  {short}  {who}")


def print_story(attempt: Attempt, names: Mapping[str, str]) -> None:
    """Print step by step how an attempt went, why it ended so, and what to do."""
    say(f"Attempt {attempt.id} at the door {attempt.door}")
    say(f"  {local(attempt.opened_at)}  opened by {_TRIGGERS[attempt.trigger]}")
    for name, at_ms in sorted(attempt.stages_ms.items(), key=lambda stage: stage[1]):
        say(f"  {at_ms / 1000:>17.2f} s  {_STAGES.get(name, name.replace('_', ' '))}")
    if attempt.closed_at is not None:
        say(f"  {local(attempt.closed_at)}  closed")
    say()
    _print_decision(attempt, names)
    _print_evidence(attempt, names)


def _print_decision(attempt: Attempt, names: Mapping[str, str]) -> None:
    if attempt.outcome is None:
        say("Open: it is under way, or the program ended before it did.")
    elif attempt.outcome is Outcome.GRANTED:
        say(f"Granted to {_whole_name(attempt.member_id, names)}.")
    else:
        say(f"Denied: {result(attempt)}.")
    if attempt.reason is not None:
        say(f"  {HINTS[attempt.reason]}")
    if attempt.outcome is not Outcome.GRANTED and attempt.member_id:
        say(f"  It concerns {_whole_name(attempt.member_id, names)}.")
    if cause := attempt.detail.get("cause"):
        say(f"  Cause: {cause}")
    say()


def _print_evidence(attempt: Attempt, names: Mapping[str, str]) -> None:
    frames = attempt.detail.get("frames", {})
    if frames:
        told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in frames.items())
        say(f"Frames     {sum(frames.values())}: {told}")
    lines = {"Liveness": _liveness(attempt), "Measured": _measured(attempt), "Recognizer": _recognizer(attempt)}
    for name, told in lines.items():
        if told:
            say(f"{name:<10} {told}")
    _print_examinations(attempt.detail.get("examinations", ()), names)


def _liveness(attempt: Attempt) -> str:
    if attempt.liveness is None:
        return ""
    stage = attempt.detail.get("challenge")
    ended = None if attempt.liveness == LivenessMode.OFF else _ENDS.get(stage)
    if (attempt.liveness, stage) == (LivenessMode.SMILE, Stage.WATCHING):
        ended = "the door was still waiting for a clear face"  # this mode needs no calm one
    if attempt.liveness == LivenessMode.FOLLOW_THE_LIGHT and stage == Stage.CUED:
        ended = "the light was still to be followed"
    if missed := attempt.detail.get("missed"):
        ended = f"{ended}, after {counted(len(missed), 'missed sequence')}"
    return f"{attempt.liveness}: {ended}" if ended else attempt.liveness


def _measured(attempt: Attempt) -> str:
    measures = {
        "similarity": attempt.similarity is not None and number(attempt.similarity),
        "smile": attempt.smile is not None and number(attempt.smile, 0),
        "emotion": attempt.emotion and attempt.emotion.value,
    }
    return ", ".join(f"{name} {told}" for name, told in measures.items() if told)


def _recognizer(attempt: Attempt) -> str:
    asked = " ".join(each for each in (attempt.recognizer, attempt.model) if each)
    billed = counted(attempt.calls, "billed call") if attempt.calls else ""
    cost = "" if attempt.cost is None else f"cost {_cost(attempt.cost)}"
    return ", ".join(each for each in (asked, billed, cost) if each)


def _cost(cost: float | None) -> str:
    """Return a sum of the account's currency, which we do not know: to the thousandth, or as far as it goes."""
    if cost is None:
        return "-"
    whole, _, part = f"{cost:.6f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(3, '0')}"


def _print_examinations(examinations: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> None:
    if not examinations:
        return
    say()
    several = len({each.get("recognizer") for each in examinations} - {None}) > 1
    asked = ["asked for", "recognizer"] if several else ["asked for"]
    made = table("frame", *asked, "candidates", "smile", "ms", right=("frame", "smile", "ms"), fold=("candidates",))
    for each in examinations:
        who = [each["purpose"], each.get("recognizer") or "-"][: len(asked)]
        row(made, str(each["frame"]), *who, _found(each, names), number(each["smile"], 0), number(each["ms"], 0))
    console().print(made)


def _found(examination: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return whom an examination found, or why there is no answer; older rows do not say why."""
    candidates = examination["candidates"]
    told = [f"{_name(c['member'], names)} {c['similarity']:.1f}" for c in candidates or ()]
    return ", ".join(told) or examination.get("hindrance") or ("not searched" if candidates is None else "nobody")


def _name(member_id: str | None, names: Mapping[str, str]) -> str:
    """Return who it was, as far as is known here; the id for one who was forgotten or is enrolled elsewhere."""
    if member_id is None:
        return "-"
    return names.get(member_id) or member_id


def _whole_name(member_id: str | None, names: Mapping[str, str]) -> str:
    """Return who it was with the id, which stands alone where no name is known."""
    name = _name(member_id, names)
    return name if name == member_id else f"{name} ({member_id})"
