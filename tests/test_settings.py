"""The settings: the commented file and the classes agree, and whatever is wrong is said, all of it, by name."""

from __future__ import annotations

import json
import math
import re
import socket
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Ge, Le
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from smileaccess.ballot import Standard
from smileaccess.conduct import Conduct
from smileaccess.door import DoorRules
from smileaccess.errors import SettingsError
from smileaccess.examining import ExaminingRules
from smileaccess.gates import EnrollmentLimits, Limits
from smileaccess.liveness import LivenessRules
from smileaccess.model import Emotion, LivenessMode
from smileaccess.policy import EmotionRule, LockOutRules, Rules
from smileaccess.schedules import Schedule
from smileaccess.settings import LARGEST_FILE, SHIPPED, Settings, as_toml, changed_sections, load, parse, shown

CONFIG = Path(__file__).parent.parent / "config" / "smileaccess.toml"
FILE = CONFIG.read_text(encoding="utf-8")
DOCUMENT = tomllib.loads(FILE)


def sections() -> dict[str, type[BaseModel]]:
    found = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {name: kind for name, kind in found.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}


def bounded() -> list[tuple[str, str, Any, Any]]:
    """Return every number that has bounds: section, name, least and most."""
    found = []
    for section, kind in sections().items():
        for name, field in kind.model_fields.items():
            least = [bound.ge for bound in field.metadata if isinstance(bound, Ge)]
            most = [bound.le for bound in field.metadata if isinstance(bound, Le)]
            found += [(section, name, *bounds) for bounds in zip(least, most, strict=True)]
    return found


def comments() -> dict[tuple[str, str], str]:
    """Return what the file says beside each setting."""
    found, section = {}, ""
    for line in FILE.splitlines():
        if head := re.fullmatch(r"\[(\w+)\]", line):
            section = head[1]
        elif setting := re.match(r"(\w+) = .*?(?:#\s*(.*))?$", line):
            found[section, setting[1]] = setting[2] or ""
    return found


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert caught.value.exit_code == 2
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


BOUNDED = bounded()
COMPANIONS = {
    ("liveness", "neutral_below", 50): "smile_at = 95",
    ("liveness", "smile_at", 30): "neutral_below = 5",
    ("liveness", "beat_s", 1): "false_accept = 0.5",
    ("liveness", "false_accept", 0): "beat_s = 0.7",
}
"""What must be set along, so that one setting may stand at its bound."""


# --- the file


def test_the_file_names_every_setting_and_no_other() -> None:
    """The commented file is the schema: each section, and each setting in it, not commented out."""
    named = {section: set(keys) for section, keys in DOCUMENT.items()}

    free = {"groups": set()}
    assert named == {section: set(kind.model_fields) for section, kind in sections().items()} | free


def test_the_file_is_the_defaults() -> None:
    """Reading the file gives what the program does without one."""
    assert load(CONFIG) == Settings() == parse("")


def test_the_file_comes_with_the_package() -> None:
    """The package holds the same file."""
    assert SHIPPED.read_text(encoding="utf-8") == FILE


def test_every_setting_is_explained() -> None:
    """Each setting says what it means, except one that says it by its name."""
    bare = {name for (_, name), comment in comments().items() if not comment}

    assert set(comments()) == {(section, name) for section, keys in DOCUMENT.items() for name in keys}
    assert bare <= {"socket"}


@pytest.mark.parametrize("threshold", ["0.99", "0.0", "89.9", "100.1"])
def test_a_threshold_that_lets_strangers_in_is_refused(threshold: str) -> None:
    """A share instead of a similarity is the natural slip, and would open to everybody."""
    assert problems(f"[recognition]\nthreshold = {threshold}") == [
        f"settings: [recognition] threshold = {threshold}: must be between 90 and 100"
    ]


def test_all_numbers_have_bounds() -> None:
    """No number can be set to nonsense."""
    numbers = {
        (section, name)
        for section, keys in DOCUMENT.items()
        for name, value in keys.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    } - {("camera", "rotation")}  # one of four

    assert {(section, name) for section, name, _, _ in BOUNDED} == numbers


@pytest.mark.parametrize(("section", "name", "least", "most"), BOUNDED)
def test_the_files_comment_tells_the_bounds(section: str, name: str, least: float, most: float) -> None:
    """What the file says a number may be is what it may be."""
    assert f"{least:g} to {most:g}" in comments()[section, name]


@pytest.mark.parametrize("kind", [EmotionRule, LivenessMode], ids=["emotions", "mode"])
def test_the_files_comment_tells_the_choices(kind: type[EmotionRule | LivenessMode]) -> None:
    """What the file says a choice may be is what it may be."""
    comment = comments()[("rules", "emotions") if kind is EmotionRule else ("liveness", "mode")]

    assert set(re.findall(r'"([\w-]+)"', comment)) == {choice.value for choice in kind}


@pytest.mark.parametrize(
    ("section", "name"), [("door", "approach"), ("camera", "kind"), ("gpio", "lamps"), ("log", "level")]
)
def test_the_files_comment_tells_the_words(section: str, name: str) -> None:
    """Each word that the file names is taken, and another one is not."""
    words = re.findall(r'"(\w+)"', comments()[section, name])
    for word in words:
        parse(
            f'[{section}]\n{name} = "{word}"\n'
            + ('path = "x"\n[liveness]\nmode = "off"' if section == "camera" else "")
        )

    (problem,) = problems(f'[{section}]\n{name} = "other"')
    assert set(re.findall(r"'(\w+)'", problem)) == set(words)


# --- the defaults of the rooms


def test_the_rooms_defaults_are_the_files() -> None:
    """A rule made without settings is the one that the file describes."""
    shipped = Settings()

    assert shipped.door_rules() == DoorRules()
    assert shipped.limits() == Limits()
    assert shipped.enrollment_limits() == EnrollmentLimits()
    assert shipped.examining_rules() == ExaminingRules()
    assert shipped.examining_rules().liveness == LivenessRules()
    assert shipped.policy_rules() == Rules()
    assert shipped.lock_out_rules() == LockOutRules()
    assert Conduct.of(shipped) == Conduct()


def test_what_is_set_reaches_the_rules() -> None:
    """A setting is not only read but used."""
    conduct = Conduct.of(
        parse(
            """
            [door]
            unlock_s = 7
            approach = "attempt"
            [camera]
            timeout_s = 1
            [quality]
            face_px = 99
            [liveness]
            mode = "smile"
            smile_at = 60
            patience_s = 5
            cue_after_s = [1, 2]
            [recognition]
            threshold = 99.5
            margin = 0.2
            timeout_s = 4
            [rules]
            emotions = "require"
            required_emotions = ["calm", "happy"]
            [lockout]
            free = 1
            """
        )
    )

    assert (conduct.door.unlock_s, conduct.approach, conduct.camera_timeout_s) == (7.0, "attempt", 1.0)
    assert (conduct.examining.limits.face_px, conduct.examining.margin) == (99.0, 0.2)
    assert (conduct.examining.patience_s, conduct.examining.liveness.cue_after_s) == (5.0, (1.0, 2.0))
    assert (conduct.policy.liveness, conduct.policy.smile_at) == (LivenessMode.SMILE, 60.0)
    assert (conduct.policy.thresholds, conduct.examine_timeout_s) == ({"embedded": 99.5}, 4.0)
    assert conduct.examining.standards == (Standard("embedded", threshold=99.5),)
    assert conduct.policy.required_emotions == {Emotion.CALM, Emotion.HAPPY}
    assert (conduct.policy.emotions, conduct.lock_out.free) == (EmotionRule.REQUIRE, 1)


# --- numbers


@pytest.mark.parametrize(("section", "name", "least", "most"), BOUNDED)
def test_a_number_at_its_bounds(section: str, name: str, least: float, most: float) -> None:
    """Both bounds themselves are taken."""
    for value in (least, most):
        companion = COMPANIONS.get((section, name, int(value)), "")
        assert getattr(getattr(parse(f"[{section}]\n{name} = {value}\n{companion}"), section), name) == value


@pytest.mark.parametrize(("section", "name", "least", "most"), BOUNDED)
def test_a_number_beyond_its_bounds(section: str, name: str, least: float, most: float) -> None:
    """A little less or more is refused, with the setting, the value and the bounds."""
    whole = isinstance(DOCUMENT[section][name], int)
    for value in (least - 1, most + 1) if whole else (least - 0.001, most + 0.001):
        assert problems(f"[{section}]\n{name} = {value}") == [
            f"settings: [{section}] {name} = {value}: must be between {least:g} and {most:g}"
        ]


@pytest.mark.parametrize(("section", "name", "least", "most"), BOUNDED)
@pytest.mark.parametrize("value", ["true", '"5"', "nan", "inf", "-inf", "[1]", "{a = 1}", "2031-05-17"])
def test_a_number_of_the_wrong_kind(section: str, name: str, least: float, most: float, value: str) -> None:
    """Truth, text, no number, infinity, a list, a table and a date are no numbers."""
    (problem,) = problems(f"[{section}]\n{name} = {value}")

    assert problem.startswith(f"settings: [{section}] {name} = ")
    assert problem.split(": ")[-1] in {
        "must be a number",
        "must be a whole number",
        "must be a finite number",
        f"must be between {least:g} and {most:g}",
    }


def test_a_whole_number_is_a_number() -> None:
    """Nobody has to write the point."""
    assert parse("[door]\nunlock_s = 7").door.unlock_s == 7.0


@pytest.mark.parametrize("pair", ["[0, 0]", "[0, 5]", "[2, 2]"])
def test_the_cues_moments(pair: str) -> None:
    """Two seconds from 0 to 5 are taken, also the same one twice."""
    assert parse(f"[liveness]\ncue_after_s = {pair}").liveness.cue_after_s == tuple(tomllib.loads(f"a={pair}")["a"])


@pytest.mark.parametrize(
    ("pair", "demand"),
    [
        ("[1.6, 0.4]", "must be two seconds from 0 to 5, the smaller one first"),
        ("[-0.1, 1.0]", "must be two seconds from 0 to 5, the smaller one first"),
        ("[1.0, 5.1]", "must be two seconds from 0 to 5, the smaller one first"),
        ("[1.0]", "must be two numbers"),
        ("[1.0, 2.0, 3.0]", "must be two numbers"),
        ("1.0", "must be a list in brackets"),
    ],
)
def test_no_cues_moments(pair: str, demand: str) -> None:
    """Anything else is refused with what it should be."""
    assert problems(f"[liveness]\ncue_after_s = {pair}") == [f"settings: [liveness] cue_after_s = {pair}: {demand}"]


# --- what does not go together


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[liveness]\nneutral_below = 50",
            "settings: [liveness] neutral_below = 50: must be below smile_at = 50",
        ),
        (
            '[camera]\nkind = "reel"',
            'settings: [camera] path = "": must name the folder of pictures, since kind = "reel"',
        ),
        (
            '[camera]\nkind = "folder"\npath = "pictures"',
            'settings: [liveness] mode = "neutral-then-smile": must be "off" or "smile" with [camera] kind = "folder", '
            "since single pictures answer no cue",
        ),
        (
            '[camera]\nkind = "picamera"\ndevice = "/dev/video0"',
            'settings: [camera] device = "/dev/video0": must be a number, such as "0", since kind = "picamera"',
        ),
        (
            "[door]\nattempt_s = 3\n[liveness]\ncue_after_s = [0.4, 4.0]",
            "settings: [door] attempt_s = 3: must be at least 5.2, so that the latest cue of [liveness] cue_after_s "
            "leaves a second to smile",
        ),
        (
            '[door]\nattempt_s = 13.1\n[liveness]\nmode = "follow-the-light"',
            "settings: [door] attempt_s = 13.1: must be at least 13.2, so that both sequences of "
            '[liveness] mode = "follow-the-light" have their time',
        ),
        (
            "[liveness]\nfalse_accept = 0.03",
            "settings: [liveness] false_accept = 0.03: must be at least 0.035, the chance of a recording with 6 beats "
            "of beat_s = 0.8 in 5 s; shorter beats bring it down",
        ),
        (
            '[camera]\nkind = "folder"\npath = "x"\n[door]\nattempt_s = 15\n[liveness]\nmode = "follow-the-light"',
            'settings: [liveness] mode = "follow-the-light": must be "off" or "smile" with [camera] kind = "folder", '
            "since single pictures answer no cue",
        ),
    ],
)
def test_settings_that_contradict_each_other(text: str, problem: str) -> None:
    """Each may be right by itself, but not together."""
    assert problems(text) == [problem]


@pytest.mark.parametrize(
    "text",
    [
        "[liveness]\nneutral_below = 49.9",
        '[camera]\nkind = "folder"\npath = "pictures"\n[liveness]\nmode = "smile"',
        '[camera]\nkind = "picamera"\ndevice = "1"',
        '[camera]\nkind = "reel"\npath = "pictures"',
        "[door]\nattempt_s = 5.2\n[liveness]\ncue_after_s = [0.4, 4.0]",
        '[door]\nattempt_s = 3\n[liveness]\nmode = "smile"\ncue_after_s = [0.4, 4.0]',
        '[door]\nattempt_s = 13.2\n[liveness]\nmode = "follow-the-light"',
        '[door]\nattempt_s = 15\n[liveness]\nmode = "follow-the-light"\nfalse_accept = 0.035',
        '[door]\nattempt_s = 15\n[liveness]\nmode = "follow-the-light"\nbeat_s = 0.7\nfalse_accept = 0.017',
        "[liveness]\nbeat_s = 1.2\nfalse_accept = 0.174",
    ],
)
def test_settings_that_just_go_together(text: str) -> None:
    """The next best to a contradiction is fine."""
    parse(text)


# --- names, texts and lists


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[door]\nunlok_s = 5", "settings: [door] unlok_s: no such setting: did you mean unlock_s?"),
        (
            "[door]\nqqq = 5",
            "settings: [door] qqq: no such setting: known are name, unlock_s, attempt_s, cool_down_s, approach, "
            "approach_rest_s, approach_rest_limit_s, place, held_open_s, forced_open, relock_on_close, hold_limit_s, "
            "hold_gap_s",
        ),
        ("[dor]", "settings: [dor]: no such section: did you mean door?"),
        ("[qqq]", f"settings: [qqq]: no such section: known are {', '.join(Settings.model_fields)}"),
        ("unlock_s = 5", f"settings: [unlock_s]: no such section: known are {', '.join(Settings.model_fields)}"),
        ("door = 5", "settings: [door]: must be a section: a line [door], and its settings below it"),
        ("[[door]]", "settings: [door]: must be a section: a line [door], and its settings below it"),
    ],
)
def test_unknown_names(text: str, problem: str) -> None:
    """What nobody knows is an error, with the nearest name or all of them."""
    assert problems(text) == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[door]\nname = 3", "settings: [door] name = 3: must be text in quotes"),
        (
            '[door]\nname = "the door"',
            'settings: [door] name = "the door": must be 1 to 64 letters, digits, . _ or -',
        ),
        ('[door]\nname = "a\\n"', 'settings: [door] name = "a\\n": must be 1 to 64 letters, digits, . _ or -'),
        (
            '[door]\napproach = "open"',
            "settings: [door] approach = \"open\": must be 'wake', 'attempt' or 'ignore'",
        ),
        (
            "[recognition]\nrecognizers = []",
            "settings: [recognition] recognizers = []: "
            'must be one of ["embedded"], ["rekognition"], ["rekognition", "embedded"]',
        ),
        (
            '[recognition]\nrecognizers = "embedded"',
            'settings: [recognition] recognizers = "embedded": must be a list in brackets',
        ),
        (
            '[rules]\nrequired_emotions = ["happy", "unknown"]',
            'settings: [rules] required_emotions = ["happy", "unknown"]: must not hold unknown, which no face can be '
            "asked for",
        ),
        (
            "[rules]\nrequired_emotions = []",
            "settings: [rules] required_emotions = []: must name at least one emotion",
        ),
    ],
)
def test_wrong_texts_and_lists(text: str, problem: str) -> None:
    """Each names the setting, the value and what it must be."""
    assert problems(text) == [problem]


@pytest.mark.parametrize("name", ["a", "a" * 64, "front-door_2.b"])
def test_a_doors_name(name: str) -> None:
    """Letters, digits and three signs, up to 64."""
    assert parse(f'[door]\nname = "{name}"').door.name == name


@pytest.mark.parametrize("name", ["", "a" * 65, "tür", "a b", "a/b"])
def test_no_doors_name(name: str) -> None:
    """Nothing, too much, and other signs are refused."""
    assert len(problems(f'[door]\nname = "{name}"')) == 1


def test_everything_wrong_is_said_at_once() -> None:
    """Nobody has to start the program again for each mistake."""
    text = '[door]\nunlock_s = 0\nname = ""\n[camera]\nfps = true\nwidht = 3\n[lockout]\nfree = -1\n[oops]'

    assert [problem.split(":")[1].split(" = ")[0].strip() for problem in problems(text)] == [
        "[door] name",
        "[door] unlock_s",
        "[camera] fps",
        "[camera] widht",
        "[lockout] free",
        "[oops]",
    ]


def test_a_long_value_is_cut() -> None:
    """A message stays readable, whatever somebody pasted."""
    (problem,) = problems(f'[door]\nname = "{"x" * 10_000}"')

    assert len(problem) < 160


def test_a_value_cannot_drive_the_terminal() -> None:
    """Control characters of a value are shown, not sent."""
    (problem,) = problems('[door]\nname = "\\u001b[2J\\u007f"')

    assert problem.isprintable()


# --- files


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "[door]\n"])
def test_an_empty_file_is_the_defaults(tmp_path: Path, text: str) -> None:
    """Whoever sets nothing gets the defaults."""
    path = tmp_path / "empty.toml"
    path.write_text(text, encoding="utf-8")

    assert load(path) == Settings()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[door\n", "not TOML: "),
        (b"unlock_s 5", "not TOML: "),
        (b"[door]\nname = 'a'\nname = 'b'", "not TOML: "),
        (b"[door]\nunlock_s = " + b"1" * 5000, "not TOML: "),
        (b"a = " + b"[" * 100_000, "not TOML: "),
        (b"{}", "not TOML: "),
        (b"\x00\x01\x02", "not TOML: "),
        (b"# \xff\xfe", "byte 2 is not UTF-8: save the file as UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "byte 0 is not UTF-8: save the file as UTF-8"),
        (b"#" * (LARGEST_FILE + 1), f"too large: a settings file has at most {LARGEST_FILE} bytes"),
    ],
    ids=["cut", "words", "twice", "digits", "deep", "json", "zeros", "latin", "picture", "huge"],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes, problem: str) -> None:
    """Broken, binary, huge: one clear error, never a traceback."""
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load(path)

    assert [problem in each for each in caught.value.problems] == [True]


def test_a_file_of_the_largest_size(tmp_path: Path) -> None:
    """At the limit it is still read."""
    path = tmp_path / "large.toml"
    path.write_bytes(b"#" * LARGEST_FILE)

    assert load(path) == Settings()


def test_a_file_that_never_ends() -> None:
    """A device that gives zeros for ever is refused like a file that is too large."""
    with pytest.raises(SettingsError, match="too large"):
        load(Path("/dev/zero"))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, below a file, a socket: what it is and how to go on."""
    below = tmp_path / "file"
    below.touch()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        paths = {
            tmp_path / "missing.toml": "No such file or directory",
            tmp_path: "Is a directory",
            below / "x.toml": "Not a directory",
            tmp_path / "socket": "No such device or address",
        }
        for path, cause in paths.items():
            with pytest.raises(SettingsError) as caught:
                load(path)
            assert caught.value.problems == [
                f"settings: {path}: {cause}: name the file with --config, or start from the commented one that "
                "`smileaccess config example` prints"
            ]


# --- in force


def test_settings_are_frozen() -> None:
    """Nobody changes them while the door runs."""
    loaded = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        loaded.door.unlock_s = 30.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        loaded.door = loaded.door  # type: ignore[misc]


def test_changed_sections() -> None:
    """A reload knows which sections differ."""
    other = parse("[door]\nunlock_s = 6\n[log]\nlevel = 'debug'")

    assert (changed_sections(Settings(), other), changed_sections(other, other)) == (["door", "log"], [])


def test_what_is_in_force_names_every_setting() -> None:
    """What is printed is a whole settings file again."""
    assert tomllib.loads(as_toml(Settings())) == DOCUMENT


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
within = {
    (section, name): st.integers(math.ceil(least), math.floor(most))
    if isinstance(DOCUMENT[section][name], int)
    else st.floats(least, most)
    for section, name, least, most in BOUNDED
    if section in {"quality", "lockout", "camera"}
}


@settings(max_examples=100, deadline=None)
@given(texts, texts, texts, st.fixed_dictionaries(within), st.booleans())
def test_what_is_in_force_reads_back(
    device: str, path: str, group: str, numbers: dict[tuple[str, str], Any], debug: bool
) -> None:
    """Whatever text and numbers the settings hold, their TOML gives the same settings."""
    document: dict[str, dict[str, Any]] = {"quality": {}, "lockout": {}, "camera": {"device": device, "path": path}}
    for (section, name), value in numbers.items():
        document[section][name] = value
    document |= {"control": {"look_group": group}, "log": {"level": "debug" if debug else "error"}}
    made = Settings.model_validate(document)

    assert parse(as_toml(made)) == made


CLOUD = '[recognition]\nrecognizers = ["rekognition", "embedded"]\n[rekognition]\nregion = "eu-central-1"\n'


def test_a_cameras_password_is_not_shown() -> None:
    """The rest of its address is; and a device without one stands as it is."""
    told = parse('[camera]\ndevice = "rtsp://me:p@ss@cam.example:554/live"')

    assert shown(told)["camera"]["device"] == "rtsp://...@cam.example:554/live"
    assert "p@ss" not in as_toml(told)
    assert shown(parse('[camera]\ndevice = "/dev/video0"'))["camera"]["device"] == "/dev/video0"


@pytest.mark.parametrize(
    "region", ["[0.0, 0.0, 1.0]", "[0.5, 0.0, 0.6, 1.0]", "[-0.1, 0.0, 1.0, 1.0]", "[0.0, 0.0, 0.05, 1.0]", '"all"']
)
def test_no_region_of_a_picture(region: str) -> None:
    """Four shares within the picture, and enough of it to see a face in."""
    (problem,) = problems(f"[camera]\nregion = {region}")
    assert problem.startswith("settings: [camera] region = ")


@pytest.mark.parametrize("region", ["[0.0, 0.0, 1.0, 1.0]", "[0.9, 0.9, 0.1, 0.1]", "[0.25, 0.1, 0.5, 0.8]"])
def test_a_region_of_a_picture(region: str) -> None:
    """The whole of it, or a part within it."""
    assert parse(f"[camera]\nregion = {region}").camera.region == tuple(json.loads(region))


def test_a_door_with_the_cloud_has_both_standards_in_order() -> None:
    """The first choice first, each with a threshold of its own, and the calls that an attempt may make."""
    told = parse(CLOUD + "threshold = 99.5\nmax_calls = 4\n[spending]\nprice_per_call = 0.002")
    conduct = Conduct.of(told)

    assert [(each.name, each.threshold, each.agreeing) for each in conduct.examining.standards] == [
        ("rekognition", 99.5, 1),
        ("embedded", 99.0, 2),
    ]
    assert conduct.policy.thresholds == {"rekognition": 99.5, "embedded": 99.0}
    assert (conduct.examining.max_calls, conduct.price) == (4, 0.002)
    assert (told.spending_rules().attempt_calls, told.spending_rules().price_micros) == (4, 2000)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[recognition]\nrecognizers = ["rekognition"]',
            'settings: [rekognition] region = "": must name the region of the collection, such as "eu-central-1", '
            "since [recognition] recognizers has rekognition",
        ),
        (
            CLOUD + "timeout_s = 2.6",
            "settings: [rekognition] timeout_s = 2.6: must be at most 2.5, so that of [recognition] timeout_s = 3 "
            "enough is left for the fallback",
        ),
        (
            CLOUD + '[enrollment]\nconsent_text = "1"',
            'settings: [enrollment] consent_text = "1": promises that no picture leaves the machine, and '
            '[recognition] recognizers has "rekognition": leave it empty, or name a text of your own',
        ),
        (
            '[rekognition]\nregion = "Frankfurt"',
            'settings: [rekognition] region = "Frankfurt": must be the name of a region, such as "eu-central-1"',
        ),
        (
            '[rekognition]\nendpoint = "host:443"',
            'settings: [rekognition] endpoint = "host:443": must be an address, such as "https://host:8443", without a '
            "path",
        ),
        (
            '[rekognition]\ncollection = "our door"',
            'settings: [rekognition] collection = "our door": must be 1 to 255 letters, digits, _ . or -',
        ),
    ],
)
def test_wrong_settings_of_the_cloud(text: str, problem: str) -> None:
    """Each names the setting, the value and what it must be."""
    assert problems(text) == [problem]


@pytest.mark.parametrize(
    ("text", "version"),
    [("", "1"), (CLOUD, "2"), ('[enrollment]\nconsent_text = "ours-3"', "ours-3"), (CLOUD + "timeout_s = 2", "2")],
)
def test_people_agree_to_what_is_done(text: str, version: str) -> None:
    """Without a text of the owner's own it is the program's for this machine, or for Amazon's service."""
    assert parse(text).consent_version == version


@pytest.mark.parametrize(
    ("setting", "needed"),
    [("calls_per_day", "6"), ("calls_per_month", "6"), ("money_per_day", "0.006"), ("money_per_month", "0.006")],
)
def test_a_cap_under_which_no_attempt_could_begin_is_refused(setting: str, needed: str) -> None:
    """What just one attempt may need is taken, and so is no cap; less shuts the door for ever."""
    less = "5" if setting.startswith("calls") else "0.005"

    assert problems(f"{CLOUD}[spending]\n{setting} = {less}") == [
        f"settings: [spending] {setting} = {less}: must be at least {needed}, or 0 for no cap: no attempt could ever "
        "begin, since each may need [rekognition] max_calls = 6"
    ]
    for enough in (needed, "0" if setting.startswith("calls") else "0.0"):
        parse(f"{CLOUD}[spending]\n{setting} = {enough}")
    parse(f"[spending]\n{setting} = {less}")  # where no call is billed no cap is in the way


def test_a_section_that_stands_twice_is_told_as_such() -> None:
    """Whoever pastes lines into a settings file learns what to do."""
    (problem,) = problems("[door]\n[door]")
    assert problem.endswith(": each [section] may stand once")


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ('[office_hours]\nschedule = "mon-fri 08:00-18:00"', '[rules] time_zone = "": must name the zone of [groups]'),
        ('[groups]\ncleaners = "mon-fri 08:00-18:00"', '[rules] time_zone = "": must name the zone of [groups]'),
        (
            '[rules]\ntime_zone = "UTC"\n[office_hours]\nschedule = "mo 08:00-18:00"',
            "[office_hours] schedule = \"mo 08:00-18:00\": 'mo': must be days",
        ),
        (
            '[rules]\ntime_zone = "UTC"\n[groups]\ncleaners = "mon 8-18"',
            "[groups] cleaners = \"mon 8-18\": '8-18': must be a span",
        ),
        ('[rules]\ntime_zone = "UTC"\n[groups]\nThe_Bosses = "always"', "[groups] The_Bosses: must be called by"),
        ('[rules]\ntime_zone = "Wien"', "[rules] time_zone = \"Wien\": 'Wien': no time zone"),
        ('[rules]\nholidays = ["Christmas"]', "[rules] holidays = [\"Christmas\"]: 'Christmas': must be a day or two"),
        (
            '[rules]\nholidays = ["9999-12-31..2026-01-01"]',
            "[rules] holidays = [\"9999-12-31..2026-01-01\"]: '9999-12-31..2026-01-01': must end after it begins",
        ),
        (
            '[rules]\nemotions = "require"\nrequired_emotions = ["happy"]\nforbidden_emotions = ["happy", "sad"]',
            "[rules] forbidden_emotions: must leave one of required_emotions (happy) that opens the door",
        ),
        (
            '[rules]\nemotions = "off"\nforbidden_emotions = ["angry"]',
            '[rules] emotions = "off": must be "record" or "require" with forbidden_emotions',
        ),
    ],
)
def test_schedules_and_rules_that_cannot_be(told: str, problem: str) -> None:
    """The schedule, its zone, a group's name, a holiday, with what it must be."""
    with pytest.raises(SettingsError) as caught:
        parse(f"{told}\n")
    [line] = caught.value.problems
    assert line.startswith(f"settings: {problem}")


def test_the_rules_reach_the_policy() -> None:
    """Groups in the door's zone, days and ranges of days, emotions, and the door's own name."""
    rules = parse(
        '[door]\nname = "yard"\n[rules]\ntime_zone = "Europe/Vienna"\nforbidden_emotions = ["angry"]\n'
        'holidays = ["2026-12-08", "2026-12-24..2026-12-26"]\n[groups]\ncleaners = "mon-fri 06:00-08:00"\n'
    ).policy_rules()
    assert rules.door == "yard"
    assert rules.forbidden_emotions == {Emotion.ANGRY}
    assert rules.holidays == {date(2026, 12, 8), *(date(2026, 12, day) for day in (24, 25, 26))}
    assert rules.groups == {"cleaners": Schedule.parse("mon-fri 06:00-08:00", "Europe/Vienna")}


def test_office_hours_end_with_their_span() -> None:
    """In the zone that they are meant in; what has no end begins anew each day; without a schedule there are none."""
    monday = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    zone = '[rules]\ntime_zone = "Europe/Vienna"\nholidays = ["2026-11-24"]\n'
    told = parse(f'{zone}[office_hours]\nschedule = "mon-fri 08:00-18:00"\n').office_ends_at()
    assert told is not None
    assert told(monday) == datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
    assert told(monday + timedelta(hours=8)) is None
    assert told(monday + timedelta(days=1)) is None, "a holiday"
    assert told(monday + timedelta(days=2)) == datetime(2026, 11, 25, 17, 0, tzinfo=UTC)
    always = parse('[rules]\ntime_zone = "UTC"\n[office_hours]\nschedule = "always"\n').office_ends_at()
    assert always is not None
    assert always(monday) == monday + timedelta(days=1)
    assert parse("").office_ends_at() is None


@pytest.mark.parametrize(
    ("wired", "said", "contact", "forced"),
    [
        ("", "auto", False, False),
        ("contact = 25", "auto", True, False),
        ("contact = 25\nrex = 24", "auto", True, True),
        ("contact = 25\nrex = 24", "off", True, False),
        ("contact = 25", "on", True, True),
    ],
)
def test_what_is_drawn_from_the_contact(wired: str, said: str, contact: bool, forced: bool) -> None:
    """An opening is forced only where somebody tells of who goes out, or the owner says so."""
    rules = parse(
        f'[panel]\nkind = "gpio"\n[gpio]\nstrike = 17\n{wired}\n[door]\nforced_open = "{said}"\n'
    ).doorway_rules()
    assert (rules.contact, rules.forced) == (contact, forced)


def test_only_a_panel_with_lines_has_inputs() -> None:
    """What stands in [gpio] is nothing to a door on a terminal."""
    lines = "[gpio]\nstrike = 17\ncontact = 25\nfire = 26\n"
    assert parse(lines).inputs() == frozenset()
    assert parse(f'[panel]\nkind = "gpio"\n{lines}').inputs() == {"contact", "fire"}


def test_the_calendar_s_last_day_may_be_a_holiday() -> None:
    """Nothing is reckoned beyond it."""
    assert parse('[rules]\nholidays = ["9999-12-31"]').holidays() == {date(9999, 12, 31)}


def test_a_holiday_may_be_a_date_without_quotes() -> None:
    """As the file's format writes one; one with a time of day is no day."""
    assert parse("[rules]\nholidays = [2026-12-25]").holidays() == {date(2026, 12, 25)}
    with pytest.raises(SettingsError, match="must be a day or two"):
        parse("[rules]\nholidays = [2026-12-25T08:00:00]")
