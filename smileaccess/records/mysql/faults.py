"""Says what an error of a database server's, or of the way there, means for who asked; it never decides by a text.

A number means the same with MySQL and MariaDB (their error references), but where a comment says whose it is.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from smileaccess.errors import RecordsBusy, RecordsError, RecordsFailed, RecordsUnavailable, RowRefused, ShutOut

DUPLICATE = 1062
VIEW_CHECK = 1369
"""A view's WITH CHECK OPTION: what is refused is another door's, or a door's that was revoked."""
NO_TLS = 2026
"""Refused on our side: the way there is not what the settings ask for."""
READ_ONLY = 1290

GARBAGE = (struct.error, IndexError, KeyError, ValueError, AssertionError, AttributeError, RuntimeError)
"""What PyMySQL raises, beside its own, of an answer that is none of its protocol's."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What to raise for an error, and what a person should do about it."""

    kind: type[RecordsError]
    fix: str = ""


_LOST = Meaning(RecordsUnavailable)
_NOT_READY = Meaning(RecordsUnavailable, "the server's node is not with its cluster's majority")
_BUSY = Meaning(RecordsBusy)
_CONTENT = Meaning(RowRefused)
_READ_ONLY = Meaning(RecordsUnavailable, "let [mysql] addresses name the server that takes writes")
_FULL_HOUSE = Meaning(RecordsUnavailable, "raise the server's max_connections, or the account's limit")
_NO_ROOM = Meaning(RecordsUnavailable, "free disk or memory of the database server; its log says which")
_LOGIN = Meaning(
    ShutOut,
    "check [mysql] user, its password, from where it may log in (sql/grants.sql), and whether it must do so over TLS "
    '([mysql] tls = "on")',
)
_LOCKED = Meaning(ShutOut, "where the database is administered, unlock the account or give it a new password")
_RIGHTS = Meaning(ShutOut, "give the account its rights: `smileaccess door register`, or sql/grants.sql")
_NO_DATABASE = Meaning(ShutOut, "check [mysql] database, or make it: `smileaccess database init`")
_BLOCKED = Meaning(ShutOut, "the server blocks this machine after many failed tries: FLUSH HOSTS there")
_METHOD = Meaning(ShutOut, "give the account a way to log in that the documentation lists")
_UNENCRYPTED = Meaning(ShutOut, 'the server takes encrypted connections only: set [mysql] tls = "on"')
_TLS = Meaning(RecordsUnavailable, "switch TLS on at the server; [mysql] tls and ca say what this side asks for")
_OLD_TABLES = Meaning(RecordsFailed, "run `smileaccess database migrate`")

GROUPS: Mapping[Meaning, tuple[int, ...]] = {
    _LOST: (
        *(2002, 2003, 2005, 2006, 2012, 2013, 2014, 2027, 2055, 2068),  # the client's own
        *(1053, 1077, 1152, 1158, 1159, 1160, 1161, 1184),
        *(1927, 4031, 3032, 9001),  # ended by MariaDB, by MySQL; MySQL's offline mode; ProxySQL has no server behind it
        *(1180, 1317),  # interrupted, possibly in the middle of a commit
        *(1969, 3024),  # MariaDB's and MySQL's limit of a statement's time
    ),
    _NOT_READY: (1047,),
    # 1213 is Galera's conflict at commit too, 3101 that of MySQL's group replication; 1412: a table changed meanwhile.
    _BUSY: (1020, 1205, 1213, 1412, 3101, 3572),
    _READ_ONLY: (1036, 1290, 1792, 1836, 1874),
    _FULL_HOUSE: (1040, 1203, 1226),
    _NO_ROOM: (1021, 1026, 1030, 1037, 1038, 1041, 1114, 1135),
    _LOGIN: (1045, 1130, 1698),
    # The password's age; locked in MySQL, in MariaDB; after too many wrong passwords in MySQL, in MariaDB.
    _LOCKED: (1820, 1862, 3118, 4151, 3955, 4150),
    _RIGHTS: (1142, 1143, 1227, 1370),
    _NO_DATABASE: (1044, 1049),
    _BLOCKED: (1129,),
    _METHOD: (1251, 1524, 2049, 2059, 2061),
    _UNENCRYPTED: (3159,),
    _TLS: (NO_TLS,),
    _OLD_TABLES: (1054, 1109, 1136, 1146, 1356),
    _CONTENT: (
        *(DUPLICATE, VIEW_CHECK, 1022, 1048, 1153, 1216, 1217, 1263, 1264, 1265, 1292, 1300, 1301, 1364, 1366, 1367),
        *(1406, 1411, 1441, 1451, 1452, 1690, 2020),
        *(3819, 4025, 3140, 3988),  # a CHECK of MySQL's, of MariaDB's; MySQL: no JSON, not of the character set
    ),
}

MEANINGS: Mapping[int, Meaning] = {code: meaning for meaning, codes in GROUPS.items() for code in codes}
"""By number; every other number is RecordsFailed."""


def ours(error: Exception, address: str) -> RecordsError:
    """Return our exception for one of PyMySQL's or the operating system's; `code` is the server's number.

    Without a number, what could not be spelled in SQL is the row's fault (RowRefused), the rest the connection's.
    """
    code, text = _told(error)
    meaning = MEANINGS.get(code, Meaning(RecordsFailed)) if code else _unnumbered(error)
    number = f"error {code}: " if code else ""
    fix = f": {meaning.fix}" if meaning.fix else ""
    made = meaning.kind(f"mysql: {address}: {number}{text}{fix}")
    made.code = code
    return made


def untrusted(error: Exception, address: str, ca: str) -> RecordsUnavailable:
    """Return our exception for a server that did not show the certificate that was asked for."""
    told = f'"{ca}"' if ca else "the system's certificates"
    made = RecordsUnavailable(
        f"mysql: {address}: {_told(error)[1]}: let [mysql] addresses name the server as its certificate does, "
        f"and [mysql] ca (now {told}) what that is signed with"
    )
    made.code = NO_TLS
    return made


def read_only(address: str) -> RecordsUnavailable:
    """Return our exception for a replica, where we want to write."""
    made = RecordsUnavailable(f"mysql: {address}: the server is read-only: {_READ_ONLY.fix}")
    made.code = READ_ONLY
    return made


def _told(error: Exception) -> tuple[int, str]:
    """Return the number, 0 without one, and the words."""
    if isinstance(error, OSError):
        return 0, error.strerror or str(error) or type(error).__name__
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    words = str(error.args[1]) if len(error.args) > 1 and isinstance(error.args[0], int) else str(error)
    return number, words or "the connection is closed"


def _unnumbered(error: Exception) -> Meaning:
    import pymysql  # noqa: PLC0415 -- only where there is a central database

    if isinstance(error.__context__, TypeError):  # more or fewer values than marks
        return Meaning(RecordsFailed)
    unspellable = isinstance(error, UnicodeEncodeError | pymysql.ProgrammingError | pymysql.DataError)
    return _CONTENT if unspellable else _LOST


def broken_off(error: RecordsError) -> bool:
    """Say whether the connection is what failed, and at once: a new one may well do."""
    timed_out = error.__cause__ is not None and isinstance(error.__cause__.__context__, TimeoutError)
    meaning = MEANINGS.get(error.code, _LOST if type(error) is RecordsUnavailable else None)
    return meaning in (_LOST, _NOT_READY) and not timed_out
