"""The sections of the settings: what may be set in each, its default, and its bounds; no section knows another one."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from smileaccess.alerting import DEFAULT_TOPICS, TOPICS
from smileaccess.liveness import LivenessRules, beats_for
from smileaccess.model import DOOR_NAME, Emotion, LivenessMode
from smileaccess.pins import Level
from smileaccess.policy import EmotionRule
from smileaccess.schedules import days, zone_named

SMALLEST_REGION = 0.1
"""Of the picture's width and height: a face in less than that is not seen well enough by any camera."""


def _door_name(name: str) -> str:
    if not DOOR_NAME.fullmatch(name):
        raise ValueError("must be 1 to 64 letters, digits, . _ or -")
    return name


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= pair[0] <= pair[1] <= 5:
        raise ValueError("must be two seconds from 0 to 5, the smaller one first")
    return pair


def _within_the_picture(region: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, width, height = region
    if min(left, top) < 0 or min(width, height) < SMALLEST_REGION or max(left + width, top + height) > 1 + 1e-9:
        raise ValueError(
            "must be left, top, width and height as shares of the picture, within it, "
            f"the last two at least {SMALLEST_REGION:g}"
        )
    return region


RECOGNIZERS = (("embedded",), ("rekognition",), ("rekognition", "embedded"))
"""What `[recognition] recognizers` may be, the first choice first."""


def _known_order(names: tuple[str, ...]) -> tuple[str, ...]:
    if names not in RECOGNIZERS:
        raise ValueError(f"must be one of {', '.join(json.dumps(each) for each in RECOGNIZERS)}")
    return names


def _region(name: str) -> str:
    if name and not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9]+", name):
        raise ValueError('must be the name of a region, such as "eu-central-1"')
    return name


def _address(url: str) -> str:
    if url and not re.fullmatch(r"https?://[^\s/?#]+/?", url):
        raise ValueError('must be an address, such as "https://host:8443", without a path')
    return url


def _collection_id(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,255}", name):
        raise ValueError("must be 1 to 255 letters, digits, _ . or -")
    return name


def _addresses(items: tuple[str, ...]) -> tuple[str, ...]:
    for item in items:
        host = re.fullmatch(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?", item)
        if not (item.startswith("/") or host) or (host and host[1] and not 0 < int(host[1]) < 65536):
            raise ValueError('must hold hosts ("db.example", "db.example:3306", "[::1]:3306") or paths of sockets')
    return items


def _database_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", name):
        raise ValueError("must be 1 to 64 letters, digits or _")
    return name


def _account(name: str) -> str:
    # 32 characters: the longest login of MySQL (user names, in its reference manual).
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,32}", name):
        raise ValueError("must be at most 32 letters, digits, . _ or -")
    return name


def _some(items: tuple[Emotion, ...]) -> tuple[Emotion, ...]:
    if not items:
        raise ValueError("must name at least one emotion")
    if Emotion.UNKNOWN in items:
        raise ValueError("must not hold unknown, which no face can be asked for")
    return items


def _date_text(item: object) -> object:
    """Return a date of TOML, which stands without quotes, as the text that means it."""
    return item.isoformat() if isinstance(item, date) else item


def _days(items: tuple[str, ...]) -> tuple[str, ...]:
    for item in items:
        list(days(item))
    return items


def _known_zone(name: str) -> str:
    if name:
        zone_named(name)
    return name


def _topics(items: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [item for item in items if item not in TOPICS]
    if unknown:
        raise ValueError(f"must hold some of {', '.join(TOPICS)}")
    return items


class Section(BaseModel):
    """One section: frozen, and nothing in it that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DoorSettings(Section):
    """The `[door]` section."""

    name: Annotated[str, AfterValidator(_door_name)] = "front"
    unlock_s: float = Field(5.0, ge=1, le=30)
    attempt_s: float = Field(10.0, ge=3, le=60)
    cool_down_s: float = Field(1.0, ge=0, le=60)
    approach: Literal["wake", "attempt", "ignore"] = "wake"
    approach_rest_s: float = Field(5.0, ge=0, le=3600)
    approach_rest_limit_s: float = Field(300.0, ge=0, le=86400)
    place: Literal["inner", "outer"] = "inner"
    held_open_s: float = Field(30.0, ge=5, le=3600)
    forced_open: Literal["auto", "on", "off"] = "auto"
    relock_on_close: bool = True
    hold_limit_s: float = Field(28800.0, ge=60, le=86400)
    hold_gap_s: float = Field(0.5, ge=0, le=5)


class CameraSettings(Section):
    """The `[camera]` section."""

    kind: Literal["picamera", "webcam", "reel", "folder"] = "webcam"
    device: str = "0"
    width: int = Field(640, ge=320, le=3840)
    height: int = Field(480, ge=240, le=2160)
    fps: int = Field(15, ge=1, le=60)
    detect_width: int = Field(640, ge=0, le=1920)
    path: str = ""
    timeout_s: float = Field(2.0, ge=0.2, le=10)
    rotation: Literal[0, 90, 180, 270] = 0
    region: Annotated[tuple[float, float, float, float], Field(strict=False), AfterValidator(_within_the_picture)] = (
        *(0.0, 0.0),
        *(1.0, 1.0),
    )
    sleep_after_s: float = Field(0.0, ge=0, le=3600)
    settle_s: float = Field(1.5, ge=0, le=5)

    @model_validator(mode="after")
    def _some_folder(self) -> CameraSettings:
        if self.kind in {"reel", "folder"} and not self.path:
            raise ValueError(f'path = "": must name the folder of pictures, since kind = "{self.kind}"')
        return self

    @model_validator(mode="after")
    def _some_number(self) -> CameraSettings:
        if self.kind == "picamera" and not self.device.isdecimal():
            raise ValueError(
                f'device = {json.dumps(self.device)}: must be a number, such as "0", since kind = "picamera"'
            )
        return self


class PanelSettings(Section):
    """The `[panel]` section."""

    kind: Literal["gpio", "terminal", "silent"] = "terminal"
    pin_factory: Literal["lgpio", "rpigpio", "pigpio", "native"] = "lgpio"


class GpioSettings(Section):
    """The `[gpio]` section; see pins.Pins."""

    chip: int = Field(0, ge=0, le=15)
    strike: int = Field(-1, ge=-1, le=27)
    strike_active: Level = "high"
    strike_cap_s: float = Field(10.0, ge=1, le=30)
    entry: int = Field(-1, ge=-1, le=27)
    entry_active: Level = "low"
    approach: int = Field(-1, ge=-1, le=27)
    approach_active: Level = "high"
    rex: int = Field(-1, ge=-1, le=27)
    rex_active: Level = "low"
    contact: int = Field(-1, ge=-1, le=27)
    contact_open: Level = "high"
    tamper: int = Field(-1, ge=-1, le=27)
    tamper_active: Level = "high"
    fire: int = Field(-1, ge=-1, le=27)
    fire_active: Level = "high"
    lamps: Literal["three", "rgb"] = "three"
    green: int = Field(-1, ge=-1, le=27)
    amber: int = Field(-1, ge=-1, le=27)
    red: int = Field(-1, ge=-1, le=27)
    blue: int = Field(-1, ge=-1, le=27)
    lamps_active: Level = "high"
    buzzer: int = Field(-1, ge=-1, le=27)
    buzzer_kind: Literal["active", "tonal"] = "active"
    buzzer_active: Level = "high"
    debounce_s: float = Field(0.03, ge=0.005, le=0.2)
    stuck_s: float = Field(30.0, ge=5, le=600)
    approach_stuck_s: float = Field(600.0, ge=30, le=86400)


class QualitySettings(Section):
    """The `[quality]` section."""

    face_px: float = Field(60.0, ge=40, le=400)
    scene_brightness: float = Field(6.0, ge=0, le=100)
    face_brightness: float = Field(15.0, ge=0, le=100)
    sharpness: float = Field(20.0, ge=0, le=100)
    presence: float = Field(0.5, ge=0, le=1)
    comparable: float = Field(0.4, ge=0.05, le=1)


class LivenessSettings(Section):
    """The `[liveness]` section."""

    mode: LivenessMode = Field(LivenessMode.NEUTRAL_THEN_SMILE, strict=False)
    smile_at: float = Field(50.0, ge=30, le=95)
    neutral_below: float = Field(30.0, ge=5, le=50)
    rise: float = Field(30.0, ge=10, le=60)
    cue_after_s: Annotated[tuple[float, float], Field(strict=False), AfterValidator(_rising)] = (0.4, 1.6)
    earliest_s: float = Field(0.2, ge=0, le=1)
    answer_s: float = Field(4.0, ge=1, le=15)
    patience_s: float = Field(3.0, ge=1, le=15)
    beat_s: float = Field(0.8, ge=0.7, le=1.2)
    false_accept: float = Field(0.05, ge=0.017, le=0.5)

    def rules(self) -> LivenessRules:
        """Return how the challenge goes."""
        return LivenessRules(**self.model_dump())

    @model_validator(mode="after")
    def _chance_can_be_had(self) -> LivenessSettings:
        beats_for(self.rules())  # its ValueError says what is possible
        return self

    @model_validator(mode="after")
    def _marks_in_order(self) -> LivenessSettings:
        if self.neutral_below >= self.smile_at:
            raise ValueError(f"neutral_below = {self.neutral_below:g}: must be below smile_at = {self.smile_at:g}")
        return self


class RecognitionSettings(Section):
    """The `[recognition]` section."""

    recognizers: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_known_order)] = ("embedded",)
    threshold: float = Field(99.0, ge=90, le=100)
    margin: float = Field(0.1, ge=0, le=10)
    timeout_s: float = Field(3.0, ge=0.2, le=30)
    fallback_opens: bool = True
    fallback_alarm_s: float = Field(60.0, ge=1, le=86400)

    @property
    def cloud(self) -> bool:
        """Whether Amazon Rekognition is asked at all."""
        return "rekognition" in self.recognizers

    @property
    def local(self) -> bool:
        """Whether the embedded recognizer is asked at all."""
        return "embedded" in self.recognizers

    @property
    def falls_back(self) -> bool:
        """Whether another recognizer stands behind the first one."""
        return len(self.recognizers) > 1


class RekognitionSettings(Section):
    """The `[rekognition]` section."""

    region: Annotated[str, AfterValidator(_region)] = ""
    collection: Annotated[str, AfterValidator(_collection_id)] = "smileaccess"
    endpoint: Annotated[str, AfterValidator(_address)] = ""
    ca_bundle: str = ""
    credentials: str = ""
    profile: str = ""
    enroller_profile: str = ""
    threshold: float = Field(99.0, ge=90, le=100)
    timeout_s: float = Field(2.0, ge=0.2, le=10)
    max_calls: int = Field(6, ge=3, le=12)
    face_px: int = Field(120, ge=60, le=1000)
    jpeg_quality: int = Field(90, ge=50, le=100)


class SpendingSettings(Section):
    """The `[spending]` section."""

    price_per_call: float = Field(0.001, ge=0, le=1)
    calls_per_day: int = Field(3000, ge=0, le=100_000)
    calls_per_month: int = Field(30_000, ge=0, le=900_000)
    money_per_day: float = Field(3.0, ge=0, le=100_000)
    money_per_month: float = Field(30.0, ge=0, le=100_000)
    warn_at: float = Field(0.8, ge=0.01, le=1)
    attempts_per_minute: int = Field(10, ge=0, le=600)


class RulesSettings(Section):
    """The `[rules]` section."""

    emotions: EmotionRule = Field(EmotionRule.RECORD, strict=False)
    required_emotions: Annotated[
        tuple[Annotated[Emotion, Field(strict=False)], ...], Field(strict=False), AfterValidator(_some)
    ] = (Emotion.HAPPY,)
    forbidden_emotions: Annotated[tuple[Annotated[Emotion, Field(strict=False)], ...], Field(strict=False)] = ()
    time_zone: Annotated[str, AfterValidator(_known_zone)] = ""
    holidays: Annotated[
        tuple[Annotated[str, BeforeValidator(_date_text)], ...], Field(strict=False), AfterValidator(_days)
    ] = ()


class LockOutSettings(Section):
    """The `[lockout]` section."""

    free: int = Field(3, ge=0, le=100)
    first_s: float = Field(30.0, ge=1, le=3600)
    limit_s: float = Field(900.0, ge=1, le=86400)
    reset_s: float = Field(900.0, ge=1, le=604800)


class EnrollmentSettings(Section):
    """The `[enrollment]` section."""

    face_px: float = Field(80.0, ge=40, le=1000)
    yaw: float = Field(35.0, ge=5, le=60)
    pitch: float = Field(30.0, ge=5, le=60)
    eyes_open: float = Field(40.0, ge=0, le=100)
    consent_text: str = Field("", max_length=64)


class OfficeHoursSettings(Section):
    """The `[office_hours]` section."""

    schedule: str = ""


class RecordsSettings(Section):
    """The `[records]` section."""

    database: str = "/var/lib/smileaccess/smileaccess.db"
    limit_mb: int = Field(1024, ge=0, le=100_000)
    free_mb: int = Field(64, ge=0, le=100_000)
    keep_days: int = Field(30, ge=1, le=3650)


class MysqlSettings(Section):
    """The `[mysql]` section."""

    addresses: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_addresses)] = ()
    database: Annotated[str, AfterValidator(_database_name)] = "smileaccess"
    user: Annotated[str, AfterValidator(_account)] = ""
    password_file: str = ""
    tls: Literal["auto", "on", "off"] = "auto"
    ca: str = ""
    connect_s: float = Field(5.0, ge=0.5, le=60)
    timeout_s: float = Field(10.0, ge=1, le=300)
    sync_s: float = Field(2.0, ge=0.5, le=60)
    max_stale_h: float = Field(24.0, ge=0.1, le=720)


class AlertsSettings(Section):
    """The `[alerts]` section."""

    channels_file: str = ""
    about: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_topics)] = DEFAULT_TOPICS
    per_hour: int = Field(20, ge=1, le=1000)
    repeat_s: float = Field(600.0, ge=10, le=86400)


class KeysSettings(Section):
    """The `[keys]` section."""

    directory: str = Field("/var/lib/smileaccess/keys", min_length=1)


class ControlSettings(Section):
    """The `[control]` section."""

    # A Unix socket's path holds at most 107 bytes (sun_path in unix(7), less the final zero).
    socket: str = Field("/run/smileaccess/control.sock", min_length=1, max_length=107)
    look_group: str = "smileaccess-look"
    operate_group: str = "smileaccess-operate"
    enroll_group: str = "smileaccess-enroll"


class LogSettings(Section):
    """The `[log]` section."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "journal", "text", "json"] = "auto"
