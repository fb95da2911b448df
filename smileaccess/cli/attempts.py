"""`smileaccess attempts`: reads, explains, checks, exports and prunes the record; it never alters an attempt."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import (
    App,
    caller,
    counted,
    emit,
    json_option,
    moment_option,
    need_yes,
    pass_app,
    plain,
    say,
    why_option,
)
from smileaccess.cli.members import id_of
from smileaccess.cli.report import report
from smileaccess.cli.sources import Source, central_option, names, reading, source_options
from smileaccess.cli.trial import try_
from smileaccess.errors import ChainBroken, SmileAccessError
from smileaccess.model import ChainHead, Outcome, Reason

if TYPE_CHECKING:
    from smileaccess.model import Attempt
    from smileaccess.ports import RecordReader
    from smileaccess.records.comparing import Comparison
    from smileaccess.records.spool import Spool

POLL_S = 0.5
"""How often `tail` looks: soon enough for somebody who watches the door."""

CENTRAL_POLL_S = 2.0
"""How often it looks at the central record, which many read."""

LATE = timedelta(minutes=2)
"""How much later than a newer one of another door an attempt may reach the central record, for `tail`: it lasts a
minute at most, and is delivered when it has ended."""

OpenSource = Callable[[App], contextlib.AbstractContextManager[Source]]
"""What opens the record that the options choose."""


@click.group(short_help="Read, check, export and try attempts.")
def attempts() -> None:
    """Read, explain, check, export and try attempts, and read what else is on record.

    \b
    Example:
      smileaccess attempts list --since 7d
      smileaccess attempts show 019ac3f2-11d0
    """


attempts.add_command(report)
attempts.add_command(try_)


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose attempts, gathered in its argument `chosen`."""

    @wraps(command)
    def gathered(*args: Any, **options: Any) -> Any:
        chosen = {name: options.pop(name) for name in ("since", "until", "outcome", "reason", "member")}
        return command(*args, chosen=chosen, **options)

    decorated: Callable[..., Any] = gathered
    for option in (
        click.option("--member", metavar="MEMBER", help="Of this member: id, its beginning, or name."),
        click.option("--reason", type=click.Choice([each.value for each in Reason]), metavar="REASON", help=_REASONS),
        click.option("--outcome", type=click.Choice([each.value for each in Outcome]), help="With this outcome."),
        moment_option("--until", help="Before this time."),
        moment_option("--since", help="From this time on: 2026-01-31, 2026-01-31T18:30, or 2h, 7d ago."),
    ):
        decorated = option(decorated)
    return decorated


_REASONS = "Denied for this reason, such as no_smile or not_recognized."


def limit_option(default: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator for --limit, 0 for no limit."""
    told = f"At most so many, the newest; 0 for all (default {default})."
    return click.option("--limit", type=click.IntRange(min=0), default=default, help=told)


@contextlib.contextmanager
def record(app: App) -> Iterator[Spool]:
    """Open the door's record; KeysError, RecordsUnavailable, RecordsFailed."""
    from smileaccess.keys import KeyKind  # noqa: PLC0415

    with app.spool(app.keys(KeyKind.CHAIN)) as spool:
        yield spool


def select(records: RecordReader, chosen: dict[str, Any], known: dict[str, str], limit: int) -> Iterator[Attempt]:
    """Yield the attempts that the filters choose, newest first."""
    member = chosen["member"]
    return records.attempts(
        since=chosen["since"],
        until=chosen["until"],
        outcome=chosen["outcome"],
        reason=chosen["reason"],
        member_id=None if member is None else id_of(known, member),
        limit=limit or None,
    )


@attempts.command("list")
@filters
@source_options
@limit_option(50)
@json_option
@pass_app
def list_(app: App, chosen: dict[str, Any], source: OpenSource, limit: int, as_json: bool) -> None:
    """List attempts, newest first.

    \b
    Examples:
      smileaccess attempts list --since 7d --reason not_recognized
      smileaccess attempts list --central --door front
    """
    from smileaccess.cli.showing import print_attempts  # noqa: PLC0415 -- rich
    from smileaccess.records.plain import attempt_to_plain  # noqa: PLC0415

    with source(app) as opened:
        known = names(app, opened)
        found = list(select(opened.records, chosen, known, limit))
    if as_json:
        emit([attempt_to_plain(each) for each in found])
    else:
        print_attempts(found, known)


@attempts.command(short_help="List exits, unlocks, starts and changes of members.")
@moment_option("--since", help="From this time on: 2026-01-31, 2026-01-31T18:30, or 2h, 7d ago.")
@click.option("--kind", metavar="KIND", help="Of this kind only, such as rex, control_unlock or start.")
@source_options
@limit_option(50)
@json_option
@pass_app
def events(app: App, since: datetime | None, kind: str | None, source: OpenSource, limit: int, as_json: bool) -> None:
    """List what else is on record: exits, unlocks with who and why, starts, changes of members; newest first.

    Example:    smileaccess attempts events --kind control_unlock
    """
    from itertools import islice  # noqa: PLC0415

    from smileaccess.cli.showing import print_events  # noqa: PLC0415 -- rich
    from smileaccess.records.plain import event_to_plain  # noqa: PLC0415

    with source(app) as opened:
        fitting = (each for each in opened.records.events(since=since) if kind is None or each.kind == kind)
        found = list(islice(fitting, limit or None))
    if as_json:
        emit([event_to_plain(each) for each in found])
    else:
        print_events(found)


@attempts.command(short_help="Tell step by step how one attempt went, and why.")
@click.argument("attempt")
@central_option
@json_option
@pass_app
def show(app: App, attempt: str, central: bool, as_json: bool) -> None:
    """Tell step by step how one ATTEMPT (its id, or the beginning) went, why, and what to do.

    Example:    smileaccess attempts show 019ac3f2-11d0
    """
    from smileaccess.cli.showing import print_story  # noqa: PLC0415 -- rich
    from smileaccess.records.plain import attempt_to_plain  # noqa: PLC0415

    with reading(app, central=central) as opened:
        found = opened.records.attempt(attempt)
        known = names(app, opened)
    if as_json:
        emit(attempt_to_plain(found))
    else:
        print_story(found, known)


@attempts.command(short_help="Show each attempt as it ends, until Ctrl-C.")
@source_options
@limit_option(10)
@json_option
@pass_app
def tail(app: App, source: OpenSource, limit: int, as_json: bool) -> None:
    """Show the latest attempts and each new one as it ends, until Ctrl-C.

    Example:    smileaccess attempts tail
    """
    from threading import Event  # noqa: PLC0415

    from smileaccess.cli.showing import print_line  # noqa: PLC0415 -- rich

    with source(app) as opened:
        known = names(app, opened)
        pause_s, late = (CENTRAL_POLL_S, LATE) if opened.central else (POLL_S, timedelta(0))
        for each in follow(opened.records, limit, lambda: not Event().wait(pause_s), late):
            print_line(each, known, as_json=as_json, with_door=opened.central)


def follow(
    records: RecordReader, first: int, again: Callable[[], bool], late: timedelta = timedelta(0)
) -> Iterator[Attempt]:
    """Yield the last `first` ended attempts, then each one as it ends, in order.

    `again` waits and says whether to go on. What is read each time begins with the oldest attempt that was open, so
    that none is missed; where attempts come in `late`, so much earlier.
    """
    since: datetime | None = None
    shown: datetime | None = None
    seen: set[str] = set()
    limit: int | None = max(first, 1)
    while True:
        found = list(records.attempts(since=since, limit=limit))
        fresh = [each for each in reversed(found) if each.closed_at is not None and each.id not in seen]
        yield from fresh if first or limit is None else []
        seen = {each.id for each in found if each.closed_at is not None}
        still_open = [each.opened_at for each in found if each.closed_at is None]
        shown = shown or (found[-1].opened_at if found else None)  # nothing older is shown later
        newest = found[0].opened_at - late if found else since
        since = min(still_open, default=newest and max(newest, shown or newest))
        limit = None if found else limit
        if not again():
            return


@attempts.command(short_help="Write attempts as CSV or as JSON lines.")
@filters
@source_options
@limit_option(0)
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl"]), required=True, help="Of the file.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="A new file; else to standard output.")
@pass_app
def export(app: App, chosen: dict[str, Any], source: OpenSource, limit: int, kind: str, output: Path | None) -> None:
    """Write attempts as CSV or as JSON lines, newest first; ids, never names.

    \b
    Example:
      smileaccess attempts export --format csv --since 30d --output march.csv
    """
    from smileaccess.cli import exporting  # noqa: PLC0415

    with source(app) as opened:
        known = names(app, opened) if chosen["member"] else {}
        count = exporting.write(select(opened.records, chosen, known, limit), kind, output)
    if output is not None:
        say(f"wrote {counted(count, 'attempt')} to {output}")


@attempts.command(short_help="Check that no row was altered, inserted or removed.")
@click.option("--head", metavar="SEQ:HASH", help="A head that was noted before, which the record must hold.")
@click.option("--local", "here", is_flag=True, help="Only this door's own record, not what the central one has of it.")
@json_option
@pass_app
def verify(app: App, head: str | None, here: bool, as_json: bool) -> None:
    """Check that no row was altered, inserted, removed or cut off; exits with 1 at the first bad one.

    With a central database, what it has of this door is checked as well, from
    the door's first row on, and compared.

    Note the head that it prints somewhere else: given with --head later, it
    shows that the whole record was not put back to an older copy.

    Example:    smileaccess attempts verify --head 1204:9f1c...
    """
    given = _head(head)
    if not app.settings().records.database:
        raise SmileAccessError("attempts verify: needs a door's own record and its chain key: run it at the door")
    try:
        with record(app) as spool:
            now = spool.head()
            count = spool.verify(given)
            found = _compared(app, spool) if app.central and not here else None
    except ChainBroken as error:
        if as_json:
            emit({"ok": False, "sequence": error.sequence, "error": str(error)})
        raise
    if as_json:
        emit({"ok": True, "links": count, "head": str(now), "central": found and _comparison_to_plain(found)})
        return
    say(f"ok: {counted(count, 'link')}, head {now}")
    if found is not None:
        say(
            f"ok: {counted(found.both, 'link')} the same in the central database, {found.only_here} only here (not "
            f"delivered yet, or refused), {found.only_there} only there (pruned here)"
        )


def _compared(app: App, spool: Spool) -> Comparison:
    from smileaccess.records.mysql.ledger import Ledger  # noqa: PLC0415

    with app.link() as link:
        return spool.compare(Ledger(link, app.settings().door.name, spool.outbox().record).links)


def _comparison_to_plain(found: Comparison) -> dict[str, int]:
    return {"links": found.links, "both": found.both, "waiting": found.only_here, "pruned_here": found.only_there}


def _head(text: str | None) -> ChainHead | None:
    if text is None:
        return None
    sequence, _, digest = text.partition(":")
    if not sequence.isdecimal() or len(digest) != 64 or not set(digest.lower()) <= set("0123456789abcdef"):
        told = f"{plain(text)!r}: must be SEQ:HASH as `verify` prints it: a number, a colon, 64 hex digits"
        raise click.BadParameter(told, param_hint="--head")
    return ChainHead(int(sequence), digest.lower())


@attempts.command(short_help="Delete the oldest part of the record for good.")
@moment_option("--before", help="What is older than this time.")
@click.option("--older-than", type=click.IntRange(min=1), metavar="DAYS", help="What is older than so many days.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@why_option
@json_option
@pass_app
def prune(app: App, before: datetime | None, older_than: int | None, yes: bool, why: str, as_json: bool) -> None:
    """Delete the oldest part of the record for good, and leave a checkpoint so that the rest still verifies.

    With a central database, what that does not have yet stays.

    \b
    Example:
      smileaccess attempts prune --older-than 90 --why "kept for 90 days"
    """
    from smileaccess.clock import SystemClock  # noqa: PLC0415

    if (before is None) == (older_than is None):
        raise click.UsageError("give either --before TIME or --older-than DAYS, and not both")
    from smileaccess.encoding import stamp  # noqa: PLC0415

    now = SystemClock().now()
    limit = before if before is not None else _days_before(now, older_than or 0)
    need_yes(f"Delete all that is older than {limit.astimezone():%Y-%m-%d %H:%M} for good?", yes=yes)
    with record(app) as spool:
        count = spool.prune(limit, caller(), why, delivered=app.central)
    if as_json:
        emit({"deleted": count, "before": stamp(limit)})
    else:
        say(f"deleted {counted(count, 'row')}; the rest verifies from its checkpoint on")


def _days_before(now: datetime, days: int) -> datetime:
    try:
        return now - timedelta(days=days)
    except OverflowError as error:
        raise SmileAccessError(f"--older-than {days}: longer ago than the calendar goes") from error
