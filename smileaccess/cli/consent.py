"""Asks a person for consent to be enrolled; it never takes silence for a yes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from smileaccess.cli.common import plain, stdin_is_terminal
from smileaccess.errors import EnrollmentRefused
from smileaccess.model import Consent

if TYPE_CHECKING:
    from smileaccess.ports import Clock
    from smileaccess.settings import Settings

TEXTS = {
    "1": (
        "This door opens to people whose face it knows and who smile at it. For that it keeps, encrypted and on the\n"
        "door's own machine only, numbers computed from your pictures; the pictures themselves are not kept. Every\n"
        "attempt at the door is put on record under a random number, without your name. You may withdraw at any\n"
        "time, and then your name and these numbers are erased.\n"
    )
}
"""The texts that people agree to, by version; a version that is not here is the owner's own text, on paper."""


def ask(settings: Settings, clock: Clock, name: str, *, given: bool) -> Consent:
    """Return the consent, asking on a terminal unless it was `given`; EnrollmentRefused without one."""
    version = settings.enrollment.consent_text
    if not given:
        _ask(name, version)
    return Consent(clock.now(), version)


def _ask(name: str, version: str) -> None:
    if not stdin_is_terminal():
        raise EnrollmentRefused(
            f"{name}: no consent: let the person read the text and give --consent, or run this on a terminal"
        )
    own = f"The person has to have read your text of consent, version {version}.\n"
    click.echo(plain_lines(TEXTS.get(version, own)), err=True)
    if not click.confirm(f"Does {plain(name)} agree (text version {plain(version)})?", default=False, err=True):
        raise EnrollmentRefused(f"{name}: no consent: nothing was stored")


def plain_lines(text: str) -> str:
    """Return a text of several lines with nothing in them that a terminal would act on."""
    return "\n".join(plain(line) for line in text.split("\n"))
