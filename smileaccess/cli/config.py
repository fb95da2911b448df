"""`smileaccess config`: shows and checks the settings; it never changes a file."""

from __future__ import annotations

import click

from smileaccess.cli.common import App, emit, json_option, pass_app, say


@click.group()
def config() -> None:
    """Show and check the settings.

    \b
    Example:
      smileaccess config example > smileaccess.toml
      smileaccess config check --config smileaccess.toml
    """


@config.command(short_help="Print the settings in force.")
@json_option
@pass_app
def show(app: App, as_json: bool) -> None:
    """Print the settings in force, those that the file leaves out included.

    Example:    smileaccess config show --config smileaccess.toml
    """
    from smileaccess.settings import as_toml, shown  # noqa: PLC0415 -- pydantic

    settings = app.settings()
    if as_json:
        emit(shown(settings))
    else:
        click.echo(as_toml(settings), nl=False)


@config.command(short_help="Report everything that is wrong with the settings.")
@pass_app
def check(app: App) -> None:
    """Check the settings file and report everything that is wrong at once; exits with 2 where anything is.

    Example:    smileaccess config check --config smileaccess.toml
    """
    app.settings()
    say(f"ok: {app.path}")


@config.command(short_help="Print the commented settings file, to start from.")
def example() -> None:
    """Print the commented settings file that came with the package, to start from.

    Example:    smileaccess config example > smileaccess.toml
    """
    from smileaccess.settings import SHIPPED  # noqa: PLC0415 -- pydantic

    click.echo(SHIPPED.read_text(encoding="utf-8"), nl=False)
