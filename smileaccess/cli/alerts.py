"""`smileaccess alerts`: tries the channels that alerts leave by, and lists what is told; it never shows an address."""

from __future__ import annotations

import json
from typing import Any

import click

from smileaccess.cli.common import App, console, emit, fail, json_option, pass_app, row, say, table
from smileaccess.errors import SettingsError


@click.group(short_help="Try the channels that alerts leave by, and list what is told.")
def alerts() -> None:
    """Try the channels that alerts leave by, and list what is told.

    The channels stand in the file that [alerts] channels_file names, an Apprise
    address a line: docs/alerts.md.

    Example:    smileaccess alerts test
    """


@alerts.command(name="list")
@json_option
@pass_app
def list_(app: App, as_json: bool) -> None:
    """List what is told, by which kinds of the journal, and the channels.

    Example:    smileaccess alerts list --json
    """
    from smileaccess.alerting import TOPICS  # noqa: PLC0415

    settings = app.settings()
    told = set(settings.alerts.about)
    channels = [_named(each) for each in _looked_at(app)]
    if as_json:
        topics = [{"topic": topic, "told": topic in told, "kinds": kinds} for topic, kinds in TOPICS.items()]
        emit({"topics": topics, "channels": channels})
        return
    shown = table("topic", "told", "kinds of the journal", fold=("kinds of the journal",), least={"topic": 9})
    for topic, kinds in TOPICS.items():
        row(shown, topic, "yes" if topic in told else "no", ", ".join(kinds))
    console().print(shown)
    for number, channel in enumerate(channels, start=1):
        say(f"channel {number}: {channel['service'] or channel['why']}")
    if not channels:
        say("no channel: name a file that holds addresses in [alerts] channels_file")


@alerts.command()
@json_option
@pass_app
def test(app: App, as_json: bool) -> None:
    """Send a test message to every channel, and say which took it.

    Exits with 1 where one did not. The door need not run.

    Example:    sudo -u smileaccess smileaccess alerts test
    """
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.supervision import alerts as sending  # noqa: PLC0415 -- structlog

    settings = app.settings()
    addresses = wiring.alert_channels(settings)
    if not addresses:
        named = json.dumps(settings.alerts.channels_file)
        raise SettingsError([f"settings: [alerts] channels_file = {named}: must name a file with an address a line"])
    title = f"{settings.door.name}: a test"
    body = "This is a test of the door's alerts. Nothing needs to be done."
    told = sending.send([{"channel": each, "title": title, "body": body, "grave": False} for each in addresses])
    if as_json:
        emit({"channels": told})
    else:
        for number, each in enumerate(told, start=1):
            said = "took it" if each["sent"] else f"did not take it: {each['why']}"
            say(f"channel {number}, {each['service'] or 'unknown'}: {said}")
    failed = sum(not each["sent"] for each in told)
    if failed:
        fail(
            f"alerts: {failed} of {len(told)} channels took no message: check their lines in the file, and the network"
        )
        raise SystemExit(1)


def _looked_at(app: App) -> list[dict[str, Any]]:
    """Return what Apprise makes of each channel."""
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.supervision import alerts as sending  # noqa: PLC0415 -- structlog

    addresses = wiring.alert_channels(app.settings())
    return sending.send([{"channel": each} for each in addresses]) if addresses else []


def _named(told: dict[str, Any]) -> dict[str, Any]:
    return {"service": told["service"], "why": told["why"]}
