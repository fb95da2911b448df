"""Attempts made of photographs in virtual time: living members, and attacks on their sign of life, each from a seed.

Everything before the camera is drawn; what is judged is judged by the door's own eyes, recognizer, liveness and policy
(`smileaccess.rehearsal.play`). Real prints, screens and people do more than is drawn here.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from smileaccess.cameras.reel import StillsCamera
from smileaccess.clock import VirtualClock
from smileaccess.demo.morph import framed, morphed
from smileaccess.demo.scenes import HEIGHT, WIDTH, Sway, doorway
from smileaccess.evaluation.identification import as_member, unsealed
from smileaccess.liveness import beats_for, words
from smileaccess.model import Attempt, Frame, LivenessMode, Member, Outcome, Signal
from smileaccess.recognizers.embedded import EmbeddedRecognizer
from smileaccess.rehearsal import play
from smileaccess.settings import Settings, parse
from tests.people import PEOPLE, PHOTOGRAPHED, Album, Person, Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smileaccess.model import Pixels, Vector
    from smileaccess.ports import Vision

Cues = Sequence[tuple[float, bool | None]]
"""What the door has asked for so far: since when, in seconds, and whether for a smile; None for nothing."""

Show = Callable[[float, Cues], "Pixels"]
"""What is before the camera at a moment, after these cues."""

STEPS = 12
SIZES = (132.0, 158.0, 186.0)
"""Widths of a face before the camera, in pixels of a frame of 640 x 480."""

_MARGIN = 40
_STAGE = (WIDTH + 2 * _MARGIN, HEIGHT + 2 * _MARGIN)
_MIDDLE = (_STAGE[0] / 2, _STAGE[1] / 2)
_PAPER = (250, 330)
_SKIN = (118, 142, 196)


STRANGER = Picture("collins-smiling")


def settings_for(mode: LivenessMode) -> Settings:
    """Return a door's settings with this mode and time enough for it; everything else is the default."""
    return parse(f'[door]\nattempt_s = 15.0\n[liveness]\nmode = "{mode.value}"\n')


class Studio:
    """The pictures that everything is drawn from, and the eyes; one thread, and of it one attempt at a time."""

    def __init__(self, eyes: Vision) -> None:
        self.eyes = eyes
        self.stages = cache(self._stages)
        self.portrait = Album(eyes).portrait
        self.member = cache(self._member)

    def _stages(self, person: Person, face_px: float) -> list[Pixels]:
        """Return pictures of a person from rest to the full smile."""
        rest, smile = (
            framed(self.portrait(picture), _STAGE, _MIDDLE, face_px) for picture in (person.neutral, person.smiling)
        )
        return morphed(rest, smile, STEPS)

    def _member(self, person: Person) -> Member:
        portrait = self.portrait(person.enrolled)
        self.eyes.reset()
        frame = Frame(portrait.pixels, 1, 0.0)
        return as_member(person.name, [self.eyes.embed(frame, self.eyes.look(frame).faces[0])])

    def eyes_on(self, pixels: Pixels) -> Vector:
        """Return the mesh of the one face in a picture."""
        self.eyes.reset()
        mesh = self.eyes.look(Frame(pixels, 1, 0.0)).faces[0].mesh
        assert mesh is not None
        return mesh

    def still(self, picture: Picture, face_px: float) -> Pixels:
        """Return a person who does not change, as they stand there."""
        return framed(self.portrait(picture), _STAGE, _MIDDLE, face_px).pixels

    def paper(self, picture: Picture, face_px: float) -> Pixels:
        """Return a print of a photograph, with a white border."""
        width, height = _PAPER
        whole = framed(self.portrait(picture), _PAPER, (width / 2, 0.47 * height), face_px).pixels
        return cast("Pixels", cv2.copyMakeBorder(whole, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=(240, 242, 243)))


class Light:
    """Light that drifts and flickers, and the sensor's noise."""

    def __init__(self, chance: random.Random, depth: float) -> None:
        self._level = chance.uniform(0.75, 1.15)
        self._depth, self._rate, self._phase = depth, chance.uniform(0.2, 0.8), chance.uniform(0, 6.28)
        self._noises = _noises()

    def on(self, pixels: Pixels, at_s: float) -> Pixels:
        """Return a picture as the camera takes it at a moment."""
        drift = 1 + self._depth * math.sin(2 * math.pi * self._rate * at_s + self._phase)
        seen = cv2.convertScaleAbs(pixels, alpha=self._level * drift)
        noise = self._noises[int(at_s * 1000) * 7919 % len(self._noises)]
        return cast("Pixels", cv2.add(seen, noise, dtype=cv2.CV_8U))


@cache
def _noises() -> list[NDArray[np.int16]]:
    drawn = np.random.default_rng(3)
    return [np.rint(drawn.standard_normal((HEIGHT, WIDTH, 3), np.float32) * 1.6).astype(np.int16) for _ in range(5)]


class Body:
    """Somebody standing there: pictures from rest to a smile, swaying; `across` moves them sideways, in pixels."""

    def __init__(self, stages: Sequence[Pixels], chance: random.Random, sway: float = 1.0) -> None:
        self._stages = stages
        self._sway = Sway(chance.randrange(1 << 30), sway)
        self._place = (WIDTH / 2 + chance.uniform(-30, 30), HEIGHT / 2 + chance.uniform(-20, 20))

    def over(self, behind: Pixels, at_s: float, smile: float, across: float = 0.0) -> Pixels:
        """Return what is seen of them before a background."""
        stage = self._stages[round((len(self._stages) - 1) * min(1.0, max(0.0, smile)))]
        matrix = self._sway.matrix(at_s, _MIDDLE, self._place)
        matrix[0, 2] += across
        if not across:
            return cast("Pixels", cv2.warpAffine(stage, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT_101))
        seen = behind.copy()
        return cast(
            "Pixels", cv2.warpAffine(stage, matrix, (WIDTH, HEIGHT), dst=seen, borderMode=cv2.BORDER_TRANSPARENT)
        )


class Sheet:
    """A print held by hand: it shakes, turns, leans in perspective, bends, and moves in the light."""

    def __init__(self, chance: random.Random) -> None:
        self._sway = Sway(chance.randrange(1 << 30), chance.uniform(0.5, 5.0))
        drawn = np.random.default_rng(chance.randrange(1 << 30))
        self._rates, self._phases = drawn.uniform(0.5, 4.0, (4, 2)), drawn.uniform(0, 6.28, (4, 2))
        self._lean = chance.choice((0.0, 0.02, 0.06))
        self._bend, self._bend_rate = chance.choice((0.0, 6.0, 14.0)), chance.uniform(0.5, 3.0)

    def over(self, behind: Pixels, paper: Pixels, at_s: float, across: float = 0.0) -> Pixels:
        """Return the print before a background; `across` moves it sideways, in pixels."""
        paper = self._bent(paper, at_s)
        height, width = paper.shape[:2]
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        moved = corners + (self._lean * width * np.sin(self._rates * at_s + self._phases)).astype(np.float32)
        matrix = self._sway.matrix(at_s, (width / 2, height / 2), (WIDTH / 2 + across, HEIGHT / 2))
        target = (moved @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
        whole = cv2.getPerspectiveTransform(corners, target)
        seen = behind.copy()
        return cast(
            "Pixels", cv2.warpPerspective(paper, whole, (WIDTH, HEIGHT), dst=seen, borderMode=cv2.BORDER_TRANSPARENT)
        )

    def _bent(self, paper: Pixels, at_s: float) -> Pixels:
        """Bend it about its upright middle, now more and now less."""
        reach = self._bend * math.sin(self._bend_rate * at_s)
        if abs(reach) < 0.5:
            return paper
        height, width = paper.shape[:2]
        columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        bow = (reach * np.sin(np.pi * columns / width)).astype(np.float32)
        return cast("Pixels", cv2.remap(paper, columns, rows + bow, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


class Face:
    """How far a face has gone from rest to a smile, 0..1, after what it reacts to."""

    def __init__(self, chance: random.Random, reach: float = 1.0, takes_s: tuple[float, float] = (0.3, 0.7)) -> None:
        self._reaction = (chance.uniform(0.25, 0.45), chance.uniform(0.0, 0.15))
        self._takes_s = chance.uniform(*takes_s)
        self._reach = reach
        self._chance = random.Random(chance.randrange(1 << 30))
        self._late: dict[float, float] = {}

    def smile(self, at_s: float, cues: Cues) -> float:
        """Return the smile at a moment: it moves evenly toward what was asked for last, each time a little late."""
        level, since, wanted = 0.0, 0.0, 0.0
        for cue_at, asked in cues:
            begins = cue_at + self._reaction_to(cue_at)
            if begins > at_s:
                break
            level = _toward(level, wanted, (begins - since) / self._takes_s)
            since, wanted = begins, self._reach if asked else 0.0
        return _toward(level, wanted, (at_s - since) / self._takes_s)

    def _reaction_to(self, cue_at: float) -> float:
        if cue_at not in self._late:
            self._late[cue_at] = self._reaction[0] + self._chance.random() * self._reaction[1]
        return self._late[cue_at]


def _toward(level: float, wanted: float, share: float) -> float:
    step = max(0.0, share)
    return min(wanted, level + step) if wanted > level else max(wanted, level - step)


# --- what may stand before the door


def genuine(studio: Studio, person: Person, chance: random.Random, _settings: Settings) -> Show:
    """A member who does as the light asks."""
    body = Body(studio.stages(person, chance.choice(SIZES)), chance, chance.uniform(0.3, 1.5))
    face, light, wall = Face(chance, chance.uniform(0.85, 1.0)), Light(chance, chance.uniform(0.0, 0.05)), doorway()
    return lambda at_s, cues: light.on(body.over(wall, at_s, face.smile(at_s, cues)), at_s)


def still_print(studio: Studio, person: Person, chance: random.Random, _settings: Settings) -> Show:
    """A print of the member, calm or smiling, moved by hand."""
    picture = chance.choice((person.neutral, person.smiling))
    sheet, paper = Sheet(chance), studio.paper(picture, chance.uniform(110, 160))
    light, wall = Light(chance, chance.uniform(0.0, 0.25)), doorway()
    return lambda at_s, _cues: light.on(sheet.over(wall, paper, at_s), at_s)


def tilted_print(bent: str) -> Scene:
    """A calm print that is tilted about its level axis as the light asks: `flat`, `rolled`, or `folded` upright."""

    def scene(studio: Studio, person: Person, chance: random.Random, _settings: Settings) -> Show:
        paper = studio.paper(person.neutral, 150.0)
        hand = Face(chance, takes_s=chance.choice(((0.3, 0.7), (1.0, 2.5))))
        slope = _slope(bent, paper.shape[1], chance)
        rest, asked = chance.choice(((0, 42), (0, -48), (-20, 42), (-10, 45), (10, -45), (-42, 48), (42, -48)))
        light, wall = Light(chance, 0.02), doorway()
        phase = chance.uniform(0, 6.28)

        def show(at_s: float, cues: Cues) -> Pixels:
            tilt = rest + (asked - rest) * hand.smile(at_s, cues) + 1.5 * math.sin(1.7 * at_s + phase)
            place = WIDTH / 2 + 4 * math.sin(1.1 * at_s + phase), HEIGHT / 2 + 3 * math.cos(1.4 * at_s)
            return light.on(bent_over(wall, paper, slope, tilt, place), at_s)

        return show

    return scene


Slope = Callable[["Vector"], "Vector"]
"""How far a sheet leans back, in radians, so many pixels to the right of its middle."""


def rolled(width: int, arc: float) -> Slope:
    """Return the slope of a sheet rolled to an arc of so many degrees about its upright axis; positive: bulging."""
    return lambda across: across * (math.radians(arc) / width)


def folded(width: int, lean: float, at: float = 0.0) -> Slope:
    """Return the slope of a sheet whose halves lean back by so many degrees from an upright fold, a little rounded.

    The fold is `at` widths to the right of the middle.
    """
    return lambda across: np.tanh((across - at * width) / (0.04 * width)) * math.radians(lean)


def _slope(bent: str, width: int, chance: random.Random) -> Slope:
    if bent == "folded":
        return folded(width, chance.choice((-50, -35, -20, 20, 35, 50)), chance.choice((0.0, 0.0, 0.06)))
    return rolled(width, chance.choice((-130.0, 130.0)) if bent == "rolled" else 0.0)


def bent_over(behind: Pixels, paper: Pixels, slope: Slope, tilt: float, place: tuple[float, float]) -> Pixels:
    """Return a print before a background, bent about its upright axis and then tilted, in degrees, about its level one.

    The camera is three of its widths away. Upright strips are drawn from the back.
    """
    height, width = paper.shape[:2]
    across, down = np.linspace(0, width - 1, 121), np.array([0.0, height - 1.0])
    along = across - width / 2
    leans = slope(along)
    x, near = (_run(along, part) for part in (np.cos(leans), -np.sin(leans)))
    columns, rows = np.meshgrid(x, down - height / 2)
    cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    y, z = rows * cos - near * sin, rows * sin + near * cos
    size = 3.0 * width / (3.0 * width - z)
    corners = np.dstack([place[0] + columns * size, place[1] + y * size]).astype(np.float32)
    seen = behind.copy()
    for strip in np.argsort(z.mean(axis=0)[:-1], kind="stable"):
        quad = np.array([corners[0, strip], corners[0, strip + 1], corners[1, strip + 1], corners[1, strip]])
        if quad[1, 0] <= quad[0, 0]:  # turned away
            continue
        left, right = across[strip], across[strip + 1]
        source = np.array([[left, 0], [right, 0], [right, height - 1], [left, height - 1]], np.float32)
        low, high = np.floor(quad.min(axis=0)).astype(int), np.ceil(quad.max(axis=0)).astype(int) + 1
        low, high = np.clip(low, 0, (WIDTH, HEIGHT)), np.clip(high, 0, (WIDTH, HEIGHT))
        if not (high > low).all():
            continue
        matrix = cv2.getPerspectiveTransform(source, (quad - low.astype(np.float32)))
        size_there = (int(high[0] - low[0]), int(high[1] - low[1]))
        drawn = cv2.warpPerspective(paper, matrix, size_there)
        mask = np.zeros(size_there[::-1], np.uint8)
        cv2.fillConvexPoly(mask, np.rint(quad - low).astype(np.int32), 1)
        part = seen[low[1] : high[1], low[0] : high[0]]
        part[mask > 0] = drawn[mask > 0]
    return seen


def _run(along: Vector, rate: Vector) -> Vector:
    """Return the way along a sheet as an integral of its rate, 0 in the sheet's middle."""
    steps = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(along))])
    way: Vector = steps - np.interp(0.0, along, steps)
    return way


def swapped(how: str) -> Scene:
    """Two prints, a calm and a smiling one, swapped on the cue: by a `cut`, a `slide`, or behind a `hand`."""

    def scene(studio: Studio, person: Person, chance: random.Random, _settings: Settings) -> Show:
        px, other_px = (chance.uniform(115, 155) for _ in range(2))
        alike = chance.random() < 0.5
        calm = studio.paper(person.neutral, px)
        smiling = studio.paper(person.smiling, px if alike else other_px)
        sheet, light, wall = Sheet(chance), Light(chance, chance.uniform(0.0, 0.08)), doorway()
        late_s, takes_s = chance.uniform(0.2, 1.2), chance.uniform(0.15, 0.8)

        def show(at_s: float, cues: Cues) -> Pixels:
            shown, along = _between_prints(at_s, cues, late_s, takes_s)
            first, second = (calm, smiling) if shown else (smiling, calm)
            if along is None or how == "cut":
                return light.on(sheet.over(wall, second if along is None else first, at_s), at_s)
            if how == "slide":
                seen = sheet.over(wall, first, at_s)
                return light.on(sheet.over(seen, second, at_s, across=WIDTH * (1 - along)), at_s)
            seen = sheet.over(wall, first if along < 0.5 else second, at_s)
            middle = (round(WIDTH * (1.4 - 1.8 * along)), HEIGHT // 2)
            cv2.ellipse(seen, middle, (170, 210), 0, 0, 360, _SKIN, cv2.FILLED)
            return light.on(seen, at_s)

        return show

    return scene


def _between_prints(at_s: float, cues: Cues, late_s: float, takes_s: float) -> tuple[bool, float | None]:
    """Return whether the change under way or done last is to the smiling print, and how far it has come, None: done."""
    to_smile, began = False, -math.inf
    for cue_at, asked in cues:
        if cue_at + late_s > at_s:
            break
        if bool(asked) is not to_smile:
            to_smile, began = bool(asked), cue_at + late_s
    along = (at_s - began) / takes_s
    return to_smile, along if along < 1 else None


def stranger(how: str) -> Scene:
    """A calm member, and on the cue a smiling stranger in his place: by a `cut`, leaning `in`, or by `walking`."""

    def scene(studio: Studio, person: Person, chance: random.Random, _settings: Settings) -> Show:
        px = chance.choice(SIZES)
        member = Body(studio.stages(person, px)[:1], chance)
        other = Body([studio.still(STRANGER, px)], chance)
        light, wall = Light(chance, chance.uniform(0.0, 0.05)), doorway()
        late_s, takes_s = chance.uniform(0.1, 0.8), chance.uniform(0.2, 0.8)

        def show(at_s: float, cues: Cues) -> Pixels:
            smiles = [cue_at for cue_at, asked in cues if asked and cue_at + late_s <= at_s]
            along = (at_s - smiles[0] - late_s) / takes_s if smiles else -1.0
            if along < 0:
                return light.on(member.over(wall, at_s, 0.0), at_s)
            if how == "cut" or along >= (2 if how == "walking" else 1):
                return light.on(other.over(wall, at_s, 0.0), at_s)
            if how == "in":
                seen = member.over(wall, at_s, 0.0, across=-WIDTH * along or 1e-3)
                return light.on(other.over(seen, at_s, 0.0, across=WIDTH * (1 - along)), at_s)
            if along < 1:
                return light.on(member.over(wall, at_s, 0.0, across=-WIDTH * along or 1e-3), at_s)
            return light.on(other.over(wall, at_s, 0.0, across=WIDTH * (2 - along)), at_s)

        return show

    return scene


def replay(studio: Studio, person: Person, chance: random.Random, settings: Settings) -> Show:
    """A recording of the member at another attempt, played on and on, and begun without a look at the light."""
    body = Body(studio.stages(person, chance.choice(SIZES)), chance)
    face, light, wall = Face(chance), Light(chance, 0.02), doorway()
    recorded = _recorded(chance, settings)
    begins_s, lasts_s = chance.uniform(0, 3), recorded[-1][0] + 2.0

    def show(at_s: float, _cues: Cues) -> Pixels:
        in_it = (at_s + begins_s) % lasts_s
        return light.on(body.over(wall, in_it, face.smile(in_it, recorded)), in_it)

    return show


def timed_replay(studio: Studio, person: Person, chance: random.Random, settings: Settings) -> Show:
    """The best that a recording can do: begun with the door's first light, in its rhythm, each sequence anew."""
    body = Body(studio.stages(person, chance.choice(SIZES)), chance)
    face, light, wall = Face(chance), Light(chance, 0.02), doorway()
    rules = settings.examining_rules().liveness
    known = words(beats_for(rules)) if rules.mode is LivenessMode.FOLLOW_THE_LIGHT else [(True, True, True)]
    answers: dict[float, tuple[bool, ...]] = {}

    def show(at_s: float, cues: Cues) -> Pixels:
        heard: list[tuple[float, bool | None]] = []
        for begins in _sequences(cues):
            word = answers.setdefault(begins, chance.choice(known))
            heard += [(begins + place * rules.beat_s, smile) for place, smile in enumerate(word)]
            heard.append((begins + len(word) * rules.beat_s, False))
        return light.on(body.over(wall, at_s, face.smile(at_s, heard)), at_s)

    return show


def _recorded(chance: random.Random, settings: Settings) -> list[tuple[float, bool | None]]:
    rules = settings.examining_rules().liveness
    begins = 1.0 + chance.uniform(*rules.cue_after_s)
    if rules.mode is not LivenessMode.FOLLOW_THE_LIGHT:
        return [(begins, True), (begins + chance.uniform(1.5, 3.0), False)]
    word = chance.choice(words(beats_for(rules)))
    cues: list[tuple[float, bool | None]] = [(begins + place * rules.beat_s, smile) for place, smile in enumerate(word)]
    return [*cues, (begins + len(word) * rules.beat_s, False)]


def _sequences(cues: Cues) -> list[float]:
    """Return when each sequence of cues began: with the first one, and with each that comes after a pause."""
    before = [None, *(asked for _, asked in cues)]
    return [at_s for (at_s, asked), last in zip(cues, before, strict=False) if asked is not None and last is None]


Scene = Callable[[Studio, Person, random.Random, Settings], Show]

KINDS: Mapping[str, Scene] = MappingProxyType(
    {
        "genuine": genuine,
        "print": still_print,
        "tilt of a flat print": tilted_print("flat"),
        "tilt of a rolled print": tilted_print("rolled"),
        "tilt of a folded print": tilted_print("folded"),
        "swap by a cut": swapped("cut"),
        "swap by a slide": swapped("slide"),
        "swap behind a hand": swapped("hand"),
        "stranger by a cut": stranger("cut"),
        "stranger leaning in": stranger("in"),
        "stranger walking in": stranger("walking"),
        "replay": replay,
        "replay begun with the light": timed_replay,
    }
)

NEVER = tuple(kind for kind in KINDS if kind.startswith(("print", "tilt", "swap", "stranger")))
"""The attacks that may not pass at all."""


class ShowCamera(StillsCamera):
    """A camera in virtual time at which something is shown that may answer the door's cues."""

    def __init__(self, show: Show, clock: VirtualClock, fps: float) -> None:
        super().__init__([np.zeros((8, 8, 3), np.uint8)], clock, clock.advance, fps=fps)
        self._show = show
        self._now = clock.monotonic
        self.cues: list[tuple[float, bool | None]] = []

    def read(self, after: int, timeout_s: float) -> Frame:
        """Return the next frame, drawn for the moment at which it is taken."""
        frame = super().read(after, timeout_s)
        return replace(frame, pixels=self._show(frame.captured_at, [*self.cues]))

    def hear(self, signal: Signal) -> None:
        """Take in what the panel shows."""
        asked = {Signal.SMILE_NOW: True, Signal.RELAX: False, Signal.LOOKING: None}
        if signal in asked:
            self.cues.append((self._now(), asked[signal]))


def attempt(studio: Studio, kind: str, mode: LivenessMode, seed: int) -> Attempt:
    """Play one attempt of a kind, the same for the same seed; the member is enrolled, and nobody else."""
    chance = random.Random(f"{kind}/{mode}/{seed}")
    settings, person = settings_for(mode), chance.choice(PEOPLE if kind == "genuine" else PHOTOGRAPHED)
    member = studio.member(person)
    show = KINDS[kind](studio, person, chance, settings)
    recognizer = EmbeddedRecognizer(studio.eyes, unsealed)
    recognizer.use([member])
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    camera = ShowCamera(show, clock, fps=chance.uniform(8, 15))
    studio.eyes.reset()
    return play(
        settings, camera, clock, studio.eyes, recognizer, [member], on_signal=camera.hear, luck=chance.random
    ).attempt


def granted(ended: Attempt) -> bool:
    """Say whether an attempt was let in."""
    return ended.outcome is Outcome.GRANTED
