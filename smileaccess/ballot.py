"""Whom the answers of an attempt name, each held to its recognizer's standard: pure; it asks nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smileaccess.model import Candidate, Examination, Purpose


@dataclass(frozen=True, slots=True)
class Standard:
    """What the answers of one recognizer must reach, and how often it is asked in an attempt.

    A similarity below `threshold` names nobody; `agreeing` frames must name one member. At most `searches` frames are
    searched, and `expressions` smiling ones looked at: another one where the first could not be bound to the face.
    `billed` says how many billed calls a question takes at least.
    """

    name: str
    threshold: float = 99.0
    agreeing: int = 2
    searches: int = 4
    expressions: int = 2
    billed: Mapping[Purpose, int] = field(default_factory=dict)


STANDARDS: Mapping[str, Standard] = {
    "embedded": Standard("embedded"),
    "rekognition": Standard("rekognition", agreeing=1, searches=2, billed={Purpose.IDENTITY: 2, Purpose.EXPRESSION: 1}),
}
"""Every recognizer's standard but for its threshold: the embedded one errs the more often in a single frame, and each
of Rekognition's costs money."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """The answers that have come in, and what they amount to.

    `standards` has an entry for each recognizer that may answer, the first choice first; a candidate wins only by
    `margin`. Frames of two recognizers do not add up, and two that name different members name nobody.
    """

    standards: tuple[Standard, ...]
    margin: float
    examinations: Sequence[Examination]

    def standard(self, name: str) -> Standard:
        """Return the standard of the recognizer of this name; LookupError for one that is not to be asked."""
        known = {each.name: each for each in self.standards}
        if name not in known:
            raise LookupError(f"recognizer {name}: has answered and was not to be asked")
        return known[name]

    @property
    def next_standard(self) -> Standard:
        """The standard of the recognizer that is likely to answer next: of the one that answered last."""
        last = self.examinations[-1].recognizer if self.examinations else self.standards[0].name
        return self.standard(last)

    @property
    def searched(self) -> list[Examination]:
        """The answers to who it is, in order, without those that were none."""
        return [e for e in self.examinations if e.purpose is Purpose.IDENTITY and e.candidates is not None]

    @property
    def named(self) -> set[str]:
        """Every member that any searched frame named, by any recognizer."""
        return {member_id for votes in self._votes().values() for member_id in votes}

    @property
    def identity(self) -> tuple[Candidate | None, str | None]:
        """The member whom enough frames of one recognizer agree on, with the best similarity, and that recognizer."""
        if len(self.named) == 1 and not self._near_tie():
            for recognizer, votes in self._votes().items():
                member_id, similarities = next(iter(votes.items()))
                if len(similarities) >= self.standard(recognizer).agreeing:
                    return Candidate(member_id, max(similarities)), recognizer
        return None, None

    @property
    def ambiguous(self) -> bool:
        """Whether two members were named, or one frame names two nearly equally."""
        return len(self.named) > 1 or self._near_tie()

    @property
    def decided(self) -> Examination | None:
        """The newest answer of the recognizer that identified the member, else the newest of all."""
        recognizer = self.identity[1]
        own = [e for e in self.searched if e.recognizer == recognizer] or self.examinations
        return own[-1] if own else None

    @property
    def fallback(self) -> bool:
        """Whether another one than the first choice has answered."""
        return any(e.recognizer != self.standards[0].name for e in self.examinations)

    @property
    def spent(self) -> int:
        """How many billed calls the answers took."""
        return sum(e.calls for e in self.examinations)

    def answered(self, purpose: Purpose, recognizer: str) -> int:
        """Return how many questions of a kind a recognizer has answered."""
        return sum((e.purpose, e.recognizer) == (purpose, recognizer) for e in self.examinations)

    def _votes(self) -> dict[str, dict[str, list[float]]]:
        """Return, by recognizer and member, the similarities of the frames that named that member."""
        votes: dict[str, dict[str, list[float]]] = {}
        for examination in self.searched:
            best = examination.candidates[0] if examination.candidates else None
            if best is not None and best.similarity >= self.standard(examination.recognizer).threshold:
                own = votes.setdefault(examination.recognizer, {})
                own.setdefault(best.member_id, []).append(best.similarity)
        return votes

    def _near_tie(self) -> bool:
        return any(
            e.candidates is not None
            and len(e.candidates) > 1
            and e.candidates[1].similarity >= self.standard(e.recognizer).threshold
            and e.candidates[0].similarity - e.candidates[1].similarity < self.margin
            for e in self.searched
        )
