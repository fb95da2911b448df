"""What the settings put together."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from smileaccess import wiring
from smileaccess.cameras.reel import ReelCamera
from smileaccess.cameras.webcam import WebcamCamera
from smileaccess.clock import SystemClock
from smileaccess.errors import KeysError, RecordsUnavailable
from smileaccess.keys import ALL_KEYS, KeyKind
from smileaccess.model import Frame
from smileaccess.settings import load, parse
from tests.fakes_vision import scene
from tests.house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_credential_goes_before_the_file(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = house.folder / "credentials"
    credentials.mkdir()
    (house.keys / "chain").rename(credentials / "smileaccess.chain")
    settings = load(house.config)
    with pytest.raises(KeysError):
        wiring.load_keys(settings, {KeyKind.CHAIN})
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert len(wiring.load_keys(settings, {KeyKind.CHAIN}).chain) == 32


def test_a_record_is_made_where_it_may_be_missing_only(house: House) -> None:
    settings = load(house.config)
    keys = wiring.load_keys(settings, ALL_KEYS)
    for each in house.folder.glob("door.db*"):
        each.unlink()
    with pytest.raises(RecordsUnavailable):
        wiring.open_spool(settings, keys, must_exist=True)
    with closing(wiring.open_spool(settings, keys)) as spool:
        assert spool.head().sequence == 0


def test_where_emotions_are_off_none_is_measured() -> None:
    frame = Frame(scene("obama-smiling"), 1, 0.0)
    with closing(wiring.make_eyes(parse('[rules]\nemotions = "off"\n'))) as eyes:
        assert eyes.look(frame).faces[0].emotions == {}
    with closing(wiring.make_eyes(parse(""))) as eyes:
        assert eyes.look(frame).faces[0].emotions != {}


def test_warm_eyes_see_as_fresh_ones_do() -> None:
    frame = Frame(scene("obama-smiling"), 1, 0.0)
    with closing(wiring.make_eyes(parse(""))) as eyes:
        wiring.warm_up(eyes)
        assert len(eyes.look(frame).faces) == 1


def test_the_camera_is_the_settings() -> None:
    reel = parse('[camera]\nkind = "reel"\npath = "/pictures"\n')
    assert isinstance(wiring.make_camera(reel, SystemClock()), ReelCamera)
    assert isinstance(wiring.make_camera(parse(""), SystemClock()), WebcamCamera)
