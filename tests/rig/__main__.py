"""`python -m tests.rig host|vm|arm64`: plays a rig, and says at the end what ran and what did not.

Exit codes: 0 everything that ran went as it should; 1 something did not; 75 this machine cannot do it (EX_TEMPFAIL of
sysexits.h), which is told as skipped.
"""

from __future__ import annotations

import importlib
import signal
import sys

from tests.rig.debian import Impossible, alone, need_root, say

EXIT_SKIPPED = 75

RIGS = {"host": "tests.rig.host", "vm": "tests.rig.vm", "arm64": "tests.rig.arm64"}


def main(arguments: list[str]) -> int:
    """Play one rig and return the exit code."""
    if len(arguments) != 1 or arguments[0] not in RIGS:
        say(f"usage: python -m tests.rig {'|'.join(RIGS)}")
        return 2
    # What is mounted, registered and started has to be let go of on every way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        need_root()
        with alone():
            results = importlib.import_module(RIGS[arguments[0]]).play()
    except Impossible as reason:
        say(f"rig {arguments[0]}: SKIPPED: {reason}")
        return EXIT_SKIPPED
    failed = [each for each in results if not each["right"]]
    say(f"rig {arguments[0]}: {len(results) - len(failed)} passed, {len(failed)} failed, 0 skipped")
    for each in failed:
        say(f"  failed: {each['name']}: {str(each['seen']).splitlines()[0]}")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
