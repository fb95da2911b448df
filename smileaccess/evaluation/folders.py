"""Finds the pictures and captures of an evaluation in the owner's folders; it reads no picture and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from smileaccess.cameras.folder import SUFFIXES
from smileaccess.errors import SmileAccessError

VIDEOS = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mjpeg", ".mjpg"})


def people(directory: Path) -> dict[str, list[Path]]:
    """Return the picture files of each person: a folder in `directory` each, by its name; SmileAccessError."""
    folders = [each for each in _listed(directory) if each.is_dir()]
    found = {folder.name: [each for each in _listed(folder) if _is_picture(each)] for folder in folders}
    named = {name: pictures for name, pictures in found.items() if pictures}
    if not named:
        raise SmileAccessError(
            f"evaluate: {directory}: holds no folder with pictures ({_kinds()}): make one for each person"
        )
    return named


def pictures(directory: Path) -> list[Path]:
    """Return the picture files in a folder and in those within it; SmileAccessError where there is none."""
    found = [each for each in _below(directory) if _is_picture(each)]
    if not found:
        raise SmileAccessError(f"evaluate: {directory}: holds no picture: give a folder with pictures ({_kinds()})")
    return found


def captures(directory: Path) -> list[Path]:
    """Return the captures of a folder: each folder of frames and each video file in it; SmileAccessError for none.

    A folder that holds frames itself is one capture.
    """
    listed = _listed(directory)
    if any(_is_picture(each) for each in listed):
        return [directory]
    found = [each for each in listed if each.suffix.lower() in VIDEOS or (each.is_dir() and frames(each))]
    if not found:
        raise SmileAccessError(
            f"evaluate: {directory}: holds no capture: give a folder with a folder of frames ({_kinds()}) or a video "
            f"file ({', '.join(sorted(each[1:] for each in VIDEOS))}) for each"
        )
    return found


def frames(directory: Path) -> list[Path]:
    """Return the frames of a capture in the order of their names."""
    return [each for each in _listed(directory) if _is_picture(each)]


def _below(directory: Path) -> Iterator[Path]:
    for each in _listed(directory):
        if each.is_dir():
            yield from _below(each)
        else:
            yield each


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(each for each in directory.iterdir() if not each.name.startswith("."))
    except OSError as error:
        raise SmileAccessError(
            f"evaluate: {directory}: {error.strerror}: give a folder that is there and that you may read"
        ) from error


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def _kinds() -> str:
    return ", ".join(sorted(each[1:] for each in SUFFIXES))
