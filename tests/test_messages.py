"""The table of messages: it knows every kind that the code tells, and the journal's catalog is drawn from it."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import smileaccess
from smileaccess.canonical import journal_fields
from smileaccess.cli import cli
from smileaccess.control import ALLOWED
from smileaccess.messages import MESSAGES, catalog, kind_of, message_id
from smileaccess.model import FAULTS, DoorInput, Outcome, Reason
from smileaccess.reports import REPORTS
from tests.builders import ANN, NOON, make_attempt

PACKAGE = Path(smileaccess.__file__).parent
CATALOG = PACKAGE.parent / "systemd" / "smileaccess.catalog"

LEVELS = {"info": (6, 5), "warning": (4,), "error": (3, 2), "exception": (3, 2), "critical": (2,)}
"""The priorities that go with the level of a line."""

TELLERS = {
    "_note": (0,),
    "_tell": (0,),
    "_warn": (0,),
    "_event": (0, 1),
    "put": (0, 1),
    "_changed": (2,),
    "_limited": (3,),
    "_set_status": (3,),
    "DoorEvent": (3,),
}
"""The functions that are handed a kind, and which of their arguments it is."""

NO_KINDS = {"unknown", "relock"}
"""Texts in such a place that are none: a file system's, and what the strike was moved for."""

REFUSED = {f"control_{command}_refused" for command in ALLOWED}
"""The kinds of what a caller of the operators' socket was not permitted."""

TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Return every call of the package: where it stands, and the last part of what is called."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                target = node.func
                called = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
                yield f"{name}:{node.lineno}", node, called


def log_calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Return every call that writes a line into the log."""
    for where, call, called in calls():
        logs = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value).split(".")[-1] == "log"
        if logs and called in LEVELS:
            yield where, call, called


def texts(node: ast.AST | None) -> set[str]:
    """Return the texts that an expression may be: itself, or those of both branches of a condition."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp():
            return texts(node.body) | texts(node.orelse)
        case ast.Tuple():
            return {text for each in node.elts for text in texts(each)}
    return set()


def argument(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def told() -> dict[str, str]:
    """Return every kind that the source names, and where."""
    found = {report.value: "reports.py" for report in REPORTS}
    for where, call, called in calls():
        places = [call.args[place] for place in TELLERS.get(called, ()) if place < len(call.args)]
        found |= {kind: where for place in places for kind in texts(place)}
    found |= {kind: where for where, call, _ in log_calls() for kind in texts(argument(call, "kind"))}
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and "kind" in {
                each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)
            }:
                found |= dict.fromkeys(texts(node.value), f"{name}:{node.lineno}")
    return {kind: where for kind, where in found.items() if re.fullmatch("[a-z]+(_[a-z]+)*", kind)}


def ended(outcome: Outcome, reason: Reason | None = None) -> dict[str, object]:
    """Return the fields of the line of an attempt that ended."""
    attempt = make_attempt(
        closed_at=NOON, outcome=outcome, reason=reason, member_id=ANN, similarity=99.0, recognizer="embedded"
    )
    return journal_fields(attempt)


# Kinds


def test_every_kind_that_the_code_tells_is_explained() -> None:
    """Whoever meets a kind, in the journal or on record, finds what it means."""
    unknown = {kind: where for kind, where in told().items() if kind not in MESSAGES and kind not in NO_KINDS}
    assert unknown == {}


def test_nothing_is_explained_that_nobody_tells() -> None:
    """A kind that the code has no more goes from the table too."""
    attempts = {kind_of(ended(Outcome.DENIED, reason)) for reason in Reason} | {kind_of(ended(Outcome.GRANTED))}
    assert set(MESSAGES) - set(told()) - attempts - REFUSED - {"log_lost"} == set()


def test_the_search_for_kinds_finds_some() -> None:
    """What the tests above hold to the table is not nothing."""
    assert {"start", "rex", "member_enrolled", "member_renamed", "record_full", "tampered", "recognizer_back"} <= set(
        told()
    )


@pytest.mark.parametrize("outcome", ["granted", *(f"denied_{reason}" for reason in Reason)])
def test_every_end_of_an_attempt_is_explained(outcome: str) -> None:
    """A grant, and a denial for whatever reason, has an entry of its own."""
    assert outcome in MESSAGES


@pytest.mark.parametrize("report", [each for each in DoorInput if each in REPORTS])
def test_what_the_panel_reports_is_as_grave_here(report: DoorInput) -> None:
    """The journal's priority goes with the level that the line is logged at."""
    assert MESSAGES[report.value].priority in LEVELS[REPORTS[report][0]]


def test_a_line_is_as_grave_as_its_kind() -> None:
    """Text and JSON show the level, the journal the priority: they tell the same."""
    apart = {
        f"{where} {kind}"
        for where, call, level in log_calls()
        for kind in texts(argument(call, "kind"))
        if MESSAGES[kind].priority not in LEVELS[level]
    }
    assert apart == set()


def test_every_line_of_the_log_has_a_kind() -> None:
    """`journalctl -x` explains each; an attempt's end has its kind from its outcome, a kind may be a variable."""
    without = {
        where
        for where, call, _ in log_calls()
        if argument(call, "kind") is None and not any("journal_fields" in ast.unparse(each) for each in call.keywords)
    }
    assert without == set()


def test_the_kind_of_an_attempt_is_its_outcome_and_reason() -> None:
    """A line that has a kind keeps it, one that tells no end has none."""
    assert kind_of(ended(Outcome.GRANTED)) == "granted"
    assert kind_of(ended(Outcome.DENIED, Reason.NO_SMILE)) == "denied_no_smile"
    assert kind_of({**ended(Outcome.DENIED, Reason.NO_SMILE), "kind": "attempt_abandoned"}) == "attempt_abandoned"
    assert kind_of({"event": "told", "reason": "no_smile"}) == ""


@pytest.mark.parametrize("reason", Reason)
def test_a_fault_is_graver_than_a_refusal(reason: Reason) -> None:
    """What somebody has to mend is an error; a person who was refused is a notice."""
    assert MESSAGES[f"denied_{reason}"].priority == (3 if reason in FAULTS else 5)


# Texts


@pytest.mark.parametrize("kind", MESSAGES)
def test_an_explanation_is_whole(kind: str) -> None:
    """It says what, why and what to do, in sentences; the subject is a line without a full stop."""
    message = MESSAGES[kind]
    assert re.fullmatch(r"[A-Z][^\n]{3,79}[^.\n]", message.subject)
    assert re.fullmatch(r"[A-Z\[].*\.", message.cause, re.DOTALL)
    assert re.fullmatch(r"[A-Z`].*\.", message.remedy, re.DOTALL)


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_remedy_names_commands_that_exist(kind: str) -> None:
    """Each `smileaccess ...` in a text is a command, with options that it has."""
    for line in re.findall(r"`smileaccess ([^`]*)`", " ".join((MESSAGES[kind].cause, MESSAGES[kind].remedy))):
        command: click.Command = cli
        words = line.split()
        while words and isinstance(command, click.Group):
            command = command.get_command(click.Context(command), words.pop(0)) or pytest.fail(f"no command: {line}")
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("kind", [kind for kind in MESSAGES if "@" in str(MESSAGES[kind])])
def test_a_text_fills_in_what_its_line_has(kind: str) -> None:
    """An @FIELD@ that the line does not carry would stay as it is."""
    outcome, _, reason = kind.partition("_")
    line = ended(Outcome(outcome), Reason(reason) if reason else None)
    carried = {name.upper() for name in line} | {"ATTEMPT_ID", "DOOR"}
    assert set(re.findall("@([A-Z_]+)@", str(MESSAGES[kind]))) <= carried


# Ids and catalog


def test_ids_stay_what_they_are() -> None:
    """Entries that were written years ago keep their explanations."""
    assert message_id("granted") == "e3bf5a901c145ed097ac960d68c5fbf6"
    assert (
        message_id("denied_no_smile")
        == uuid.uuid5(uuid.UUID("7558c8c8-7d28-4f6d-8dfc-84e8215850a5"), "denied_no_smile").hex
    )


def test_ids_are_different() -> None:
    """No two kinds share an explanation."""
    assert len({message_id(kind) for kind in MESSAGES}) == len(MESSAGES)


def test_the_catalog_is_the_table() -> None:
    """The file that is installed says what the code says; after a change of the table write it anew from catalog()."""
    assert CATALOG.read_text("utf-8") == catalog()


def test_the_catalog_breaks_no_command() -> None:
    """A command can be copied whole; lines fit a terminal otherwise."""
    lines = [line for line in catalog().splitlines() if not line.startswith(("#", "--", "Subject:"))]
    assert all(line.count("`") % 2 == 0 for line in lines)
    assert all(len(line) <= 76 for line in lines if "`" not in line)


def test_systemd_takes_the_catalog(tmp_path: Path) -> None:
    """Its own program compiles it, and gives every entry back as the table has it."""
    journalctl = shutil.which("journalctl")
    if journalctl is None:
        pytest.skip("journalctl is not installed: apt install systemd")
    place = tmp_path / "usr/local/lib/systemd/catalog"
    place.mkdir(parents=True)
    shutil.copy(CATALOG, place)
    made = subprocess.run(
        [journalctl, f"--root={tmp_path}", "--update-catalog"], capture_output=True, text=True, check=False
    )
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    shown = subprocess.run(
        [journalctl, f"--root={tmp_path}", "--dump-catalog"], capture_output=True, text=True, check=True
    ).stdout
    entries = dict(re.findall(r"^-- ([0-9a-f]{32})\nSubject: (.*)$", shown, re.MULTILINE))
    assert entries == {message_id(kind): message.subject for kind, message in MESSAGES.items()}


def test_what_may_be_refused_is_what_a_caller_may() -> None:
    """The operators' commands have each their refusal; no other one has."""
    refused = {kind for kind in MESSAGES if kind.startswith("control_") and kind.endswith("_refused")}
    assert refused == REFUSED
