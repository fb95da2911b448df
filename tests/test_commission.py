"""The checklist before a door is trusted: what counts as seen, what goes on record, and that nothing can be changed."""

from __future__ import annotations

import contextlib
import json
import signal
import stat
import subprocess
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from smileaccess import wiring
from smileaccess.cli import commission as conversation
from smileaccess.cli.commission import Hands
from smileaccess.cli.common import App
from smileaccess.cli.doctor import doctor
from smileaccess.control import ControlServer, Groups
from smileaccess.doctor import board, commission
from smileaccess.doctor.commission import ITEMS, Answer, Answered, Commissioning, items_of
from smileaccess.doctor.findings import Finding, Level
from smileaccess.doctor.site import Site
from smileaccess.errors import PanelUnavailable, SmileAccessError
from smileaccess.events import Event, UnlockAsked
from smileaccess.keys import DOOR_KEYS
from smileaccess.model import DoorEvent, Reason, Trigger, uuid7
from smileaccess.pins import Pins
from smileaccess.settings import load
from tests.fakes_devices import FakeCamera, FakeClock
from tests.house import House, attempt
from tests.test_doctor import site_of

LINES = '[panel]\nkind = "gpio"\n[gpio]\nstrike = 17\nrex = 13\nentry = 5\n'
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DOCS = Path(__file__).resolve().parent.parent / "docs" / "commissioning.md"
SEEN = {"locked_on_kill": ["n", "y", ""], "camera_sees": ["n", "y", ""]}
"""What is typed for items for which the program offers help: none, seen, no note."""


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    with made.config.open("a") as file:
        file.write(LINES)
    return made


def ahead(**changes: Any) -> Any:
    """An attempt that will be on record when somebody looks for what came after they began."""
    made = attempt(changes.pop("reason", None), **changes)
    when = datetime.now(UTC) + timedelta(hours=1)
    return replace(made, opened_at=when, closed_at=when + timedelta(seconds=4))


def put_proof(house: House) -> None:
    """Put on record all that the items look for."""
    house.put(ahead(), ahead(reason=Reason.NO_SMILE))
    with closing(house.spool()) as spool:
        spool.add_event(DoorEvent(uuid7(), "front", datetime.now(UTC) + timedelta(hours=1), kind="rex", who="panel"))


def typed(**instead: Sequence[str]) -> str:
    """What somebody types who has seen everything, but for some items."""
    lines = ["Ada"]
    for item in ITEMS:
        lines += instead.get(item.name, SEEN.get(item.name, ["y", ""] if item.asked else []))
    return "\n".join(lines) + "\n"


def run(house: House, text: str, *options: str) -> Result:
    """Go through the checklist as somebody at a terminal."""
    return CliRunner().invoke(
        doctor, ["--commission", *options], input=text, obj=App(house.config), standalone_mode=False
    )


def result_of(house: House) -> dict[str, Any]:
    (path,) = house.folder.glob("commissioning-*.json")
    told: dict[str, Any] = json.loads(path.read_text())
    return told


def events(house: House) -> list[DoorEvent]:
    with closing(house.spool()) as spool:
        return [event for event in spool.events() if event.kind == "commissioned"]


class TestItems:
    def test_what_is_not_wired_is_not_asked_for(self) -> None:
        names = {item.name for item in items_of(Pins(strike=17))}
        assert {item.name for item in ITEMS} - names == {"rex_opens", "entry_button_starts"}
        assert items_of(Pins(strike=17, rex=13, entry=5)) == ITEMS

    def test_the_docs_explain_exactly_these_items_in_this_order(self) -> None:
        table = DOCS.read_text(encoding="utf-8").partition("<!-- items -->")[2].partition("<!-- /items -->")[0]
        assert [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")] == [i.name for i in ITEMS]

    def test_a_door_without_a_strike_cannot_be_commissioned(self, tmp_path: Path) -> None:
        done = run(House(tmp_path), typed())
        assert isinstance(done.exception, SmileAccessError)
        assert "no strike to try" in str(done.exception)


class TestProofs:
    """What the record must hold for a yes; each is found where it is there, and for nothing else."""

    SINCE = NOW - timedelta(seconds=1)

    @pytest.mark.parametrize(
        ("proof", "fits", "others"),
        [
            (commission.pressed_on_record, {"trigger": Trigger.BUTTON}, [{"trigger": Trigger.OPERATOR}]),
            (commission.granted_on_record, {"reason": None}, [{"reason": Reason.NO_SMILE}]),
            (
                commission.denied_on_record,
                {"reason": Reason.NO_SMILE},
                [{"reason": None}, {"reason": Reason.CAMERA_UNAVAILABLE}],
            ),
        ],
    )
    def test_an_attempt(self, house: House, proof: commission.Proof, fits: Any, others: list[Any]) -> None:
        def at(when: datetime, changes: Any) -> Any:
            changes = dict(changes)
            made = replace(attempt(changes.pop("reason", Reason.NO_SMILE)), **changes)
            return replace(made, opened_at=when, closed_at=when + timedelta(seconds=4))

        house.put(*(at(NOW, each) for each in others), at(NOW - timedelta(minutes=1), fits))
        with closing(house.spool()) as spool:
            assert proof(spool, self.SINCE) == ""
        wanted = at(NOW, fits)
        house.put(wanted)
        with closing(house.spool()) as spool:
            assert wanted.id in proof(spool, self.SINCE)

    def test_one_that_still_runs_proves_nothing(self, house: House) -> None:
        house.put(replace(attempt(), opened_at=NOW, closed_at=None, outcome=None, reason=None))
        with closing(house.spool()) as spool:
            assert commission.pressed_on_record(spool, self.SINCE) == ""

    def test_a_request_to_exit(self, house: House) -> None:
        with closing(house.spool()) as spool:
            spool.add_event(DoorEvent(uuid7(), "front", NOW - timedelta(minutes=1), kind="rex", who="panel"))
            spool.add_event(DoorEvent(uuid7(), "front", NOW, kind="control_unlock", who="erin"))
            assert commission.rex_on_record(spool, self.SINCE) == ""
            spool.add_event(DoorEvent(uuid7(), "front", NOW, kind="rex", who="panel"))
            assert commission.rex_on_record(spool, self.SINCE).startswith("rex at 2026-03-01T12:00")

    def test_a_chain(self, house: House) -> None:
        house.put(attempt())
        with closing(house.spool()) as spool:
            assert commission.record_verifies(spool, NOW).startswith("2 links, head 2:")
        altered(house)
        with closing(house.spool()) as spool:
            assert commission.record_verifies(spool, NOW) == ""


def altered(house: House) -> None:
    import sqlite3  # noqa: PLC0415

    with contextlib.closing(sqlite3.connect(house.database)) as connection, connection:
        connection.execute("UPDATE attempts SET member_id = 'm_eve'")


class TestConversation:
    def test_all_seen_is_a_commissioned_door(self, house: House) -> None:
        put_proof(house)
        done = run(house, typed())
        assert done.return_value == 0, done.output
        told = result_of(house)
        assert (told["passed"], told["by"], told["door"]) == (True, "Ada", "front")
        assert [each["answer"] for each in told["items"]] == ["yes"] * len(ITEMS)
        (event,) = events(house)
        assert (event.detail["passed"], event.detail["seal"]) == (True, told["seal"])
        assert event.detail["items"] == {item.name: "yes" for item in ITEMS}
        assert "Ada" not in json.dumps(dict(event.detail)) + event.who + event.why

    @pytest.mark.parametrize(("letter", "answer"), [("n", "no"), ("s", "skipped")])
    def test_an_item_that_was_not_seen_leaves_the_door_not_commissioned(
        self, house: House, letter: str, answer: str
    ) -> None:
        put_proof(house)
        done = run(house, typed(locked_at_power_up=[letter, "the relay clicked"]))
        assert done.return_value == 1
        told = result_of(house)
        assert (told["passed"], told["items"][0]["answer"], told["items"][0]["note"]) == (
            False,
            answer,
            "the relay clicked",
        )
        assert f"not commissioned: locked_at_power_up ({answer})" in done.output
        assert events(house)[0].detail["passed"] is False

    def test_a_yes_that_the_record_does_not_know_does_not_count(self, house: House) -> None:
        """The question comes again, until what must be on record is there, or somebody says that it failed."""
        house.put(ahead(reason=Reason.NO_SMILE), ahead())
        done = run(house, typed(rex_opens=["y", "y", "n", "it did nothing"]))
        assert done.return_value == 1
        assert done.output.count("nothing of it is on record") == 2
        assert {each["item"]: each["answer"] for each in result_of(house)["items"]}["rex_opens"] == "no"

    def test_a_record_that_does_not_verify_is_a_no_whatever_anybody_says(self, house: House) -> None:
        put_proof(house)
        altered(house)
        done = run(house, typed())
        assert done.return_value == 1
        assert result_of(house)["items"][-1] == {
            "item": "record_verifies", "answer": "no", "note": "", "proof": ""
        }  # fmt: skip

    def test_whoever_stops_leaves_no_result(self, house: House) -> None:
        done = run(house, "Ada\ny\n\n")
        assert type(done.exception).__name__ == "Abort"
        assert (list(house.folder.glob("commissioning-*")), events(house)) == ([], [])

    def test_json_is_the_result_and_nothing_else_on_standard_output(self, house: House) -> None:
        put_proof(house)
        done = run(house, typed(), "--json")
        assert json.loads(done.stdout) == result_of(house)
        assert "Commissioning of the door" in done.stderr

    def test_the_result_is_for_its_owner_only_and_never_overwritten(self, house: House, tmp_path: Path) -> None:
        put_proof(house)
        path = tmp_path / "result.json"
        assert run(house, typed(), "--output", str(path)).return_value == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        done = run(house, typed(), "--output", str(path), "--by", "Eve")
        assert isinstance(done.exception, SmileAccessError | SystemExit)
        assert json.loads(path.read_text())["by"] == "Ada"
        assert len(events(house)) == 1

    def test_options_of_the_checklist_alone_are_wrong_usage(self, house: House) -> None:
        assert house.run("doctor", "--by", "Ada").code == 2


class TestHands:
    """What the program does itself, and only when it is told to."""

    def asked(self, house: House, text: str, hands: Hands) -> tuple[list[Answered], str]:
        app = App(house.config)
        kill, look = (item for item in ITEMS if item.help)
        with CliRunner().isolation(input=text) as (_, err, _), closing(house.spool()) as spool:
            asking = conversation.Conversation(app, spool, lambda: NOW, hands)
            answers = [asking.answer(kill, 1, 2), asking.answer(look, 2, 2)]
            return answers, err.getvalue().decode()

    def test_it_kills_and_looks_when_told_to_as_often_as_told(self, house: House) -> None:
        done: list[str] = []

        def kill(_: App) -> str:
            done.append("kill")
            return "killed 2 processes"

        def look(_: App) -> list[Finding]:
            done.append("look")
            return [Finding("camera", Level.WARNING, "too dark", "a lamp")]

        answers, told = self.asked(house, "y\ny\nn\ny\n\ny\nn\ny\n\n", Hands(kill, look))
        assert done == ["kill", "kill", "look"]
        assert [each.answer for each in answers] == [Answer.YES, Answer.YES]
        assert ("killed 2 processes" in told, "too dark -> a lamp" in told) == (True, True)

    def test_it_does_neither_when_told_not_to(self, house: House) -> None:
        def never(_: App) -> Any:
            raise AssertionError

        self.asked(house, "n\ny\n\nn\ny\n\n", Hands(never, never))

    @pytest.mark.parametrize("error", [PanelUnavailable("no daemon"), PermissionError("not root")])
    def test_a_failure_of_its_own_ends_nothing(self, house: House, error: Exception) -> None:
        def fails(_: App) -> Any:
            raise error

        answers, told = self.asked(house, "y\nn\ns\nnobody may\nn\ny\n\n", Hands(fails, fails))
        assert ([each.answer for each in answers], str(error) in told) == ([Answer.SKIPPED, Answer.YES], True)

    def test_the_kill_unlocks_first_and_ends_the_daemon_with_its_guard(self, house: House) -> None:
        """Of real processes: one that has a child, each ended by the signal that nobody can ignore."""
        unlocked: list[str] = []

        def put(event: Event) -> None:
            assert isinstance(event, UnlockAsked)
            assert daemon.poll() is None
            unlocked.append(event.event.why)
            event.answer("")

        server = ControlServer(
            Path(load(house.config).control.socket),
            groups=Groups("a", "b", "c"),
            door="front",
            clock=FakeClock(),
            camera=FakeCamera([]),
            put=put,
            on_crash=lambda: None,
        )
        program = "trap '' TERM; sleep 60 & echo $!; wait"
        with closing(server), subprocess.Popen(["sh", "-c", program], stdout=subprocess.PIPE, text=True) as daemon:
            server.claim()
            server.start()
            assert daemon.stdout is not None
            guard = int(daemon.stdout.readline())
            told = conversation.kill_door(App(house.config), lambda: daemon.pid)
            assert daemon.wait(30) == -signal.SIGKILL
        assert (unlocked, told) == (["commissioning"], f"unlocked, and killed 2 processes ({guard}, {daemon.pid})")
        status = Path(f"/proc/{guard}/status")
        assert not status.exists() or "State:\tZ" in status.read_text()

    def test_without_a_service_there_is_nothing_to_kill(self, house: House) -> None:
        with pytest.raises(SmileAccessError, match="by hand"):
            conversation.kill_door(App(house.config))


class TestSeal:
    def made(self, house: House, *answers: Answered) -> dict[str, Any]:
        key = wiring.load_keys(load(house.config), DOOR_KEYS).chain
        known = answers or (Answered("rex_opens", Answer.YES, "", "rex"),)
        lines = commission.lines_of(load(house.config))
        return Commissioning("front", "Ada", "root", NOW, NOW, known, lines, "1:ab").sealed(key)

    def checked(self, house: House, text: str) -> dict[str, Any]:
        path = house.folder / "result.json"
        path.write_text(text)
        return commission.verified(path, wiring.load_keys(load(house.config), DOOR_KEYS).chain, "front")

    def test_as_it_was_sealed_it_is_fine(self, house: House) -> None:
        sealed = self.made(house)
        assert self.checked(house, commission.as_text(sealed)) == sealed

    @pytest.mark.parametrize("name", ["door", "by", "user", "began_at", "ended_at", "passed", "items", "gpio", "head"])
    def test_whatever_is_changed_is_seen(self, house: House, name: str) -> None:
        sealed = self.made(house, Answered("rex_opens", Answer.NO))
        assert name in sealed
        with pytest.raises(SmileAccessError, match="seal"):
            self.checked(house, commission.as_text({**sealed, name: "other"}))

    def test_another_key_does_not_fit(self, house: House, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        sealed = self.made(House(tmp_path / "other"))
        with pytest.raises(SmileAccessError, match="seal"):
            self.checked(house, commission.as_text(sealed))

    @pytest.mark.parametrize("text", ["", "[]", '{"format": "other"}', "not json", '{"format": "\\ud800"}'])
    def test_what_is_no_result_is_refused(self, house: House, text: str) -> None:
        with pytest.raises(SmileAccessError, match="no result of a commissioning"):
            self.checked(house, text)

    def test_a_lone_surrogate_is_refused_like_any_change(self, house: House) -> None:
        sealed = {**self.made(house), "by": "\ud800"}
        with pytest.raises(SmileAccessError, match="seal"):
            self.checked(house, commission.as_text(sealed))

    def test_a_missing_file_is_named(self, house: House) -> None:
        with pytest.raises(SmileAccessError, match="none"):
            commission.verified(house.folder / "none", bytes(32), "front")


class TestVerify:
    def verify(self, house: House, path: Path, *options: str) -> Any:
        return house.run("doctor", "--commission", "--verify", path, *options)

    def commissioned(self, house: House, text: str = "") -> Path:
        put_proof(house)
        run(house, text or typed())
        (path,) = house.folder.glob("commissioning-*.json")
        return path

    def test_a_result_that_still_holds_is_code_0(self, house: House) -> None:
        path = self.commissioned(house)
        shown = self.verify(house, path)
        assert (shown.code, shown.out.splitlines()[-1]) == (0, "commissioned")
        assert self.verify(house, path, "--json").json()["ok"] is True

    def test_one_that_did_not_pass_is_code_1(self, house: House) -> None:
        path = self.commissioned(house, typed(handle_opens_without_power=["s", "no handle"]))
        shown = self.verify(house, path)
        assert (shown.code, shown.out.splitlines()[-1]) == (1, "not commissioned")
        assert "no handle" in shown.out

    def test_one_of_other_lines_is_code_1(self, house: House) -> None:
        path = self.commissioned(house)
        house.config.write_text(house.config.read_text().replace("strike = 17", "strike = 18"))
        shown = self.verify(house, path)
        assert (shown.code, "[gpio] has changed since: strike" in shown.out) == (1, True)

    def test_one_that_is_not_on_record_is_code_1(self, house: House) -> None:
        sealed = TestSeal().made(house)
        path = house.folder / "made.json"
        path.write_text(commission.as_text(sealed))
        shown = self.verify(house, path)
        assert (shown.code, "not on this door's record" in shown.out) == (1, True)

    def test_a_forged_one_is_code_1(self, house: House) -> None:
        path = self.commissioned(house, typed(rex_opens=["n", ""]))
        path.write_text(path.read_text().replace('"no"', '"yes"').replace("false", "true"))
        shown = self.verify(house, path)
        assert (shown.code, "seal does not fit" in shown.err) == (1, True)


class TestDoctor:
    def site(self, house: House) -> Site:
        return site_of(house)

    def level(self, house: House) -> tuple[str, str]:
        with closing(self.site(house)) as site:
            (found,) = board.commissioning(site)
        return found.level.value, found.found

    def test_a_door_that_nobody_has_tried_is_warned_of(self, house: House) -> None:
        level, found = self.level(house)
        assert (level, "never commissioned" in found) == ("warning", True)

    def test_one_that_passed_is_fine_until_its_lines_change(self, house: House) -> None:
        put_proof(house)
        run(house, typed())
        assert self.level(house)[0] == "fine"
        house.config.write_text(house.config.read_text().replace("rex = 13", "rex = 6"))
        level, found = self.level(house)
        assert (level, found.endswith("changed: rex")) == ("warning", True)

    def test_the_newest_one_counts(self, house: House) -> None:
        put_proof(house)
        run(house, typed(), "--output", str(house.folder / "first.json"))
        run(house, typed(others_are_denied=["n", ""]), "--output", str(house.folder / "second.json"))
        level, found = self.level(house)
        assert (level, "others_are_denied (no)" in found) == ("warning", True)
