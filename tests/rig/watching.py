"""Follows what the scenes inside a rig report, and ends the rig when it says nothing any more."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.rig.debian import say

SILENT_S = 600.0
"""Seconds without a report after which a rig is given up."""

RUN_S = 3600.0
"""Seconds that all scenes together may take."""

Report = dict[str, object]


def watch(process: subprocess.Popen[bytes], share: Path) -> list[Report]:
    """Show each report as it comes, until the process has ended, and return all; the process is killed when told.

    It is told by a file `cut` in the shared folder: the power is off. A rig that says nothing for too long is killed
    too, and that is one more report, of a failure.
    """
    found: list[Report] = []
    began = heard_at = time.monotonic()
    while True:
        ended = process.poll() is not None
        for report in _new(share / "results.jsonl", len(found)):
            found.append(report)
            heard_at = time.monotonic()
            say(as_text(report))
        if ended:
            return found
        now = time.monotonic()
        cut = (share / "cut").exists()
        silent = now - heard_at > SILENT_S or now - began > RUN_S
        if cut or silent:
            process.kill()
            process.wait()
        if silent:
            found.append({"name": "the rig goes on", "right": False, "seen": f"silent for {now - heard_at:.0f} s"})
            say(as_text(found[-1]))
        if cut or silent:
            return found
        time.sleep(0.1)


def as_text(report: Report) -> str:
    """Return one scene's report as a line."""
    mark = "ok  " if report["right"] else "FAIL"
    took = f" [{report['took_s']} s]" if report.get("took_s") else ""
    seen = f"\n       {report['seen']}" if report.get("seen") else ""
    return f"  {mark} {report['name']}{took}{seen}"


def _new(results: Path, known: int) -> Iterator[Report]:
    """Yield the reports after the first ones, but for a line that is still being written."""
    text = results.read_text(encoding="utf-8") if results.exists() else ""
    for line in text.split("\n")[known:-1]:
        yield json.loads(line)
