"""Puts adapters together as the settings say, for the daemon and the command line; it decides nothing.

Imports are made when they are needed, so that a command that sees nothing loads no OpenCV.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import stat
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from smileaccess.durable import write_new
from smileaccess.errors import (
    CollectionUnavailable,
    RecognizerUnavailable,
    RecordsFailed,
    RecordsUnavailable,
    SettingsError,
)
from smileaccess.keys import DOOR_KEYS, KeyKind, KeyRing

if TYPE_CHECKING:
    from smileaccess.model import Member, Purpose, Template, Vector
    from smileaccess.ports import Camera, Clock, Members, Purse, Recognizer, Vision
    from smileaccess.ports import Collection as FaceCollection
    from smileaccess.recognizers.cloud import Service
    from smileaccess.recognizers.collection import RekognitionCollection
    from smileaccess.recognizers.rekognition import RekognitionRecognizer
    from smileaccess.records.mysql.link import Link
    from smileaccess.records.spool import Spool
    from smileaccess.registry import Registry
    from smileaccess.settings import Settings
    from smileaccess.sitting import Desk
    from smileaccess.supervision.alerts import Alerts

ENROLL_TIMEOUT_S = 30.0
"""Seconds for one comparison at enrollment, where nobody waits at a door and the network may still have to load."""

AWS_CREDENTIAL = "smileaccess.aws"
"""The systemd credential that holds the AWS credentials file."""

MYSQL_CREDENTIAL = "smileaccess.mysql"
"""The systemd credential that holds the central database's password."""

ALERTS_CREDENTIAL = "smileaccess.alerts"
"""The systemd credential that holds the addresses of the channels that alerts leave by."""

_LONGEST_PASSWORD = 4096
_LONGEST_CHANNELS = 65536

Tell = Callable[[str, str, Mapping[str, Any]], None]

log = structlog.get_logger(__name__)


def _silent(_kind: str, _why: str, _detail: Mapping[str, Any]) -> None:
    """Tell nobody."""


def load_keys(settings: Settings, need: Collection[KeyKind] = DOOR_KEYS) -> KeyRing:
    """Read the keys in `need` from systemd's credentials, where there are some, else from the directory; KeysError."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    return KeyRing.load(Path(settings.keys.directory), Path(credentials) if credentials else None, need=need)


def open_spool(settings: Settings, keys: KeyRing, *, must_exist: bool = False) -> Spool:
    """Open the door's record, made where it is missing unless it `must_exist`.

    A marker beside the keys says that the record was begun: whoever can delete the database, with the versions that
    this door has seen, cannot make the door begin anew, and so take members of old versions for new ones.

    RecordsUnavailable; RecordsFailed, also where the database is gone or is another than the one begun; KeysError
    without the chain's key in `keys`; SettingsError where the settings say that there is no door here.
    """
    from smileaccess.records.spool import Limits, Spool  # noqa: PLC0415 -- sqlite3 only where a record is opened

    need_record(settings)
    path, door = Path(settings.records.database), settings.door.name
    marker = Path(settings.keys.directory) / f"record.{door}"
    if _is_missing(path) and _is_there(marker):
        raise RecordsFailed(
            f"records: {path}: gone, although {marker} says that this record was begun: "
            f"restore a backup, or remove {marker} to begin a new record on purpose"
        )
    limits = Limits(settings.records.limit_mb << 20, settings.records.free_mb << 20)
    spool = Spool.open(path, door, keys.chain, must_exist=must_exist, limits=limits)
    if not must_exist:
        with contextlib.ExitStack() as stack:
            stack.callback(spool.close)
            _mark(marker, path, spool.begun())
            stack.pop_all()
    return spool


def has_record(settings: Settings) -> bool:
    """Say whether this machine has a door's record, as far as we may look."""
    name = settings.records.database
    return bool(name) and not _is_missing(Path(name))


def need_record(settings: Settings) -> None:
    """Refuse settings that say that this machine has no door; SettingsError."""
    if not settings.records.database:
        raise SettingsError(
            ['settings: [records] database = "": says that this machine has no door: name the file of its record']
        )


def _is_there(path: Path) -> bool:
    """Say whether we see something of this name."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def _is_missing(path: Path) -> bool:
    """Say whether there is nothing of this name, and not only nothing that we may look at."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _mark(marker: Path, path: Path, begun: str) -> None:
    """Put down which record was begun, where that was not done yet; RecordsFailed where it was another one."""
    line = f"smileaccess-record-1 {begun}\n"
    try:
        with contextlib.suppress(FileExistsError):  # another process was first
            if not _is_there(marker):
                write_new(marker, line, 0o644)
        found = marker.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        log.warning(
            "the record's marker cannot be kept: a database that is deleted will not be missed",
            kind="marker_unkept",
            marker=str(marker),
            error=error.strerror,
        )
        return
    if found.split() != line.split():
        raise RecordsFailed(
            f"records: {path}: not the record that {marker} says was begun: "
            f"restore its newest backup, or remove {marker} to go on with this one on purpose"
        )


def open_link(settings: Settings, *, user: str = "", password: str | None = None, writes: bool = True) -> Link:
    """Make the connection to the central database, as another `user` where one is given; it connects when it is used.

    One that `writes` passes over servers that take none, such as a replica.
    The password is systemd's credential `smileaccess.mysql`, else what `[mysql] password_file` holds, unless one is
    given. SettingsError where the settings name no database or their password cannot be used, RecordsUnavailable
    without PyMySQL.
    """
    from smileaccess.records.mysql.link import Address, Link, Login  # noqa: PLC0415

    mysql = settings.mysql
    if not mysql.addresses:
        raise SettingsError(["settings: [mysql] addresses = []: must name the server of the central database"])
    if importlib.util.find_spec("pymysql") is None:
        raise RecordsUnavailable("mysql: PyMySQL is not installed: run `pip install 'smileaccess[mysql]'`")
    secret = mysql_password(settings) if password is None else password
    login = Login(user or mysql.user, secret, mysql.database, mysql.tls, mysql.ca)
    addresses = [Address.parse(each) for each in mysql.addresses]
    return Link(addresses, login, connect_s=mysql.connect_s, timeout_s=mysql.timeout_s, writes=writes)


def mysql_password(settings: Settings) -> str:
    """Return the password for the central database, empty where none was given; SettingsError."""
    told = settings.mysql.password_file
    lines = _secret_lines(
        MYSQL_CREDENTIAL, told, f"settings: [mysql] password_file = {json.dumps(told)}", "password", _LONGEST_PASSWORD
    )
    return lines[0] if lines else ""


def alert_channels(settings: Settings) -> tuple[str, ...]:
    """Return the addresses that alerts are sent to, none where none were given; SettingsError."""
    told = settings.alerts.channels_file
    name = f"settings: [alerts] channels_file = {json.dumps(told)}"
    lines = _secret_lines(ALERTS_CREDENTIAL, told, name, "addresses", _LONGEST_CHANNELS)
    return tuple(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))


def make_alerts(settings: Settings, on_crash: Callable[[], None]) -> Alerts | None:
    """Make what alerts leave by, None where there is no channel; SettingsError, AlertsUnavailable without Apprise."""
    addresses = alert_channels(settings)
    if not addresses:
        return None
    from smileaccess.alerting import Limiter  # noqa: PLC0415
    from smileaccess.errors import AlertsUnavailable  # noqa: PLC0415
    from smileaccess.supervision import alerts  # noqa: PLC0415

    if settings.log.level in {"warning", "error"}:
        told = f'settings: [log] level = "{settings.log.level}": must be "info" or "debug" where alerts have a channel'
        raise SettingsError([f"{told}, since they are made of the log's lines"])
    if not alerts.available():
        raise AlertsUnavailable("alerts: Apprise is not installed: run `pip install 'smileaccess[alerts]'`")
    return alerts.Alerts(settings.door.name, addresses, Limiter(settings.alert_rules()), on_crash=on_crash)


def _secret_lines(credential_name: str, told: str, name: str, what: str, longest: int) -> list[str]:
    """Return the lines of a systemd credential, else those of the file `told`, else none; SettingsError."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(directory) / credential_name if directory else None
    if credential is not None and credential.exists():
        # No look at its mode: systemd grants access by an ACL, whose mask shows as the group's bits.
        return _secret_in(credential, f"credential {credential_name}", what, longest, forbidden=0)
    return _secret_in(Path(told), name, what, longest, forbidden=0o077) if told else []


def _secret_in(path: Path, name: str, what: str, longest: int, *, forbidden: int) -> list[str]:
    """Return the lines of a file that nobody else may read; SettingsError, which begins with `name`."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        fix = "run this as the user that owns it" if isinstance(error, PermissionError) else f"put the {what} there"
        raise SettingsError([f"{name}: {error.strerror}: {fix}"]) from error
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise SettingsError([f"{name}: not a file: put the {what} into one"])
        if mode & forbidden:
            fix = f"run `chmod go-rwx {path}`, and change the {what} if others had it"
            raise SettingsError([f"{name}: may be read by others: {fix}"])
        lines = os.read(handle, longest).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{name}: holds no text that can be read ({error}): put the {what} there"]) from error
    finally:
        os.close(handle)
    if not lines or not lines[0].strip():
        raise SettingsError([f"{name}: its first line is empty: put the {what} there"])
    return lines


def make_eyes(settings: Settings) -> Vision:
    """Load the local eyes; without the emotion network where the settings want no emotions. VisionFailed."""
    from smileaccess.policy import EmotionRule  # noqa: PLC0415
    from smileaccess.vision.eyes import LocalEyes  # noqa: PLC0415 -- OpenCV

    return LocalEyes(emotions=settings.rules.emotions is not EmotionRule.OFF)


def warm_up(eyes: Vision) -> None:
    """Run each network once on an empty picture: the first run takes several times as long. VisionFailed.

    It belongs to the thread that looks, before the first frame.
    """
    import numpy as np  # noqa: PLC0415

    from smileaccess.model import Box, Face, Frame, Quality  # noqa: PLC0415

    frame = Frame(np.zeros((480, 640, 3), np.uint8), 0, 0.0)
    eyes.look(frame)
    places = ((0.45, 0.45), (0.55, 0.45), (0.5, 0.5), (0.46, 0.56), (0.54, 0.56))
    eyes.embed(frame, Face(Box(0.4, 0.3, 0.2, 0.35), 1.0, 0, places, Quality(0, 0, 0, 0)))
    eyes.reset()


def make_recognizer(
    settings: Settings, eyes: Vision, keys: KeyRing, purse: Purse, tell: Tell = _silent, *, ready: bool = False
) -> Recognizer:
    """Make the recognizer of the settings, which knows nobody before `use`.

    Billed calls are paid from `purse`; `tell` hears what of them must go on record (kind, why, detail). With `ready`
    it waits until the connections are open, or cannot be. KeysError without the templates' key, RecognizerUnavailable
    where the settings of the cloud cannot be used.
    """
    if not settings.recognition.cloud:
        return make_embedded(eyes, keys)
    from smileaccess.recognizers.breaker import Breaker  # noqa: PLC0415
    from smileaccess.recognizers.failover import FailoverRecognizer  # noqa: PLC0415
    from smileaccess.settings import FALLBACK_S  # noqa: PLC0415 -- pydantic

    cloud = make_rekognition(settings, purse, tell)
    if ready:
        cloud.get_ready()
    if not settings.recognition.falls_back:
        return cloud
    embedded = make_embedded(eyes, keys)
    times = {"full_s": settings.rekognition.timeout_s, "kept_s": FALLBACK_S}
    return FailoverRecognizer(cloud, embedded, Breaker(time.monotonic), time.monotonic, **times)


def make_rekognition(settings: Settings, purse: Purse, tell: Tell = _silent) -> RekognitionRecognizer:
    """Make the recognizer on Amazon Rekognition, with the door's profile; RecognizerUnavailable."""
    from smileaccess.recognizers.picture import Encoding  # noqa: PLC0415
    from smileaccess.recognizers.rekognition import RekognitionRecognizer  # noqa: PLC0415 -- boto3

    cloud = settings.rekognition
    return RekognitionRecognizer(
        cloud_service(settings, cloud.profile),
        cloud.collection,
        purse,
        timeout_s=cloud.timeout_s,
        encoding=Encoding(cloud.face_px, cloud.jpeg_quality),
        attributes=_attributes(settings),
        tell=tell,
    )


def cloud_service(settings: Settings, profile: str) -> Service:
    """Return where the service is and who asks; RecognizerUnavailable where boto3 is not installed."""
    try:
        from smileaccess.recognizers.cloud import Service  # noqa: PLC0415 -- boto3
    except ModuleNotFoundError as error:
        raise RecognizerUnavailable(
            f'[recognition] recognizers has "rekognition": {error.name} is not installed: '
            "install smileaccess with its extra: pip install 'smileaccess[rekognition]'"
        ) from error

    cloud = settings.rekognition
    return Service(cloud.region, cloud.endpoint, cloud.ca_bundle, _aws_credentials(cloud.credentials), profile)


def _aws_credentials(told: str) -> str:
    """Return the AWS credentials file: systemd's credential where there is one, else the settings'."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    given = Path(directory) / AWS_CREDENTIAL if directory else None
    return str(given) if given is not None and given.is_file() else told


def _attributes(settings: Settings) -> dict[Purpose, tuple[str, ...]]:
    """Return what DetectFaces is asked for beside its defaults: no more than the policy uses."""
    from smileaccess.model import LivenessMode, Purpose  # noqa: PLC0415
    from smileaccess.policy import EmotionRule  # noqa: PLC0415

    emotions = () if settings.rules.emotions is EmotionRule.OFF else ("EMOTIONS",)
    # Where no smile is asked for, what counts is the frame that was searched.
    if settings.liveness.mode is LivenessMode.OFF:
        return {Purpose.IDENTITY: emotions}
    return {Purpose.EXPRESSION: ("SMILE", *emotions)}


def make_embedded(eyes: Vision, keys: KeyRing) -> Recognizer:
    """Make the recognizer on this machine; KeysError without the templates' key."""
    from smileaccess.membership import unseal_template  # noqa: PLC0415
    from smileaccess.recognizers.embedded import EmbeddedRecognizer  # noqa: PLC0415 -- numpy

    key = keys.templates

    def unseal(member: Member, template: Template) -> Vector:
        return unseal_template(template.sealed, member.id, template.id, template.model, key)

    return EmbeddedRecognizer(eyes, unseal)


def make_camera(settings: Settings, clock: Clock, on_picture: Callable[[], None] = lambda: None) -> Camera:
    """Make the camera of the settings; it is opened by `start`.

    `on_picture` is called, on the camera's thread, for each new picture of a folder that another camera fills.
    """
    camera, size = settings.camera, (settings.camera.width, settings.camera.height)
    framing: dict[str, Any] = {"rotation": camera.rotation, "region": camera.region}
    if camera.kind in {"reel", "folder"}:
        from smileaccess.vision.pictures import load_picture  # noqa: PLC0415

        if camera.kind == "folder":
            from smileaccess.cameras.folder import FolderCamera  # noqa: PLC0415

            return FolderCamera(Path(camera.path), load_picture, clock, on_picture=on_picture, **framing)
        from smileaccess.cameras.reel import FolderClip, ReelCamera  # noqa: PLC0415

        return ReelCamera(FolderClip(Path(camera.path), load_picture, camera.fps), clock, camera.fps)
    moving = {**framing, "fps": camera.fps, "sleep_after_s": camera.sleep_after_s}
    if camera.kind == "picamera":
        from smileaccess.cameras.picamera import PicameraCamera  # noqa: PLC0415

        more: dict[str, Any] = {"detect_width": camera.detect_width, "settle_s": camera.settle_s}
        return PicameraCamera(int(camera.device), size, clock, **moving, **more)
    from smileaccess.cameras.webcam import WebcamCamera  # noqa: PLC0415

    return WebcamCamera(camera.device, size, clock, **moving)


def make_registry(settings: Settings, keys: KeyRing, members: Members, clock: Clock, who: str) -> Registry:
    """Make what changes members, on behalf of the system user `who`; KeysError without the enroller's two halves."""
    from smileaccess.registry import Registry  # noqa: PLC0415

    return Registry(members, keys.enroller, keys.enroller_public, door_name(settings), clock, who)


def door_name(settings: Settings) -> str:
    """Return the name of this machine's door, empty where it has none."""
    return settings.door.name if settings.records.database else ""


def make_collection(settings: Settings, purse: Purse, profile: str = "", name: str = "") -> RekognitionCollection:
    """Make what enrolls into a collection, the settings' own unless another is named, and administers it.

    It is asked with `profile`, the enroller's where none is given. SettingsError without a region,
    CollectionUnavailable where boto3 is not installed.
    """
    from smileaccess.clock import SystemClock  # noqa: PLC0415

    cloud = settings.rekognition
    if not cloud.region:
        raise SettingsError(
            ['settings: [rekognition] region = "": must name the region of the collection, such as "eu-central-1"']
        )
    try:
        service = cloud_service(settings, profile or cloud.enroller_profile)
    except RecognizerUnavailable as error:
        raise CollectionUnavailable(str(error)) from error
    from smileaccess.recognizers.collection import RekognitionCollection  # noqa: PLC0415 -- boto3

    return RekognitionCollection(service, name or cloud.collection, purse, now=SystemClock().now)


def make_desk(
    settings: Settings, keys: KeyRing, registry: Registry, eyes: Vision, collection: FaceCollection | None = None
) -> Desk:
    """Make what enrolls people, with a recognizer of its own; KeysError without the templates' key."""
    from smileaccess.model import LivenessMode  # noqa: PLC0415
    from smileaccess.sitting import Desk  # noqa: PLC0415

    calm_first = settings.liveness.mode in {LivenessMode.NEUTRAL_THEN_SMILE, LivenessMode.FOLLOW_THE_LIGHT}
    return Desk(
        registry,
        eyes,
        make_embedded(eyes, keys),
        keys.templates,
        settings.limits(),
        settings.enrollment_limits(),
        threshold=settings.recognition.threshold,
        timeout_s=ENROLL_TIMEOUT_S,
        calm_below=settings.liveness.neutral_below if calm_first else None,
        collection=collection,
        cloud_threshold=settings.rekognition.threshold,
        wait=time.sleep,
    )
