"""TOML becomes one frozen `Settings`, or one error that holds everything wrong with it.

Nothing is opened here but the settings file itself. The commented file in `config/` is the schema for people; a test
holds it and the sections to each other.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from smileaccess.alerting import AlertRules
from smileaccess.approach import ApproachRules
from smileaccess.ballot import STANDARDS
from smileaccess.complaints import as_written, complaints
from smileaccess.door import DoorRules
from smileaccess.doorway import DoorwayRules
from smileaccess.errors import SettingsError
from smileaccess.examining import ExaminingRules
from smileaccess.gates import EnrollmentLimits, Limits
from smileaccess.liveness import needs_s
from smileaccess.model import LivenessMode
from smileaccess.pins import INPUTS, Pins, problems
from smileaccess.policy import EmotionRule, LockOutRules, Rules
from smileaccess.schedules import GROUP_NAME, Schedule, days
from smileaccess.sections import (
    AlertsSettings,
    CameraSettings,
    ControlSettings,
    DoorSettings,
    EnrollmentSettings,
    GpioSettings,
    KeysSettings,
    LivenessSettings,
    LockOutSettings,
    LogSettings,
    MysqlSettings,
    OfficeHoursSettings,
    PanelSettings,
    QualitySettings,
    RecognitionSettings,
    RecordsSettings,
    RekognitionSettings,
    RulesSettings,
    Section,
    SpendingSettings,
)
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


class Settings(Section):
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
    groups: dict[str, str] = Field(default_factory=dict)
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
        required = set(self.rules.required_emotions)
        if self.rules.emotions is EmotionRule.REQUIRE and required <= set(self.rules.forbidden_emotions):
            raise ValueError(
                "[rules] forbidden_emotions: must leave one of required_emotions "
                f"({', '.join(sorted(required))}) that opens the door"
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
        raise SettingsError(complaints(error, Settings.model_fields)) from error


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
        lines += [f"[{name}]", *(f"{key} = {as_written(value)}" for key, value in section.items()), ""]
    return "\n".join(lines)
