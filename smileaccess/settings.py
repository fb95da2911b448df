"""TOML becomes one frozen `Settings`, or one error that holds everything wrong with it.

Nothing is opened here but the settings file itself. The commented file in `config/` is the schema for people; a test
holds it and the classes below to each other.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from smileaccess.alerting import DEFAULT_TOPICS, TOPICS, AlertRules
from smileaccess.approach import ApproachRules
from smileaccess.ballot import STANDARDS
from smileaccess.door import DoorRules
from smileaccess.doorway import DoorwayRules
from smileaccess.errors import SettingsError
from smileaccess.examining import ExaminingRules
from smileaccess.gates import EnrollmentLimits, Limits
from smileaccess.liveness import LivenessRules, beats_for, needs_s
from smileaccess.model import Emotion, LivenessMode
from smileaccess.pins import INPUTS, Level, Pins, problems
from smileaccess.policy import EmotionRule, LockOutRules, Rules
from smileaccess.schedules import GROUP_NAME, Schedule, days, zone_named
from smileaccess.spending import MILLION, SpendingRules

DEFAULT_PATH = Path("/etc/smileaccess/smileaccess.toml")
SHIPPED = Path(__file__).parent / "_config" / "smileaccess.toml"
"""The commented file as it came with the package."""

FALLBACK_S = 0.5
"""Seconds of each examination that are kept for the fallback, many times what one embedding takes."""

LOCAL_CONSENT, CLOUD_CONSENT = "1", "2"
"""The versions of the program's own texts of consent: for this machine only, and with Amazon Rekognition."""

LARGEST_FILE = 1 << 20
"""Bytes: a settings file is a few kilobytes; what is larger than a megabyte is some other file."""


SMALLEST_REGION = 0.1
"""Of the picture's width and height: a face in less than that is not seen well enough by any camera."""


def _door_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
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


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DoorSettings(_Section):
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


class CameraSettings(_Section):
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


class PanelSettings(_Section):
    """The `[panel]` section."""

    kind: Literal["gpio", "terminal", "silent"] = "terminal"
    pin_factory: Literal["lgpio", "rpigpio", "pigpio", "native"] = "lgpio"


class GpioSettings(_Section):
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


class QualitySettings(_Section):
    """The `[quality]` section."""

    face_px: float = Field(60.0, ge=40, le=400)
    scene_brightness: float = Field(6.0, ge=0, le=100)
    face_brightness: float = Field(15.0, ge=0, le=100)
    sharpness: float = Field(20.0, ge=0, le=100)
    presence: float = Field(0.5, ge=0, le=1)
    comparable: float = Field(0.4, ge=0.05, le=1)


class LivenessSettings(_Section):
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


class RecognitionSettings(_Section):
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


class RekognitionSettings(_Section):
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


class SpendingSettings(_Section):
    """The `[spending]` section."""

    price_per_call: float = Field(0.001, ge=0, le=1)
    calls_per_day: int = Field(3000, ge=0, le=100_000)
    calls_per_month: int = Field(30_000, ge=0, le=900_000)
    money_per_day: float = Field(3.0, ge=0, le=100_000)
    money_per_month: float = Field(30.0, ge=0, le=100_000)
    warn_at: float = Field(0.8, ge=0.01, le=1)
    attempts_per_minute: int = Field(10, ge=0, le=600)


class RulesSettings(_Section):
    """The `[rules]` section."""

    emotions: EmotionRule = Field(EmotionRule.RECORD, strict=False)
    required_emotions: Annotated[
        tuple[Annotated[Emotion, Field(strict=False)], ...], Field(strict=False), AfterValidator(_some)
    ] = (Emotion.HAPPY,)
    forbidden_emotions: Annotated[tuple[Annotated[Emotion, Field(strict=False)], ...], Field(strict=False)] = ()
    time_zone: Annotated[str, AfterValidator(_known_zone)] = ""
    holidays: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_days)] = ()


class LockOutSettings(_Section):
    """The `[lockout]` section."""

    free: int = Field(3, ge=0, le=100)
    first_s: float = Field(30.0, ge=1, le=3600)
    limit_s: float = Field(900.0, ge=1, le=86400)
    reset_s: float = Field(900.0, ge=1, le=604800)


class EnrollmentSettings(_Section):
    """The `[enrollment]` section."""

    face_px: float = Field(80.0, ge=40, le=1000)
    yaw: float = Field(35.0, ge=5, le=60)
    pitch: float = Field(30.0, ge=5, le=60)
    eyes_open: float = Field(40.0, ge=0, le=100)
    consent_text: str = Field("", max_length=64)


class OfficeHoursSettings(_Section):
    """The `[office_hours]` section."""

    schedule: str = ""


class RecordsSettings(_Section):
    """The `[records]` section."""

    database: str = "/var/lib/smileaccess/smileaccess.db"
    limit_mb: int = Field(1024, ge=0, le=100_000)
    free_mb: int = Field(64, ge=0, le=100_000)
    keep_days: int = Field(30, ge=1, le=3650)


class MysqlSettings(_Section):
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


class AlertsSettings(_Section):
    """The `[alerts]` section."""

    channels_file: str = ""
    about: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_topics)] = DEFAULT_TOPICS
    per_hour: int = Field(20, ge=1, le=1000)
    repeat_s: float = Field(600.0, ge=10, le=86400)


class KeysSettings(_Section):
    """The `[keys]` section."""

    directory: str = Field("/var/lib/smileaccess/keys", min_length=1)


class ControlSettings(_Section):
    """The `[control]` section."""

    # A Unix socket's path holds at most 107 bytes (sun_path in unix(7), less the final zero).
    socket: str = Field("/run/smileaccess/control.sock", min_length=1, max_length=107)
    look_group: str = "smileaccess-look"
    operate_group: str = "smileaccess-operate"
    enroll_group: str = "smileaccess-enroll"


class LogSettings(_Section):
    """The `[log]` section."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "journal", "text", "json"] = "auto"


class Settings(_Section):
    """Everything that the owner of a door can set; frozen."""

    door: DoorSettings = DoorSettings()
    camera: CameraSettings = CameraSettings()
    panel: PanelSettings = PanelSettings()
    gpio: GpioSettings = GpioSettings()
    quality: QualitySettings = QualitySettings()
    liveness: LivenessSettings = LivenessSettings()
    recognition: RecognitionSettings = RecognitionSettings()
    rekognition: RekognitionSettings = RekognitionSettings()
    spending: SpendingSettings = SpendingSettings()
    rules: RulesSettings = RulesSettings()
    groups: dict[str, str] = {}
    lockout: LockOutSettings = LockOutSettings()
    office_hours: OfficeHoursSettings = OfficeHoursSettings()
    enrollment: EnrollmentSettings = EnrollmentSettings()
    records: RecordsSettings = RecordsSettings()
    mysql: MysqlSettings = MysqlSettings()
    alerts: AlertsSettings = AlertsSettings()
    keys: KeysSettings = KeysSettings()
    control: ControlSettings = ControlSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _time_to_follow(self) -> Settings:
        if self.liveness.mode is not LivenessMode.FOLLOW_THE_LIGHT:
            return self
        needed = needs_s(self.liveness.rules())
        if self.door.attempt_s < needed:
            raise ValueError(
                f"[door] attempt_s = {self.door.attempt_s:g}: must be at least {needed:g}, so that both sequences of "
                '[liveness] mode = "follow-the-light" have their time'
            )
        return self

    @model_validator(mode="after")
    def _time_enough(self) -> Settings:
        needed = self.liveness.cue_after_s[1] + self.liveness.earliest_s + 1
        if self.liveness.mode is LivenessMode.NEUTRAL_THEN_SMILE and self.door.attempt_s < needed:
            raise ValueError(
                f"[door] attempt_s = {self.door.attempt_s:g}: must be at least {needed:g}, "
                "so that the latest cue of [liveness] cue_after_s leaves a second to smile"
            )
        return self

    @model_validator(mode="after")
    def _single_pictures_cannot_answer(self) -> Settings:
        cued = {LivenessMode.NEUTRAL_THEN_SMILE, LivenessMode.FOLLOW_THE_LIGHT}
        if self.camera.kind == "folder" and self.liveness.mode in cued:
            raise ValueError(
                f'[liveness] mode = "{self.liveness.mode.value}": must be "off" or "smile" with [camera] kind = '
                '"folder", since single pictures answer no cue'
            )
        return self

    @model_validator(mode="after")
    def _wiring_is_sound(self) -> Settings:
        if self.panel.kind != "gpio":
            return self
        found = problems(self.pins())
        if self.gpio.strike_cap_s < self.door.unlock_s:
            found.append(
                f"[gpio] strike_cap_s = {self.gpio.strike_cap_s:g}: must be at least "
                f"[door] unlock_s = {self.door.unlock_s:g}, for which the strike is energized"
            )
        if found:
            raise ValueError("\n".join(found))
        return self

    @model_validator(mode="after")
    def _cloud_is_told_where(self) -> Settings:
        if self.recognition.cloud and not self.rekognition.region:
            raise ValueError(
                '[rekognition] region = "": must name the region of the collection, such as "eu-central-1", '
                "since [recognition] recognizers has rekognition"
            )
        most = self.recognition.timeout_s - FALLBACK_S
        if self.recognition.falls_back and self.rekognition.timeout_s > most:
            raise ValueError(
                f"[rekognition] timeout_s = {self.rekognition.timeout_s:g}: must be at most {most:g}, so that of "
                f"[recognition] timeout_s = {self.recognition.timeout_s:g} enough is left for the fallback"
            )
        return self

    @model_validator(mode="after")
    def _some_attempt_fits_under_each_cap(self) -> Settings:
        calls = self.rekognition.max_calls
        money = calls * self.spending.price_per_call
        needed = {"calls_per_day": calls, "calls_per_month": calls, "money_per_day": money, "money_per_month": money}
        for name, least in needed.items():
            cap = getattr(self.spending, name)
            if self.recognition.cloud and 0 < cap < least:
                raise ValueError(
                    f"[spending] {name} = {cap:g}: must be at least {least:g}, or 0 for no cap: no attempt could ever "
                    f"begin, since each may need [rekognition] max_calls = {calls}"
                )
        return self

    @model_validator(mode="after")
    def _database_is_told_who(self) -> Settings:
        if self.mysql.addresses and not self.mysql.user:
            raise ValueError('[mysql] user = "": must name the account to use at [mysql] addresses')
        return self

    @model_validator(mode="after")
    def _schedules_are_readable(self) -> Settings:
        odd = [name for name in self.groups if not GROUP_NAME.fullmatch(name)]
        wrong = [f"[groups] {name}: must be called by 1 to 40 of a to z, 0 to 9, - and _" for name in odd]
        told = {f"[groups] {name}": text for name, text in self.groups.items()}
        if self.office_hours.schedule:
            told["[office_hours] schedule"] = self.office_hours.schedule
        zone = self.rules.time_zone
        if told and not zone:
            where = "[groups] and [office_hours]"
            wrong.append(f'[rules] time_zone = "": must name the zone of {where}, such as "Europe/Vienna"')
        for where, text in told.items() if zone else ():
            try:
                Schedule.parse(text, zone)
            except ValueError as error:
                wrong.append(f"{where} = {json.dumps(text)}: {error}")
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    @model_validator(mode="after")
    def _forbidden_emotions_are_looked_at(self) -> Settings:
        if self.rules.forbidden_emotions and self.rules.emotions is EmotionRule.OFF:
            raise ValueError(
                '[rules] emotions = "off": must be "record" or "require" with forbidden_emotions, which are looked at '
                "only then"
            )
        return self

    @model_validator(mode="after")
    def _alerts_are_not_filtered_out(self) -> Settings:
        if self.alerts.channels_file and self.log.level in {"warning", "error"}:
            raise ValueError(
                f'[log] level = "{self.log.level}": must be "info" or "debug" with [alerts] channels_file, '
                "since alerts are made of the log's lines"
            )
        return self

    @model_validator(mode="after")
    def _consent_is_to_what_is_done(self) -> Settings:
        if self.recognition.cloud and self.enrollment.consent_text == LOCAL_CONSENT:
            raise ValueError(
                f'[enrollment] consent_text = "{LOCAL_CONSENT}": promises that no picture leaves the machine, and '
                '[recognition] recognizers has "rekognition": leave it empty, or name a text of your own'
            )
        return self

    @property
    def consent_version(self) -> str:
        """The version of the text that people agree to: the owner's, else the program's for what is done."""
        return self.enrollment.consent_text or (CLOUD_CONSENT if self.recognition.cloud else LOCAL_CONSENT)

    def door_rules(self) -> DoorRules:
        """Return the pure door's part."""
        told = self.door.model_dump(include={"unlock_s", "attempt_s", "cool_down_s"})
        return DoorRules(**told, turn_s=self.gpio.strike_cap_s, gap_s=self.door.hold_gap_s)

    def inputs(self) -> frozenset[str]:
        """Return the inputs that the panel has, by their names in `[gpio]`."""
        return frozenset(INPUTS) & set(self.pins().connected()) if self.panel.kind == "gpio" else frozenset()

    def doorway_rules(self) -> DoorwayRules:
        """Return what is made of the door contact; without a REX whoever goes out would look like a burglar."""
        wired = self.inputs()
        told = {"auto": "rex" in wired, "on": True, "off": False}[self.door.forced_open]
        return DoorwayRules("contact" in wired, self.door.held_open_s, told, self.door.relock_on_close)

    def pins(self) -> Pins:
        """Return what hangs on which line of the GPIO chip."""
        return Pins(**self.gpio.model_dump())

    def limits(self) -> Limits:
        """Return how well a face must be seen at the door."""
        return Limits(**self.quality.model_dump())

    def enrollment_limits(self) -> EnrollmentLimits:
        """Return how well a face must be seen to be enrolled."""
        return EnrollmentLimits(**self.enrollment.model_dump(exclude={"consent_text"}))

    def thresholds(self) -> dict[str, float]:
        """Return the threshold of each recognizer that may be asked; a mark of one says nothing about the other."""
        marks = {"embedded": self.recognition.threshold, "rekognition": self.rekognition.threshold}
        return {name: marks[name] for name in self.recognition.recognizers}

    def examining_rules(self) -> ExaminingRules:
        """Return how an attempt goes about its evidence."""
        thresholds = self.thresholds()
        return ExaminingRules(
            limits=self.limits(),
            liveness=self.liveness.rules(),
            standards=tuple(replace(STANDARDS[name], threshold=value) for name, value in thresholds.items()),
            margin=self.recognition.margin,
            max_calls=self.rekognition.max_calls,
            grace_s=min(1.0, self.liveness.patience_s / 2),
            patience_s=self.liveness.patience_s,
        )

    def policy_rules(self) -> Rules:
        """Return the rules that decide."""
        return Rules(
            liveness=self.liveness.mode,
            smile_at=self.liveness.smile_at,
            thresholds=self.thresholds(),
            fallback_opens=self.recognition.fallback_opens,
            emotions=self.rules.emotions,
            required_emotions=frozenset(self.rules.required_emotions),
            forbidden_emotions=frozenset(self.rules.forbidden_emotions),
            door=self.door.name,
            groups={name: Schedule.parse(text, self.rules.time_zone) for name, text in self.groups.items()},
            holidays=self.holidays(),
        )

    def holidays(self) -> frozenset[date]:
        """Return the days, by the calendar of each schedule's time zone, that only spans of `hol` cover."""
        return frozenset(day for text in self.rules.holidays for day in days(text))

    def approach_rules(self) -> ApproachRules:
        """Return how long an approach sensor that fires without a face rests."""
        return ApproachRules(self.door.approach_rest_s, self.door.approach_rest_limit_s)

    def spending_rules(self) -> SpendingRules:
        """Return what may be spent on billed calls, in millionths of the account's currency."""
        spending = self.spending
        return SpendingRules(
            price_micros=round(spending.price_per_call * MILLION),
            calls_per_day=spending.calls_per_day,
            calls_per_month=spending.calls_per_month,
            micros_per_day=round(spending.money_per_day * MILLION),
            micros_per_month=round(spending.money_per_month * MILLION),
            warn_at=spending.warn_at,
            attempts_per_minute=spending.attempts_per_minute,
            attempt_calls=self.rekognition.max_calls,
        )

    def office_ends_at(self) -> Callable[[datetime], datetime | None] | None:
        """Return what says when the office hours end that cover a moment (both UTC), None where there are none."""
        if not self.office_hours.schedule:
            return None
        schedule, holidays = Schedule.parse(self.office_hours.schedule, self.rules.time_zone), self.holidays()

        def ends_at(at: datetime) -> datetime | None:
            if not schedule.covers(at, holidays):
                return None
            # Hours without an end begin anew each day, with the first member in.
            return schedule.ends_at(at, holidays) or at + timedelta(days=1)

        return ends_at

    def alert_rules(self) -> AlertRules:
        """Return what is told to the owner, and how often."""
        return AlertRules(frozenset(self.alerts.about), self.alerts.per_hour, self.alerts.repeat_s)

    def lock_out_rules(self) -> LockOutRules:
        """Return the rules of the progressive lock-out."""
        return LockOutRules(**self.lockout.model_dump())


def load(path: Path) -> Settings:
    """Read a settings file; SettingsError names all that is wrong with it."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise SettingsError([f"settings: {path}: too large: a settings file has at most {LARGEST_FILE} bytes"])
        text = content.decode("utf-8")
    except OSError as error:
        fix = "name the file with --config, or start from the commented one that `smileaccess config example` prints"
        raise SettingsError([f"settings: {path}: {error.strerror or error}: {fix}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"settings: {path}: byte {error.start} is not UTF-8: save the file as UTF-8"]) from error
    return parse(text)


def parse(text: str) -> Settings:
    """Make settings of TOML text; SettingsError names all that is wrong with it."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also of int(), for a number of thousands of digits
        hint = ": each [section] may stand once" if "twice" in str(error) else ""
        raise SettingsError([f"settings: not TOML: {error}{hint}"]) from error
    return checked(document)


def checked(document: dict[str, Any]) -> Settings:
    """Make settings of their values by section; SettingsError names all that is wrong with them."""
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise SettingsError(
            [each for detail in error.errors(include_url=False) for each in _problems(detail)]
        ) from error


def changed_sections(old: Settings, new: Settings) -> list[str]:
    """Return the names of the sections in which the two differ."""
    return [name for name in Settings.model_fields if getattr(old, name) != getattr(new, name)]


def shown(settings: Settings, sections: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the settings in force as plain values, without what stands before the host of a camera's address."""
    values = settings.model_dump(mode="json", include=None if sections is None else set(sections))
    if "camera" in values:
        values["camera"]["device"] = re.sub(r"//.*@", "//...@", settings.camera.device)
    return values


def as_toml(settings: Settings, sections: Collection[str] | None = None) -> str:
    """Return the settings in force as TOML, section by section, or only those named, without a camera's password."""
    lines: list[str] = []
    for name, section in shown(settings, sections).items():
        lines += [f"[{name}]", *(f"{key} = {_toml_value(value)}" for key, value in section.items()), ""]
    return "\n".join(lines)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)


_WANTED = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list in brackets",
    # Of a list whose length is fixed, an item is missing, or one is too many.
    "missing": "two numbers",
    "too_long": "two numbers",
}
"""What a setting must be, by pydantic's name for what is wrong with it."""


def _problems(detail: ErrorDetails) -> list[str]:
    if not detail["loc"]:  # of several sections together: a line each
        return [f"settings: {line}" for line in _cause(detail).splitlines()]
    return [_problem(detail)]


def _problem(detail: ErrorDetails) -> str:
    section, *rest = [str(part) for part in detail["loc"]]
    if detail["type"] == "extra_forbidden":
        return _unknown(section, rest)
    if detail["type"] == "model_type":
        return f"settings: [{section}]: must be a section: a line [{section}], and its settings below it"
    if not rest:
        return f"settings: [{section}] {_cause(detail)}"
    return f"settings: [{section}] {rest[0]} = {_shown(detail['input'])}: {_demand(detail)}"


def _unknown(section: str, rest: list[str]) -> str:
    name = rest[0] if rest else section
    known = list(Settings.model_fields)
    if rest:
        model = Settings.model_fields[section].annotation
        known = list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
    near = difflib.get_close_matches(name, known, n=1)
    guess = f": did you mean {near[0]}?" if near else f": known are {', '.join(known)}"
    return (
        f"settings: [{section}] {name}: no such setting{guess}"
        if rest
        else f"settings: [{name}]: no such section{guess}"
    )


def _demand(detail: ErrorDetails) -> str:
    field = _field(detail)
    bounds = {type(m).__name__: m for m in field.metadata} if field is not None else {}
    if detail["type"] in {"greater_than_equal", "less_than_equal"} and {"Ge", "Le"} <= set(bounds):
        return f"must be between {bounds['Ge'].ge:g} and {bounds['Le'].le:g}"
    if detail["type"] in _WANTED:
        return f"must be {_WANTED[detail['type']]}"
    return _cause(detail)


def _field(detail: ErrorDetails) -> Any:
    section, name = str(detail["loc"][0]), str(detail["loc"][1])
    model = Settings.model_fields[section].annotation
    return model.model_fields.get(name) if isinstance(model, type) and issubclass(model, BaseModel) else None


def _cause(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    for pydantic, ours in (("Input should be", "must be"), ("Tuple should", "must"), ("String should", "must")):
        message = message.replace(pydantic, ours)
    return message


def _shown(value: Any) -> str:
    shown = _toml_value(value) if isinstance(value, str | int | float | list) else repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
