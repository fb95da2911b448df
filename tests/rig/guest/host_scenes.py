"""The scenes under systemd-nspawn: a door is installed, lets people in or not, is hurt, upgraded, and taken away."""

from __future__ import annotations

import json
import secrets
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from door import (
    CONFIG,
    DATABASE,
    SHARE,
    UNIT,
    Failed,
    Show,
    attempts,
    changed,
    check,
    cursor,
    journal,
    kill,
    main_pid,
    run,
    told,
    until,
    wait_for_end,
)

PICTURES = Path("/opt/rig")
OFFICE = Path("/root/office")
CREDSTORE = Path("/etc/credstore")
PROGRAM = Path("/usr/local/bin/smileaccess")
VENV = Path("/opt/smileaccess/venv")

TRIES = 8
"""How often the member may try: the pictures know nothing of the cue, which is missed now and then."""

CAMERA_S = 3.0
"""How long the camera may take to open before a try of it would say so in the journal."""

WATCHDOG_S, ABORT_S, RESTART_S = 5.0, 1.0, 2.0
"""As the unit says."""

CAMERA_MEMORY = {
    "LD_PRELOAD": "/opt/rig/dma.so",
    "GLIBC_TUNABLES": "glibc.malloc.perturb=255:glibc.malloc.tcache_count=0",
}
"""What the service has from its drop-in."""

OFFICE_SETTINGS = f"""\
[door]
name = "office"
[records]
database = ""
[mysql]
addresses = ["/run/mysqld/mysqld.sock"]
user = "office"
[keys]
directory = "{OFFICE}"
"""

CENTRAL = """\
[mysql]
addresses = ["/run/mysqld/mysqld.sock"]
user = "door_rig"
"""


def office(*arguments: str) -> str:
    """Run the program as in the office, where people are enrolled: with the enroller's keys and account."""
    return run(PROGRAM, *arguments, "--config", OFFICE / "office.toml", env={"CREDENTIALS_DIRECTORY": str(OFFICE)})


def central(sql: str) -> list[list[str]]:
    """Ask the database server itself."""
    out = run("mariadb", "--batch", "--skip-column-names", "--execute", sql, "smileaccess")
    return [line.split("\t") for line in out.splitlines()]


def status(*more: str | Path) -> dict[str, Any]:
    return dict(json.loads(run(PROGRAM, "door", "status", "--json", *more)))


def running() -> bool:
    return told("ActiveState") == "active" and told("SubState") == "running"


@contextmanager
def restarting() -> Iterator[None]:
    """Wait, after what is done within, until the service was restarted by itself and runs."""
    before = int(told("NRestarts"))
    yield
    until(lambda: int(told("NRestarts")) > before and running(), pause_s=0.2)


def attempt() -> tuple[str, str | None]:
    """Ask for an attempt over the operators' socket, and return its outcome and reason."""
    until(lambda: status()["phase"] == "idle", pause_s=0.1)
    before = len(attempts())
    run(PROGRAM, "door", "attempt", "--why", "the rig")
    return wait_for_end(before)


def member_attempts() -> tuple[int, list[str | None]]:
    """Have the member try until the door opens; return how often it took, and why it stayed shut before."""
    reasons: list[str | None] = []
    while len(reasons) < TRIES:
        outcome, reason = attempt()
        if outcome == "granted":
            return len(reasons) + 1, reasons
        reasons.append(reason)
    raise Failed(f"never granted: {reasons}")


def before_the_camera(who: str) -> None:
    """Let the camera see somebody else: it reads its pictures when it is opened."""
    (PICTURES / "frames").unlink()
    (PICTURES / "frames").symlink_to(who)
    run("systemctl", "restart", UNIT)


def verified() -> dict[str, Any]:
    return dict(json.loads(run(PROGRAM, "attempts", "verify", "--json")))


# --- scenes


def install() -> str:
    """systemd/install installs the door, and it runs"""
    wheel = next(SHARE.glob("*.whl"))
    command = ("sh", SHARE / "install", "--wheel", wheel, "--settings", SHARE / "settings.toml", "--name", "rig")
    out = run(*command, "--with", "mysql")
    check(running(), told("ActiveState"), out[-800:])
    for name in ("chain", "templates", "enroller.pub"):
        check((CREDSTORE / f"smileaccess.{name}").stat().st_mode & 0o077 == 0, name, "is open to others")
    return next(line for line in out.splitlines() if line.startswith("Installed"))


def confined() -> str:
    """The daemon told systemd that it is ready, runs as its own user, and may gain nothing"""
    check(told("Type") == "notify", told("Type"))
    check(journal("KIND=ready"), "no line `ready` in the journal")
    process = Path(f"/proc/{main_pid()}/status").read_text()
    values = {line.split(":")[0]: line.split()[1] for line in process.splitlines() if len(line.split()) > 1}
    check(values["Uid"] == run("id", "-u", "smileaccess").strip(), "user", values["Uid"])
    check((values["NoNewPrivs"], values["Seccomp"], values["CapEff"]) == ("1", "2", "0" * 16), values)
    exposure = run("systemd-analyze", "security", "--no-pager", UNIT).strip().splitlines()[-1]
    return f"exposure by systemd-analyze: {exposure.split(':', 1)[-1].strip()}"


def camera() -> str:
    """The camera of libcamera is opened by picamera2, and gives pictures"""
    time.sleep(CAMERA_S)
    lost = [str(line["MESSAGE"]) for kind in ("camera_lost", "camera_missing") for line in journal(f"KIND={kind}")]
    check(not lost, lost)
    check(attempt() == ("denied", "not_recognized"), attempts()[-1])
    return ""


def database() -> str:
    """The central database is made, the door registered, and a member who is enrolled there is known at the door"""
    run("systemctl", "start", "mariadb")
    password = secrets.token_hex(16)
    OFFICE.mkdir(mode=0o700, exist_ok=True)
    for name in ("enroller", "enroller.pub", "templates"):
        (OFFICE / name).write_bytes((CREDSTORE / f"smileaccess.{name}").read_bytes())
        (OFFICE / name).chmod(0o600)
    (OFFICE / "smileaccess.mysql").write_text(password)
    (OFFICE / "smileaccess.mysql").chmod(0o600)
    (OFFICE / "office.toml").write_text(OFFICE_SETTINGS)
    statements = f"CREATE USER office@localhost IDENTIFIED BY '{password}'; GRANT ALL ON *.* TO office@localhost "
    run("mariadb", "--execute", f"{statements} WITH GRANT OPTION")
    office("database", "init")
    office("door", "register", "rig", "--secret", str(CREDSTORE / "smileaccess.mysql"))
    CONFIG.write_text(f"{CONFIG.read_text()}{CENTRAL}")
    run("systemctl", "restart", UNIT)
    photograph = str(PICTURES / "member.jpg")
    office("enroll", "Ann", "--photo", photograph, "--consent", "--why", "the rig")
    until(lambda: status()["members"] == 1, pause_s=0.2)
    return f"{central('SELECT VERSION()')[0][0]}, {central('SELECT COUNT(*) FROM migrations')[0][0]} migrations"


def member() -> str:
    """A member who smiles on the cue is let in, by the default way of liveness"""
    before = CONFIG.read_text()
    CONFIG.write_text(changed(before, {"liveness": 'mode = "neutral-then-smile"'}))
    try:
        run("systemctl", "reload", UNIT)
        until(lambda: status()["liveness"] == "neutral-then-smile", pause_s=0.2)
        tries, missed = member_attempts()
    finally:
        CONFIG.write_text(before)
        run("systemctl", "reload", UNIT)
    until(lambda: status()["liveness"] == "smile", pause_s=0.2)
    return f"at try {tries}" + (f", after {', '.join(map(str, missed))}" if missed else "")


def stranger() -> str:
    """A stranger is denied as not recognized, and an empty doorway as no face"""
    before_the_camera("stranger")
    check(attempt() == ("denied", "not_recognized"), attempts()[-1])
    before_the_camera("nobody")
    check(attempt() == ("denied", "no_face"), attempts()[-1])
    before_the_camera("member")
    return ""


def disabled() -> str:
    """A member who is disabled in the office is denied at the door, and let in again when enabled"""
    office("members", "disable", "Ann", "--why", "the rig")
    until(lambda: status()["members"] == 0, pause_s=0.2)
    outcome, reason = attempt()
    check(outcome == "denied", outcome, reason)
    office("members", "enable", "Ann", "--why", "the rig")
    until(lambda: status()["members"] == 1, pause_s=0.2)
    member_attempts()
    return f"{reason}"


def delivered() -> str:
    """Every attempt stands in MariaDB as it stands at the door, without a name"""
    here = [tuple(map(str, row)) for row in attempts()]
    there = "SELECT id, outcome, IFNULL(reason, 'None') FROM attempts ORDER BY opened_at, id"
    until(lambda: [tuple(row) for row in central(there)] == here, pause_s=0.3)
    check("Ann" not in json.dumps(central("SELECT * FROM attempts")), "a name in an attempt")
    return f"{len(here)} attempts, {central('SELECT COUNT(*) FROM door_events')[0][0]} events"


def told_in_the_journal() -> str:
    """The journal has each attempt as one line with its fields, and journalctl -x explains it"""
    lines = journal("OUTCOME=granted") + journal("OUTCOME=denied")
    check({line["ATTEMPT_ID"] for line in lines} == {row[0] for row in attempts()}, "not the attempts on record")
    check(len(lines) == len(attempts()), len(lines), "lines")
    for name in ("MEMBER_ID", "SIMILARITY", "DURATION_MS", "RECOGNIZER", "CHAIN", "DOOR", "MESSAGE_ID"):
        check(lines[0].get(name), "no", name)
    priorities = {line["OUTCOME"]: line["PRIORITY"] for line in lines}
    check(priorities == {"granted": "6", "denied": "5"}, priorities)
    for match in ("OUTCOME=granted", "REASON=not_recognized", "REASON=no_face"):
        explained = run("journalctl", "--no-pager", "-x", "-u", "smileaccess", match)
        check("Defined-By: smileaccess" in explained and "@DOOR@" not in explained, match, explained[-400:])
    return str(lines[0]["MESSAGE"])


def operators() -> str:
    """The socket lets in who is in the operators' group, and refuses who is not"""
    for name, groups in (("op", "smileaccess-operate"), ("guest", "")):
        run("useradd", "--no-create-home", *(("--groups", groups) if groups else ()), name)
    why = ("door", "unlock", "--why", "the rig")
    since = cursor()
    run("runuser", "-u", "op", "--", PROGRAM, *why)
    until(lambda: journal("KIND=control_unlock", since=since), pause_s=0.2)
    refused = run("runuser", "-u", "guest", "--", "sh", "-c", f"{PROGRAM} {' '.join(why[:3])} rig 2>&1", right=(1,))
    check(len(journal("KIND=control_unlock", since=since)) == 1, "two unlocks")
    return refused.strip().splitlines()[-1]


def reload() -> str:
    """HUP takes over changed settings; wrong ones are named, and the old ones stay"""
    pid, before = main_pid(), CONFIG.read_text()
    since = cursor()
    CONFIG.write_text(changed(before, {"liveness": 'mode = "off"'}))
    run("systemctl", "reload", UNIT)
    until(lambda: status()["liveness"] == "off", pause_s=0.2)
    check(attempt()[0] == "granted", attempts()[-1])
    good = Path("/root/good.toml")
    good.write_text(before)
    CONFIG.write_text(before.replace("unlock_s = 1.0", "unlock_s = 0"))
    try:
        run("systemctl", "reload", UNIT)
        until(lambda: [line for line in journal(since=since) if "unlock_s = 0" in str(line["MESSAGE"])], pause_s=0.2)
        check(status("--config", good)["liveness"] == "off", "the old settings are gone")
    finally:
        CONFIG.write_text(before)
    run("systemctl", "reload", UNIT)
    until(lambda: status()["liveness"] == "smile", pause_s=0.2)
    check(main_pid() == pid, "it was restarted")
    return ""


def hangs() -> str:
    """A daemon that hangs is killed by the watchdog, and its successor lets people in"""
    since, pid, began = cursor(), main_pid(), time.monotonic()
    with restarting():
        kill(pid, signal.SIGSTOP)
    took_s = time.monotonic() - began
    check(main_pid() != pid, "the same process")
    messages = [str(line["MESSAGE"]) for line in journal(since=since)]
    check(any("Watchdog timeout" in message for message in messages), "no `Watchdog timeout` in the journal")
    member_attempts()
    return f"back after {took_s:.1f} s (watchdog {WATCHDOG_S:g} s, abort {ABORT_S:g} s, restart {RESTART_S:g} s)"


def killed() -> str:
    """A daemon that is killed amid an attempt leaves a row that its successor ends as internal_error"""
    before_the_camera("nobody")  # who is waited for
    before = len(attempts())
    with restarting():
        run(PROGRAM, "door", "attempt", "--why", "the rig")
        kill(main_pid(), signal.SIGKILL)
    ended = wait_for_end(before)
    check(ended == ("denied", "internal_error"), ended)
    before_the_camera("member")
    return f"{verified()['links']} links verify"


def without_the_database() -> str:
    """Without MariaDB the door lets in and keeps the rows, which are delivered when it is back"""
    run("systemctl", "stop", "mariadb")
    try:
        member_attempts()
        until(lambda: not status()["central"]["connected"], pause_s=0.2)
        waiting = json.loads(run(PROGRAM, "database", "status", "--json", right=(0, 1)))["door"]["waiting"]
        check(waiting > 0, "no row waits")
    finally:
        run("systemctl", "start", "mariadb")
    until(lambda: status()["central"]["waiting"] == 0, pause_s=0.3)
    delivered()
    return f"{waiting} rows waited"


def altered() -> str:
    """A record that somebody altered does not verify, and one that nobody altered does"""
    good = verified()
    copy = Path("/root/altered.db")
    with closing(sqlite3.connect(DATABASE)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        names = [row[0] for row in target.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for name in names:
            target.execute(f'DROP TRIGGER "{name}"')
        target.execute("UPDATE attempts SET outcome = 'granted', reason = NULL WHERE reason = 'not_recognized'")
        target.commit()
    settings = CONFIG.read_text().split("[mysql]")[0] + f'[records]\ndatabase = "{copy}"\n'
    Path("/root/altered.toml").write_text(settings)
    out = run(PROGRAM, "attempts", "verify", "--json", "--config", "/root/altered.toml", right=(1,))
    told_of = json.loads(out)
    check(told_of["ok"] is False, told_of)
    check(good["ok"] is True, good)
    return f"{good['links']} links; altered: {told_of['error']}"


def wrong_settings() -> str:
    """Wrong settings end the daemon with code 2, are not tried again, and are named in the journal"""
    before, since = CONFIG.read_text(), cursor()
    CONFIG.write_text(before.replace("unlock_s = 1.0", "unlock_s = 0"))
    try:
        run("systemctl", "restart", UNIT, right=(1,))
        until(lambda: told("ActiveState") == "failed", pause_s=0.2)
        check(told("ExecMainStatus") == "2", told("ExecMainStatus"))
        check([line for line in journal(since=since) if "unlock_s = 0" in str(line["MESSAGE"])], "not named")
    finally:
        CONFIG.write_text(before)
    run("systemctl", "reset-failed", UNIT)
    run("systemctl", "start", UNIT)
    return ""


def doctor() -> str:
    """The doctor finds no fault, but that the camera is no device of the kernel's"""
    found = json.loads(run(PROGRAM, "doctor", "--no-cloud", "--json", right=(0, 1), env=CAMERA_MEMORY))
    faults = [f"{each['check']}: {each['found']}" for each in found["findings"] if each["level"] == "fault"]
    check([fault for fault in faults if not fault.startswith("media devices: ")] == [], faults)
    return f"{len(found['findings'])} findings, {found['warnings']} warnings"


def upgraded() -> str:
    """Installed again, it keeps settings, keys, record and members, and lets them in"""
    kept = {path: path.read_bytes() for path in (CONFIG, *CREDSTORE.glob("smileaccess.*"))}
    rows, program = attempts(), VENV.readlink()
    run("sh", SHARE / "install", "--wheel", next(SHARE.glob("*.whl")), "--with", "mysql")
    check({path: path.read_bytes() for path in kept} == kept, "settings or keys have changed")
    check(attempts()[: len(rows)] == rows, "the record has changed")
    check(VENV.readlink() != program, "the program is the old one")
    left = list(VENV.with_name("venvs").iterdir())
    check(len(left) == 1, left)
    member_attempts()
    return ""


def stops() -> str:
    """Told to stop, it stops in order"""
    began = time.monotonic()
    run("systemctl", "stop", UNIT)
    check((told("Result"), told("ExecMainStatus")) == ("success", "0"), told("Result"), told("ExecMainStatus"))
    check(verified()["ok"] is True)
    return f"{time.monotonic() - began:.1f} s"


def uninstalled() -> str:
    """The uninstallation leaves settings, keys and record, and with --purge nothing"""
    script = Path("/root/uninstall")
    script.write_bytes(Path("/opt/smileaccess/uninstall").read_bytes())
    run("sh", script)
    unit = Path("/usr/local/lib/systemd/system") / UNIT
    for path in (PROGRAM, unit, Path("/opt/smileaccess")):
        check(not path.exists(), path, "is there")
    for path in (CONFIG, DATABASE, CREDSTORE / "smileaccess.chain"):
        check(path.exists(), path, "is gone")
    run("sh", script, "--purge", "--yes")
    left = [
        *CREDSTORE.glob("smileaccess.*"),
        *Path("/var/lib").glob("smileaccess*"),
        *Path("/etc").glob("smileaccess*"),
    ]
    check(not left, left)
    check("smileaccess" not in Path("/etc/passwd").read_text(), "the user is there")
    return ""


SCENES = [
    install,
    confined,
    camera,
    database,
    member,
    stranger,
    disabled,
    delivered,
    told_in_the_journal,
    operators,
    reload,
    hangs,
    killed,
    without_the_database,
    altered,
    wrong_settings,
    doctor,
    upgraded,
    stops,
    uninstalled,
]


def main() -> int:
    show = Show()
    for act in SCENES:
        show.scene(act)
        if show.failed and act is install:
            break
    return show.failed


if __name__ == "__main__":
    sys.exit(main())
