"""Nobody supervises: for a door that was started by hand, and for tests."""

from __future__ import annotations


class Unsupervised:
    """A ports.Supervisor that hears nothing and waits for nothing."""

    beat_s: float | None = None

    def ready(self) -> None:
        """Hear nothing."""

    def alive(self) -> None:
        """Hear nothing."""

    def status(self, text: str) -> None:
        """Hear nothing."""

    def reloading(self) -> None:
        """Hear nothing."""

    def stopping(self) -> None:
        """Hear nothing."""


NOBODY = Unsupervised()
