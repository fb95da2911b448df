"""How attacks and living members fare, hundreds of each: python -m tests.bench_liveness; 1 where a claim does not hold.

The claims: no print, no swapped print and no stranger in the member's place is let in; of living members at least 98 in
100 are; and the chance that is computed for the best recording under follow-the-light lies in what was measured.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import TYPE_CHECKING

import structlog

from smileaccess.evaluation.measuring import wilson
from smileaccess.liveness import replay_passes
from smileaccess.model import LivenessMode
from tests.attacks import KINDS, NEVER, Studio, attempt, granted, settings_for

if TYPE_CHECKING:
    from smileaccess.evaluation.measuring import Rate

MODES = (LivenessMode.NEUTRAL_THEN_SMILE, LivenessMode.FOLLOW_THE_LIGHT)
BEST = "replay begun with the light"
LEAST_GENUINE = 0.98

_STUDIO: list[Studio] = []


def begin() -> None:
    """Make a worker's eyes, once."""
    from smileaccess.vision.eyes import LocalEyes  # noqa: PLC0415 -- in the workers only
    from smileaccess.vision.opencv import opencv  # noqa: PLC0415

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    opencv().setNumThreads(1)
    _STUDIO.append(Studio(LocalEyes()))


def run(job: tuple[str, LivenessMode, int]) -> tuple[str, LivenessMode, str]:
    """Play one attempt, and return how it ended."""
    kind, mode, seed = job
    ended = attempt(_STUDIO[0], kind, mode, seed)
    return kind, mode, "granted" if granted(ended) else str(ended.reason and ended.reason.value)


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="attempts of each attack, over its variants (300)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--kind", action="append", help=f"only this: {', '.join(KINDS)}; repeatable")
    parser.add_argument("--mode", action="append", choices=[mode.value for mode in MODES], help="only this; repeatable")
    return parser.parse_args()


def jobs(told: argparse.Namespace) -> Iterator[tuple[str, LivenessMode, int]]:
    """Yield what is played; an attack's variants share its number of runs."""
    kinds = told.kind or list(KINDS)
    modes = [LivenessMode(mode) for mode in told.mode or MODES]
    for mode, kind in product(modes, kinds):
        variants = sum(other.split()[0] == kind.split()[0] for other in NEVER) if kind in NEVER else 1
        yield from ((kind, mode, told.seed + number) for number in range(-(-told.runs // variants)))


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Play everything, print the table, and return the exit code."""
    told = arguments()
    wanted = list(jobs(told))
    found: dict[tuple[LivenessMode, str], Counter[str]] = {}
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), begin) as pool:
        for number, (kind, mode, ended) in enumerate(pool.map(run, wanted, chunksize=4), 1):
            found.setdefault((mode, kind), Counter())[ended] += 1
            if number % 20 == 0 or number == len(wanted):
                sys.stderr.write(f"\r{number} of {len(wanted)} attempts")
                sys.stderr.flush()
    sys.stderr.write("\n")
    good = True
    for (mode, kind), counts in found.items():
        rate = wilson(counts["granted"], counts.total())
        holds = claim(mode, kind, rate)
        good = good and holds is not False
        mark = {True: "ok  ", False: "FAIL", None: "    "}[holds]
        why = ", ".join(f"{name} {count}" for name, count in counts.most_common() if name != "granted")
        interval = f"{100 * rate.low:.1f} to {100 * rate.high:.1f} %"
        say(f"{mark} {mode.value:<19}{kind:<28}{counts['granted']:>4} of {counts.total():<4} {interval:<16} {why}")
    seeds = f"seeds {told.seed} to {told.seed + told.runs - 1}"
    say(f"{len(wanted)} attempts, {seeds}, in {(time.monotonic() - began) / 60:.1f} min")
    return 0 if good else 1


def claim(mode: LivenessMode, kind: str, rate: Rate) -> bool | None:
    """Say whether what is claimed of a kind holds, None where nothing is."""
    if kind in NEVER:
        return rate.count == 0
    if kind == "genuine":
        return rate.share >= LEAST_GENUINE
    if kind == BEST and mode is LivenessMode.FOLLOW_THE_LIGHT:
        return rate.low <= replay_passes(settings_for(mode).examining_rules().liveness) <= rate.high
    return None


if __name__ == "__main__":
    sys.exit(main())
