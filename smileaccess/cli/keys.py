"""`smileaccess keys`: makes and shows the keys; it never prints a secret and never overwrites a key."""

from __future__ import annotations

from pathlib import Path

import click

from smileaccess.cli.common import App, console, emit, json_option, pass_app, row, say, table
from smileaccess.errors import KeysError, SmileAccessError


@click.group()
def keys() -> None:
    """Make and show the keys of this installation.

    \b
    Four keys: `enroller` signs members, `enroller.pub` checks that at the door,
    `templates` encrypts faces, `chain` links this door's record. Keep a copy of
    all of them: without `templates` everybody has to be enrolled anew.
    """


@keys.command()
@pass_app
def make(app: App) -> None:
    """Make the keys that are missing; those that exist stay.

    Example:    smileaccess keys make
    """
    from smileaccess.keys import KeyKind, make_keys  # noqa: PLC0415

    directory = Path(app.settings().keys.directory)
    made = make_keys(directory)
    for kind in made:
        say(f"made {directory / kind}")
    if not (directory / KeyKind.ENROLLER).exists():
        say(
            f"made no {KeyKind.ENROLLER}: {directory / KeyKind.ENROLLER_PUBLIC} lies alone, so people are enrolled "
            f"elsewhere: to enroll here, copy {KeyKind.ENROLLER} from there"
        )
    elif not made:
        say(f"{directory}: no key was missing")


@keys.command()
@json_option
@pass_app
def show(app: App, as_json: bool) -> None:
    """Show which keys are here, by fingerprints that may be told to anyone.

    Exits with 1 where a key is here and cannot be used.

    Example:    smileaccess keys show --json
    """
    from smileaccess.keys import KeyKind  # noqa: PLC0415

    found = {kind: _fingerprint(app, kind) for kind in KeyKind}
    if as_json:
        emit({kind.value: {"fingerprint": name, "problem": problem} for kind, (name, problem) in found.items()})
    else:
        made = table("key", "fingerprint", fold=("fingerprint",))
        for kind, (name, problem) in found.items():
            row(made, kind.value, name or problem or "not here")
        console().print(made)
    if any(problem for _, problem in found.values()):
        raise SmileAccessError("keys: a key cannot be used")


def _fingerprint(app: App, kind: str) -> tuple[str | None, str | None]:
    """Return the key's fingerprint, or what is wrong with it; neither for a key that is not here."""
    from smileaccess.keys import KeyKind  # noqa: PLC0415

    try:
        return app.keys(KeyKind(kind)).fingerprints()[KeyKind(kind)], None
    except KeysError as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        return None, None if missing else str(error)
