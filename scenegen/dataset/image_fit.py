"""Resizing and cropping pictures together with their intrinsics, so that labels stay where they belong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Shaped, UInt8
from PIL import Image

from scenegen.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ImageFit:
    """A rectangle of the stored picture, resampled to a size. Exact for any fractional rectangle.

    Attributes:
        source_hw: rows and columns of the stored picture.
        source_box_px: left, top, right, bottom of the rectangle, in pixels of the stored picture.
        size_hw: rows and columns of the result.
    """

    source_hw: tuple[int, int]
    source_box_px: tuple[float, float, float, float]
    size_hw: tuple[int, int]

    @property
    def scale_xy(self) -> tuple[float, float]:
        """New pixels per stored pixel."""
        left, top, right, bottom = self.source_box_px
        return self.size_hw[1] / (right - left), self.size_hw[0] / (bottom - top)

    @property
    def fitted_from_stored(self) -> Float64[np.ndarray, "3 3"]:
        """Homogeneous transform of pixel coordinates; `fitted_from_stored @ K` are the new intrinsics.

        >>> fit = fit_image((900, 1600), size_hw=(256, 704))
        >>> (fit.fitted_from_stored @ [800.0, 900.0, 1.0]).round(6).tolist()
        [352.0, 256.0, 1.0]
        """
        scale_x, scale_y = self.scale_xy
        left, top = self.source_box_px[:2]
        return np.array([[scale_x, 0.0, -scale_x * left], [0.0, scale_y, -scale_y * top], [0.0, 0.0, 1.0]])

    def apply(self, picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """Resample a picture (bicubic, as wide as the reduction asks); unchanged where nothing is to do."""
        height, width = self.source_hw
        if self.source_box_px == (0.0, 0.0, float(width), float(height)) and self.size_hw == self.source_hw:
            return picture
        size_wh = (self.size_hw[1], self.size_hw[0])
        resized = Image.fromarray(picture).resize(size_wh, Image.Resampling.BICUBIC, box=self.source_box_px)
        return np.asarray(resized)

    def move(self, points_px: Float[np.ndarray, "*N 2"]) -> Float64[np.ndarray, "*N 2"]:
        """Return where points of the stored picture are in the fitted one."""
        return points_px * np.array(self.scale_xy) + self.fitted_from_stored[:2, 2]

    def move_boxes(self, xyxy_px: Float[np.ndarray, "N 4"]) -> Float64[np.ndarray, "N 2 2"]:
        """Return the two corners of boxes in the fitted picture, cut to it."""
        return self.clip(self.move(xyxy_px.reshape(-1, 2, 2)))

    def clip(self, points_px: Float64[np.ndarray, "*N 2"]) -> Float64[np.ndarray, "*N 2"]:
        """Move points outside the fitted picture to its edge."""
        return np.clip(points_px, 0.0, np.array(self.size_hw[::-1], np.float64))

    def pick(self, labels: Shaped[np.ndarray, "H W *C"]) -> Shaped[np.ndarray, "h w *C"]:
        """Take for every new pixel the stored one that its middle falls into: for labels, which must not be mixed.

        >>> fit_image((2, 4), size_hw=(1, 2)).pick(np.arange(8).reshape(2, 4)).tolist()
        [[5, 7]]
        """
        left, top = self.source_box_px[:2]
        scale_x, scale_y = self.scale_xy
        rows = np.floor(top + (np.arange(self.size_hw[0]) + 0.5) / scale_y).astype(np.int64)
        columns = np.floor(left + (np.arange(self.size_hw[1]) + 0.5) / scale_x).astype(np.int64)
        rows, columns = np.minimum(rows, self.source_hw[0] - 1), np.minimum(columns, self.source_hw[1] - 1)
        return labels[rows[:, None], columns]


def fit_image(source_hw: tuple[int, int], *, size_hw: tuple[int, int] | None) -> ImageFit:
    """Cover a size: scale until both sides are filled, cut off above, and left and right alike.

    BEVDet and StreamPETR evaluate with this crop: what is cut off is sky. None keeps the stored picture.

    Raises:
        ConfigError: the size is not positive.

    >>> fit_image((900, 1600), size_hw=(256, 704)).source_box_px
    (0.0, 318.18181818181813, 1600.0, 900.0)
    """
    height, width = source_hw
    if size_hw is None:
        return ImageFit(source_hw=source_hw, source_box_px=(0.0, 0.0, float(width), float(height)), size_hw=source_hw)
    if min(size_hw) < 1:
        raise ConfigError("a positive (height, width)", found=f"{size_hw}", where="image_size")
    scale = max(size_hw[1] / width, size_hw[0] / height)
    box_width, box_height = size_hw[1] / scale, size_hw[0] / scale
    left = max(0.0, 0.5 * (width - box_width))
    box = (left, max(0.0, height - box_height), min(float(width), left + box_width), float(height))
    return ImageFit(source_hw=source_hw, source_box_px=box, size_hw=size_hw)
