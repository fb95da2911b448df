"""Files that commands make: whole or not at all, durable, and nothing replaced that was not meant."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smileaccess.errors import SmileAccessError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is to be made; `what` names it in errors, and `force` allows to replace a plain file."""

    path: Path
    what: str
    force: bool = False

    def check(self) -> None:
        """See early whether a file can be written there; SmileAccessError as for `write`."""
        with self._telling():
            self._taken()
            if not os.access(self.path.parent, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def write(self, content: str | bytes) -> None:
        """Write the file whole or not at all, durably (mode 0600), a text in UTF-8.

        SmileAccessError where there is one already and `force` does not allow to replace it, where the name is not a
        plain file's, and where it cannot be written.
        """
        from smileaccess.durable import put_in_place  # noqa: PLC0415

        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        with self._telling():
            try:
                _write(temporary, content.encode("utf-8") if isinstance(content, str) else content)
                if self._taken():
                    temporary.replace(self.path)
                else:
                    put_in_place(temporary, self.path)
            finally:
                temporary.unlink(missing_ok=True)

    def _taken(self) -> bool:
        """Say whether there is a file to be replaced; FileExistsError where it must not be."""
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return False
        if not self.force:
            raise FileExistsError
        if not stat.S_ISREG(mode):
            raise SmileAccessError(f"{self.what}: {self.path}: is no plain file: give another name")
        return True

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what goes wrong with a file into our error."""
        try:
            yield
        except FileExistsError as error:
            told = f"{self.what}: {self.path}: exists: give another name, or --force to replace it"
            raise SmileAccessError(told) from error
        except OSError as error:
            told = f"{self.what}: {self.path}: {error.strerror}: give a place that you may write"
            raise SmileAccessError(told) from error


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
