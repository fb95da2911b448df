"""In the place of the kms++ bindings, which picamera2 imports for a preview that nobody sees.

With it come corrections, for libcamera's virtual camera is no Raspberry Pi's: it has no raw stream, which picamera2
always asks for; its pictures lie in two planes, of which picamera2 describes one; and it gives pictures as fast as they
are asked for, whatever rate was wished.
"""

import time

import libcamera

FRAME_S = 1 / 15
"""Seconds between two pictures."""


class _Names(type):
    def __getattr__(cls, name):
        return name


class PixelFormat(metaclass=_Names):
    """Any format, by its name."""


PixelFormats = PixelFormat

_generate = libcamera.Camera.generate_configuration
_queue = libcamera.Camera.queue_request
_FrameBuffer = libcamera.FrameBuffer


def _without_raw(camera, roles):
    roles = [libcamera.StreamRole.Viewfinder if role == libcamera.StreamRole.Raw else role for role in roles]
    return _generate(camera, roles)


class _Pace:
    due = 0.0


def _paced(camera, request, *more):
    now = time.monotonic()
    time.sleep(max(0.0, _Pace.due - now))
    _Pace.due = max(_Pace.due + FRAME_S, now)
    return _queue(camera, request, *more)


class _TwoPlanes:
    """libcamera.FrameBuffer, which divides a single plane into brightness and color (NV12: two thirds, one third)."""

    Plane = _FrameBuffer.Plane

    def __new__(cls, planes):
        if len(planes) == 1:
            brightness, color = planes[0], _FrameBuffer.Plane()
            whole = brightness.length
            brightness.length = whole * 2 // 3
            color.fd, color.offset, color.length = brightness.fd, brightness.length, whole - brightness.length
            planes = [brightness, color]
        return _FrameBuffer(planes)


libcamera.Camera.generate_configuration = _without_raw
libcamera.Camera.queue_request = _paced
libcamera.FrameBuffer = _TwoPlanes
