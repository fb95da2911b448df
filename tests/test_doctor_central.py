"""The checks of the central database: each warns and faults for its reason, and for no other."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smileaccess.delivery import Refused
from smileaccess.doctor import applicable
from smileaccess.model import Reason
from tests.house import House, attempt
from tests.mariadb import MariaDB
from tests.test_cli_database import Fleet, fleet, ready
from tests.test_doctor import Shifted, levels, look, only, site_of

__all__ = ["fleet", "ready"]


def asked(fleet: Fleet, name: str = "central", **world: Any) -> Any:
    return look(site_of(fleet.house, **world), name)


def test_a_door_without_a_central_database_has_nothing_to_say(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert look(site_of(house), "central") == look(site_of(house), "delivery") == []


def test_a_registered_door_is_fine(ready: Fleet) -> None:
    ready.as_door()
    found = asked(ready)
    assert levels(found) == ["fine", "fine", "fine"]
    assert ready.server.address in found[0].found


def test_a_database_that_does_not_answer_is_a_fault(ready: Fleet) -> None:
    ready.house.config.write_text(ready.house.config.read_text().replace(ready.server.address, "127.0.0.1:1"))
    assert "127.0.0.1:1" in only(asked(ready), "fault").found


def test_a_password_that_is_wrong_is_a_fault(ready: Fleet) -> None:
    secret = ready.register()
    secret.write_text("another\n")
    ready.join(f"{ready.database[-20:]}_front", secret)
    assert "password" in only(asked(ready), "fault").advice


def test_a_database_without_our_tables_is_a_fault(mariadb: MariaDB, fleet: Fleet) -> None:
    mariadb.run(f"CREATE DATABASE {fleet.database}")
    assert "database init" in only(asked(fleet), "fault").advice


def test_a_door_that_is_not_registered_is_a_fault(ready: Fleet) -> None:
    ready.register("other")
    ready.join(f"{ready.database[-20:]}_other", ready.house.folder / "other.pw")
    assert "door register front" in only(asked(ready), "fault").advice


def test_a_revoked_door_is_a_fault(ready: Fleet) -> None:
    ready.as_door()
    ready.rows("UPDATE doors SET revoked_at = UTC_TIMESTAMP(6)")
    assert "revoked" in only(asked(ready), "fault").found


def test_an_account_that_may_too_much_is_a_warning(ready: Fleet) -> None:
    assert "may more than a door needs" in only(asked(ready), "warning").found


@pytest.mark.parametrize(("apart_s", "level"), [(50, "fine"), (70, "fault"), (-70, "fault")])
def test_clocks_that_are_far_apart_are_a_fault(ready: Fleet, apart_s: float, level: str) -> None:
    ready.as_door()
    assert asked(ready, clock=Shifted(apart_s))[1].level == level


def test_where_no_door_is_only_the_desk_is_looked_at(ready: Fleet) -> None:
    """No camera, no record and no registration are missed where people are only enrolled."""
    ready.house.config.write_text(ready.house.config.read_text().replace(str(ready.house.database), ""))
    checks = applicable(site_of(ready.house))
    assert [check.name for check in checks] == ["settings", "libraries", "networks", "central"]
    assert levels(asked(ready)) == ["fine", "fine"]


# What waits


def test_a_record_that_is_delivered_and_a_list_that_is_fresh_are_fine(ready: Fleet) -> None:
    with closing(ready.house.spool()) as spool:
        spool.synced(datetime.now(UTC))
    assert levels(asked(ready, "delivery")) == ["fine", "fine"]


def test_a_list_that_was_never_compared_is_a_warning(ready: Fleet) -> None:
    assert "never" in only(asked(ready, "delivery"), "warning").found


def test_a_list_that_is_too_old_is_a_fault(ready: Fleet) -> None:
    with closing(ready.house.spool()) as spool:
        spool.synced(datetime.now(UTC) - timedelta(hours=25))
    assert "opens to nobody" in only(asked(ready, "delivery"), "fault").found


def test_rows_that_wait_for_long_are_a_warning(ready: Fleet) -> None:
    ready.house.put(attempt())
    with closing(ready.house.spool()) as spool:
        spool.synced(datetime.now(UTC))
    assert "1 rows wait" in only(asked(ready, "delivery"), "warning").found


def test_refused_rows_are_a_fault(ready: Fleet) -> None:
    ready.house.put(attempt(Reason.NO_FACE))
    with closing(ready.house.spool()) as spool:
        spool.synced(datetime.now(UTC))
        outbox = spool.outbox()
        row = outbox.waiting(1)[0]
        outbox.delivered(row.sequence, (Refused(row, "odd"),), datetime.now(UTC))
    assert "database resend" in only(asked(ready, "delivery"), "fault").advice
