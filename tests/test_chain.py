"""The keyed hash chain by itself."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smileaccess.encoding import canonical, moment, stamp
from smileaccess.errors import ChainBroken
from smileaccess.model import ChainHead
from smileaccess.records import chain
from smileaccess.records.chain import Link, State

KEY = b"k" * 32
START = chain.genesis(KEY, "front")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def made(count: int) -> list[Link]:
    links, head = [], START
    for number in range(1, count + 1):
        columns = {"id": f"row{number}", "why": "because", "n": number}
        head = chain.follow(KEY, head, "event", columns)
        links.append(Link(number, "event", f"row{number}", columns, head.hash))
    return links


def walk(links: list[Link], key: bytes = KEY) -> list[ChainHead]:
    return list(chain.checked(key, START, links))


def broken(links: list[Link]) -> ChainBroken:
    with pytest.raises(ChainBroken) as caught:
        walk(links)
    return caught.value


def test_a_link_is_the_hmac_of_the_previous_and_the_canonical_row() -> None:
    content = b'["event",1,{"id":"row1","n":1,"why":"because"}]'
    expected = hmac.new(KEY, bytes.fromhex(START.hash) + content, hashlib.sha256).hexdigest()
    assert made(1)[0].hash == expected


def test_a_whole_chain_yields_each_link() -> None:
    links = made(5)
    assert walk(links) == [ChainHead(link.sequence, link.hash) for link in links]


def test_another_key_or_another_door_begins_another_chain() -> None:
    assert len({START, chain.genesis(KEY, "back"), chain.genesis(b"j" * 32, "front")}) == 3
    with pytest.raises(ChainBroken):
        walk(made(1), key=b"j" * 32)


@pytest.mark.parametrize(
    "change",
    [
        {"columns": {"id": "row3", "why": "becausf", "n": 3}},
        {"columns": {"id": "row3", "why": "because", "n": 3.0}},
        {"columns": {"id": "row3", "why": "because"}},
        {"columns": {"id": "row3", "why": "because\udcff", "n": 3}},
        {"columns": {"id": "row3", "why": b"because", "n": 3}},
        {"what": "attempt opened"},
        {"hash": "0" * 64},
        {"hash": None},
    ],
)
def test_an_altered_link_is_named(change: dict[str, object]) -> None:
    links = made(5)
    links[2] = replace(links[2], **change)
    error = broken(links)
    assert error.sequence == 3
    assert "row3" in str(error)
    assert "3" in str(error)


def test_a_missing_link_is_named() -> None:
    links = made(5)
    del links[2]
    assert broken(links).sequence == 3


def test_a_link_that_comes_twice_is_named() -> None:
    links = made(5)
    links.insert(3, links[2])
    assert broken(links).sequence == 3


def test_swapped_rows_are_found() -> None:
    links = made(5)
    links[1], links[2] = (
        replace(links[2], sequence=2, hash=links[1].hash),
        replace(links[1], sequence=3, hash=links[2].hash),
    )
    assert broken(links).sequence == 2


def test_a_cut_off_end_is_found() -> None:
    heads = walk(made(5))
    assert list(chain.ending(heads, START, heads[-1])) == heads
    with pytest.raises(ChainBroken, match="link 4 and all to 5") as caught:
        list(chain.ending(heads[:3], START, heads[-1]))
    assert caught.value.sequence == 4
    with pytest.raises(ChainBroken, match="ends at"):
        list(chain.ending(heads, START, heads[3]))
    with pytest.raises(ChainBroken):
        list(chain.ending([], START, heads[0]))


def test_a_head_from_elsewhere_is_contained_or_not() -> None:
    heads = walk(made(5))
    for head in (START, *heads):
        assert list(chain.containing(heads, START, head)) == heads
    for wrong in (ChainHead(6, heads[4].hash), ChainHead(3, heads[4].hash), ChainHead(0, heads[0].hash)):
        with pytest.raises(ChainBroken) as caught:
            list(chain.containing(heads, START, wrong))
        assert caught.value.sequence == wrong.sequence


def test_the_states_seal_covers_every_field() -> None:
    state = State("front", "id", "now", 3, "aa", 1, "bb", None, "cc")
    changed = [replace(state, **{field.name: 99}) for field in fields(State)]
    assert len({each.mac(KEY) for each in (state, *changed)}) == len(fields(State)) + 1
    assert state.mac(b"j" * 32) != state.mac(KEY)


def test_seals_for_different_purposes_differ() -> None:
    assert chain.seal(KEY, "a", "x") != chain.seal(KEY, "b", "x")


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()), st.data())
def test_equal_columns_link_equally_in_any_order(columns: dict[str, chain.Value], data: st.DataObject) -> None:
    shuffled = dict(data.draw(st.permutations(list(columns.items()))))
    assert chain.follow(KEY, START, "event", columns) == chain.follow(KEY, START, "event", shuffled)


@given(JSON, JSON)
def test_canonical_bytes_are_equal_only_for_equal_values(one: object, other: object) -> None:
    assert (canonical(one) == canonical(other)) == (repr(sort(one)) == repr(sort(other)))


def sort(value: object) -> object:
    if isinstance(value, dict):
        return {key: sort(value[key]) for key in sorted(value)}
    return [sort(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", b"bytes", {1, 2}])
def test_what_json_cannot_hold_has_no_canonical_form(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical([value])


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_stamps_come_back_and_sort_as_times_do(one: datetime, other: datetime) -> None:
    assert moment(stamp(one)) == one
    assert (stamp(one) < stamp(other)) == (one < other)


def test_a_stamp_is_utc_of_fixed_width() -> None:
    east = timezone(timedelta(hours=2))
    assert stamp(datetime(2026, 11, 22, 15, tzinfo=east)) == "2026-11-22T13:00:00.000000Z"
    with pytest.raises(ValueError, match="time zone"):
        stamp(datetime(2026, 11, 22))  # noqa: DTZ001


@pytest.mark.parametrize(
    "text",
    ["", "x", "2026-11-22", "2026-11-22T13:00:00Z", "2026-11-22T13:00:00.000000", "2026-11-22T13:00:00.000000+00:00"],
)
def test_only_our_own_writing_of_a_time_is_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        moment(text)
