"""Recorded pictures: checked against the calibration before they are decoded, and resized together with it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from scenegen.errors import ConfigError, RecordingError
from scenegen.rig import SIZE_STEP_PX
from scenegen.types.recorded_log import RecordedCamera

MOST_PIXELS = 40_000_000
FORMATS = ("JPEG", "PNG")


@dataclass(frozen=True, kw_only=True)
class Resize:
    """How pictures are stored: as recorded (None), or scaled to this width, a multiple of 8.

    As with rigs, surplus rows are cut off at the bottom, so that the height is a multiple of 8, too.
    """

    width_px: int | None

    def size_px(self, camera: RecordedCamera) -> tuple[int, int]:
        """Return the stored (width, height) of a camera.

        Raises:
            ConfigError: pictures would be enlarged, or have no rows left.
        """
        width, height = camera.size_px
        if self.width_px is None:
            return camera.size_px
        rows = int(height * self.width_px / width) // SIZE_STEP_PX * SIZE_STEP_PX
        if self.width_px > width or rows < 1:
            raise ConfigError(
                f"a width of at most {width} px that leaves {SIZE_STEP_PX} rows of camera {camera.name!r}",
                found=str(self.width_px),
                where="width_px",
            )
        return self.width_px, rows

    def camera(self, camera: RecordedCamera) -> RecordedCamera:
        """Return a camera of the stored pixels: its intrinsics follow.

        >>> K = np.array([[100.0, 0.0, 50.0], [0.0, 100.0, 40.0], [0.0, 0.0, 1.0]])
        >>> camera = RecordedCamera(name="CAM", K=K, ego_from_cam=np.eye(4), size_px=(100, 80))
        >>> stored = Resize(width_px=48).camera(camera)
        >>> stored.K[:2].tolist(), stored.size_px
        ([[48.0, 0.0, 24.0], [0.0, 48.0, 19.2]], (48, 32))
        """
        scale = self.scale(camera)
        return replace(camera, K=np.diag([scale, scale, 1.0]) @ camera.K, size_px=self.size_px(camera))

    def scale(self, camera: RecordedCamera) -> float:
        """Return stored pixels per recorded pixel."""
        return 1.0 if self.width_px is None else self.width_px / camera.size_px[0]


def read_picture(path: Path, camera: RecordedCamera, *, resize: Resize) -> UInt8[np.ndarray, "H W 3"]:
    """Read a picture of a camera in its stored size.

    The size in the file's header is compared with the calibration before a pixel is decoded.

    Raises:
        RecordingError: missing, no JPEG or PNG, truncated, or of another size than the calibration says.
    """
    width, height = camera.size_px
    where = str(path)
    if width * height > MOST_PIXELS:
        raise RecordingError(f"pictures of at most {MOST_PIXELS} pixels", found=f"{width} x {height}", where=where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # compared with the calibration below
            with Image.open(path, formats=FORMATS) as picture:
                if picture.size != camera.size_px:
                    found = f"{picture.size[0]} x {picture.size[1]}"
                    raise RecordingError(f"{width} x {height} pixels, by the calibration", found=found, where=where)
                pixels = picture.convert("RGB")
    except UnidentifiedImageError as error:
        raise RecordingError("a JPEG or PNG picture", found="something else", where=where) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RecordingError("a complete picture", found=f"{type(error).__name__}: {error}", where=where) from error
    size_px, scale = resize.size_px(camera), resize.scale(camera)
    if scale != 1.0:
        pixels = pixels.resize(size_px, Image.Resampling.BICUBIC, box=(0.0, 0.0, width, size_px[1] / scale))
    elif size_px != camera.size_px:
        pixels = pixels.crop((0, 0, *size_px))
    return np.asarray(pixels)
