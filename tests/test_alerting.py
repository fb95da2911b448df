"""What is an alert, and how often it is told: nothing twice in a row, nothing lost without a word."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smileaccess.alerting import DEFAULT_TOPICS, HOUR_S, OVER, TOPICS, Alert, AlertRules, Limiter, topic_of
from smileaccess.messages import MESSAGES
from tests.builders import NOON

RULES = AlertRules(per_hour=20, repeat_s=600.0)


def alert(kind: str = "forced_open", after_s: float = 0.0, detail: str = "") -> Alert:
    return Alert(kind, NOON + timedelta(seconds=after_s), detail)


def test_every_kind_of_a_topic_is_a_kind_of_the_journal() -> None:
    """And stands in one topic only."""
    kinds = [kind for kinds in TOPICS.values() for kind in kinds]
    assert set(kinds) <= set(MESSAGES)
    assert len(kinds) == len(set(kinds))
    assert set(OVER) | {trouble for troubles in OVER.values() for trouble in troubles} <= set(kinds)
    assert (topic_of("forced_open"), topic_of("granted")) == ("forced", None)


def test_the_first_is_sent_at_once_and_others_of_its_kind_are_summed_up() -> None:
    """Three more within the time are one message at its end, with their number."""
    limiter = Limiter(RULES)
    assert limiter.take(alert(), 0.0) == [alert()]
    for at in (1.0, 2.0, 300.0):
        assert limiter.take(alert(after_s=at), at) == []
    assert limiter.due(599.9) == []
    assert limiter.next_deadline == 600.0
    [summed] = limiter.due(600.0)
    assert (summed.more, summed.at, summed.since) == (3, NOON + timedelta(seconds=300), NOON + timedelta(seconds=1))
    assert "3 more since" in summed.text()


def test_a_single_repetition_is_told_as_it_is() -> None:
    """It says what it was, not that there was one more."""
    limiter = Limiter(RULES)
    limiter.take(alert(), 0.0)
    limiter.take(alert(after_s=5.0), 5.0)
    assert limiter.due(600.0) == [alert(after_s=5.0)]


def test_after_a_quiet_time_it_is_sent_at_once_again() -> None:
    """And nothing is held on to for ever."""
    limiter = Limiter(RULES)
    limiter.take(alert(), 0.0)
    assert limiter.due(600.0) == []
    assert limiter.next_deadline is None
    assert limiter.take(alert(after_s=601.0), 601.0) == [alert(after_s=601.0)]


def test_other_kinds_are_sent_beside_it() -> None:
    """A door that stands open does not hide one that was forced."""
    limiter = Limiter(RULES)
    limiter.take(alert("held_open"), 0.0)
    assert limiter.take(alert(), 1.0) == [alert()]


@pytest.mark.parametrize(("topics", "told"), [({"forced"}, 1), ({"held"}, 0), (set(), 0)])
def test_only_what_is_wanted_is_told(topics: set[str], told: int) -> None:
    """By topic."""
    assert len(Limiter(AlertRules(frozenset(topics))).take(alert(), 0.0)) == told


def test_what_operators_do_is_told_only_where_that_is_wanted() -> None:
    """They know."""
    assert "orders" not in DEFAULT_TOPICS
    assert Limiter(RULES).take(alert("control_lock"), 0.0) == []


def test_an_hour_has_room_for_so_many() -> None:
    """What is beyond is summed up as soon as there is room again."""
    limiter = Limiter(AlertRules(per_hour=2, repeat_s=10.0))
    assert len(limiter.take(alert("lock_out"), 0.0)) == 1
    assert len(limiter.take(alert("camera_back"), 1.0)) == 1
    assert limiter.take(alert("spending_warning"), 2.0) == []
    assert limiter.due(100.0) == []
    assert limiter.next_deadline == HOUR_S
    assert [each.kind for each in limiter.due(HOUR_S)] == ["spending_warning"]


def test_what_somebody_has_to_go_and_see_is_told_however_many_were() -> None:
    """A network that comes and goes must not keep a burglary quiet; of one kind it is still one message at a time."""
    limiter = Limiter(AlertRules(per_hour=1, repeat_s=600.0))
    assert len(limiter.take(alert("camera_back"), 0.0)) == 1
    assert [each.kind for each in limiter.take(alert("forced_open"), 1.0)] == ["forced_open"]
    assert limiter.take(alert("forced_open"), 2.0) == []
    assert limiter.next_deadline == 600.0
    assert limiter.due(600.0) == []
    assert [each.kind for each in limiter.due(601.0)] == ["forced_open"]


def test_whatever_the_door_was_held_for_its_end_says_since_when() -> None:
    limiter = Limiter(AlertRules(frozenset({"orders"})))
    limiter.take(alert("office_hours_began"), 0.0)
    [over] = limiter.take(alert("hold_over", 3600.0), 3600.0)
    assert over.since == NOON


def test_a_short_hold_in_office_hours_is_not_what_ends_with_them() -> None:
    limiter = Limiter(AlertRules(frozenset({"orders"})))
    limiter.take(alert("office_hours_began"), 0.0)
    limiter.take(alert("control_hold", 7200.0), 7200.0)
    [over] = limiter.take(alert("hold_over", 36000.0), 36000.0)
    assert over.since == NOON


def test_the_end_of_a_trouble_says_since_when_it_was() -> None:
    """Whoever was out of reach meanwhile learns the whole of it."""
    limiter = Limiter(RULES)
    limiter.take(alert("database_away"), 0.0)
    [back] = limiter.take(alert("database_back", 840.0), 840.0)
    assert back.since == NOON
    assert "it had lasted since" in back.text()


def test_a_text_says_what_to_do() -> None:
    """And nothing that only the journal can fill in."""
    text = alert(detail="the latch").text()
    assert "The door was forced open" in text
    assert "the latch" in text
    assert "Go and look." in text
    assert "@" not in alert("denied_internal_error").text()


KINDS = ["forced_open", "lock_out", "spending_warning", "camera_back"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from([0.0, 1.0, 100.0, 700.0, 4000.0])), max_size=60))
def test_nothing_is_lost_and_nothing_is_too_often(played: list[tuple[str, float]]) -> None:
    """Each alert is in one message; no kind is told twice within its time, and no hour has too many."""
    limiter = Limiter(AlertRules(per_hour=5, repeat_s=600.0))
    now, told = 0.0, []

    def pass_time(until: float) -> None:
        nonlocal now
        while (due := limiter.next_deadline) is not None and due <= until:
            now = max(now, due)
            told.extend((now, each) for each in limiter.due(now))
        now = until

    for kind, wait_s in played:
        told.extend((now, each) for each in limiter.take(alert(kind, now), now))
        pass_time(now + wait_s)
    pass_time(now + 20 * HOUR_S)

    assert sum(max(1, each.more) for _, each in told) == len(played)
    times = [at for at, each in told if not each.grave]
    assert all(later - sooner >= HOUR_S for sooner, later in zip(times, times[5:], strict=False))
    for kind in KINDS:
        own = [at for at, each in told if each.kind == kind]
        assert all(later - sooner >= 600.0 for sooner, later in pairwise(own))
