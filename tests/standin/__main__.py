"""Serves the stand-in by hand: python -m tests.standin serve; it ends at TERM or INT.

With `demo` in place of `serve` it shows the demonstration on itself, and ends with that.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.standin.demo import show
from tests.standin.running import StandIn
from tests.standin.settings import Notes


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 when it was ended, 2 when it cannot start."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["demo"]:
        return show(given[1:])
    asked = _parser().parse_args(given)
    ended = _ended()
    with tempfile.TemporaryDirectory(prefix="standin-") as temporary:
        folder = Path(asked.folder or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            serving = StandIn(tls=asked.tls, port=asked.port, consistency_s=asked.consistency, folder=folder)
            with serving as service:
                _injure(service, asked)
                _tell(service, folder)
                os.read(ended, 1)
        except (OSError, ValueError) as error:
            sys.stderr.write(f"stand-in: {error}\n")
            return 2
    return 0


def _ended() -> int:
    """Return a pipe's end from which a byte can be read once TERM or INT has come.

    Blocking the signals would not do: numpy's threads are there since its import, and would take them. Nor would a
    handler that writes: it runs in the main thread, which a signal to another one does not wake.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: None)
    return reader


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description="A stand-in for Amazon Rekognition.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("demo", help="run `smileaccess demo` on it, with what else is given")
    serve = commands.add_parser(
        "serve", help="serve until TERM or INT", description="Serve on 127.0.0.1 until TERM or INT."
    )
    serve.add_argument("--port", type=int, default=0, help="the port (any free one)")
    serve.add_argument("--no-tls", dest="tls", action="store_false", help="plain HTTP")
    serve.add_argument(
        "--latency",
        type=_latency,
        action="append",
        default=[],
        metavar="OP=SECONDS",
        help="how long an operation takes at least; * is every operation",
    )
    serve.add_argument("--throttle", action="append", default=[], metavar="OP", help="refuse an operation as throttled")
    serve.add_argument(
        "--consistency", type=float, default=0.0, metavar="SECONDS", help="how long an indexed face is not found yet"
    )
    serve.add_argument("--folder", metavar="DIR", help="where to write what a client needs (a temporary folder)")
    return parser


def _latency(text: str) -> tuple[str, float]:
    operation, _, seconds = text.partition("=")
    try:
        return operation, float(seconds)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: must be OP=SECONDS, as in DetectFaces=0.3") from error


def _injure(service: StandIn, asked: argparse.Namespace) -> None:
    for operation, seconds in asked.latency:
        service.faults.latency(operation, seconds)
    for operation in asked.throttle:
        service.faults.error(operation, "ThrottlingException")


def _tell(service: StandIn, folder: Path) -> None:
    credentials = service.write_credentials(folder / "credentials")
    notes = Notes(service.url, service.region, service.ca_file, credentials)
    settings = notes.write(folder)
    lines = [f"url          {service.url}", f"CA           {service.ca_file}", f"credentials  {credentials}"]
    sys.stdout.write("\n".join([*lines, f"settings     {settings}", "", notes.snippet()]))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
