"""One attempt while it lasts: which frames to have examined, when enough is known, and the evidence. Pure.

It follows one face: what another track shows is never counted for it. It does no I/O and reads no clock.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from smileaccess import liveness
from smileaccess.ballot import Ballot, Standard
from smileaccess.curling import LEAST, curled
from smileaccess.gates import Limits, hindrance
from smileaccess.gestures import shown
from smileaccess.liveness import Challenge, LivenessRules, Stage
from smileaccess.model import (
    Candidate,
    Evidence,
    Examination,
    Face,
    Frame,
    Gesture,
    LivenessMode,
    Purpose,
    Reason,
    Sight,
    Signal,
)

if TYPE_CHECKING:
    from smileaccess.model import Vector

_NOBODY: Mapping[str, Gesture] = {}

_EARLIER_S = 1.0
"""How much of what was seen before the member was known still counts for the member's gesture, in seconds."""

_RESTED = 8
"""Calm faces that a smile is compared with: the last second's, or those since the face was calm last."""


@dataclass(frozen=True, slots=True)
class ExaminingRules:
    """How an attempt goes about its evidence.

    `standards` has an entry for each recognizer that may answer, the first choice first. A frame of a smiling face is
    searched only when `grace_s` has gone by without a neutral one. A hindrance that lasts `patience_s` ends the
    attempt. `same_face` is the least similarity (0..100) of the smiling face with the member named before, where the
    recognizer tells one: 79.2 is cosine 0.40, missed by 5 in 1,000 pairs of one person (docs/recognition.md). A
    candidate wins only by `margin`. All questions together may take `max_calls` billed calls.
    """

    limits: Limits = field(default_factory=Limits)
    liveness: LivenessRules = field(default_factory=LivenessRules)
    standards: tuple[Standard, ...] = (Standard("embedded"),)
    margin: float = 0.1
    same_face: float = 79.2
    max_calls: int = 6
    grace_s: float = 1.0
    patience_s: float = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """A question for the recognizer, and how many billed calls it may take at the most."""

    frame: Frame
    face: Face
    purpose: Purpose
    calls: int = 0


class Examining:
    """The evidence of one attempt as it comes in; one thread."""

    def __init__(
        self,
        rules: ExaminingRules,
        opened_at: float,
        luck: Sequence[float],
        gestures: Mapping[str, Gesture] = _NOBODY,
    ) -> None:
        """Begin an attempt.

        `luck` are draws from 0..1 for the challenge. `gestures` are those of the members who show another gesture than
        a smile, by their id: where there are any, nothing is asked for until it is known who stands there.
        """
        self.rules = rules
        self.challenge = liveness.begin(rules.liveness, luck)
        self.stages: dict[str, float] = {}
        self.tally: Counter[str] = Counter()
        self.examinations: list[Examination] = []
        self._opened_at = opened_at
        self._track: int | None = None
        self._track_lost = False
        self._clear_since: float | None = None
        self._views: deque[tuple[float, Reason | None]] = deque()
        self._asked: Ask | None = None
        self._gestures = gestures
        self._gesture: Gesture | None = None if gestures else Gesture.SMILE
        self._calm: Face | None = None
        self._rested: deque[Vector] = deque(maxlen=_RESTED)
        self._aspect = 1.0
        self._earlier: deque[tuple[float, Face]] = deque()
        self._shows: list[tuple[float, Ask]] = []
        self._now = opened_at

    def observe(self, sight: Sight, now: float) -> Ask | None:
        """Take in what one frame shows; return a question for the recognizer where one is due."""
        self._now = now
        view = hindrance(sight, self.rules.limits)
        self.tally[view.value if view is not None else "clear"] += 1
        self._remember(sight.frame.captured_at, view)
        if view is not None or self._lost(sight.faces[0]):
            return self._next_ask(None)
        self._stage("first_face")
        face = sight.faces[0]
        if self._clear_since is None:
            self._clear_since = now
        height, width = sight.frame.pixels.shape[:2]
        self._aspect = width / height
        self._challenge(sight.frame, face)
        return self._next_ask(Ask(sight.frame, face, Purpose.IDENTITY))

    def examined(self, examination: Examination, now: float) -> Ask | None:
        """Take in the recognizer's answer to the last question; return the next question where one is due."""
        self._now = now
        asked, self._asked = self._asked, None
        if asked is None or not examination.box.same_place(asked.face.box):
            self._track_lost = self._track_lost or asked is not None
            return None
        self.examinations.append(examination)
        if self.identified is not None:
            self._stage("identified")
            self._learn_gesture(self.identified)
        return self._next_ask(None)

    def advance(self, now: float) -> None:
        """Let time pass."""
        self._now = now
        self._went_on(liveness.advance(self.challenge, self.rules.liveness, now))

    def next_deadline(self) -> float | None:
        """Return when `advance` may next change something."""
        return liveness.next_deadline(self.challenge, self.rules.liveness)

    @property
    def signal(self) -> Signal | None:
        """What the person is to be shown: the cue that holds now, or that the camera looks; None: nothing new."""
        if self.challenge.over:
            return None
        asked = self.challenge.asked
        return Signal.LOOKING if asked is None else Signal.SMILE_NOW if asked else Signal.RELAX

    @property
    def identified(self) -> Candidate | None:
        """The member whom enough frames of one recognizer agree on, with the best similarity."""
        return self._ballot.identity[0]

    @property
    def complete(self) -> bool:
        """Whether nothing more need be seen or asked for a decision."""
        if self._track_lost or self._ballot.ambiguous or self._hindrance() is not None:
            return True
        if self._asked is not None:
            return False
        if self._swapped():
            return True
        if self._exhausted() or self.challenge.stage is Stage.FAILED:
            return True
        return self.identified is not None and self._live()

    def evidence(self, fault: Reason | None = None) -> Evidence:
        """Return what is known now, for policy to judge."""
        counts = self._expression() or next(iter(reversed(self.examinations)), None)
        ballot = self._ballot
        identified, recognizer = ballot.identity
        unanswered = self._unanswered()
        told = None if unanswered is Reason.AMBIGUOUS_MATCH else unanswered
        return Evidence(
            fault=fault,
            hindrance=None if self._withdrawn() else self._lasting_hindrance() or told,
            track_lost=self._track_lost or self._swapped() or self._withdrawn(),
            unrecognized=bool(ballot.searched) and (self._exhausted() or not ballot.named),
            ambiguous=ballot.ambiguous or unanswered is Reason.AMBIGUOUS_MATCH,
            identified=identified,
            recognizer=recognizer,
            fallback=ballot.fallback,
            liveness=liveness.verdict(self.challenge),
            live=self._live(),
            gesture=self._gesture if self.challenge.stage is Stage.PASSED and not self._off else None,
            smile=counts.smile if counts else None,
            emotions=counts.emotions if counts else {},
        )

    def summary(self) -> dict[str, Any]:
        """Return what goes on record besides the decision: the fields of `model.Attempt`, in plain values."""
        best = max((c.similarity for e in self.examinations for c in (e.candidates or ())[:1]), default=None)
        decided = self._ballot.decided
        return {
            "similarity": None if best is None else round(best, 3),
            "recognizer": None if decided is None else decided.recognizer,
            "model": None if decided is None else decided.model or None,
            "calls": self._ballot.spent,
            "stages_ms": dict(self.stages),
            "detail": {
                "frames": dict(self.tally),
                "challenge": self.challenge.stage.value,
                "examinations": [_plain(e) for e in self.examinations],
                **self._followed(),
            },
        }

    def _followed(self) -> dict[str, Any]:
        """Return what follow-the-light asked for last, + a smile and - a calm face, and in what sequences failed."""
        if not self.challenge.word and not self.challenge.missed:
            return {}
        asked = "".join("+" if smile else "-" for smile in self.challenge.word)
        return {"asked": asked, "missed": [reason.value for reason in self.challenge.missed]}

    def _stage(self, name: str) -> None:
        self.stages.setdefault(name, round((self._now - self._opened_at) * 1000, 1))

    def _remember(self, at: float, view: Reason | None) -> None:
        self._views.append((at, view))
        while self._views and self._views[0][0] < at - self.rules.patience_s:
            self._views.popleft()

    def _lost(self, face: Face) -> bool:
        if self._track is None:
            self._track = face.track
        if face.track != self._track:
            self._track_lost = True
        return self._track_lost

    def _challenge(self, frame: Frame, face: Face) -> None:
        """Take in what a clear frame shows of the gesture; before that is known, remember it for later."""
        if self._off:
            return
        if self._gesture is None:
            self._earlier.append((frame.captured_at, face))
            while self._earlier[0][0] < frame.captured_at - _EARLIER_S:
                self._earlier.popleft()
            return
        value = self._answer(self._gesture, face, frame.captured_at)
        if value is None or not value >= liveness.answered_from(self.challenge, self.rules.liveness):
            return
        passed = self.challenge.stage is Stage.PASSED
        if passed or (self.challenge.word and self.challenge.asked is not None):
            # Of a turned head the least turned frames: the more of a face is seen, the better it is recognized.
            worth = -value if self._gesture is Gesture.TURN else value
            self._shows.append((worth, Ask(frame, face, Purpose.EXPRESSION)))
            self._shows = sorted(self._shows, key=lambda show: show[0])[-self._ballot.next_standard.expressions :]

    def _answer(self, gesture: Gesture, face: Face, at: float) -> float | None:
        """Let the challenge see a face; return how much of the gesture it shows."""
        value = shown(gesture, face, None if self._calm is None else self._calm.pose, self.rules.liveness)
        if value is None:
            return None
        if self.challenge.stage is Stage.WATCHING:
            self._calm = face
        if gesture is Gesture.SMILE and self.rules.liveness.mode is not LivenessMode.SMILE and face.mesh is not None:
            value = self._smile_of_its_own(value, face.mesh)
        self._went_on(liveness.observe(self.challenge, self.rules.liveness, value, at))
        return value

    def _smile_of_its_own(self, value: float, mesh: Vector) -> float:
        """Return the smile of a face, on the cue less than one where all of the face is bent and not the mouth alone.

        Before the cue what looks like a smile is one: it begins the challenge anew. The face is compared with each of
        the last calm ones, since a head that is held otherwise meanwhile is bent in the picture as well.
        """
        if value < self.rules.liveness.neutral_below:
            self._rested.append(mesh)
            return value
        answers = self.challenge.stage is Stage.CUED and value >= self.rules.liveness.smile_at
        if answers and self._rested and max(curled(calm, mesh, self._aspect) for calm in self._rested) < LEAST:
            return math.nextafter(self.rules.liveness.smile_at, 0.0)
        return value

    def _went_on(self, challenge: Challenge) -> None:
        before, self.challenge = self.challenge.stage, challenge
        if challenge.stage is before:
            return
        name = {Stage.HOLDING: "neutral", Stage.PASSED: "smiled"}.get(challenge.stage)
        if before is Stage.HOLDING and challenge.stage is Stage.CUED:
            name = "cued"
        if name is not None:
            self._stage(name)
        if challenge.stage is Stage.WATCHING:
            self._shows = []

    def _learn_gesture(self, known: Candidate) -> None:
        """Ask for the member's own gesture from now on, with what was seen a moment before."""
        if self._gesture is not None:
            return
        self._gesture = self._gestures.get(known.member_id, Gesture.SMILE)
        for at, face in self._earlier:
            self._answer(self._gesture, face, at)
        self.challenge = liveness.from_now_on(self.challenge, self._now)
        self._earlier.clear()

    def _next_ask(self, clear: Ask | None) -> Ask | None:
        if self._asked is not None or self._track_lost:
            return None
        ask = self._shows.pop()[1] if self._shows and self._wants_expression() else None
        if ask is None and clear is not None and self._wants_identity(clear.face):
            ask = clear
        if ask is not None:
            self._asked = ask = replace(ask, calls=self._allowance(ask.purpose))
        return ask

    @property
    def _off(self) -> bool:
        return self.rules.liveness.mode is LivenessMode.OFF

    def _wants_expression(self) -> bool:
        if self._off or self.challenge.stage is not Stage.PASSED:
            return False
        # Whose smile it is can be told only once the member is known; until then the question may cost for nothing.
        return self.identified is not None and not self._live() and self._may_ask(Purpose.EXPRESSION)

    def _wants_identity(self, face: Face) -> bool:
        if self.identified is not None or not self._may_ask(Purpose.IDENTITY):
            return False
        neutral = face.smile is not None and face.smile < self.rules.liveness.neutral_below
        waited = self._clear_since is not None and self._now - self._clear_since >= self.rules.grace_s
        return neutral or waited or self.challenge.stage is Stage.PASSED

    @property
    def _ballot(self) -> Ballot:
        return Ballot(self.rules.standards, self.rules.margin, self.examinations)

    def _may_ask(self, purpose: Purpose) -> bool:
        """Say whether another question of this kind is allowed for, by number and by its billed calls."""
        standard = self._ballot.next_standard
        most = standard.searches if purpose is Purpose.IDENTITY else standard.expressions
        asked = self._ballot.answered(purpose, standard.name)
        return asked < most and self._allowance(purpose) >= standard.billed.get(purpose, 0)

    def _allowance(self, purpose: Purpose) -> int:
        """Return how many billed calls a question may take; after a search, the smile must still be affordable."""
        left = self.rules.max_calls - self._ballot.spent
        if purpose is Purpose.IDENTITY and not self._off:
            left -= self._ballot.next_standard.billed.get(Purpose.EXPRESSION, 0)
        return max(0, left)

    def _exhausted(self) -> bool:
        """Say whether nobody is identified and no further frame may be searched."""
        return bool(self.examinations) and self.identified is None and not self._may_ask(Purpose.IDENTITY)

    def _unanswered(self) -> Reason | None:
        """Return why the last answer was none, where what was asked is still not known."""
        last = self.examinations[-1] if self.examinations else None
        if last is None:
            return None
        known = self.identified is not None if last.purpose is Purpose.IDENTITY else self._live()
        return None if known else last.hindrance

    def _expression(self) -> Examination | None:
        """Return the newest answer about the smiling face that is the identified member's own."""
        known = self.identified
        for examination in reversed(self.examinations):
            smiling = examination.purpose is Purpose.EXPRESSION and examination.hindrance is None
            if smiling and known is not None and self._of(examination, known):
                return examination
        return None

    def _of(self, examination: Examination, known: Candidate) -> bool:
        if examination.candidates is None:
            return True
        return any(
            c.member_id == known.member_id and c.similarity >= self.rules.same_face for c in examination.candidates
        )

    def _swapped(self) -> bool:
        """Say whether the face that smiled was asked about often enough and is not the identified member's."""
        asked = any(e.purpose is Purpose.EXPRESSION for e in self.examinations)
        known = self.identified is not None
        return known and asked and self._expression() is None and not self._may_ask(Purpose.EXPRESSION)

    def _live(self) -> bool:
        if self._off:
            return True
        return self.challenge.stage is Stage.PASSED and self._expression() is not None

    def _lasting_hindrance(self) -> Reason | None:
        return self._hindrance() or (self._last_hindrance() if self._clear_since is None else None)

    def _withdrawn(self) -> bool:
        """Say whether the face went away for good after it had been recognized, or asked to smile.

        Whoever takes a picture away once it has failed must not be taken for nobody.
        """
        cued = self.challenge.stage is Stage.CUED
        # Somebody may step up beside a member. But where a recording guesses at the light, each guess counts.
        guessed = bool(self.challenge.missed) or (cued and bool(self.challenge.word))
        excused = {None} if guessed else {None, Reason.MULTIPLE_FACES}
        return (cued or guessed or self.identified is not None) and self._hindrance() not in excused

    def _hindrance(self) -> Reason | None:
        """Return the commonest hindrance of the last `patience_s`, where no frame in them was clear."""
        if self._now - self._opened_at < self.rules.patience_s or any(view is None for _, view in self._views):
            return None
        return self._last_hindrance()

    def _last_hindrance(self) -> Reason | None:
        counts = Counter(view for _, view in self._views if view is not None)
        return counts.most_common(1)[0][0] if counts else None


def _plain(examination: Examination) -> dict[str, Any]:
    searched, candidates = examination.candidates is not None, examination.candidates or ()
    return {
        "purpose": examination.purpose.value,
        "recognizer": examination.recognizer,
        "hindrance": examination.hindrance and examination.hindrance.value,
        "frame": examination.sequence,
        "candidates": [{"member": c.member_id, "similarity": round(c.similarity, 3)} for c in candidates]
        if searched
        else None,
        "smile": None if examination.smile is None else round(examination.smile, 1),
        "emotions": {emotion.value: round(value, 1) for emotion, value in examination.emotions.items()},
        "ms": round(examination.duration_ms, 1),
    }
