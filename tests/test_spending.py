"""Counting billed calls and money: what is let through, what is refused, and when it begins anew."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smileaccess.errors import RecognizerUnavailable, SpendingCapReached
from smileaccess.model import Bill, Payer
from smileaccess.ports import Purse
from smileaccess.spending import Spending, SpendingRules, Spent, Tab, Tally, caps
from tests.fakes_devices import FakeClock

TODAY = date(2030, 1, 1)
TOMORROW = date(2030, 1, 2)
LOOSE = SpendingRules(
    calls_per_day=0,
    calls_per_month=0,
    micros_per_day=0,
    micros_per_month=0,
    attempts_per_minute=0,
)
"""No cap at all."""

CAPS = {
    "calls_per_day": replace(LOOSE, calls_per_day=10),
    "calls_per_month": replace(LOOSE, calls_per_month=10),
    "money_per_day": replace(LOOSE, micros_per_day=10_000),
    "money_per_month": replace(LOOSE, micros_per_month=10_000),
}
"""Each cap alone, at ten calls."""


class Till:
    """A purse with what it has put down and told."""

    def __init__(self, rules: SpendingRules = LOOSE, *bills: Bill, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.kept: list[Bill] = []
        self.told: list[tuple[str, str, Mapping[str, Any]]] = []
        self.spending = Spending(rules, bills, self.clock, self.kept.append, lambda *told: self.told.append(told))

    def pay(self, attempt: str, calls: int = 1) -> None:
        for _ in range(calls):
            self.spending.pay(attempt)

    def paid(self, attempt: str) -> bool:
        """Say whether a call was allowed."""
        try:
            self.spending.pay(attempt)
        except SpendingCapReached:
            return False
        return True

    @property
    def calls(self) -> int:
        return sum(bill.calls for bill in self.kept)

    def kinds(self) -> list[tuple[str, str]]:
        return [(kind, detail["setting"]) for kind, _, detail in self.told]


def bill(calls: int, day: date = TODAY, payer: Payer = Payer.DOOR) -> Bill:
    return Bill(day, payer, calls, 1000 * calls)


def test_it_is_a_purse() -> None:
    purse: Purse = Till().spending
    purse.pay("a")


def test_each_payment_is_put_down_as_a_bill_of_one_call_at_its_price() -> None:
    till = Till(replace(LOOSE, price_micros=250))
    till.pay("a", 2)
    assert till.kept == [Bill(TODAY, Payer.DOOR, 1, 250)] * 2


@pytest.mark.parametrize("setting", CAPS)
class TestEveryCap:
    def test_an_attempt_begins_where_all_of_it_fits_exactly(self, setting: str) -> None:
        till = Till(CAPS[setting], bill(4))
        till.pay("a", 6)
        assert till.calls == 6

    def test_an_attempt_does_not_begin_where_its_last_call_would_not_fit(self, setting: str) -> None:
        till = Till(CAPS[setting], bill(5))
        assert not till.paid("a")
        assert till.kept == []

    def test_the_refusal_names_the_setting_its_number_what_was_used_and_the_fix(self, setting: str) -> None:
        till = Till(CAPS[setting], bill(5))
        limit, used = ("10", "5 billed calls") if setting.startswith("calls") else ("0.01", "0.005 spent")
        period, wait = ("today", "day") if setting.endswith("day") else ("this month", "month")
        with pytest.raises(SpendingCapReached) as caught:
            till.pay("a")
        assert str(caught.value) == (
            f"[spending] {setting} = {limit}: reached: {used} {period}, and an attempt may need 6 more: "
            f"raise it, or wait for the next {wait} (UTC)"
        )

    def test_zero_is_no_cap(self, setting: str) -> None:
        till = Till(LOOSE, bill(10_000_000))
        assert till.paid("a"), setting

    def test_what_was_paid_before_a_restart_counts(self, setting: str) -> None:
        first = Till(CAPS[setting])
        first.pay("a", 5)
        assert not Till(CAPS[setting], *first.kept).paid("b")
        assert Till(CAPS[setting], *first.kept[:4]).paid("b")

    def test_what_others_paid_does_not(self, setting: str) -> None:
        assert Till(CAPS[setting], bill(10, payer=Payer.DESK)).paid("a")

    def test_it_is_told_once_a_period_that_it_refused(self, setting: str) -> None:
        till = Till(replace(CAPS[setting], warn_at=1.0), bill(5))
        assert [till.paid(name) for name in "abc"] == [False] * 3
        ((kind, why, detail),) = till.told
        assert (kind, detail["setting"], detail["period"]) == (
            "spending_cap",
            setting,
            "2030-01-01" if setting.endswith("day") else "2030-01",
        )
        assert why.startswith(f"[spending] {setting} = ")

    def test_a_warning_is_told_once_a_period_from_its_share_on(self, setting: str) -> None:
        till = Till(replace(CAPS[setting], attempt_calls=1))
        till.pay("a")
        for name in "bcdefg":
            till.pay(name)
        assert till.told == []
        for name in "hij":
            till.pay(name)
        ((kind, why, detail),) = till.told
        assert (kind, detail["used"]) == ("spending_warning", 8 if setting.startswith("calls") else 0.008)
        assert why.startswith(f"[spending] {setting} = ")
        assert "80 % or more is used: " in why

    def test_it_begins_anew_with_the_next_period(self, setting: str) -> None:
        till = Till(CAPS[setting], bill(10))
        days = 1 if setting.endswith("day") else 31
        till.clock.advance(86_400 * days - 1)
        assert not till.paid("a")
        till.clock.advance(1)
        assert till.paid("b")
        assert till.kept == [bill(1, TODAY + timedelta(days=days))]

    def test_a_cap_that_is_lowered_holds_at_once_and_one_that_is_raised_too(self, setting: str) -> None:
        till = Till(LOOSE, bill(5))
        till.spending.use(CAPS[setting])
        assert not till.paid("a")
        till.spending.use(LOOSE)
        assert till.paid("a")


def test_both_kinds_of_cap_are_told_again_in_the_next_period() -> None:
    till = Till(replace(LOOSE, calls_per_day=7, warn_at=0.1))
    for _ in range(2):
        till.pay("a")
        till.pay("b")
        assert not till.paid("c")
        till.clock.advance(86_400)
    assert till.kinds() == [("spending_warning", "calls_per_day"), ("spending_cap", "calls_per_day")] * 2
    assert [detail["period"] for _, _, detail in till.told] == ["2030-01-01"] * 2 + ["2030-01-02"] * 2


def test_each_cap_is_told_for_itself() -> None:
    till = Till(replace(LOOSE, calls_per_month=10, micros_per_month=10_000), bill(7))
    till.spending.charge(1)
    assert till.kinds() == [("spending_warning", "calls_per_month"), ("spending_warning", "money_per_month")]


def test_an_attempt_that_got_in_is_not_stopped_by_its_own_calls_nor_by_a_lower_cap() -> None:
    till = Till(CAPS["calls_per_day"], bill(4))
    till.pay("a")
    till.spending.use(replace(LOOSE, calls_per_day=1))
    till.pay("a", 5)
    assert till.calls == 6


def test_no_attempt_makes_more_calls_than_one_may() -> None:
    till = Till()
    till.pay("a", 6)
    with pytest.raises(SpendingCapReached, match=r"max_calls.*attempt a "):
        till.pay("a")
    assert (till.calls, till.told) == (6, [])


def test_an_attempt_that_is_followed_by_another_leaves_it_what_it_needs() -> None:
    """Two attempts that overlap stay below the cap together: the newer one has its calls for sure."""
    till = Till(CAPS["calls_per_day"])
    till.pay("a", 2)
    till.pay("b")
    assert [till.paid("a") for _ in range(3)] == [True, True, False]
    till.pay("b", 5)
    assert till.calls == 10


def test_what_an_attempt_did_not_need_is_free_for_the_next() -> None:
    till = Till(CAPS["calls_per_day"])
    for name in "ab":
        till.pay(name, 2)
    assert till.paid("c")


def test_calls_that_were_made_already_are_counted_beyond_any_cap() -> None:
    till = Till(CAPS["calls_per_day"])
    till.spending.charge(12)
    till.spending.charge(0)
    assert till.kept == [bill(12)]
    assert till.kinds() == [("spending_warning", "calls_per_day")]
    assert not till.paid("a")


class TestAttemptsAMinute:
    RULES = replace(LOOSE, attempts_per_minute=2)

    def test_so_many_may_pay_and_no_more(self) -> None:
        till = Till(self.RULES)
        assert [till.paid(name) for name in "abcab"] == [True, True, False, True, True]
        assert till.told == []

    def test_the_refusal_names_the_setting_and_the_fix(self) -> None:
        till = Till(self.RULES)
        till.pay("a")
        till.pay("b")
        with pytest.raises(SpendingCapReached) as caught:
            till.pay("c")
        assert str(caught.value) == (
            "[spending] attempts_per_minute = 2: reached: 2 attempts have paid within 60 s: wait a minute, or raise it"
        )

    def test_a_minute_after_its_last_payment_an_attempt_counts_no_more(self) -> None:
        till = Till(self.RULES)
        till.pay("a")
        till.pay("b")
        till.clock.advance(10)
        till.pay("b")
        till.clock.advance(49.9)
        assert not till.paid("c")
        till.clock.advance(0.1)
        assert [till.paid("c"), till.paid("d")] == [True, False]

    def test_zero_is_no_limit(self) -> None:
        till = Till()
        assert all(till.paid(str(number)) for number in range(100))

    def test_the_wall_clock_does_not_matter(self) -> None:
        till = Till(self.RULES)
        till.pay("a")
        till.pay("b")
        till.clock.epoch += timedelta(days=1)
        assert not till.paid("c")


class TestSummary:
    def test_it_tells_calls_and_money_of_today_and_the_month_and_the_caps(self) -> None:
        till = Till(SpendingRules(), bill(7, TODAY - timedelta(days=1)), bill(5, date(2030, 1, 31)), bill(3))
        till.pay("a")
        told = till.spending.summary()
        assert told == json.loads(json.dumps(told))
        assert told == {
            "today": {"calls": 4, "money": 0.004},
            "this_month": {"calls": 9, "money": 0.009},
            "caps": {
                "calls_per_day": 3000,
                "calls_per_month": 30_000,
                "money_per_day": 3.0,
                "money_per_month": 30.0,
            },
            "reached": "",
        }

    @pytest.mark.parametrize("setting", CAPS)
    def test_it_names_the_cap_that_lets_no_attempt_begin(self, setting: str) -> None:
        assert Till(CAPS[setting], bill(4)).spending.summary()["reached"] == ""
        assert Till(CAPS[setting], bill(5)).spending.summary()["reached"] == setting

    def test_whoever_is_told_may_ask(self) -> None:
        """The callables are called without the lock."""
        asked: list[dict[str, Any]] = []
        clock = FakeClock()
        spending = Spending(
            replace(LOOSE, calls_per_day=6, warn_at=0.1),
            (),
            clock,
            lambda _: asked.append(spending.summary()),
            lambda *_: asked.append(spending.summary()),
        )
        spending.pay("a")
        assert [each["today"]["calls"] for each in asked] == [1, 1]


def test_a_clock_that_was_set_wrong_and_right_again_finds_the_days_sum() -> None:
    till = Till(CAPS["calls_per_day"], bill(5))
    till.clock.epoch -= timedelta(days=2)
    assert till.paid("a")
    till.clock.epoch += timedelta(days=2)
    assert not till.paid("b")


def test_a_refusal_is_a_recognizer_that_cannot_be_asked_so_that_the_fallback_is() -> None:
    assert issubclass(SpendingCapReached, RecognizerUnavailable)


@pytest.fixture
def restless() -> Iterator[None]:
    """Let threads take turns as often as they can, so that what is not held by a lock comes apart."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_threads_of_one_attempt_make_no_more_than_its_calls() -> None:
    for _ in range(20):
        till, start = Till(CAPS["calls_per_day"]), threading.Barrier(4)

        def pay(till: Till = till, start: threading.Barrier = start) -> list[bool]:
            start.wait()
            return [till.paid("a") for _ in range(5)]

        with ThreadPoolExecutor(4) as pool:
            told = [each.result() for each in [pool.submit(pay) for _ in range(4)]]
        assert (sum(map(sum, told)), till.calls) == (6, 6)


@pytest.mark.usefixtures("restless")
def test_threads_of_many_attempts_stay_below_the_cap() -> None:
    till, start = Till(replace(LOOSE, calls_per_day=100)), threading.Barrier(4)

    def pay(thread: int) -> None:
        start.wait()
        for number in range(100):
            till.paid(f"{thread} {number // 3}")

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(pay, thread) for thread in range(4)]:
            each.result()
    assert 94 < till.calls <= 100
    assert till.spending.summary()["today"]["calls"] == till.calls


STEPS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([0, 0, 0, 5, 61, 20_000, 900_000])), max_size=120)
RULES = st.builds(
    SpendingRules,
    price_micros=st.sampled_from([0, 700, 1000]),
    calls_per_day=st.integers(0, 30),
    calls_per_month=st.integers(0, 60),
    micros_per_day=st.integers(0, 30_000),
    micros_per_month=st.integers(0, 60_000),
    warn_at=st.sampled_from([0.1, 0.8, 1.0]),
    attempts_per_minute=st.integers(0, 4),
    attempt_calls=st.integers(1, 6),
)


def within(rules: SpendingRules, kept: list[Bill]) -> bool:
    """Say whether bills keep every cap on every day and in every month, added up in the simplest way."""
    limits = (
        (rules.calls_per_day, "%Y-%m-%d", "calls"),
        (rules.calls_per_month, "%Y-%m", "calls"),
        (rules.micros_per_day, "%Y-%m-%d", "micros"),
        (rules.micros_per_month, "%Y-%m", "micros"),
    )
    for limit, period, what in limits:
        sums: dict[str, int] = {}
        for each in kept:
            name = each.day.strftime(period)
            sums[name] = sums.get(name, 0) + getattr(each, what)
        if limit and max(sums.values(), default=0) > limit:
            return False
    return True


@given(RULES, STEPS)
def test_whatever_is_asked_no_cap_is_ever_passed(rules: SpendingRules, steps: list[tuple[str, int]]) -> None:
    """Any attempts in any order and at any time, with a restart from what was put down in between."""
    till = Till(rules)
    for attempt, passed_s in steps:
        till.clock.advance(passed_s)
        till.paid(attempt)
    assert within(rules, till.kept)
    again = Till(rules, *till.kept, clock=till.clock)
    for attempt, passed_s in steps:
        again.clock.advance(passed_s)
        again.paid(attempt)
    assert within(rules, till.kept + again.kept)
    for each in (till, again):
        keys = [(kind, detail["setting"], detail["period"]) for kind, _, detail in each.told]
        assert len(keys) == len(set(keys))


@given(RULES, st.lists(st.integers(0, 8), max_size=40))
def test_an_attempt_that_got_in_makes_all_of_its_calls(rules: SpendingRules, wanted: list[int]) -> None:
    """One attempt after the other: the first call decides, and is allowed exactly where all of them fit."""
    till = Till(replace(rules, attempts_per_minute=0))
    for number, calls in enumerate(wanted):
        fits = all(cap.fits(rules.attempt_calls) for cap in caps(rules, summed(till.kept), TODAY))
        told = [till.paid(str(number)) for _ in range(calls)]
        assert told == [fits and call < rules.attempt_calls for call in range(calls)]


def summed(kept: list[Bill]) -> Tally:
    tally = Tally()
    for each in kept:
        tally = tally.plus(each.day, Spent(each.calls, each.micros))
    return tally


class TestTally:
    DAYS = (date(2029, 12, 31), TODAY, TOMORROW, date(2030, 1, 31), date(2030, 2, 1), date(2031, 1, 1))

    def test_a_day_and_its_calendar_month_are_told_apart_from_others(self) -> None:
        tally = Tally({day: Spent(10**place, 0) for place, day in enumerate(self.DAYS)})
        assert (tally.on(TODAY).calls, tally.month_of(TODAY).calls) == (10, 1110)
        assert tally.on(date(2030, 1, 5)) == Spent()


def test_a_wrong_clock_forgets_nothing() -> None:
    """A call that is counted while the clock stands in 1970 takes no cap away from today."""
    till = Till(replace(LOOSE, calls_per_day=6, calls_per_month=6))
    till.pay("a", 6)
    right = till.clock.epoch
    till.clock.epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert till.paid("b")
    till.clock.epoch = right

    assert not till.paid("c")
    assert till.spending.summary()["today"]["calls"] == 6


def test_what_an_attempt_has_paid_so_far_is_known() -> None:
    """Also while a question of it is still out; nothing of one that never paid."""
    till = Till()
    till.pay("a", 2)
    till.pay("b", 1)

    assert [till.spending.paid(attempt) for attempt in ("a", "b", "c")] == [2, 1, 0]


def test_the_day_is_utc() -> None:
    clock = FakeClock()
    clock.epoch = datetime(2030, 1, 1, 23, 59, 59, tzinfo=UTC) - timedelta(seconds=clock.time)
    till = Till(clock=clock)
    till.pay("a")
    clock.advance(1)
    till.pay("a")
    assert [each.day for each in till.kept] == [TODAY, TOMORROW]


# A command's


def test_a_commands_calls_are_one_bill_of_the_desks() -> None:
    """Nobody is refused; what was called is put on record as the desk's, so that it uses up no cap of the door's."""
    tab = Tab(FakeClock(), 1000)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(40):
            pool.submit(tab.pay, "")

    assert tab.bill() == Bill(FakeClock().now().date(), Payer.DESK, 40, 40_000)
    spending = Till(replace(LOOSE, calls_per_day=1, attempt_calls=1), replace(tab.bill(), day=TODAY)).spending
    spending.pay("a")


def test_a_command_without_calls_has_no_bill() -> None:
    """Nothing goes on record for nothing."""
    assert Tab(FakeClock(), 1000).bill() is None
