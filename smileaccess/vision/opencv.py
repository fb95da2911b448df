"""OpenCV, loaded when it is first needed; never at import, so that a command that sees nothing starts at once."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from smileaccess.errors import VisionFailed

_ERRORS_ONLY = 2
"""OpenCV's LOG_LEVEL_ERROR: version 5 warns on standard error of a setting that its own detector makes."""


def opencv() -> Any:
    """Return the module cv2 (OpenCV 4.10 to 5); any thread. VisionFailed where it cannot be imported."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        raise VisionFailed(f"vision: OpenCV cannot be imported ({error}): install opencv-python-headless") from error
    quiet = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # the latter since version 5
    quiet(_ERRORS_ONLY)
    return cv2


def onnx_network(path: Path) -> Any:
    """Load an ONNX network; VisionFailed."""
    cv2 = opencv()
    try:
        return cv2.dnn.readNetFromONNX(str(path))
    except cv2.error as error:
        raise VisionFailed(f"vision: {path}: OpenCV cannot load the network: {error}") from error


def tflite_network(path: Path) -> Any:
    """Load a TFLite network; VisionFailed.

    OpenCV 5's new engine shows only one output of the mesh network, so the classic one is asked for where there is
    a choice.
    """
    cv2 = opencv()
    engine = getattr(cv2.dnn, "ENGINE_CLASSIC", None)
    try:
        if engine is None:
            return cv2.dnn.readNetFromTFLite(str(path))
        return cv2.dnn.readNetFromTFLite(str(path), engine)
    except cv2.error as error:
        raise VisionFailed(f"vision: {path}: OpenCV cannot load the network: {error}") from error
