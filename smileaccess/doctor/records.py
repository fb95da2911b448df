"""Checks of what is kept: keys, record, members and bills; it repairs nothing and shows no key and no name."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from smileaccess import wiring
from smileaccess.doctor.findings import Remark, fault, fine, told, warning
from smileaccess.errors import KeysError, RecordsError, RecordsUnavailable
from smileaccess.keys import ALL_KEYS, DOOR_KEYS, KeyKind
from smileaccess.model import Bill, Member, MemberStatus, Payer

if TYPE_CHECKING:
    from smileaccess.doctor.site import Site
    from smileaccess.membership import Roster
    from smileaccess.records.spool import Spool
    from smileaccess.spending import Tally

QUICK_S = 5.0
"""Seconds for a quick look at the file, about 2 GB on a disk; what is not seen by then is left to `verify`."""

_STEPS = 10_000
"""SQLite's instructions between two looks at the time: some milliseconds."""


def keys(site: Site) -> Iterator[Remark]:
    """Say whether the door's keys are here and closed to others, and whether more than those are."""
    enroller = _enroller_is_here(site)
    try:
        wiring.load_keys(site.settings, ALL_KEYS if enroller else DOOR_KEYS)
    except KeysError as error:
        for line in str(error).split("\n"):
            yield told(KeysError(line), "keys: ")
        return
    yield fine(f"{', '.join(sorted(DOOR_KEYS))}: here, and closed to others")
    if enroller:
        yield warning(
            "the private key enroller is here, too: whoever takes this door can make members",
            "where people are enrolled on another machine, keep it there, and remove it here",
        )


def _enroller_is_here(site: Site) -> bool:
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    places = [Path(site.settings.keys.directory) / KeyKind.ENROLLER]
    places += [Path(credentials) / f"smileaccess.{KeyKind.ENROLLER}"] if credentials else []
    return any(os.path.lexists(place) for place in places)


def database(site: Site) -> Iterator[Remark]:
    """Open the record, look at its seals and its file, and compare it with its marker."""
    path = Path(site.settings.records.database)
    try:
        with site.records() as spool:
            begun, head = spool.begun(), spool.head()
            spool.floors()
    except KeysError:
        yield warning(f"{path}: not opened without the key chain", "see the check keys")
        return
    except RecordsError as error:
        yield _unopened(path, error)
        return
    yield looked_through(path, head.sequence)
    yield _marked(site, begun)


def _unopened(path: Path, error: RecordsError) -> Remark:
    if isinstance(error, RecordsUnavailable) and path.parent.is_dir() and not os.path.lexists(path):
        return warning(
            f"{path}: not there yet",
            "on a new door nothing: the first `smileaccess enroll --camera` or `run` makes it; else check [records]",
        )
    return told(error, "records: ")


def looked_through(path: Path, links: int, within_s: float = QUICK_S) -> Remark:
    """Have SQLite look through the file, for a while."""
    whole = "check the whole chain with `smileaccess attempts verify`"
    deadline = time.monotonic() + within_s
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            return warning(f"{path}: too large to be looked through in {within_s:g} s", whole)
        return fault(f"{path}: {error}", "keep a copy, and restore a backup")
    if found != "ok":
        return fault(f"{path}: damaged: {found}", "keep a copy, and restore a backup")
    return fine(f"{path}: version {version}, {links} links, sound at a quick look; {whole}")


def _marked(site: Site, begun: str) -> Remark:
    """Compare the marker beside the keys, which says that the record was begun, with the record."""
    marker = Path(site.settings.keys.directory) / f"record.{site.settings.door.name}"
    try:
        found = marker.read_text(encoding="ascii", errors="replace").split()
    except OSError as error:
        return warning(
            f"{marker}: {error.strerror}: a record that is deleted would not be missed",
            "let the daemon write the keys' directory: its next start makes the marker",
        )
    if found[1:] != begun.split():
        return fault(
            f"{marker}: names another record than the one that is here",
            "restore that record's newest backup, or remove the marker to go on with this one on purpose",
        )
    return fine(f"{marker}: the record is the one that was begun")


def members(site: Site) -> Iterator[Remark]:
    """Count who can be let in, and hold the embedded recognizer's templates and threshold against them."""
    roster = _roster(site)
    if isinstance(roster, Remark):
        yield roster
        return
    if roster.refused:
        yield warning(
            f"{len(roster.refused)} stored, but not as this door's enroller signed them: let in nowhere",
            "see `smileaccess members list`, and enroll them again if they are yours",
        )
    known = _active(roster)
    if not known:
        yield warning("nobody is enrolled: the door opens to nobody", 'run `smileaccess enroll "NAME" --camera`')
    else:
        yield fine(f"{len(known)} active")
    yield from _groups(site, known)
    if "embedded" in site.settings.recognition.recognizers and known:
        yield from _templates(site, known, [member for member in roster.members if member.searchable])


def _roster(site: Site) -> Roster | Remark:
    """Read the members' list, or say why it was not."""
    try:
        return site.roster()
    except (KeysError, RecordsError):
        return warning("not looked at: the record cannot be read", "see the checks keys and database")


def _active(roster: Roster) -> list[Member]:
    return [member for member in roster.members if member.status is MemberStatus.ACTIVE]


def _groups(site: Site, known: list[Member]) -> Iterator[Remark]:
    """Name the groups that members come in as and this door has no schedule of."""
    missing: dict[str, int] = {}
    for member in known:
        for name in set(member.groups) - site.settings.groups.keys():
            missing[name] = missing.get(name, 0) + 1
    for name, count in sorted(missing.items()):
        yield warning(
            f"group {name}: {count} in it, which opens nothing here",
            f"set its schedule under [groups], {name} = ..., unless that is meant (docs/rules.md)",
        )


def _templates(site: Site, known: list[Member], searched: list[Member]) -> Iterator[Remark]:
    """Say who of the active ones can be found, and which threshold so many that are `searched` among want."""
    from smileaccess.cli.members import threshold_advice  # noqa: PLC0415
    from smileaccess.vision.embedding import MODEL  # noqa: PLC0415 -- numpy

    having = [member for member in searched if _has_templates(member)]
    lacking = sum(not _has_templates(member) for member in known)
    if lacking:
        yield warning(
            f"{lacking} without face templates of {MODEL}: the embedded recognizer finds them never",
            "enroll them again, from pictures",
        )
    yield _openable(site, having)
    advice = threshold_advice(len(having), site.settings.recognition.threshold)
    if advice:
        what, _, todo = advice.partition(": ")
        yield warning(what, todo)


def _has_templates(member: Member) -> bool:
    from smileaccess.vision.embedding import MODEL  # noqa: PLC0415 -- numpy

    return any(template.model == MODEL for template in member.templates)


def _openable(site: Site, having: list[Member]) -> Remark:
    from smileaccess.membership import unseal_template  # noqa: PLC0415
    from smileaccess.recognizers.similarity import recommended_threshold  # noqa: PLC0415

    key = wiring.load_keys(site.settings, {KeyKind.TEMPLATES}).templates
    count = 0
    for member in having:
        for each in member.templates:
            try:
                unseal_template(each.sealed, member.id, each.id, each.model, key)
            except KeysError as error:
                return told(error)
            count += 1
    present = site.settings.recognition.threshold
    marked = f"threshold {present:g}, for so many {recommended_threshold(len(having)):.1f} or more is recommended"
    return fine(f"{len(having)} with {count} face templates, which open with the key templates; {marked}")


def faces(site: Site) -> Iterator[Remark]:
    """Count the members whom Amazon Rekognition can find: those with signed faces in this collection."""
    if not site.settings.recognition.cloud:
        return
    roster = _roster(site)
    if isinstance(roster, Remark):
        yield roster
        return
    collection, known = site.settings.rekognition.collection, _active(roster)
    having = sum(_in_collection(member, collection) for member in known)
    if not known:
        return  # the check of the members tells of it
    if having < len(known):
        yield warning(
            f"{len(known) - having} of {len(known)} members without faces in the collection {collection}: Amazon "
            "Rekognition finds them never",
            "enroll them again, from pictures",
        )
    else:
        yield fine(
            f"{having} of {len(known)} members have signed faces in {collection}, by the signed list alone; "
            "`smileaccess members reconcile` compares it with the collection"
        )


def _in_collection(member: Member, collection: str) -> bool:
    return bool(member.faces_in(collection))


def fallback(site: Site) -> Iterator[Remark]:
    """Count the members whom both recognizers can find."""
    if not site.settings.recognition.falls_back:
        return
    roster = _roster(site)
    if isinstance(roster, Remark):
        yield roster
        return
    collection = site.settings.rekognition.collection
    can = [(_in_collection(member, collection), _has_templates(member)) for member in _active(roster)]
    if not can:
        return  # the check of the members tells of it
    both, first, second = (can.count(which) for which in ((True, True), (True, False), (False, True)))
    counted = f"both recognizers can find {both} of {len(can)} members"
    if not first and not second:
        yield fine(counted)
        return
    yield warning(
        f"{counted}, {first} only Amazon Rekognition, {second} only the embedded one: whom one of them does not "
        "know is denied while that one is asked",
        "enroll those again, from pictures, with both at hand",
    )


def spending(site: Site) -> Iterator[Remark]:
    """Hold what was spent today and this month, by the record's bills, against the caps."""
    if not site.settings.recognition.cloud:
        return
    try:
        with site.records() as spool:
            bills = _bills(spool, site)
    except (KeysError, RecordsError):
        yield warning("not looked at: the record cannot be read", "see the checks keys and database")
        return
    yield from _held_against_caps(site, bills)


def _bills(spool: Spool, site: Site) -> list[Bill]:
    return spool.bills(site.clock.now().date().replace(day=1))


def _held_against_caps(site: Site, bills: list[Bill]) -> Iterator[Remark]:
    from smileaccess.spending import caps  # noqa: PLC0415

    rules, day = site.settings.spending_rules(), site.clock.now().date()
    tally = _tally(bills, Payer.DOOR)
    standing = [cap for cap in caps(rules, tally, day) if cap.limit and cap.per_call]
    reached = [cap.reached(rules.attempt_calls) for cap in standing if not cap.fits(rules.attempt_calls)]
    near = [cap.warning(rules.warn_at) for cap in standing if cap.warns(rules.warn_at)]
    if reached:
        found, _, advice = reached[0].rpartition(": ")
        yield fault(found, f"{advice}; until then the fallback decides, or nobody comes in")
    elif near:
        yield warning(near[0], "raise it, or find out what makes the door look so often")
    elif not standing:
        yield warning(
            "no cap in [spending]: whatever makes the door look makes it pay, without an end",
            "set calls_per_day or money_per_month",
        )
    today, month, desk = tally.on(day), tally.month_of(day), _tally(bills, Payer.DESK).month_of(day)
    yield fine(
        f"by the door {_money(today.micros)} today ({today.calls} calls), {_money(month.micros)} this month "
        f"({month.calls}); by commands {_money(desk.micros)} this month ({desk.calls})"
    )


def _tally(bills: list[Bill], payer: Payer) -> Tally:
    from smileaccess.spending import Spent, Tally  # noqa: PLC0415

    tally = Tally()
    for bill in bills:
        if bill.payer is payer:
            tally = tally.plus(bill.day, Spent(bill.calls, bill.micros))
    return tally


def _money(micros: int) -> str:
    return f"{micros / 1_000_000:.3f}"
