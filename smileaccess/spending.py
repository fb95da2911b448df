"""Counts the door's billed calls and their price, and says when no more may be made; it never does I/O.

What is put down, and who is told, are callables of the caller's. Days and months are UTC, as the service bills.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from smileaccess.errors import SpendingCapReached
from smileaccess.model import Bill, Payer

if TYPE_CHECKING:
    from smileaccess.ports import Clock

    Notice = tuple[str, str, Mapping[str, Any]]

MILLION = 1_000_000
"""Millionths of the account's currency in one unit of it."""

WINDOW_S = 60.0
"""The minute of `attempts_per_minute`; no attempt is longer than this without a call (`[door] attempt_s`)."""


@dataclass(frozen=True, slots=True)
class SpendingRules:
    """What the owner allows to be spent; 0 is no cap.

    `price_micros`, of one call, is Amazon Rekognition's list price per image: USD 0.001 for the first million a month.
    From the share `warn_at` of a cap on, a warning is given. `attempts_per_minute` counts attempts that pay. An attempt
    begins to pay only if all of the `attempt_calls` that it may need fit under every cap.
    """

    price_micros: int = 1000
    calls_per_day: int = 3000
    calls_per_month: int = 30_000
    micros_per_day: int = 3_000_000
    micros_per_month: int = 30_000_000
    warn_at: float = 0.8
    attempts_per_minute: int = 10
    attempt_calls: int = 6


@dataclass(frozen=True, slots=True)
class Spent:
    """A number of billed calls, and their price in millionths."""

    calls: int = 0
    micros: int = 0

    def plus(self, other: Spent) -> Spent:
        """Return both together."""
        return Spent(self.calls + other.calls, self.micros + other.micros)


@dataclass(frozen=True, slots=True)
class Tally:
    """What was spent on each day (UTC); a clock that is set back finds its day's sum again."""

    days: Mapping[date, Spent] = field(default_factory=dict)

    def plus(self, day: date, spent: Spent) -> Tally:
        """Return the tally with something more spent on a day."""
        return Tally({**self.days, day: self.on(day).plus(spent)})

    def on(self, day: date) -> Spent:
        """Return what was spent on a day."""
        return self.days.get(day, Spent())

    def month_of(self, day: date) -> Spent:
        """Return what was spent in a day's calendar month."""
        total = Spent()
        for each, spent in self.days.items():
            if (each.year, each.month) == (day.year, day.month):
                total = total.plus(spent)
        return total


@dataclass(frozen=True, slots=True)
class Cap:
    """One cap as it stands: the setting that makes it, and what was used of it in its period.

    Where `per_unit` is 1 it counts calls; else money in millionths, MILLION a unit. A call adds `per_call`.
    """

    setting: str
    limit: int
    used: int
    per_call: int
    per_unit: int
    period: str
    name: str

    def fits(self, calls: int) -> bool:
        """Say whether so many calls more stay within the cap."""
        return not self.limit or self.used + calls * self.per_call <= self.limit

    def warns(self, share: float) -> bool:
        """Say whether so large a share of the cap is used."""
        return bool(self.limit) and self.used >= share * self.limit

    def reached(self, calls: int) -> str:
        """Return why so many calls more may not be made, and what to do."""
        needed = f"an attempt may need {calls} more" if calls > 1 else "one more is too many"
        wait = "day" if self.name == "today" else "month"
        return f"{self._told()}: reached: {self._standing()}, and {needed}: raise it, or wait for the next {wait} (UTC)"

    def warning(self, share: float) -> str:
        """Return that so large a share is used."""
        return f"{self._told()}: {100 * share:.0f} % or more is used: {self._standing()}"

    def detail(self) -> dict[str, Any]:
        """Return the cap as plain values."""
        return {
            "setting": self.setting,
            "limit": _units(self.limit, self.per_unit),
            "used": _units(self.used, self.per_unit),
            "period": self.period,
        }

    def _told(self) -> str:
        return f"[spending] {self.setting} = {_plain(self.limit, self.per_unit)}"

    def _standing(self) -> str:
        counted = "spent" if self.per_unit == MILLION else "billed calls"
        return f"{_plain(self.used, self.per_unit)} {counted} {self.name}"


def caps(rules: SpendingRules, tally: Tally, day: date) -> tuple[Cap, ...]:
    """Return every cap as it stands on a day, also those that are none."""
    today, month = tally.on(day), tally.month_of(day)
    days, months = (day.isoformat(), "today"), (day.isoformat()[:7], "this month")
    price = rules.price_micros
    return (
        Cap("calls_per_day", rules.calls_per_day, today.calls, 1, 1, *days),
        Cap("calls_per_month", rules.calls_per_month, month.calls, 1, 1, *months),
        Cap("money_per_day", rules.micros_per_day, today.micros, price, MILLION, *days),
        Cap("money_per_month", rules.micros_per_month, month.micros, price, MILLION, *months),
    )


@dataclass(frozen=True, slots=True)
class _Paying:
    """An attempt that got in: how many calls it has made and may still make, and when it paid last (monotonic)."""

    made: int
    rest: int
    paid_at: float


class Spending:
    """What the door has spent and may spend; every method on any thread.

    `bills` are those on record, of this month at least. `keep` is called with each new bill, and `tell` with a kind, a
    reason and plain values when a cap comes near ("spending_warning") or refuses ("spending_cap"), each once a period;
    both only enqueue.
    """

    def __init__(
        self,
        rules: SpendingRules,
        bills: Iterable[Bill],
        clock: Clock,
        keep: Callable[[Bill], None],
        tell: Callable[[str, str, Mapping[str, Any]], None],
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._keep = keep
        self._tell = tell
        self._tally = Tally()
        for bill in bills:
            if bill.payer is Payer.DOOR:
                self._tally = self._tally.plus(bill.day, Spent(bill.calls, bill.micros))
        self._lock = threading.Lock()
        self._paying: dict[str, _Paying] = {}
        self._newest = ""
        self._told: set[tuple[str, str, str]] = set()

    def use(self, rules: SpendingRules) -> None:
        """Go by these rules from now on; an attempt that got in may end."""
        with self._lock:
            self._rules = rules

    def pay(self, attempt: str) -> None:
        """Count one billed call of this attempt before it is made; SpendingCapReached where it may not be made.

        The first call of an attempt needs room for all that the attempt may make, which is then kept for it until the
        next attempt gets in: a door makes one attempt at a time. One that calls on after that is given what is left.
        """
        notices: list[Notice] = []
        with self._lock:
            now, day = self._clock.monotonic(), self._clock.now().date()
            self._forget(now)
            refusal = self._refusal(attempt, day, notices)
            bill = None if refusal else self._made(attempt, now, day, notices)
        self._pass_on(bill, notices)
        if refusal:
            raise SpendingCapReached(refusal)

    def paid(self, attempt: str) -> int:
        """Return how many calls of an attempt were paid for so far; 0 once it is long over."""
        with self._lock:
            paying = self._paying.get(attempt)
            return 0 if paying is None else paying.made

    def charge(self, calls: int) -> None:
        """Count billed calls without asking: those that were made already, or may have been."""
        if calls <= 0:
            return
        notices: list[Notice] = []
        with self._lock:
            bill = self._count(calls, self._clock.now().date(), notices)
        self._pass_on(bill, notices)

    def summary(self) -> dict[str, Any]:
        """Return what was spent today and this month, the caps, and which of them lets no attempt begin ("": none)."""
        with self._lock:
            rules, tally, day = self._rules, self._tally, self._clock.now().date()
        standing = caps(rules, tally, day)
        return {
            "today": _summed(tally.on(day)),
            "this_month": _summed(tally.month_of(day)),
            "caps": {cap.setting: _units(cap.limit, cap.per_unit) for cap in standing},
            "reached": next((cap.setting for cap in standing if not cap.fits(rules.attempt_calls)), ""),
        }

    def _forget(self, now: float) -> None:
        """Let go of attempts that paid longer ago than any attempt lasts."""
        self._paying = {name: paying for name, paying in self._paying.items() if now - paying.paid_at < WINDOW_S}

    def _refusal(self, attempt: str, day: date, notices: list[Notice]) -> str:
        """Return why this attempt may not make one more call, "" where it may."""
        paying = self._paying.get(attempt)
        if paying is None:
            return self._too_often() or self._beyond_a_cap(self._rules.attempt_calls, day, notices)
        if not paying.rest:
            return f"[rekognition] max_calls: reached: attempt {attempt} has made all of its billed calls: raise it"
        if attempt == self._newest:
            return ""
        newest = self._paying.get(self._newest)
        return self._beyond_a_cap(1 + (newest.rest if newest else 0), day, notices)

    def _too_often(self) -> str:
        most = self._rules.attempts_per_minute
        if not most or len(self._paying) < most:
            return ""
        return (
            f"[spending] attempts_per_minute = {most}: reached: {len(self._paying)} attempts have paid within "
            f"{WINDOW_S:.0f} s: wait a minute, or raise it"
        )

    def _beyond_a_cap(self, calls: int, day: date, notices: list[Notice]) -> str:
        for cap in caps(self._rules, self._tally, day):
            if not cap.fits(calls):
                self._note("spending_cap", cap, cap.reached(calls), notices)
                return cap.reached(calls)
        return ""

    def _made(self, attempt: str, now: float, day: date, notices: list[Notice]) -> Bill:
        """Count a call of an attempt; one that is new takes the newest's place."""
        paying = self._paying.get(attempt)
        if paying is None:
            self._newest = attempt
            paying = _Paying(0, self._rules.attempt_calls, now)
        self._paying[attempt] = replace(paying, made=paying.made + 1, rest=paying.rest - 1, paid_at=now)
        return self._count(1, day, notices)

    def _count(self, calls: int, day: date, notices: list[Notice]) -> Bill:
        spent = Spent(calls, calls * self._rules.price_micros)
        self._tally = self._tally.plus(day, spent)
        share = self._rules.warn_at
        for cap in caps(self._rules, self._tally, day):
            if cap.warns(share):
                self._note("spending_warning", cap, cap.warning(share), notices)
        return Bill(day, Payer.DOOR, spent.calls, spent.micros)

    def _note(self, kind: str, cap: Cap, why: str, notices: list[Notice]) -> None:
        """Have it told, where that has not been said of this cap in this period."""
        key = (kind, cap.setting, cap.period)
        if key not in self._told:
            self._told.add(key)
            notices.append((kind, why, cap.detail()))

    def _pass_on(self, bill: Bill | None, notices: list[Notice]) -> None:
        """Hand on what was found under the lock, without it: the caller's callables may ask us something."""
        if bill is not None:
            self._keep(bill)
        for notice in notices:
            self._tell(*notice)


class Tab:
    """What a command's billed calls come to: nobody is refused, and all of it goes on record at its end; any thread."""

    def __init__(self, clock: Clock, price_micros: int) -> None:
        """Take what a call costs, in millionths."""
        self._clock = clock
        self._price_micros = price_micros
        self._lock = threading.Lock()
        self._calls = 0

    def pay(self, attempt: str) -> None:  # noqa: ARG002 -- the port's: a command belongs to no attempt
        """Count one billed call before it is made."""
        with self._lock:
            self._calls += 1

    def bill(self) -> Bill | None:
        """Return what to put on record; None where nothing was billed."""
        with self._lock:
            calls = self._calls
        micros = calls * self._price_micros
        return Bill(self._clock.now().date(), Payer.DESK, calls, micros) if calls else None


def _summed(spent: Spent) -> dict[str, Any]:
    return {"calls": spent.calls, "money": _units(spent.micros, MILLION)}


def _units(amount: int, per_unit: int) -> float:
    return amount if per_unit == 1 else amount / per_unit


def _plain(amount: int, per_unit: int) -> str:
    """Return an amount in units, exact to the millionth."""
    return str(amount) if per_unit == 1 else f"{amount / per_unit:.6f}".rstrip("0").rstrip(".")
