"""The checks of the machine, the door and what is kept: each warns and faults for its reason, and for no other."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smileaccess import doctor, wiring
from smileaccess.clock import SystemClock
from smileaccess.control import ControlServer, Groups
from smileaccess.doctor import records
from smileaccess.doctor.findings import Check, Finding, Level, Remark, findings_of, fine, settings_findings
from smileaccess.doctor.machine import LEAST_BYTES, LEAST_INODES, LOW_BYTES, LOW_INODES, pair
from smileaccess.doctor.site import Site, Volume, group_exists, kind_of, volume_of
from smileaccess.errors import CameraUnavailable, MemberNotFound, SettingsError, VisionFailed
from smileaccess.keys import ALL_KEYS, KeyKind
from smileaccess.membership import new_member_id, new_template_id, seal_template
from smileaccess.model import Bill, Consent, Frame, IndexedFace, Member, MemberStatus, Payer, Sight, Template
from smileaccess.settings import load
from smileaccess.vision.embedding import MODEL
from tests.builders import make_face, make_frame, make_quality, make_sight
from tests.fakes_devices import FakeCamera, FakeClock
from tests.fakes_vision import FakeVision, person
from tests.house import FACES, House, attempt

DOCS = Path(__file__).resolve().parent.parent / "docs" / "doctor.md"
ROOMY = Volume("ext4", 10 * LOW_BYTES, 10 * LOW_INODES)
GOOD = f'[camera]\nkind = "reel"\npath = "{FACES}"\n[panel]\nkind = "silent"\n[rules]\nemotions = "off"\n'
CLOUD = '[rekognition]\nregion = "eu-central-1"\n[recognition]\nrecognizers = '
BOTH = f'{CLOUD}["rekognition", "embedded"]\n'
ONLY_CLOUD = f'{CLOUD}["rekognition"]\n'


class Shifted(SystemClock):
    """This machine's clock, some seconds off, and with a source."""

    def __init__(self, by_s: float = 0.0, *, synchronized: bool = True) -> None:
        self._by = timedelta(seconds=by_s)
        self._synchronized = synchronized

    def now(self) -> datetime:
        return super().now() + self._by

    def synchronized(self) -> bool:
        return self._synchronized


class Seeing(FakeVision):
    """Eyes that see what they were given."""

    def __init__(self, sight: Sight) -> None:
        super().__init__()
        self.sight = sight

    def look(self, frame: Frame) -> Sight:  # noqa: ARG002 -- the port's
        return self.sight


def site_of(house: House, toml: str = "", **world: Any) -> Site:
    """Return a house as a site at which nothing is wrong that the test does not name."""
    with house.config.open("a") as file:
        file.write(toml)
    good: dict[str, Any] = {
        "clock": Shifted(),
        "user_id": 1000,
        "interactive": True,
        "has_group": lambda _: True,
        "volume": lambda _: ROOMY,
        "watch_s": 0.1,
    }
    return Site(settings=load(house.config), path=house.config, **{**good, **world})


def look(site: Site, name: str) -> list[Finding]:
    """Run one check by its name."""
    (check,) = (check for check in doctor.CHECKS if check.name == name)
    with closing(site):
        return list(findings_of(check, site))


def levels(found: Sequence[Finding]) -> list[str]:
    return [finding.level.value for finding in found]


def only(found: Sequence[Finding], level: str) -> Finding:
    """Return the one finding of a level, after checking that it says what to do."""
    (one,) = (finding for finding in found if finding.level == level)
    assert bool(one.advice) is (level != "fine")
    return one


def enroll(
    house: House,
    *,
    templates: int = 1,
    model: str = MODEL,
    faces: Sequence[tuple[str, str]] = (),
    status: MemberStatus = MemberStatus.ACTIVE,
    groups: tuple[str, ...] = (),
) -> Member:
    """Put down a signed member with templates of a model, and with faces by collection and face model."""
    settings = load(house.config)
    keys = wiring.load_keys(settings, ALL_KEYS)
    now, member_id = datetime.now(UTC), new_member_id()
    made = [(new_template_id(), person(number + 1)) for number in range(templates)]
    member = Member(
        id=member_id,
        version=1,
        name="Ada Lovelace",
        status=status,
        created_at=now,
        consent=Consent(now, "1"),
        templates=tuple(
            Template(each, model, seal_template(vector, member_id, each, model, keys.templates), now)
            for each, vector in made
        ),
        faces=tuple(
            IndexedFace(f"{member_id}-{number}", name, version, now) for number, (name, version) in enumerate(faces)
        ),
        groups=groups,
    )
    with closing(wiring.open_spool(settings, keys)) as spool:
        wiring.make_registry(settings, keys, spool, SystemClock(), "tests").put(member, "member_enrolled", "")
    return member


def without_enroller(house: House) -> None:
    (house.keys / "enroller").unlink()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


class TestWhole:
    def test_a_good_door_is_fine_in_everything(self, house: House) -> None:
        enroll(house)
        without_enroller(house)
        with closing(site_of(house, GOOD)) as site:
            checks = doctor.applicable(site)
            found = [finding for check in checks for finding in findings_of(check, site)]
        assert [finding for finding in found if finding.level is not Level.FINE] == []
        silent = {"central", "delivery", "faces", "fallback", "spending"}
        assert {finding.check for finding in found} == {check.name for check in checks} - silent

    def test_without_the_cloud_none_of_its_checks_is_made(self, house: House) -> None:
        cloud = {check.name for check in doctor.CHECKS if check.cloud}
        assert {check.name for check in doctor.applicable(site_of(house))} & cloud == set()
        assert {check.name for check in doctor.applicable(site_of(house, BOTH, cloud=False))} & cloud == set()
        assert {check.name for check in doctor.applicable(site_of(house, ""))} >= cloud

    def test_the_docs_explain_exactly_these_checks_in_this_order(self) -> None:
        table = DOCS.read_text(encoding="utf-8").partition("<!-- checks -->")[2].partition("<!-- /checks -->")[0]
        named = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
        assert named == [check.name for check in doctor.CHECKS]

    def test_every_check_of_the_cloud_is_there(self) -> None:
        from smileaccess.doctor import cloud  # noqa: PLC0415

        names = {check.name.replace(" ", "_") for check in doctor.CHECKS if check.cloud}
        assert {name for name in names if not callable(getattr(cloud, name, None))} == set()


class TestRunning:
    def run(self, house: House, *steps: Any, bound_s: float = 10.0) -> list[Finding]:
        def steps_of(_: Site) -> Iterator[Remark]:
            for step in steps:
                if isinstance(step, Exception):
                    raise step
                yield step() if callable(step) else step

        return list(findings_of(Check("some", steps_of, bound_s), site_of(house)))

    def test_what_was_found_before_an_unforeseen_error_stays(self, house: House) -> None:
        found = self.run(house, fine("one"), ZeroDivisionError("by zero"), fine("never"))
        assert [(each.level.value, each.found) for each in found] == [
            ("fine", "one"),
            ("fault", "unforeseen: ZeroDivisionError: by zero"),
        ]

    def test_the_unforeseen_is_handed_on_whole(self, house: House) -> None:
        crash, heard = ZeroDivisionError("by zero"), []

        def bad(_: Site) -> Iterator[Remark]:
            raise crash

        list(findings_of(Check("bad", bad), site_of(house), heard.append))
        assert heard == [crash]

    def test_an_error_of_ours_is_a_fault_with_its_own_advice(self, house: House) -> None:
        (found,) = self.run(house, MemberNotFound("member x: there is none: see the list"))
        assert found == Finding("some", Level.FAULT, "member x: there is none", "see the list")

    def test_a_check_that_hangs_is_left_alone(self, house: House) -> None:
        held = threading.Event()
        found = self.run(house, fine("one"), lambda: fine(str(held.wait(30))), bound_s=0.1)
        held.set()
        assert levels(found) == ["fine", "fault"]
        assert "not done within 0.1 s" in found[1].found

    def test_no_key_id_is_ever_shown(self, house: House) -> None:
        (found,) = self.run(house, fine("AKIASTANDIN00000DOOR and\nASIA0123456789ABCDEF"))
        assert found.found == "...DOOR and ...CDEF"

    def test_what_is_found_is_one_line_of_bounded_length(self, house: House) -> None:
        (found,) = self.run(house, fine("many\nwords " * 200))
        assert (len(found.found), "\n" in found.found) == (400, False)

    def test_settings_that_cannot_be_read_are_a_fault_for_each_problem(self, tmp_path: Path) -> None:
        found = settings_findings(SettingsError(["settings: [a] b = 1: no", "settings: [c]: no"]), tmp_path / "door")
        assert [(each.check, each.level.value, each.found) for each in found] == [
            ("settings", "fault", "[a] b = 1: no"),
            ("settings", "fault", "[c]: no"),
        ]
        assert all(str(tmp_path / "door") in each.advice for each in found)


class TestSettings:
    def test_a_file_that_others_may_write_is_warned_of(self, house: House) -> None:
        site = site_of(house)
        assert levels(look(site, "settings")) == ["fine"]
        house.config.chmod(0o666)
        assert "chmod go-w" in only(look(site, "settings"), "warning").advice


class TestPlace:
    @pytest.mark.parametrize(
        ("place", "mode", "level", "word"),
        [
            ("inner", "neutral-then-smile", "fine", ""),
            ("inner", "smile", "fine", ""),
            ("inner", "follow-the-light", "fine", "in 3.5 of 100 attempts at the most"),
            ("outer", "follow-the-light", "fine", "in 3.5 of 100 attempts at the most"),
            ("inner", "off", "warning", "a photograph of a member passes"),
            ("outer", "neutral-then-smile", "warning", "a video of a member"),
            ("outer", "smile", "warning", "anybody with a printed photograph"),
            ("outer", "off", "warning", "anybody with a printed photograph"),
        ],
    )
    def test_the_sign_of_life_must_fit_the_place(
        self, house: House, place: str, mode: str, level: str, word: str
    ) -> None:
        site = site_of(house, f'[door]\nattempt_s = 15\nplace = "{place}"\n[liveness]\nmode = "{mode}"\n')
        (found,) = look(site, "place")
        assert (found.level, word in found.found) == (level, True)

    @pytest.mark.parametrize(
        ("place", "cloud", "opens", "warned"),
        [("outer", BOTH, "true", 1), ("outer", BOTH, "false", 0), ("inner", BOTH, "true", 0), ("outer", "", "true", 0)],
    )
    def test_an_outer_door_that_falls_back_is_warned_of(
        self, house: House, place: str, cloud: str, opens: str, warned: int
    ) -> None:
        more = f"{cloud}fallback_opens = {opens}\n" if cloud else ""
        found = look(site_of(house, f'[door]\nplace = "{place}"\n{more}'), "place")
        assert sum("cuts its line" in each.found for each in found) == warned


GPIO_LINES = '[panel]\nkind = "gpio"\n[gpio]\nstrike = 17\n'


class TestContact:
    @pytest.mark.parametrize(
        ("wired", "said", "level", "word"),
        [
            ("", "auto", "fine", "none"),
            ("", "on", "warning", "no contact is wired"),
            ("contact = 25\n", "auto", "warning", "forced open is no alarm"),
            ("contact = 25\n", "on", "warning", "by the handle is an alarm"),
            ("contact = 25\nrex = 24\n", "off", "warning", "forced open is no alarm"),
            ("contact = 25\nrex = 24\n", "auto", "fine", "every way out"),
        ],
    )
    def test_what_is_made_of_it_must_fit_what_is_wired(
        self, house: House, wired: str, said: str, level: str, word: str
    ) -> None:
        site = site_of(house, f'{GPIO_LINES}{wired}[door]\nforced_open = "{said}"\n')
        assert word in only(look(site, "contact"), level).found


class TestAlerts:
    def test_without_a_channel_that_is_said(self, house: House) -> None:
        assert "in the journal only" in only(look(site_of(house), "alerts"), "fine").found

    def test_channels_that_can_be_read_are_counted(self, house: House) -> None:
        path = house.folder / "channels"
        path.write_text("json://secret@one/\n# two\njson://three/\n")
        path.chmod(0o600)
        found = only(look(site_of(house, f'[alerts]\nchannels_file = "{path}"\n'), "alerts"), "fine").found
        assert ("channels: 2" in found, "secret" in found) == (True, False)

    def test_a_log_that_hides_what_alerts_are_made_of_is_a_fault(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (house.folder / "smileaccess.alerts").write_text("json://three/\n")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(house.folder))
        assert (
            "hides what alerts are made of"
            in only(look(site_of(house, '[log]\nlevel = "error"\n'), "alerts"), "fault").found
        )

    def test_channels_that_cannot_be_read_are_a_fault(self, house: House) -> None:
        site = site_of(house, '[alerts]\nchannels_file = "/nowhere"\n')
        assert "/nowhere" in only(look(site, "alerts"), "fault").found


class TestEmotions:
    def test_where_they_are_off_there_is_nothing_to_say(self, house: House) -> None:
        assert levels(look(site_of(house, '[rules]\nemotions = "off"\n'), "emotions")) == ["fine"]

    @pytest.mark.parametrize(("rule", "word"), [("require", "2025-02-02"), ("record", "go on record")])
    def test_where_they_are_used_the_law_is_named(self, house: House, rule: str, word: str) -> None:
        found = only(look(site_of(house, f'[rules]\nemotions = "{rule}"\n'), "emotions"), "warning")
        assert ("Art. 5(1)(f)" in found.found, word in found.found) == (True, True)


class TestPanel:
    @pytest.mark.parametrize(
        ("kind", "camera", "interactive", "level"),
        [
            ("terminal", "webcam", True, "fine"),
            ("terminal", "webcam", False, "warning"),
            ("silent", "webcam", True, "warning"),
            ("silent", "reel", False, "fine"),
        ],
    )
    def test_a_panel_must_be_able_to_do_its_work(
        self, house: House, kind: str, camera: str, interactive: bool, level: str
    ) -> None:
        toml = f'[panel]\nkind = "{kind}"\n[camera]\nkind = "{camera}"\npath = "x"\n'
        assert levels(look(site_of(house, toml, interactive=interactive), "panel")) == [level]


class TestCamera:
    def frames(self, *, tick_s: float = 0.0625, sight: Sight | None = None) -> dict[str, Any]:
        """Return a camera of 50 frames under a clock that ticks at each look, and eyes that see something."""
        camera = FakeCamera([make_frame(sequence) for sequence in range(1, 51)])
        eyes = Seeing(sight or make_sight(make_face()))
        return {
            "clock": FakeClock(tick_s=tick_s),
            "watch_s": 1.0,
            "make_camera": lambda _, __: camera,
            "make_eyes": lambda _: eyes,
        }

    def test_a_good_camera_tells_frames_size_and_faces(self, house: House) -> None:
        found = look(site_of(house, **self.frames()), "camera")
        assert [each.found for each in found] == [
            "16 frames of 640x480 in 1.0 s",
            "1 face in the picture, the largest with brightness 60",
        ]

    def test_one_that_is_not_there_is_a_fault(self, house: House) -> None:
        world = self.frames()
        camera = FakeCamera()
        camera.error = CameraUnavailable("webcam 0: cannot be opened")
        found = look(site_of(house, **{**world, "make_camera": lambda _, __: camera}), "camera")
        assert [(each.level.value, each.found) for each in found] == [("fault", "webcam 0: cannot be opened")]

    def test_one_that_stops_is_a_fault_and_is_closed(self, house: House) -> None:
        camera = FakeCamera([make_frame(1)])
        found = look(site_of(house, **{**self.frames(), "make_camera": lambda _, __: camera}), "camera")
        assert (levels(found), camera.running) == (["fault"], False)

    def test_too_few_frames_are_warned_of(self, house: House) -> None:
        found = look(site_of(house, **self.frames(tick_s=0.5)), "camera")
        assert "too few" in only(found, "warning").found

    @pytest.mark.parametrize(
        ("sight", "level"),
        [
            (make_sight(brightness=5.9), "warning"),
            (make_sight(brightness=6.0), "fine"),
            (make_sight(make_face(quality=make_quality(brightness=14.9))), "warning"),
            (make_sight(make_face(quality=make_quality(brightness=15.0)), brightness=1.0), "fine"),
        ],
    )
    def test_darkness_is_warned_of(self, house: House, sight: Sight, level: str) -> None:
        found = look(site_of(house, **self.frames(sight=sight)), "camera")
        assert levels(found) == ["fine", level]

    def test_eyes_that_do_not_work_are_another_checks_fault(self, house: House) -> None:
        def broken(_: Any) -> Any:
            raise VisionFailed("vision: the weights are missing: install smileaccess again")

        world = {**self.frames(), "make_eyes": broken}
        assert "check networks" in only(look(site_of(house, **world), "camera"), "warning").advice
        assert levels(look(site_of(house, **world), "networks")) == ["fault"]

    def test_a_running_daemon_is_asked_for_its_frames(self, house: House) -> None:
        own = FakeCamera()
        own.error = CameraUnavailable("webcam 0: busy")
        site = site_of(house, **{**self.frames(), "make_camera": lambda _, __: own})
        daemons = FakeCamera([make_frame(sequence) for sequence in range(1, 51)])
        daemons.start()
        server = ControlServer(
            Path(site.settings.control.socket),
            groups=Groups("a", "b", "c"),
            door="front",
            clock=FakeClock(),
            camera=daemons,
            put=lambda _: None,
            on_crash=lambda: None,
        )
        server.start()
        with closing(server):
            found = look(site, "camera")
        assert (levels(found), found[0].found.endswith("from the running daemon")) == (["fine", "fine"], True)

    @pytest.mark.parametrize(("permitted", "level"), [(False, "warning"), (True, "fault")])
    def test_a_daemon_that_refuses_is_told_of(self, house: House, permitted: bool, level: str) -> None:
        site = site_of(house, **self.frames())
        answer = json.dumps({"ok": False, "error": "control: no", "permitted": permitted}).encode()
        with answering(Path(site.settings.control.socket), answer):
            (found,) = look(site, "camera")
        assert (found.level, "smileaccess-enroll" in found.advice) == (level, not permitted)


@contextlib.contextmanager
def answering(path: Path, line: bytes) -> Iterator[None]:
    """Stand in for a daemon that gives every caller this line."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(line + b"\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.close()
        thread.join()


class TestMachine:
    @pytest.mark.parametrize(("user_id", "level"), [(0, "warning"), (1000, "fine")])
    def test_root_is_warned_of(self, house: House, user_id: int, level: str) -> None:
        assert levels(look(site_of(house, user_id=user_id), "user")) == [level]

    def test_without_any_group_nobody_may_use_the_socket(self, house: House) -> None:
        assert levels(look(site_of(house, has_group=lambda _: False), "groups")) == ["warning"]
        (found,) = look(site_of(house, has_group=lambda name: name.endswith("look")), "groups")
        assert found.found == "here: smileaccess-look; not here: smileaccess-operate, smileaccess-enroll"

    def test_the_systems_groups_are_asked(self) -> None:
        assert (group_exists("root"), group_exists("no-such-group"), group_exists("")) == (True, False, False)

    @pytest.mark.parametrize(
        ("opencv", "numpy", "level"),
        [
            ("5.0.0", "2.4.6", "fine"),
            ("4.11.0", "1.26.4", "fine"),
            ("4.10", "2.0", "fine"),
            ("5.0.0", "1.26.4", "fault"),
            ("4.9.0", "1.26.4", "fault"),
            ("6.0.0-dev", "2.4", "fault"),
        ],
    )
    def test_opencv_and_numpy_must_go_together(self, opencv: str, numpy: str, level: str) -> None:
        assert pair(opencv, numpy).level == level

    def test_the_installed_pair_is_looked_at(self, house: House) -> None:
        assert levels(look(site_of(house), "libraries")) == ["fine"]

    def test_the_networks_run(self, house: House) -> None:
        (found,) = look(site_of(house), "networks")
        assert (found.level, "5 files of weights" in found.found) == ("fine", True)

    def test_a_network_that_does_not_run_is_a_fault(self, house: House) -> None:
        class Broken(FakeVision):
            def look(self, frame: Frame) -> Sight:  # noqa: ARG002 -- the port's
                raise VisionFailed("vision: did not run")

        (found,) = look(site_of(house, make_eyes=lambda _: Broken()), "networks")
        assert (found.level, "did not run" in found.found) == ("fault", True)

    @pytest.mark.parametrize(
        ("volume", "expected"),
        [
            (Volume("ext4", LOW_BYTES, LOW_INODES), ["fine"]),
            (Volume("btrfs", LOW_BYTES, None), ["fine"]),
            (Volume("ext4", LOW_BYTES - 1, LOW_INODES), ["warning"]),
            (Volume("ext4", LEAST_BYTES - 1, LOW_INODES), ["fault"]),
            (Volume("ext4", LOW_BYTES, LOW_INODES - 1), ["warning"]),
            (Volume("ext4", LOW_BYTES, LEAST_INODES - 1), ["fault"]),
            (Volume("tmpfs", LOW_BYTES, LOW_INODES), ["warning", "fine"]),
        ],
    )
    def test_the_records_place_must_last_and_have_room(self, house: House, volume: Volume, expected: list[str]) -> None:
        assert levels(look(site_of(house, volume=lambda _: volume), "disk")) == expected

    def test_a_folder_that_is_not_there_is_a_fault(self, house: House) -> None:
        house.config.write_text(house.config.read_text().replace("door.db", "none/door.db"))
        assert "mkdir" in only(look(site_of(house, volume=volume_of), "disk"), "fault").advice

    def test_the_kind_is_that_of_the_nearest_mount_and_of_the_last_one_there(self) -> None:
        mounts = (
            "20 1 8:1 / / rw - ext4 /dev/sda rw\n"
            "21 20 0:1 / /run rw shared:1 - tmpfs tmpfs rw\n"
            "22 20 0:2 / /a\\040b rw - ext4 /dev/sdb rw\n"
            "23 22 0:3 / /a\\040b rw - ramfs none rw\n"
        )
        asked = ("/var/lib", "/run/x", "/running", "/a b/c")
        assert [kind_of(Path(each), mounts) for each in asked] == ["ext4", "tmpfs", "ext4", "ramfs"]

    def test_a_clock_that_was_never_set_is_warned_of(self, house: House) -> None:
        assert levels(look(site_of(house), "clock")) == ["fine"]
        assert levels(look(site_of(house, clock=Shifted(synchronized=False)), "clock")) == ["warning"]

    def test_a_clock_earlier_than_the_newest_record_is_a_fault(self, house: House) -> None:
        house.put(attempt())
        clock = FakeClock()
        assert levels(look(site_of(house, clock=clock), "clock")) == ["fine"]
        clock.epoch -= timedelta(days=3650)
        assert "earlier than the newest record" in only(look(site_of(house, clock=clock), "clock"), "fault").found

    def test_without_a_record_the_clock_is_judged_by_its_source(self, house: House) -> None:
        (house.keys / "chain").unlink()
        assert levels(look(site_of(house), "clock")) == ["fine"]


class TestKeys:
    def test_the_enrollers_private_key_beside_the_doors_is_warned_of(self, house: House) -> None:
        assert levels(look(site_of(house), "keys")) == ["fine", "warning"]
        without_enroller(house)
        assert levels(look(site_of(house), "keys")) == ["fine"]

    def test_every_bad_key_is_a_fault_of_its_own(self, house: House) -> None:
        (house.keys / "chain").unlink()
        (house.keys / "templates").chmod(0o644)
        found = look(site_of(house), "keys")
        assert levels(found) == ["fault", "fault"]
        assert ("keys make" in found[0].advice, "chmod go-rwx" in found[1].advice) == (True, True)

    def test_halves_that_do_not_belong_together_are_a_fault(self, house: House, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        other = House(tmp_path / "other")
        (house.keys / "enroller.pub").write_bytes((other.keys / "enroller.pub").read_bytes())
        assert "not the public half" in only(look(site_of(house), "keys"), "fault").found

    def test_an_enroller_as_a_credential_counts_as_here(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        credentials = house.folder / "credentials"
        credentials.mkdir()
        (house.keys / "enroller").rename(credentials / "smileaccess.enroller")
        assert levels(look(site_of(house), "keys")) == ["fine"]
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
        assert levels(look(site_of(house), "keys")) == ["fine", "warning"]

    def test_no_secret_is_shown(self, house: House) -> None:
        secrets = [(house.keys / kind).read_text().split()[1] for kind in KeyKind]
        (house.keys / "chain").write_text(f"smileaccess-chain-1 {secrets[0]} 00000000\n")
        shown = str(look(site_of(house), "keys") + look(site_of(house), "database"))
        assert [secret for secret in secrets if secret in shown] == []


class TestDatabase:
    def test_a_sound_record_tells_its_version_and_how_to_check_all(self, house: House) -> None:
        house.put(attempt())
        found = look(site_of(house), "database")
        assert levels(found) == ["fine", "fine"]
        assert "version 3, 2 links" in found[0].found
        assert "attempts verify" in found[0].found

    def test_looking_changes_nothing(self, house: House) -> None:
        house.put(attempt())
        before = house.database.read_bytes()
        look(site_of(house), "database")
        assert house.database.read_bytes() == before

    def test_a_new_doors_missing_record_is_a_warning(self, house: House) -> None:
        self.delete(house)
        (house.keys / "record.front").unlink()
        assert "not there yet" in only(look(site_of(house), "database"), "warning").found
        house.config.write_text(house.config.read_text().replace("door.db", "none/door.db"))
        assert levels(look(site_of(house), "database")) == ["fault"]

    def test_a_record_that_is_gone_is_a_fault(self, house: House) -> None:
        self.delete(house)
        assert "restore a backup" in only(look(site_of(house), "database"), "fault").advice

    def test_another_record_than_the_one_begun_is_a_fault(self, house: House) -> None:
        (house.keys / "record.front").write_text("smileaccess-record-1 0123 2026-01-01T00:00:00.000000Z\n")
        assert "another record" in only(look(site_of(house), "database"), "fault").found

    def test_a_missing_marker_is_a_warning(self, house: House) -> None:
        (house.keys / "record.front").unlink()
        assert "would not be missed" in only(look(site_of(house), "database"), "warning").found

    def test_without_the_chains_key_it_says_so(self, house: House) -> None:
        (house.keys / "chain").unlink()
        assert "check keys" in only(look(site_of(house), "database"), "warning").advice

    def test_an_altered_head_is_a_fault(self, house: House) -> None:
        house.put(attempt())
        with closing(sqlite3.connect(house.database)) as raw, raw:
            raw.execute("UPDATE chain SET sequence = 1")
        assert "altered" in only(look(site_of(house), "database"), "fault").found

    def test_altered_versions_of_members_are_a_fault(self, house: House) -> None:
        enroll(house)
        with closing(sqlite3.connect(house.database)) as raw, raw:
            raw.execute("UPDATE member_floors SET version = 0")
        assert levels(look(site_of(house), "database")) == ["fault"]

    def test_a_damaged_page_is_a_fault(self, house: House) -> None:
        house.put(attempt())
        with closing(sqlite3.connect(house.database)) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            page = raw.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'door_events_by_time'").fetchone()[0]
        with house.database.open("r+b") as file:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 64)
        found = look(site_of(house), "database")
        assert "restore a backup" in only(found, "fault").advice

    def test_a_file_too_large_for_a_quick_look_is_a_warning(self, house: House) -> None:
        with closing(sqlite3.connect(house.database)) as raw, raw:
            rows = [((date(1900, 1, 1) + timedelta(days=number)).isoformat(),) for number in range(20_000)]
            raw.executemany("INSERT INTO bills VALUES (?, 'door', 1, 1)", rows)
        remark = records.looked_through(house.database, 0, within_s=-1.0)
        assert (remark.level, "too large" in remark.found) == ("warning", True)
        assert records.looked_through(house.database, 0).level == "fine"

    def delete(self, house: House) -> None:
        for each in house.folder.glob("door.db*"):
            each.unlink()


class TestMembers:
    def test_where_nobody_is_enrolled_it_says_so(self, house: House) -> None:
        enroll(house, status=MemberStatus.DISABLED)
        assert "nobody is enrolled" in only(look(site_of(house), "members"), "warning").found

    def test_templates_are_counted_and_the_threshold_named(self, house: House) -> None:
        enroll(house, templates=3)
        found = look(site_of(house), "members")
        assert levels(found) == ["fine", "fine"]
        assert "1 with 3 face templates" in found[1].found
        assert "99.0 or more" in found[1].found

    def test_no_name_is_shown(self, house: House) -> None:
        enroll(house, model="other")
        enroll(house)
        assert "Ada" not in str(look(site_of(house), "members"))

    def test_a_threshold_too_low_for_the_gallery_is_a_warning(self, house: House) -> None:
        enroll(house)
        found = only(look(site_of(house, "[recognition]\nthreshold = 95.0\n"), "members"), "warning")
        assert ("threshold = 95" in found.found, "99.0" in found.advice) == (True, True)

    def test_members_without_templates_of_this_model_are_a_warning(self, house: House) -> None:
        enroll(house)
        enroll(house, model="another-network")
        enroll(house, templates=0)
        assert only(look(site_of(house), "members"), "warning").found.startswith("2 without face templates")

    def test_a_group_that_the_settings_do_not_have_is_a_warning(self, house: House) -> None:
        enroll(house, groups=("cleaners", "evening"))
        hours = '[rules]\ntime_zone = "UTC"\n[groups]\ncleaners = "mon-fri 06:00-08:00"\n'
        found = only(look(site_of(house, hours), "members"), "warning")
        assert (found.found, "[groups]" in found.advice) == ("group evening: 1 in it, which opens nothing here", True)
        assert levels(look(site_of(house, 'evening = "mon-fri 16:00-20:00"\n'), "members")) == ["fine", "fine"]

    def test_without_the_embedded_recognizer_nobody_asks_for_templates(self, house: House) -> None:
        enroll(house, templates=0)
        assert levels(look(site_of(house, ONLY_CLOUD), "members")) == ["fine"]

    def test_templates_under_another_key_are_a_fault(self, house: House, tmp_path: Path) -> None:
        enroll(house)
        (tmp_path / "other").mkdir()
        (house.keys / "templates").write_bytes((House(tmp_path / "other").keys / "templates").read_bytes())
        assert "another templates key" in only(look(site_of(house), "members"), "fault").found

    def test_members_that_nobody_signed_are_a_warning(self, house: House) -> None:
        enroll(house)
        member = enroll(house)
        with closing(sqlite3.connect(house.database)) as raw, raw:
            raw.execute("UPDATE members SET signature = zeroblob(64) WHERE id = ?", (member.id,))
        assert only(look(site_of(house), "members"), "warning").found.startswith("1 stored")

    @pytest.mark.parametrize("name", ["members", "faces", "fallback", "spending"])
    def test_without_a_record_it_says_so(self, house: House, name: str) -> None:
        (house.keys / "chain").unlink()
        assert "check" in only(look(site_of(house, BOTH), name), "warning").advice


class TestCollectionOfMembers:
    def test_members_without_faces_in_this_collection_are_a_warning(self, house: House) -> None:
        enroll(house, faces=[("smileaccess", "7.0")])
        assert levels(look(site_of(house, BOTH), "faces")) == ["fine"]
        enroll(house, faces=[("another", "7.0")])
        assert only(look(site_of(house), "faces"), "warning").found.startswith("1 of 2 members")

    def test_without_the_cloud_or_a_member_there_is_nothing_to_say(self, house: House) -> None:
        assert look(site_of(house), "faces") == []
        assert look(site_of(house, BOTH), "faces") == []

    def test_who_is_known_to_one_recognizer_only_is_counted(self, house: House) -> None:
        enroll(house, faces=[("smileaccess", "7.0")])
        (found,) = look(site_of(house, BOTH), "fallback")
        assert (found.level, found.found) == ("fine", "both recognizers can find 1 of 1 members")
        enroll(house, templates=0, faces=[("smileaccess", "7.0")])
        enroll(house)
        enroll(house)
        found = only(look(site_of(house), "fallback"), "warning")
        assert "1 only Amazon Rekognition, 2 only the embedded one" in found.found

    def test_one_recognizer_has_no_fallback(self, house: House) -> None:
        enroll(house)
        assert look(site_of(house, ONLY_CLOUD), "fallback") == []


class TestSpending:
    def bills(self, house: House, *bills: Bill) -> None:
        with closing(house.spool()) as spool:
            for bill in bills:
                spool.add_bill(bill)

    def test_what_was_spent_is_told_by_payer(self, house: House) -> None:
        today = datetime.now(UTC).date()
        self.bills(house, Bill(today, Payer.DOOR, 12, 12_000), Bill(today, Payer.DESK, 3, 3_000))
        (found,) = look(site_of(house, BOTH), "spending")
        assert found.found == (
            "by the door 0.012 today (12 calls), 0.012 this month (12); by commands 0.003 this month (3)"
        )

    @pytest.mark.parametrize(("used", "level"), [(79, "fine"), (80, "warning"), (94, "warning"), (95, "fault")])
    def test_a_cap_that_is_near_or_reached_is_told(self, house: House, used: int, level: str) -> None:
        """An attempt may need six calls, and begins only where all of them fit."""
        self.bills(house, Bill(datetime.now(UTC).date(), Payer.DOOR, used, used * 1000))
        found = look(site_of(house, f"{BOTH}[spending]\ncalls_per_day = 100\n"), "spending")
        assert levels(found) == ([level, "fine"] if level != "fine" else ["fine"])
        assert all("calls_per_day = 100" in each.found for each in found if each.level != "fine")

    @pytest.mark.parametrize(
        ("money", "price", "expected"),
        [("3.0", "0.001", ["fine"]), ("0", "0.001", ["warning", "fine"]), ("3.0", "0", ["warning", "fine"])],
    )
    def test_no_cap_at_all_is_a_warning(self, house: House, money: str, price: str, expected: list[str]) -> None:
        """A cap of money holds nothing where a call costs nothing."""
        toml = f"calls_per_day = 0\ncalls_per_month = 0\nmoney_per_month = 0\nmoney_per_day = {money}\n"
        site = site_of(house, f"{BOTH}[spending]\n{toml}price_per_call = {price}\n")
        assert levels(look(site, "spending")) == expected

    def test_without_the_cloud_nothing_is_spent(self, house: House) -> None:
        assert look(site_of(house), "spending") == []


def test_the_real_world_is_what_a_site_looks_at(house: House) -> None:
    """Without a test's replacements the machine itself is asked."""
    site = Site(settings=load(house.config), path=house.config)
    assert (site.user_id, site.volume(house.folder).free_bytes > 0) == (os.geteuid(), True)
