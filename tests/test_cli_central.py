"""The commands on a central database: from a machine without a door, and from one with a door's own record."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smileaccess import wiring
from smileaccess.cli.attempts import LATE, follow
from smileaccess.errors import SettingsError
from smileaccess.keys import ALL_KEYS, make_keys
from smileaccess.model import Attempt, Member, MemberStatus, Outcome, Reason, Trigger, uuid7
from smileaccess.records.mysql.people import CentralMembers
from smileaccess.registry import Registry
from smileaccess.settings import load
from tests.doors import eventually
from tests.fakes_devices import FakeClock
from tests.fakes_records import FakeRecords
from tests.house import FACES, House
from tests.mariadb import MariaDB
from tests.office import NOON, PASSWORD, Office, new_center, person
from tests.standin import StandIn

OBAMA = FACES / "obama-neutral.jpg"


@pytest.fixture
def office(mariadb: MariaDB, tmp_path: Path) -> Office:
    """A machine without a door, on a central database with two members."""
    made = Office(tmp_path, new_center(mariadb))
    enroll(made, person("m_ada", faces=()), person("m_bob", name="Bob", templates=(), faces=()))
    return made


def enroll(office: Office, *members: Member) -> None:
    keys = wiring.load_keys(load(office.config), ALL_KEYS - {"chain"})
    with closing(office.center.link()) as link:
        registry = Registry(CentralMembers(link), keys.enroller, keys.enroller_public, "", FakeClock(), "erin")
        for member in members:
            registry.put(member, "member_enrolled", "")


def denied(day: int, door: str, member_id: str | None = "m_ada") -> Attempt:
    at = NOON + timedelta(days=day)
    known: dict[str, Any] = {"outcome": Outcome.DENIED, "reason": Reason.NO_SMILE, "member_id": member_id}
    number = int(at.timestamp() * 1000)
    return Attempt(uuid7(number), door, Trigger.BUTTON, at, closed_at=at + timedelta(seconds=4), **known)


class TestMembers:
    def test_no_key_of_a_door_is_needed(self, office: Office) -> None:
        assert sorted(path.name for path in office.keys.iterdir()) == ["enroller", "enroller.pub", "templates"]
        result = office.run("members", "list")
        assert (result.code, result.err) == (0, "")
        assert [line.split()[0] for line in result.out.splitlines()[1:3]] == ["Ada", "Bob"]

    @pytest.mark.parametrize(
        ("command", "changed"),
        [
            (("rename", "Ada", "Ada L."), {"name": "Ada L."}),
            (("disable", "m_ada"), {"status": "disabled"}),
            (("validity", "m_ad", "--until", "2030-12-24T00:00+00:00"), {"valid_until": "2030-12-24T00:00:00.000000Z"}),
        ],
        ids=lambda value: value[0] if isinstance(value, tuple) else "",
    )
    def test_a_change_is_made_for_all_doors(
        self, office: Office, command: tuple[str, ...], changed: dict[str, str]
    ) -> None:
        assert office.run("members", *command, "--why", "asked").code == 0
        shown = office.run("members", "show", "m_ada", "--json").json()
        assert shown == {**shown, **changed, "version": 2}
        (event,) = office.center.run("SELECT door, record, why, seq FROM door_events WHERE why <> ''")
        assert event == ("", "", "asked", None)

    def test_a_disabled_one_is_enabled(self, office: Office) -> None:
        office.run("members", "disable", "Ada")
        assert office.run("members", "enable", "Ada", "--json").json()["version"] == 3

    def test_one_that_does_not_verify_is_warned_of_and_is_nobody(self, office: Office) -> None:
        office.center.run("UPDATE members SET signature = REVERSE(signature) WHERE id = 'm_bob'")
        result = office.run("members", "list", "--json")
        assert [each["id"] for each in result.json()["members"]] == ["m_ada"]
        assert [each["id"] for each in result.json()["refused"]] == ["m_bob"]
        assert "m_bob" in result.err

    def test_people_are_enrolled_and_imported(self, office: Office, tmp_path: Path) -> None:
        folder = tmp_path / "people" / "Joe"
        folder.mkdir(parents=True)
        (folder / "1.jpg").write_bytes((FACES / "biden-neutral.jpg").read_bytes())
        result = office.run("enroll", "Barack", "--photo", OBAMA, "--consent")
        assert result.code == 0
        assert office.run("members", "import", folder.parent, "--consent").code == 0
        assert office.center.run("SELECT name, status FROM members ORDER BY name") == [
            *(("Ada", "active"), ("Barack", "active"), ("Bob", "active"), ("Joe", "active")),
        ]
        assert office.run("attempts", "try", "--photo", OBAMA).code == 0
        again = office.run("enroll", "Somebody", "--photo", OBAMA, "--consent")
        assert again.code == 1
        assert "Barack" in again.err

    def test_who_may_not_change_is_told(self, office: Office) -> None:
        """A reader's account sees attempts, and no signed member."""
        office.config.write_text(
            office.config.read_text().replace('user = "root"', f'user = "{office.center.admit("reader")}"')
            + f'password_file = "{password(office)}"\n'
        )
        office.center.put(denied(0, "front"))
        assert [each["member_id"] for each in office.run("attempts", "list", "--json").json()] == ["m_ada"]
        assert "m_ada" in office.run("attempts", "list").out
        refused = office.run("members", "list")
        assert refused.code == 1
        assert "rights" in refused.err

    def test_an_enroller_needs_no_more_than_its_rights(self, office: Office) -> None:
        office.config.write_text(
            office.config.read_text().replace('user = "root"', f'user = "{office.center.admit("enroller")}"')
            + f'password_file = "{password(office)}"\n'
        )
        office.center.add_door("front")
        assert office.run("members", "rename", "Bob", "Rob").code == 0
        assert office.run("members", "forget", "Rob", "--yes", "--wait", "0").code == 0
        assert office.run("attempts", "events").code == 0


def password(office: Office) -> Path:
    file = office.config.with_name("password")
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    return file


class TestForget:
    @pytest.fixture
    def doors(self, office: Office) -> Iterator[CentralMembers]:
        """Three doors, of which one was revoked; what confirms for them."""
        for name in ("back", "side"):
            office.center.add_door(name)
        office.center.add_door("cellar", revoked_at=NOON)
        office.center.run("INSERT INTO contacts (door, at, program) VALUES ('side', '2026-11-22 12:00:00', '2')")
        with closing(office.center.link()) as link:
            people = CentralMembers(link)
            people.confirm("back", {"m_ada": 2}, NOON)
            people.confirm("side", {"m_ada": 1}, NOON)
            yield people

    def test_the_receipt_says_which_doors_have_it(self, office: Office, doors: CentralMembers) -> None:
        """And the same command says it again later, when more have."""
        office.center.put(denied(0, "front"), denied(1, "side"), denied(2, "side", "m_bob"))
        told = office.run("members", "forget", "Ada", "--yes", "--wait", "0", "--json").json()
        heard = {"door": "side", "heard_at": "2026-11-22T12:00:00.000000Z"}
        taken = {"door": "back", "at": "2026-11-22T12:00:00.000000Z"}
        revoked = {"door": "cellar", "revoked_at": "2026-11-22T12:00:00.000000Z"}
        assert told["doors"] == {"confirmed": [taken], "waiting": [heard], "revoked": [revoked]}
        assert told["kept"] == {"attempts": 2, "events": 2}
        doors.confirm("side", {"m_ada": 2}, NOON)
        again = office.run("members", "forget", "m_ada", "--json").json()
        assert again["doors"]["confirmed"] == [taken, {**taken, "door": "side"}]
        assert (again["doors"]["waiting"], again["doors_unknown"]) == ([], None)

    def test_it_waits_for_a_door_that_is_there(self, office: Office, doors: CentralMembers) -> None:
        """The door confirms when it has seen the change; the command goes on as soon as all have."""

        def follow_up() -> None:
            eventually(lambda: doors.versions()["m_ada"] == 2)
            doors.confirm("side", {"m_ada": 2}, NOON)

        door = threading.Thread(target=follow_up)
        door.start()
        told = office.run("members", "forget", "Ada", "--yes", "--wait", "600", "--json").json()
        door.join(20)
        assert [each["door"] for each in told["doors"]["confirmed"]] == ["back", "side"]

    @pytest.mark.usefixtures("doors")
    def test_people_read_it_in_80_columns(self, office: Office) -> None:
        first = office.run("members", "forget", "Ada", "--yes", "--wait", "0").out
        later = office.run("members", "forget", "m_ada", "--wait", "0.01").out
        for out in (first, later):
            assert max(len(line) for line in out.splitlines()) <= 80
            assert "doors      back has taken it over, 2026-11-22" in out
            assert "not yet    side, last heard of 2026-11-22" in out
            assert "run smileaccess members forget m_ada" in out
            assert "never      cellar, revoked 2026-11-22" in out

    def test_nothing_of_the_person_is_left(self, office: Office) -> None:
        assert office.run("members", "forget", "Ada", "--yes").code == 0
        assert office.center.run("SELECT name, status FROM members WHERE id = 'm_ada'") == [("", "forgotten")]
        assert office.center.run("SELECT * FROM faces WHERE sealed IS NOT NULL") == []


class TestAttempts:
    @pytest.fixture
    def filled(self, office: Office) -> Office:
        office.center.put(denied(0, "front"), denied(1, "back"), denied(2, "front", None))
        return office

    def listed(self, office: Office, *options: str) -> list[str]:
        return [each["door"] for each in office.run("attempts", "list", "--json", *options).json()]

    def test_all_doors_are_listed_or_one(self, filled: Office) -> None:
        assert self.listed(filled) == self.listed(filled, "--central") == ["front", "back", "front"]
        assert self.listed(filled, "--door", "back") == ["back"]
        assert self.listed(filled, "--door", "front", "--member", "Ada") == ["front"]
        assert self.listed(filled, "--door", "nowhere") == []

    def test_a_table_of_several_doors_tells_them_apart(self, filled: Office) -> None:
        lines = filled.run("attempts", "list").out.splitlines()
        assert lines[0].split()[:3] == ["when", "door", "result"]
        assert [line.split()[2] for line in lines[1:]] == ["front", "back", "front"]
        assert "door" not in filled.run("attempts", "list", "--door", "front").out

    def test_one_is_shown_by_what_the_table_says(self, filled: Office) -> None:
        short = filled.run("attempts", "list", "--door", "back").out.splitlines()[1].split()[-1]
        assert "at the door back" in filled.run("attempts", "show", short).out

    def test_they_are_exported(self, filled: Office) -> None:
        out = filled.run("attempts", "export", "--format", "csv", "--door", "front").out
        assert [line.split(",")[1] for line in out.splitlines()] == ["door", "front", "front"]

    def test_events_of_the_office_are_among_those_of_doors(self, filled: Office) -> None:
        told = filled.run("attempts", "events", "--json").json()
        assert {(each["door"], each["kind"]) for each in told} == {("", "member_enrolled")}
        assert filled.run("attempts", "events", "--json", "--door", "front").json() == []


class TestDoor:
    """A machine with a door of its own, which knows the central database too."""

    @pytest.fixture
    def house(self, office: Office, tmp_path: Path) -> House:
        (tmp_path / "door").mkdir()
        made = House(tmp_path / "door")
        own = made.config.read_text().replace(str(made.keys), str(office.keys))
        made.config.write_text(
            own + office.config.read_text().partition("[keys]")[2].partition("\n")[2].partition("\n")[2]
        )
        make_keys(office.keys)
        made.database.unlink()
        (made.keys / "record.front").unlink()
        made.spool().close()
        made.put(denied(5, "front"))
        office.center.put(denied(0, "back"))
        return made

    def test_its_own_record_is_read_unless_told_otherwise(self, house: House) -> None:
        assert [each["door"] for each in house.run("attempts", "list", "--json").json()] == ["front"]
        assert [each["door"] for each in house.run("attempts", "list", "--json", "--central").json()] == ["back"]
        assert [each["door"] for each in house.run("attempts", "list", "--json", "--door", "front").json()] == ["front"]

    def test_another_doors_attempts_are_only_in_the_central_record(self, house: House) -> None:
        refused = house.run("attempts", "list", "--door", "back")
        assert refused.code == 1
        assert "--central" in refused.err
        assert house.run("attempts", "list", "--door", "back", "--central").code == 0

    def test_without_its_record_the_central_one_is_read(self, house: House) -> None:
        house.database.unlink()
        assert [each["door"] for each in house.run("attempts", "list", "--json").json()] == ["back"]

    def test_members_are_the_central_ones_unless_its_copy_is_wanted(self, house: House) -> None:
        assert [each["name"] for each in house.run("members", "list", "--json").json()["members"]] == ["Ada", "Bob"]
        assert house.run("members", "list", "--json", "--local").json()["members"] == []

    def test_a_change_is_made_centrally_and_the_copy_waits_for_the_door(self, office: Office, house: House) -> None:
        assert house.run("members", "disable", "Ada").code == 0
        assert office.center.run("SELECT status FROM members WHERE id = 'm_ada'") == [("disabled",)]
        assert office.center.run("SELECT door FROM door_events WHERE kind = 'member_disabled'") == [("front",)]
        with closing(house.spool()) as spool:
            assert spool.signed_members() == []


class TestNothingToRead:
    @pytest.fixture
    def nowhere(self, office: Office) -> Office:
        text = office.config.read_text()
        office.config.write_text(text.partition("[mysql]")[0])
        return office

    @pytest.mark.parametrize(
        "command", [("attempts", "list"), ("attempts", "tail"), ("attempts", "show", "0"), ("members", "list")]
    )
    def test_both_settings_are_named(self, nowhere: Office, command: tuple[str, ...]) -> None:
        result = nowhere.run(*command)
        assert result.code == 2
        assert "[records] database" in result.err
        assert "[mysql] addresses" in result.err

    def test_there_is_no_copy_of_the_members_either(self, office: Office) -> None:
        result = office.run("members", "list", "--local")
        assert (result.code, '[records] database = ""' in result.err) == (2, True)

    @pytest.mark.parametrize("options", [(), ("--check",)])
    def test_there_is_no_door_to_run(self, nowhere: Office, options: tuple[str, ...]) -> None:
        make_keys(nowhere.keys)
        result = nowhere.run("run", *options)
        assert result.code == 2
        assert '[records] database = ""' in result.err

    def test_without_addresses_there_is_no_central_record(self, nowhere: Office) -> None:
        result = nowhere.run("attempts", "list", "--central")
        assert result.code == 2
        assert "[mysql] addresses" in result.err


class TestCloud:
    """A machine without a door that enrolls into a collection as well."""

    @pytest.fixture
    def office(self, office: Office, service: StandIn) -> Office:
        credentials = service.write_credentials(office.keys.parent / "credentials")
        office.config.write_text(
            f'{office.config.read_text()}[recognition]\nrecognizers = ["rekognition"]\n[rekognition]\n'
            f'region = "{service.region}"\nendpoint = "{service.url}"\nca_bundle = "{service.ca_file}"\n'
            f'credentials = "{credentials}"\nprofile = "door"\nenroller_profile = "enroller"\n'
        )
        assert office.run("collection", "create", "--why", "first").code == 0
        return office

    def test_collections_are_on_the_central_record(self, office: Office) -> None:
        told = office.center.run("SELECT door, why FROM door_events WHERE kind = 'collection_created'")
        assert told == [("", "first")]

    def test_billed_calls_are_told_and_are_nowhere_on_record(self, office: Office) -> None:
        result = office.run("enroll", "Barack", "--photo", OBAMA, "--consent")
        assert result.code == 0
        assert "billed calls" in result.out
        assert "not on record" in result.err
        assert '[records] database = ""' in result.err

    def test_what_costs_nothing_is_not_warned_of(self, office: Office) -> None:
        assert "not on record" not in office.run("members", "reconcile").err

    def test_differences_are_mended_on_the_central_list(self, office: Office) -> None:
        """A signed face that the collection lacks is signed away, for all doors."""
        office.run("enroll", "Barack", "--photo", OBAMA, "--consent")
        office.center.run("UPDATE members SET name = 'x'")  # of no weight
        assert office.run("members", "forget", "Barack", "--yes", "--json").json()["erased"]["faces"] == 1
        assert "agree" in office.run("members", "reconcile", "--json").out


class TestPassword:
    @pytest.fixture
    def file(self, office: Office) -> Path:
        made = password(office)
        office.config.write_text(f'{office.config.read_text()}password_file = "{made}"\n')
        return made

    def test_it_is_the_files_first_line(self, office: Office, file: Path) -> None:
        file.write_text("first line \nsecond\n")
        assert wiring.mysql_password(load(office.config)) == "first line "

    def test_none_is_empty(self, office: Office) -> None:
        assert wiring.mysql_password(load(office.config)) == ""

    @pytest.mark.parametrize("mode", [0o640, 0o604])
    def test_a_file_that_others_may_read_is_refused(self, office: Office, file: Path, mode: int) -> None:
        file.chmod(mode)
        with pytest.raises(SettingsError, match="chmod go-rwx"):
            wiring.open_link(load(office.config))

    @pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
    def test_a_file_without_a_password_is_refused(self, office: Office, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        with pytest.raises(SettingsError, match="password_file"):
            wiring.open_link(load(office.config))

    def test_a_missing_file_is_named(self, office: Office, file: Path) -> None:
        file.unlink()
        result = office.run("members", "list")
        assert (result.code, str(file) in result.err) == (2, True)

    def test_a_folder_is_refused(self, office: Office, file: Path) -> None:
        file.unlink()
        file.mkdir(mode=0o700)
        with pytest.raises(SettingsError, match="not a file"):
            wiring.open_link(load(office.config))

    def test_systemds_credential_goes_first(
        self, office: Office, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Systemd says who may read it: its mode is not looked at."""
        file.chmod(0o644)
        (tmp_path / "smileaccess.mysql").write_text("other\n")
        (tmp_path / "smileaccess.mysql").chmod(0o640)
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        assert wiring.mysql_password(load(office.config)) == "other"

    def test_it_is_used(self, office: Office, file: Path) -> None:
        account = office.center.admit("reader")
        settings = office.config.read_text().replace('user = "root"', f'user = "{account}"')
        office.config.write_text(settings)
        assert office.run("attempts", "list").code == 0
        file.write_text("wrong\n")
        assert office.run("attempts", "list").code == 1


class TestTail:
    def test_what_comes_in_late_from_another_door_is_shown(self) -> None:
        """Once, and nothing that is older than what was shown at first."""
        records = FakeRecords()
        at = [denied(0, "test") for _ in range(5)]
        times = [NOON + timedelta(minutes=minutes) for minutes in (0, 1, 2, 1.5, -5)]
        rows = [
            Attempt(each.id, "test", Trigger.BUTTON, when, closed_at=when, outcome=Outcome.GRANTED)
            for each, when in zip(at, times, strict=True)
        ]
        records.rows = {row.id: row for row in rows[:3]}
        late = iter([rows[3], rows[4]])

        def again() -> bool:
            row = next(late, None)
            if row is not None:
                records.rows[row.id] = row
            return row is not None

        shown = [each.id for each in follow(records, 2, again, LATE)]
        assert shown == [rows[1].id, rows[2].id, rows[3].id]


def test_a_status_is_what_was_signed(office: Office) -> None:
    """Whoever writes the columns for people past the enroller changes nobody."""
    office.center.run("UPDATE members SET status = 'disabled', name = 'Eve'")
    (ada, bob) = office.run("members", "list", "--json").json()["members"]
    assert (ada["name"], bob["name"]) == ("Ada", "Bob")
    assert {ada["status"], bob["status"]} == {MemberStatus.ACTIVE.value}
