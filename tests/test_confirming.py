"""Waiting for doors to take a version of a member over, and what `forget` says of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from smileaccess import registry
from smileaccess.confirming import Confirmed, await_doors, look
from smileaccess.keys import public_half
from smileaccess.model import KnownDoor
from smileaccess.registry import Registry
from tests.fakes_devices import FakeClock
from tests.fakes_records import FakeConfirmations, FakeMembers
from tests.office import NOON, PRIVATE, person

SIDE, BACK, CELLAR = KnownDoor("side"), KnownDoor("back", NOON), KnownDoor("cellar", NOON, revoked_at=NOON)


@pytest.fixture
def doors() -> FakeConfirmations:
    return FakeConfirmations({door.name: door for door in (SIDE, BACK, CELLAR)})


def never(_: Confirmed) -> bool:
    pytest.fail("it waited")


def test_a_door_is_taken_waiting_or_shut_out(doors: FakeConfirmations) -> None:
    doors.confirm("side", {"m_1": 3}, NOON)
    assert look(doors, "m_1", 3) == Confirmed({"side": NOON}, (BACK,), (CELLAR,))
    assert not look(doors, "m_1", 3).complete


def test_a_door_that_took_it_over_before_it_was_revoked_has_it(doors: FakeConfirmations) -> None:
    doors.confirm("cellar", {"m_1": 3}, NOON)
    assert look(doors, "m_1", 3) == Confirmed({"cellar": NOON}, (BACK, SIDE), ())


@pytest.mark.parametrize("names", [[], ["cellar"], ["side"]])
def test_where_no_door_is_waited_for_it_does_not_wait(doors: FakeConfirmations, names: list[str]) -> None:
    """A revoked door is never waited for."""
    doors.known = {name: doors.known[name] for name in names}
    doors.confirm("side", {"m_1": 3}, NOON)
    assert await_doors(doors, "m_1", 3, never).complete


def test_it_waits_until_the_last_door(doors: FakeConfirmations) -> None:
    """An older version is not this one."""
    doors.confirm("side", {"m_1": 2}, NOON)
    waits = iter(["side", "back"])

    def again(found: Confirmed) -> bool:
        doors.confirm(next(waits), {"m_1": 3}, NOON + timedelta(seconds=len(found.taken)))
        return True

    assert await_doors(doors, "m_1", 3, again).taken == {"side": NOON, "back": NOON + timedelta(seconds=1)}


def test_it_waits_no_longer_than_told(doors: FakeConfirmations) -> None:
    left = iter([True, True, False])
    assert await_doors(doors, "m_1", 3, lambda _: next(left)).waiting == (BACK, SIDE)
    assert list(left) == []


class TestForget:
    @pytest.fixture
    def desk(self) -> Registry:
        made = Registry(FakeMembers(), PRIVATE, public_half(PRIVATE), "test", FakeClock(), "erin")
        made.put(person(), "member_enrolled", "")
        return made

    def forget(
        self, desk: Registry, doors: FakeConfirmations | None, again: Callable[[Confirmed], bool] = lambda _: False
    ) -> registry.Receipt:
        return registry.forget(desk, person(), desk.members.records, confirmations=doors, again=again)

    def test_the_receipt_waits_for_the_tombstone(self, desk: Registry, doors: FakeConfirmations) -> None:
        """What doors confirmed of the member before says nothing of the forgetting."""
        doors.confirm("side", {"m_ada": 1}, NOON)

        later = NOON + timedelta(seconds=1)
        waits = iter(["back", "side"])

        def again(_: Confirmed) -> bool:
            doors.confirm(next(waits), {"m_ada": 2}, later)
            return True

        assert self.forget(desk, doors, again).doors == Confirmed({"back": later, "side": later}, (), (CELLAR,))

    def test_without_doors_that_follow_it_says_nothing_of_them(self, desk: Registry) -> None:
        receipt = self.forget(desk, None)
        assert (receipt.doors, receipt.doors_unknown) == (None, "")

    def test_where_they_cannot_be_asked_the_member_is_forgotten_all_the_same(
        self, desk: Registry, doors: FakeConfirmations
    ) -> None:
        doors.failing = True
        receipt = self.forget(desk, doors)
        assert (receipt.doors, receipt.doors_unknown) == (None, "records: told to fail")
        assert desk.roster().members[0].name == ""
