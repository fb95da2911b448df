"""What the demonstration's people do before a camera, picture by picture, for rehearsals in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from smileaccess.demo.scenes import MORPH_S, REACTION_S, Scene
from smileaccess.rehearsal import FPS

if TYPE_CHECKING:
    from smileaccess.model import Pixels

FRAME_S = 1 / FPS
_SMILING_S = 2.0  # after the cue: the smile of a scene is full


class Actors:
    """The people of the scenes, by number."""

    def __init__(self, scenes: Mapping[int, Scene]) -> None:
        self._scenes = scenes

    def frame(self, number: int, *, smiling: bool = False, at_s: float = 1.0) -> Pixels:
        """Return a moment of a scene."""
        return self._scenes[number].clip.picture(at_s, _SMILING_S if smiling else None)

    def changing(self, calm_s: float, number: int = 1) -> list[tuple[str, Pixels]]:
        """Return pictures, each for one frame, of somebody who is calm for so long and then begins to smile."""
        calm, turning = round(calm_s * FPS), round(MORPH_S * FPS)
        clip = self._scenes[number].clip
        return [
            *(("calm", self.frame(number)) for _ in range(calm)),
            *(("turning", clip.picture(1.0, REACTION_S + step / FPS)) for step in range(1, turning)),
            ("smiling", self.frame(number, smiling=True)),
        ]
