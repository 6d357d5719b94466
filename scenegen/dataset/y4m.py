"""YUV4MPEG2: uncompressed video for a pipe, which ffmpeg, ffplay, mpv and VLC read without being told anything."""

from __future__ import annotations

from fractions import Fraction
from typing import BinaryIO

import numpy as np
from jaxtyping import UInt8

WEIGHTS = np.array(
    [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], np.float32
) / np.float32(255.0)
"""From sRGB bytes to Y, Cb, Cr of ITU-R BT.601, 16..235 and 16..240."""
OFFSETS = np.array([16.0, 128.0, 128.0], np.float32)


class Y4mWriter:
    """Writes pictures to a binary stream, one whole frame at a time, none held back. Colour is not subsampled.

    Args:
        output: open for writing; it stays open.
        rate_hz: pictures per second.
        size_px: width and height of the pictures.
    """

    def __init__(self, output: BinaryIO, *, rate_hz: float, size_px: tuple[int, int]) -> None:
        self._output = output
        self._size_px = size_px
        rate = Fraction(rate_hz).limit_denominator(1001)
        width, height = size_px
        header = f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A1:1 C444\n"
        output.write(header.encode("ascii"))
        output.flush()

    def append(self, picture: UInt8[np.ndarray, "H W 3"]) -> None:
        """Write a picture and flush it."""
        assert picture.shape[:2] == self._size_px[::-1], (picture.shape, self._size_px)
        planes = np.rint(picture @ WEIGHTS.T + OFFSETS).astype(np.uint8)
        self._output.write(b"FRAME\n" + np.ascontiguousarray(planes.transpose(2, 0, 1)).tobytes())
        self._output.flush()
