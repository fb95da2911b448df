"""Shows the demonstration on the stand-in: python -m tests.standin demo.

Whatever else it is given goes to `smileaccess demo`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.standin.running import StandIn
from tests.standin.settings import Notes


def show(arguments: Sequence[str]) -> int:
    """Serve over TLS, make the collection, and run the demonstration; return its exit code."""
    with tempfile.TemporaryDirectory(prefix="standin-") as temporary, StandIn(folder=Path(temporary)) as service:
        credentials = service.write_credentials(Path(temporary) / "credentials")
        settings = Notes(service.url, service.region, service.ca_file, credentials).write(Path(temporary))
        sys.stdout.write(f"a stand-in for Amazon Rekognition serves at {service.url}\n")
        sys.stdout.flush()
        service.client("enroller").create_collection(CollectionId=Notes.COLLECTION)
        code = _smileaccess("demo", "--recognition", settings, *arguments)
        sys.stdout.write(_told(service))
    return code


def _smileaccess(*arguments: str | Path) -> int:
    return subprocess.run([sys.executable, "-m", "smileaccess", *map(str, arguments)], check=False).returncode


def _told(service: StandIn) -> str:
    counts = {operation: service.count(operation) for operation in sorted({call.operation for call in service.calls})}
    calls = ", ".join(f"{count} {operation}" for operation, count in counts.items())
    return f"the service was called {service.count()} times ({calls}) on {service.connections} connections\n"
