"""Build the wheel, install it into a clean environment away from the checkout, and play the demonstration with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command, show what it prints, and return it; exit where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed with {done.returncode}")
    return done.stdout


def main() -> None:
    """Do it, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", here, CHECKOUT, cwd=here)
        wheel = next(here.glob("*.whl"))
        run(sys.executable, "-m", "venv", here / "clean", cwd=here)
        python = here / "clean" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=here)
        env = {**os.environ, "XDG_STATE_HOME": str(here / "state")}
        told = run(here / "clean" / "bin" / "smileaccess", "--version", cwd=here, env=env)
        assert told == run(python, "-m", "smileaccess", "--version", cwd=here, env=env), told
        run(here / "clean" / "bin" / "smileaccess", "config", "example", cwd=here, env=env)
        run(here / "clean" / "bin" / "smileaccess", "demo", cwd=here, env=env)
    print("the wheel works in a clean environment")


if __name__ == "__main__":
    main()
