"""Asks a person for consent to be enrolled; it never takes silence for a yes."""

from __future__ import annotations

import shutil
import textwrap
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
        "This door opens to people whose face it knows and who smile at it. For that it keeps, encrypted and on the "
        "door's own machine only, numbers computed from your pictures; the pictures themselves are not kept. Every "
        "attempt at the door is put on record under a random number, without your name. You may withdraw at any "
        "time, and then your name and these numbers are erased."
    ),
    "2": (
        "This door opens to people whose face it knows and who smile at it. For that your pictures, and pictures of "
        "you before the door, are sent to Amazon Rekognition, a service of Amazon Web Services, in its region "
        "{region}, which keeps numbers computed from your pictures under a random number, without your name. The "
        "door's own machine keeps numbers of its own, encrypted; it does not keep the pictures. Every attempt at the "
        "door is put on record under that random number. You may withdraw at any time, and then your name and these "
        "numbers are erased, at Amazon as well."
    ),
}
"""The texts that people agree to, by version; a version that is not here is the owner's own text, on paper."""


def ask(settings: Settings, clock: Clock, name: str, *, given: bool) -> Consent:
    """Return the consent, asking on a terminal unless it was `given`; EnrollmentRefused without one."""
    version = settings.consent_version
    if not given:
        _ask(name, version, text_of(version, settings.rekognition.region))
    return Consent(clock.now(), version)


def text_of(version: str, region: str) -> str:
    """Return the text of a version; for the owner's own, what to say in its place."""
    own = f"The person has to have read your text of consent, version {version}."
    return TEXTS[version].format(region=region) if version in TEXTS else own


def _ask(name: str, version: str, text: str) -> None:
    if not stdin_is_terminal():
        raise EnrollmentRefused(
            f"{name}: no consent: let the person read the text and give --consent, or run this on a terminal"
        )
    click.echo(wrapped(text, shutil.get_terminal_size().columns) + "\n", err=True)
    if not click.confirm(f"Does {plain(name)} agree (text version {plain(version)})?", default=False, err=True):
        raise EnrollmentRefused(f"{name}: no consent: nothing was stored")


def wrapped(text: str, width: int) -> str:
    """Return a text in lines of at most `width` columns, with nothing in them that a terminal would act on."""
    return textwrap.fill(plain(text), max(width - 1, 20), break_long_words=False, break_on_hyphens=False)
