"""Draws what the local eyes saw into a picture, for the owner of the door to look at; it judges nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smileaccess.model import Face, Pixels, Sight

FINE = (80, 200, 80)
"""Green, BGR, around a face that is seen well enough."""

POOR = (60, 60, 230)
"""Red, around one that is not."""

WHITE = (255, 255, 255)

_SPARE = 1.2
"""OpenCV 5 writes up to so many times as wide as it says."""

_WIDTH = 640
"""Lines and letters are made for a picture of this width, and grow with it."""


def sketched(sight: Sight, verdict: str, *, fine: bool) -> Pixels:
    """Return a copy of the sight's frame, in its most pixels, with faces, landmarks, measures and the verdict on it."""
    import cv2  # noqa: PLC0415 -- heavy, and not needed by the rest of the command line

    pixels = sight.frame.best.copy()
    color = FINE if fine else POOR
    for rank, face in enumerate(sight.faces):
        _draw(cv2, pixels, face, color if rank == 0 else POOR)
    _write(cv2, pixels, [verdict, f"brightness {sight.brightness:.0f}"], (8, 8))
    return pixels


def measures(face: Face) -> list[str]:
    """Return what was measured of a face, in short lines."""
    quality = face.quality
    found = [
        f"{quality.size_px:.0f} px",
        f"light {quality.brightness:.0f}",
        f"sharp {quality.sharpness:.0f}",
        f"uncovered {quality.presence:.2f}",
    ]
    if face.pose is not None:
        found.append(f"turned {face.pose.yaw:+.0f}, {face.pose.pitch:+.0f}")
    if face.smile is not None:
        found.append(f"smile {face.smile:.0f}")
    return found


def _draw(cv2: Any, pixels: Pixels, face: Face, color: tuple[int, int, int]) -> None:
    height, width = pixels.shape[:2]
    scale = width / _WIDTH
    left, top = round(face.box.left * width), round(face.box.top * height)
    right, bottom = left + round(face.box.width * width), top + round(face.box.height * height)
    cv2.rectangle(pixels, (left, top), (right, bottom), color, max(1, round(2 * scale)), cv2.LINE_AA)
    for x, y in face.landmarks:
        cv2.circle(pixels, (round(x * width), round(y * height)), max(2, round(3 * scale)), color, -1, cv2.LINE_AA)
    _write(cv2, pixels, measures(face), (right + round(6 * scale), top))


def _write(cv2: Any, pixels: Pixels, lines: Sequence[str], place: tuple[int, int]) -> None:
    """Write lines on a dark ground, moved into the picture where they would stand beyond its edge."""
    height, width = pixels.shape[:2]
    scale = width / _WIDTH
    font, size, weight = cv2.FONT_HERSHEY_SIMPLEX, 0.5 * scale, max(1, round(scale))
    wide = round(_SPARE * max(cv2.getTextSize(line, font, size, weight)[0][0] for line in lines))
    step = round(18 * scale)
    x, y = min(place[0], width - wide - round(8 * scale)), min(place[1], height - step * len(lines) - round(6 * scale))
    x, y = max(0, x), max(0, y)
    ground = pixels[y : y + step * len(lines) + round(6 * scale), x : x + wide + round(8 * scale)]
    ground[:] = ground // 4
    for place_of, line in enumerate(lines, 1):
        at = (x + round(4 * scale), y + place_of * step - round(3 * scale))
        cv2.putText(pixels, line, at, font, size, WHITE, weight, cv2.LINE_AA)
