"""`smileaccess attempts try`: one attempt on picture files; it drives no door and writes no record."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import (
    App,
    Variadic,
    console,
    counted,
    emit,
    json_option,
    number,
    pass_app,
    photo_option,
    row,
    say,
    table,
)
from smileaccess.model import Emotion, LivenessMode, Outcome, Reason

if TYPE_CHECKING:
    from smileaccess.gates import Limits
    from smileaccess.model import Face, Member, Pixels
    from smileaccess.rehearsal import Look, Rehearsal
    from smileaccess.settings import Settings


@click.command("try", cls=Variadic, short_help="Try one attempt on pictures: no door, no record.")
@photo_option(required=True)
@click.option("--liveness", type=click.Choice([mode.value for mode in LivenessMode]), help="Instead of the settings'.")
@click.option("--seconds", type=click.FloatRange(0.1, 60), default=2.0, show_default=True, help="Of each picture.")
@json_option
@pass_app
def try_(app: App, photos: tuple[Path, ...], liveness: str | None, seconds: float, as_json: bool) -> None:
    """Try one attempt on pictures, in order, each before the camera for some seconds.

    It shows what the door would decide, and why. No door is driven and
    nothing is put on record; no time really passes. With Rekognition in the
    settings it makes the billed calls of an attempt.

    Each picture is scaled to 640x480, as the camera would give it: of a whole
    photograph little is left of the face, so crop close to it.

    Example:    smileaccess attempts try --photo calm.jpg smiling.jpg
    """
    from smileaccess.vision.pictures import load_picture  # noqa: PLC0415 -- Pillow

    settings = _with_liveness(app.settings(), liveness)
    pictures = [(path.name, load_picture(path)) for path in photos]
    rehearsal, members = _rehearse(app, settings, pictures, seconds)
    known = {member.id: member.name for member in members}
    if as_json:
        emit(rehearsal_to_plain(rehearsal))
    else:
        _print(rehearsal, known, settings.limits())


def _rehearse(
    app: App, settings: Settings, pictures: list[tuple[str, Pixels]], seconds: float
) -> tuple[Rehearsal, tuple[Member, ...]]:
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.cli.sources import reading  # noqa: PLC0415
    from smileaccess.keys import KeyKind  # noqa: PLC0415
    from smileaccess.membership import load_roster  # noqa: PLC0415
    from smileaccess.rehearsal import rehearse  # noqa: PLC0415

    keys = app.keys(KeyKind.ENROLLER_PUBLIC, KeyKind.TEMPLATES)
    with reading(app) as source, app.paying() as tab, closing(wiring.make_eyes(settings)) as eyes, _quiet():
        members = load_roster(source.members, keys.enroller_public).members
        with closing(wiring.make_recognizer(settings, eyes, keys, tab, ready=True)) as recognizer:
            recognizer.use(members)
            return rehearse(settings, pictures, seconds, eyes, recognizer, members), members


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the door's log to itself: what there is to say is said by the command."""
    import structlog  # noqa: PLC0415

    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def _with_liveness(settings: Settings, mode: str | None) -> Settings:
    if mode is None:
        return settings
    from smileaccess.liveness import needs_s  # noqa: PLC0415

    liveness, door = settings.liveness.model_copy(update={"mode": LivenessMode(mode)}), settings.door
    if liveness.mode is LivenessMode.FOLLOW_THE_LIGHT:
        door = door.model_copy(update={"attempt_s": max(door.attempt_s, needs_s(liveness.rules()))})
    return settings.model_copy(update={"liveness": liveness, "door": door})


def _print(rehearsal: Rehearsal, known: Mapping[str, str], limits: Limits) -> None:
    from smileaccess.cli.showing import result  # noqa: PLC0415
    from smileaccess.signals import HINTS  # noqa: PLC0415

    attempt = rehearsal.attempt
    who = known.get(attempt.member_id or "", attempt.member_id)
    granted = attempt.outcome is Outcome.GRANTED
    say(f"granted to {who}" if granted else f"denied: {result(attempt)}" + (f" ({who})" if who else ""))
    if attempt.reason is not None:
        say(f"  {HINTS[attempt.reason]}")
    if attempt.calls:
        say(f"  {counted(attempt.calls, 'billed call')}, cost {attempt.cost:g}")
    say()
    _print_faces(rehearsal, known)
    for told in too_far(rehearsal.looks, limits):
        say(told)
    say()
    for stage, at_ms in sorted(attempt.stages_ms.items(), key=lambda each: each[1]):
        say(f"{at_ms / 1000:>7.2f} s  {stage.replace('_', ' ')}")


def too_far(looks: tuple[Look, ...], limits: Limits) -> Iterator[str]:
    """Yield a line for each picture whose face was too far in every frame: scaling it down may have done that."""
    from smileaccess.cameras.reel import SIZE  # noqa: PLC0415 -- numpy

    wide, high = SIZE
    for label in dict.fromkeys(look.label for look in looks):
        seen = [look for look in looks if look.label == label]
        if all(look.hindrance is Reason.TOO_FAR for look in seen):
            size = max(look.sight.faces[0].quality.size_px for look in seen)
            yield (
                f"no frame of {label} was usable: too far (face {size:.0f} px, at least {limits.face_px:.0f}): "
                f"pictures are scaled to {wide}x{high} as the camera would give them; crop closer"
            )


def telling(looks: tuple[Look, ...]) -> list[Look]:
    """Return one look of each run of frames of one picture: an examined one, where there is one."""
    chosen: list[Look] = []
    for look in looks:
        same = bool(chosen) and chosen[-1].label == look.label
        if same and chosen[-1].examination is None and look.examination is not None:
            chosen[-1] = look
        elif not same:
            chosen.append(look)
    return chosen


def _print_faces(rehearsal: Rehearsal, known: Mapping[str, str]) -> None:
    right = ("px", "similar", "smile", "yaw")
    fold = ("picture", "member", "seen as")
    made = table("picture", "member", "similar", "smile", "emotion", "yaw", "px", "seen as", right=right, fold=fold)
    for look in telling(rehearsal.looks):
        view = look.hindrance.value if look.hindrance is not None else "clear"
        if not look.sight.faces:
            row(made, look.label, "-", "-", "-", "-", "-", "-", view)
        for place, face in enumerate(look.sight.faces):
            first = place == 0
            row(made, look.label, *_who(look, known, first=first), *_features(face), view if first else "")
    console().print(made)


def _who(look: Look, known: Mapping[str, str], *, first: bool) -> tuple[str, str]:
    """Return the best candidate's name and similarity for the face that was examined, the largest one."""
    candidates = (look.examination.candidates or ()) if first and look.examination is not None else ()
    if not candidates:
        return "-", "-"
    best = candidates[0]
    return known.get(best.member_id, best.member_id), number(best.similarity)


def _features(face: Face) -> tuple[str, str, str, str]:
    emotion = max(face.emotions, key=lambda each: face.emotions[each]).value if face.emotions else "-"
    yaw = number(face.pose.yaw if face.pose else None, 0)
    return number(face.smile, 0), emotion, yaw, number(face.quality.size_px, 0)


def rehearsal_to_plain(rehearsal: Rehearsal) -> dict[str, Any]:
    """Return a rehearsal for JSON: the attempt as it would stand on record, its hint, and every look."""
    from smileaccess.records.plain import attempt_to_plain  # noqa: PLC0415
    from smileaccess.signals import HINTS  # noqa: PLC0415

    reason = rehearsal.attempt.reason
    return {
        "attempt": attempt_to_plain(rehearsal.attempt),
        "hint": None if reason is None else HINTS[reason],
        "looks": [_look_to_plain(look) for look in rehearsal.looks],
    }


def _look_to_plain(look: Look) -> dict[str, Any]:
    candidates = (look.examination.candidates or ()) if look.examination is not None else ()
    return {
        "picture": look.label,
        "at_s": round(look.at_s, 3),
        "brightness": round(look.sight.brightness, 1),
        "hindrance": look.hindrance and look.hindrance.value,
        "faces": [_face_to_plain(face) for face in look.sight.faces],
        "candidates": [{"member": each.member_id, "similarity": round(each.similarity, 3)} for each in candidates],
    }


def _face_to_plain(face: Face) -> dict[str, Any]:
    pose, quality = face.pose, face.quality
    return {
        "box": {name: round(getattr(face.box, name), 4) for name in ("left", "top", "width", "height")},
        "track": face.track,
        "score": round(face.score, 3),
        "smile": _rounded(face.smile),
        "eyes_open": _rounded(face.eyes_open),
        "emotions": {
            emotion.value: round(face.emotions[emotion], 1) for emotion in Emotion if emotion in face.emotions
        },
        "pose": pose and {name: round(getattr(pose, name), 1) for name in ("yaw", "pitch", "roll")},
        "quality": {
            "brightness": round(quality.brightness, 1),
            "sharpness": round(quality.sharpness, 1),
            "size_px": round(quality.size_px),
            "presence": round(quality.presence, 3),
        },
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
