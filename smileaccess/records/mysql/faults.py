"""What an error of the server's means for whoever asked, in our words: wait, give up this row, or tell a person."""

from __future__ import annotations

from smileaccess.errors import RecordsError, RecordsFailed, RecordsUnavailable, RowRefused

DUPLICATE = 1062
CONTENT = frozenset({1048, 1153, 1264, 1265, 1292, 1300, 1364, 1366, 1369, 1406, 1411, 3819, 4025, DUPLICATE})
UNAVAILABLE = frozenset({1040, 1047, 1053, 1203, 1205, 1213, 1290, 1836, 2003, 2006, 2013, 2014})


def ours(error: Exception, address: str) -> RecordsError:
    """Return our exception for one of PyMySQL's, or of the operating system's."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if code in CONTENT:
        return RowRefused(f"mysql: {address}: refused a row ({error})")
    if code in UNAVAILABLE or isinstance(error, OSError):
        return RecordsUnavailable(f"mysql: {address}: {error}")
    return RecordsFailed(f"mysql: {address}: {error}")
