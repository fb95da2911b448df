"""The members' list on a real server: what people can read there, two at once, lost answers, and what a door may."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smileaccess.errors import RecordsBusy, RecordsError, RecordsFailed, RecordsUnavailable, ShutOut
from smileaccess.membership import forgotten, sign
from smileaccess.model import KnownDoor, Member, MemberStatus, SignedMember
from smileaccess.records.mysql.link import Link
from smileaccess.records.mysql.people import TRIES, CentralMembers
from tests.mariadb import MariaDB
from tests.office import NOON, PASSWORD, PRIVATE, Center, new_center, person, told


@pytest.fixture
def center(mariadb: MariaDB) -> Center:
    return new_center(mariadb)


@pytest.fixture
def people(center: Center) -> Iterator[CentralMembers]:
    with closing(center.link()) as link:
        yield CentralMembers(link)


def signed(member: Member) -> SignedMember:
    return sign(member, PRIVATE)


def put(people: CentralMembers, *members: Member) -> None:
    for member in members:
        people.put_member(signed(member), told(member.id))


class TestForPeople:
    def test_what_was_signed_can_be_read_in_columns(self, center: Center, people: CentralMembers) -> None:
        until = datetime(2026, 12, 24, 0, 0, 0, 5, tzinfo=UTC)
        put(people, person(name="Ada 李", valid_until=until, status=MemberStatus.DISABLED))
        assert center.run(
            "SELECT id, version, name, status, consent_given_at, consent_text, valid_from, valid_until, doors, "
            "schedule, changed_at FROM members"
        ) == [
            ("m_ada", 1, "Ada 李", "disabled", naive(NOON), "1", None, naive(until), None, None, naive(NOON)),
        ]
        assert center.run("SELECT member_id, id, collection, model, added_at, sealed FROM faces ORDER BY id") == [
            ("m_ada", "face-1", "smileaccess", "7", naive(NOON), None),
            ("m_ada", "t_0", None, "sface", naive(NOON), b"\x01\xff\x00"),
            ("m_ada", "t_1", None, "sface", naive(NOON), b"\x01\xff\x01"),
        ]

    def test_the_event_stands_beside_it_and_is_no_link(self, center: Center, people: CentralMembers) -> None:
        event = told(kind="member_enrolled")
        people.put_member(signed(person()), event)
        assert center.run("SELECT id, door, record, kind, who, seq, hash FROM door_events") == [
            (event.id, "", "", "member_enrolled", "erin", None, None)
        ]

    def test_of_somebody_forgotten_only_the_id_is_left(self, center: Center, people: CentralMembers) -> None:
        put(people, person(), forgotten(person()))
        assert center.run("SELECT id, version, name, status, consent_given_at, valid_until FROM members") == [
            ("m_ada", 2, "", "forgotten", None, None)
        ]
        assert center.run("SELECT * FROM faces") == []
        assert b"Ada" not in people.signed_members()[0].document

    @pytest.mark.parametrize(
        "wrong",
        [
            {"document": b"no JSON"},
            {"document": b'{"name": "Ada"}'},
            {"document": b"[]"},
            {"sealed": {"t_0": b"1"}},
            {"sealed": {"t_0": b"1", "t_1": b"2", "t_2": b"3"}},
        ],
        ids=lambda wrong: str(next(iter(wrong.values()))),
    )
    def test_what_is_no_members_document_is_refused(
        self, center: Center, people: CentralMembers, wrong: dict[str, Any]
    ) -> None:
        with pytest.raises(RecordsFailed, match="m_ada"):
            people.put_member(replace(signed(person()), **wrong), told())
        assert (people.signed_members(), center.run("SELECT * FROM door_events")) == ([], [])


def naive(when: datetime) -> datetime:
    return when.replace(tzinfo=None)


class TestRevision:
    def test_no_order_of_commits_hides_a_change(self, center: Center, people: CentralMembers) -> None:
        """A change that began first and is committed last is seen, though a newer one was seen before."""
        put(people, person("m_a"), person("m_b"))
        seen = {people.revision()}
        with closing(center.server.connect(center.database)) as slow, slow.cursor() as cursor:
            cursor.execute("START TRANSACTION")
            cursor.execute("UPDATE members SET version = 2 WHERE id = 'm_a'")
            put(people, person("m_b", 2))
            seen.add(people.revision())
            cursor.execute("COMMIT")
        seen.add(people.revision())
        assert len(seen) == 3

    def test_it_reads_an_index_only(self, center: Center, people: CentralMembers) -> None:
        put(people, *(person(f"m_{number}") for number in range(20)))
        plan = center.run("EXPLAIN SELECT COUNT(*) AS members, SUM(version) AS versions FROM members")
        assert "Using index" in str(plan)


class TestTwoAtOnce:
    @pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
    def test_one_of_two_who_change_a_member_wins(self, center: Center, known: bool) -> None:
        """The other one is told so, and nothing of it is stored."""
        for turn in range(10):
            first = person(f"m_{turn}")
            if known:
                with closing(center.link()) as link:
                    put(CentralMembers(link), first)
            member = replace(first, version=2 if known else 1)
            ends = self.race(center, [replace(member, name=name) for name in ("Ann", "Bob")])
            (refused,) = [end for end in ends if not isinstance(end, str)]
            assert "somebody else changed the member" in str(refused)
            stored = center.run("SELECT name FROM members WHERE id = %s", member.id)
            assert stored == [(next(end for end in ends if isinstance(end, str)),)]
        assert center.run("SELECT COUNT(*) FROM door_events") == [(20 if known else 10,)]

    def race(self, center: Center, members: list[Member]) -> list[str | RecordsFailed]:
        ends: list[str | RecordsFailed] = []
        together = threading.Barrier(len(members))

        def change(member: Member) -> None:
            with closing(center.link()) as link:
                people = CentralMembers(link)
                people.revision()
                together.wait(10)
                try:
                    people.put_member(signed(member), told(member.id))
                except RecordsFailed as error:
                    ends.append(error)
                else:
                    ends.append(member.name)

        threads = [threading.Thread(target=change, args=(member,)) for member in members]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        return ends


class Troubled(Link):
    """A connection on which `trouble` is asked before and after each statement, and may raise."""

    trouble: Callable[[str, str], None] = staticmethod(lambda _when, _sql: None)

    def change(self, sql: str, *values: Any) -> int:
        self.trouble("before", sql)
        changed = super().change(sql, *values)
        self.trouble("after", sql)
        return changed


class TestTrouble:
    @pytest.fixture
    def link(self, center: Center) -> Iterator[Troubled]:
        with closing(center.link(kind=Troubled)) as made:
            yield made

    def cut(self, link: Troubled, when: str, wanted: str, then: Callable[[], None] = lambda: None) -> None:
        """Lose the connection once, before or after a statement."""
        left = [1]

        def trouble(now: str, sql: str) -> None:
            if (now, sql.split(maxsplit=1)[0]) == (when, wanted) and left:
                left.clear()
                link.close()
                then()
                raise RecordsUnavailable("mysql: gone away")

        link.trouble = trouble

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("statement", ["START", "UPDATE", "INSERT", "DELETE", "COMMIT"])
    def test_wherever_the_connection_is_lost_the_change_is_made_once(
        self, center: Center, link: Troubled, when: str, statement: str
    ) -> None:
        """Also where only the answer of the commit was lost."""
        self.cut(link, when, statement)
        member = signed(person())
        people = CentralMembers(link)
        people.put_member(member, told())
        assert people.signed_members() == [member]
        assert center.run("SELECT COUNT(*) FROM door_events") == [(1,)]

    def test_who_lost_a_connection_and_was_overtaken_meanwhile_is_told(self, center: Center, link: Troubled) -> None:
        def other() -> None:
            with closing(center.link()) as another:
                put(CentralMembers(another), person(name="Bob"))

        self.cut(link, "before", "COMMIT", other)
        with pytest.raises(RecordsFailed, match="somebody else"):
            put(CentralMembers(link), person(name="Ann"))
        assert center.run("SELECT name FROM members") == [("Bob",)]

    @pytest.mark.parametrize("times", [TRIES - 1, TRIES])
    def test_a_deadlock_is_tried_again_so_often_and_no_more(self, center: Center, link: Troubled, times: int) -> None:
        left = [RecordsBusy("mysql: deadlock")] * times

        def trouble(now: str, sql: str) -> None:
            if (now, sql) == ("before", "COMMIT") and left:
                raise left.pop()

        link.trouble = trouble
        if times < TRIES:
            put(CentralMembers(link), person())
        else:
            with pytest.raises(RecordsBusy):
                put(CentralMembers(link), person())
        assert center.run("SELECT COUNT(*) FROM members") == [(int(times < TRIES),)]

    def test_who_is_shut_out_asks_once(self, link: Troubled) -> None:
        """Another try would be refused as well, and would count against the account."""
        asked = []

        def trouble(_now: str, sql: str) -> None:
            asked.append(sql)
            raise ShutOut("mysql: no such right")

        link.trouble = trouble
        with pytest.raises(ShutOut):
            put(CentralMembers(link), person())
        assert [sql.split(maxsplit=1)[0] for sql in asked] == ["UPDATE", "ROLLBACK"]

    def test_without_a_server_it_is_unavailable(self, link: Troubled) -> None:
        def trouble(_now: str, _sql: str) -> None:
            raise RecordsUnavailable("mysql: gone away")

        link.trouble = trouble
        with pytest.raises(RecordsUnavailable, match="gone away"):
            put(CentralMembers(link), person())


class TestDoor:
    @pytest.fixture
    def account(self, center: Center) -> str:
        return center.add_door("front")

    @pytest.fixture(params=["", "front"], ids=["found out", "told"])
    def door(self, request: pytest.FixtureRequest, center: Center, account: str) -> Iterator[CentralMembers]:
        with closing(center.link(account, PASSWORD)) as link:
            yield CentralMembers(link, request.param)

    def test_it_reads_all_members_and_some(self, people: CentralMembers, door: CentralMembers) -> None:
        members = [person("m_a"), person("m_b", 7), person("m_c")]
        put(people, *members)
        assert sorted(door.signed_members(), key=lambda each: each.id) == [signed(each) for each in members]
        assert door.versions() == {"m_a": 1, "m_b": 7, "m_c": 1}
        assert door.revision() == people.revision()
        found = door.fetch(["m_b", "m_x", "m_c"])
        assert sorted(found, key=lambda each: each.id) == [signed(each) for each in members[1:]]
        assert door.fetch([]) == []

    def test_many_are_fetched(self, people: CentralMembers, door: CentralMembers) -> None:
        many = [person(f"m_{number:03}") for number in range(205)]
        put(people, *many)
        assert len(door.fetch([each.id for each in many])) == 205

    def test_it_changes_nobody(self, center: Center, door: CentralMembers) -> None:
        with pytest.raises(RecordsError):
            put(door, person())
        assert center.run("SELECT * FROM members") == []

    def test_a_revoked_one_sees_nobody(self, center: Center, people: CentralMembers, door: CentralMembers) -> None:
        put(people, person())
        center.run("UPDATE doors SET revoked_at = NOW(6)")
        assert (door.signed_members(), door.versions(), door.revision()) == ([], {}, 0)

    def test_it_confirms_what_it_holds(self, people: CentralMembers, door: CentralMembers) -> None:
        later = NOON + timedelta(hours=1)
        door.confirm("front", {}, NOON)
        assert people.confirmed("m_a", 1) == {}
        door.confirm("front", {"m_a": 1, "m_b": 3}, NOON)
        door.confirm("front", {"m_a": 2, "m_b": 3}, later)
        assert people.confirmed("m_a", 1) == people.confirmed("m_b", 3) == {"front": NOON}
        assert people.confirmed("m_a", 2) == {"front": later}
        assert people.confirmed("m_a", 3) == people.confirmed("m_x", 1) == {}

    def test_it_confirms_for_no_other_door(self, people: CentralMembers, door: CentralMembers) -> None:
        with pytest.raises(RecordsFailed):
            door.confirm("back", {"m_a": 1}, NOON)
        assert people.confirmed("m_a", 1) == {}

    def test_two_processes_of_a_door_may_confirm_the_same(self, center: Center, account: str) -> None:
        """What another one put down between the look and the insert is no error, and the rest is put down."""

        class Outdated(Link):
            def all(self, sql: str, *values: Any) -> list[dict[str, Any]]:
                return [] if "SELECT member_id, version FROM own_confirmations" in sql else super().all(sql, *values)

        with closing(center.link(account, PASSWORD, Outdated)) as link:
            door = CentralMembers(link, "front")
            door.confirm("front", {"m_a": 1}, NOON)
            door.confirm("front", {"m_z": 1, "m_a": 1, "m_b": 1}, NOON)
        assert center.run("SELECT member_id, version FROM confirmations ORDER BY member_id") == [
            ("m_a", 1),
            ("m_b", 1),
            ("m_z", 1),
        ]


def test_doors_are_known_with_when_they_were_heard_of(center: Center, people: CentralMembers) -> None:
    center.add_door("side")
    center.add_door("back", revoked_at=NOON)
    for hour in (3, 9, 6):
        center.run("INSERT INTO contacts VALUES ('side', %s, '2.0')", f"2026-11-22 {hour:02}:00:00.25")
    heard_at = datetime(2026, 11, 22, 9, 0, 0, 250_000, tzinfo=UTC)
    assert people.doors() == [KnownDoor("back", None, NOON), KnownDoor("side", heard_at, None)]


def test_an_event_of_no_member_is_put_down(center: Center, people: CentralMembers) -> None:
    event = told(kind="collection_created", detail={"collection": "smileaccess"})
    people.add_event(event)
    assert center.run("SELECT id, kind, detail FROM door_events") == [
        (event.id, "collection_created", '{"collection":"smileaccess"}')
    ]
