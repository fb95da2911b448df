"""What the settings put together."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from smileaccess import wiring
from smileaccess.cameras.reel import ReelCamera
from smileaccess.cameras.webcam import WebcamCamera
from smileaccess.clock import SystemClock
from smileaccess.errors import KeysError, RecordsFailed, RecordsUnavailable
from smileaccess.keys import ALL_KEYS, KeyKind
from smileaccess.model import Frame
from smileaccess.records.spool import Spool
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
    without_record(house)
    marker(house).unlink()
    with pytest.raises(RecordsUnavailable):
        wiring.open_spool(settings, keys, must_exist=True)
    with closing(wiring.open_spool(settings, keys)) as spool:
        assert spool.head().sequence == 0


def marker(house: House) -> Path:
    return house.keys / "record.front"


def without_record(house: House) -> None:
    for each in house.folder.glob("door.db*"):
        each.unlink()


@pytest.mark.parametrize("must_exist", [False, True])
def test_a_record_that_was_deleted_is_not_begun_anew(house: House, *, must_exist: bool) -> None:
    """Else the versions that the door has seen would be forgotten with it, and old signed members be let in."""
    settings = load(house.config)
    keys = wiring.load_keys(settings, ALL_KEYS)
    without_record(house)
    with pytest.raises(RecordsFailed, match="gone, although") as caught:
        wiring.open_spool(settings, keys, must_exist=must_exist)
    assert [str(path) in str(caught.value) for path in (house.database, marker(house))] == [True, True]
    assert not house.database.exists()


def test_another_record_than_the_one_begun_is_refused(house: House) -> None:
    """A record of this door that was begun at another time knows of other versions."""
    settings = load(house.config)
    keys = wiring.load_keys(settings, ALL_KEYS)
    without_record(house)
    Spool.create(house.database, "front", keys.chain).close()
    with pytest.raises(RecordsFailed, match="not the record") as caught:
        wiring.open_spool(settings, keys)
    assert str(marker(house)) in str(caught.value)
    marker(house).unlink()
    wiring.open_spool(settings, keys).close()


def test_a_record_without_a_marker_gets_one(house: House) -> None:
    settings = load(house.config)
    keys = wiring.load_keys(settings, ALL_KEYS)
    before = marker(house).read_bytes()
    marker(house).unlink()
    wiring.open_spool(settings, keys, must_exist=True).close()
    assert not marker(house).exists()
    wiring.open_spool(settings, keys).close()
    assert marker(house).read_bytes() == before
    assert keys.chain.hex().encode() not in before


def test_where_the_keys_folder_cannot_be_written_the_door_goes_on_and_warns(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With keys as systemd credentials only there may be no folder for them at all."""
    credentials = house.folder / "credentials"
    credentials.mkdir()
    for kind in KeyKind:
        (house.keys / kind).rename(credentials / f"smileaccess.{kind}")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    marker(house).unlink()
    house.keys.rmdir()
    settings = load(house.config)
    without_record(house)
    with capture_logs() as logged:
        wiring.open_spool(settings, wiring.load_keys(settings)).close()
    assert [(line["log_level"], line["marker"]) for line in logged] == [("warning", str(marker(house)))]
    assert house.database.exists()


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
