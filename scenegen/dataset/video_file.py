"""H.264 files of scenes: previews and exports."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from scenegen.dataset.durable import output_errors
from scenegen.errors import DependencyError

PREVIEW_CRF = 20
VIDEO_OPTIONS = {"preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}
"""Without mbtree, whose vectorised arithmetic gave other bytes for the same frames in half of the runs."""


class VideoFile:
    """An H.264 file that any browser plays, encoded by one thread so that equal frames give equal bytes.

    Pictures of odd width or height repeat their last column or row: the colour planes have half the size.

    Args:
        path: of the file.
        rate_hz: pictures per second.
        size_px: width and height of the pictures.
        crf: quality, from 0 (lossless) to 51.
        group_steps: longest way from a picture to the one it is decoded from; None leaves it to the encoder.
    """

    def __init__(
        self,
        path: Path,
        *,
        rate_hz: float,
        size_px: tuple[int, int],
        crf: int = PREVIEW_CRF,
        group_steps: int | None = None,
    ) -> None:
        try:
            import av
        except ImportError as error:
            raise DependencyError(
                "PyAV, which writes videos", found=str(error), fix="pip install 'scenegen[generate]'"
            ) from error
        self._path = path
        self._frame_type = av.VideoFrame
        with output_errors(path):
            path.touch()  # PyAV itself opens the file with its first frame, and reports errors its own way
            self._container = av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"})
        group = {} if group_steps is None else {"g": str(group_steps)}
        self._stream = self._container.add_stream(
            "libx264",
            rate=Fraction(rate_hz).limit_denominator(1001),
            options={"crf": str(crf), **VIDEO_OPTIONS, **group},
        )
        self._padding = tuple(length % 2 for length in size_px[::-1])
        self._stream.width, self._stream.height = (length + length % 2 for length in size_px)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1
        self._is_open = True

    def append(self, picture: UInt8[np.ndarray, "H W 3"]) -> None:
        """Add the next picture."""
        rows, columns = self._padding
        if rows or columns:
            picture = np.pad(picture, ((0, rows), (0, columns), (0, 0)), mode="edge")
        with output_errors(self._path):
            self._container.mux(self._stream.encode(self._frame_type.from_ndarray(picture, format="rgb24")))

    def close(self) -> None:
        """Finish the file. Harmless when called twice."""
        if not self._is_open:
            return
        self._is_open = False
        with output_errors(self._path):
            self._container.mux(self._stream.encode())
            self._container.close()
