"""The house: arrows point inward, adapters do not know each other, and heavy parts load when needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "smileaccess"

VALUES = {"model", "errors", "encoding"}
"""What everybody may know: values, exceptions, and how times are spelled."""

INNER: dict[str, set[str]] = {
    # Pure: values in, values out.
    "schedules": set(),
    "model": {"schedules"},
    "errors": set(),
    "encoding": set(),
    "delivery": set(),
    "ports": {"model", "delivery"},
    "policy": {"model", "schedules"},
    "liveness": {"model"},
    "door": {"model"},
    "doorway": set(),
    "orders": {"model", "encoding"},
    "gates": {"model"},
    "signals": {"model"},
    "canonical": {"model"},
    "reporting": {"model"},
    "ballot": {"model"},
    "gestures": {"model", "liveness"},
    "curling": {"model"},
    "examining": {"model", "ballot", "curling", "gates", "gestures", "liveness"},
    "conduct": {"approach", "door", "doorway", "examining", "policy", "settings"},
    "events": {"model", "errors", "conduct"},
    "alerting": {"messages"},
    "complaints": set(),
    "sections": {"model", "alerting", "liveness", "pins", "policy", "schedules"},
    "settings": {
        "model",
        "errors",
        "alerting",
        "approach",
        "ballot",
        "complaints",
        "door",
        "doorway",
        "examining",
        "gates",
        "liveness",
        "pins",
        "policy",
        "schedules",
        "sections",
        "spending",
    },
    # Small tools that know nothing of a door.
    "clock": set(),
    "durable": set(),
    "drawing": {"errors"},
    "workers": set(),
    "keys": {"errors", "durable"},
    # Use cases: ports, never adapters.
    "membership": VALUES | {"ports", "schedules"},
    "confirming": VALUES | {"ports"},
    "registry": VALUES | {"ports", "confirming", "membership", "schedules"},
    "reconciling": VALUES | {"ports", "membership", "registry"},
    "sitting": VALUES | {"ports", "gates", "registry", "schedules"},
    "intake": VALUES | {"ports", "sitting"},
    "enrollment": VALUES | {"ports", "gates", "intake", "membership", "registry", "sitting"},
    "approach": {"model"},
    "pins": set(),
    "spending": VALUES | {"ports"},
    "recorder": VALUES | {"ports"},
    "upkeep": VALUES | {"ports", "delivery", "events", "membership", "recorder"},
    "following": VALUES | {"ports", "membership"},
    "liaison": VALUES | {"ports", "delivery", "following"},
    "control": VALUES | {"ports", "events"},
    "controller": VALUES
    | {"ports", "approach", "canonical", "conduct", "door", "events", "examining", "policy", "recorder", "signals"}
    | {"barring", "contact", "doorway", "jobs", "office", "orders", "reports", "running", "strike"},
    "contact": VALUES | {"ports", "doorway"},
    "barring": {"model", "orders", "policy"},
    "office": {"encoding"},
    "jobs": VALUES | {"ports", "events", "examining", "recorder", "running", "supervisor"},
    "supervisor": set(),
    "reports": {"model"},
    "messages": {"model"},
    "running": VALUES | {"conduct", "examining", "policy"},
    "strike": VALUES | {"ports"},
}
"""Every module of the inner house, and all that it may import of ours."""

PURE = {
    "model",
    "delivery",
    "policy",
    "liveness",
    "door",
    "doorway",
    "orders",
    "gates",
    "gestures",
    "curling",
    "examining",
    "signals",
    "canonical",
    "alerting",
    "schedules",
    "approach",
    "ballot",
    "pins",
    "reporting",
    "reports",
    "messages",
    "evaluation.measuring",
    "evaluation.replaying",
}
"""These may import nothing that reaches out of the process, not even of the standard library."""

PURE_LIBRARY = {
    *("__future__", "collections", "collections.abc", "dataclasses", "datetime", "enum", "itertools", "math", "re"),
    *("types", "typing", "uuid"),
}

RECKONING = {
    "curling": {"numpy", "numpy.typing"},
    "evaluation.measuring": {"numpy", "numpy.typing"},
    "schedules": {"zoneinfo"},
}
"""Pure modules that reckon with more: numbers beyond Python's own lists, the world's time zones, the system's data."""

ADAPTERS = {"vision", "recognizers", "cameras", "panels", "records", "supervision"}
"""A folder is a port; each may import this, and itself."""

ADAPTERS_MAY = VALUES | {"ports", "alerting", "delivery", "messages", "pins", "signals", "durable", "workers"}

WIRING = {"__init__", "__main__", "daemon", "wiring", "cli", "demo", "doctor", "rehearsal", "fleet", "evaluation"}
"""Where the parts are put together; they may import anything."""

HEAVY = {
    "cv2",
    "numpy",
    "PIL",
    "cryptography",
    "apprise",
    "boto3",
    "botocore",
    "pymysql",
    "matplotlib",
    "picamera2",
    "lgpio",
    "gpiozero",
    "systemd",
}


def modules() -> dict[str, Path]:
    """Return every module's name within the package, and its file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts if parts == ("__init__",) else [part for part in parts if part != "__init__"])] = path
    return found


MODULES = modules()


def imported(path: Path) -> set[str]:
    """Return every module that a file imports anywhere in it, for type checking too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: a relative import: name the module in full"
            found |= {_target(node.module or "", alias.name) for alias in node.names}
    return found


def _target(module: str, name: str) -> str:
    """Tell a module imported from a package from a name imported from a module."""
    return f"{module}.{name}" if f"{module}.{name}".removeprefix("smileaccess.") in MODULES else module


def ours(path: Path) -> set[str]:
    return {name.removeprefix("smileaccess.") for name in imported(path) if name.startswith("smileaccess.")}


def room(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_room(module: str) -> None:
    """A module is of the inner house, an adapter, or one that wires."""
    assert room(module) in INNER.keys() | ADAPTERS | WIRING, (
        f"smileaccess/{module}: put it into a room, or name it in INNER with what it may import"
    )


def test_the_table_names_no_ghosts() -> None:
    """What the table names exists."""
    assert set(INNER) - set(MODULES) == set()


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) in INNER])
def test_the_inner_house_points_inward(module: str) -> None:
    """A module of the inner house imports what the table allows it, and no adapter."""
    beyond = ours(MODULES[module]) - INNER[module]

    assert not beyond, f"smileaccess.{module} must not import {', '.join(sorted(beyond))}"


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) in ADAPTERS])
def test_adapters_do_not_know_each_other(module: str) -> None:
    """An adapter knows values, errors, ports, signals, and its own folder."""
    beyond = {name for name in ours(MODULES[module]) - ADAPTERS_MAY if room(name) != room(module)}

    assert not beyond, f"smileaccess.{module} must not import {', '.join(sorted(beyond))}"


def test_only_what_wires_is_wired_by_nobody() -> None:
    """Nothing inside imports what puts it together."""
    inside = {module: ours(path) for module, path in MODULES.items() if room(module) not in WIRING}
    wired = {module: {name for name in names if room(name) in WIRING} for module, names in inside.items()}

    assert {module: names for module, names in wired.items() if names} == {}


@pytest.mark.parametrize("module", sorted(PURE))
def test_the_pure_modules_touch_nothing(module: str) -> None:
    """They compute; only the model draws an identifier, from time and chance."""
    tools = {name for name in imported(MODULES[module]) if room(name) != "smileaccess"}
    own = {"model": {"os", "time", "uuid", "numpy", "numpy.typing"}}.get(module, set())

    assert tools - PURE_LIBRARY - own - RECKONING.get(module, set()) == set()


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) != "cli"])
def test_only_the_command_line_prints(module: str) -> None:
    """What people read comes from the command line and the panel; everything else logs."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]

    assert [call.lineno for call in calls if isinstance(call, ast.Name) and call.id == "print"] == []


@pytest.mark.parametrize("module", MODULES)
def test_every_module_tells_its_job(module: str) -> None:
    """A module begins with a sentence about what it is for."""
    text = ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))

    assert text, f"smileaccess.{module}: no docstring"


@pytest.mark.parametrize("module", ["cli", "model", "settings", "controller", "daemon"])
def test_heavy_parts_load_when_needed(module: str) -> None:
    """Importing the command line or the core loads no network, no camera, no cloud and no database."""
    program = f"import sys, smileaccess.{module}; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (loaded.stdout.split(), loaded.stderr) == ([], "")
