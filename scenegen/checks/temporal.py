"""Does a surface keep its look from step to step? Frames are carried along exact motion and compared.

A blur changes less than the truth does, so figures below those of the truth are no merit: read them with
`fidelity.laplacian_energy` beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from scenegen.checks.surfaces import (
    Pixels,
    Places,
    keep_places,
    pixel_colors,
    place_points,
    same_surface,
    sample_places,
)
from scenegen.types import ConditionMaps


@dataclass(frozen=True, kw_only=True)
class Track:
    """Pixels of one step and where their surfaces were one and two steps before.

    Attributes:
        now: the pixels.
        before: where they were one step before.
        earlier: where they were two steps before; only of the pixels `is_long`.
        is_long: pixels that could be followed over two steps.
    """

    now: Pixels
    before: Places
    earlier: Places
    is_long: Bool[np.ndarray, " N"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """Sums over pixels and channels of how much frames change along tracks, in levels of 0..255."""

    warp_sum: float
    num_warp: int
    flicker_sum: float
    num_flicker: int


def follow_surfaces(maps: ConditionMaps, *, is_seen: Bool[np.ndarray, "V H W"]) -> Track:
    """Follow every pixel of the last step of `maps` back over two steps.

    Args:
        maps: at least three consecutive steps.
        is_seen: pixels that belong to the image; lenses and small views leave some out.
    """
    last = maps.material.shape[1] - 1
    view, row, column = np.nonzero(is_seen)
    every = Pixels(view=view, step=last, row=row, column=column)
    is_found, before = _find_back(maps, every, np.stack([column + 0.5, row + 0.5], axis=1))
    now, before = every.select(is_found), keep_places(before, is_found)
    middle = Pixels(view=before.view, step=last - 1, row=before.row, column=before.column)
    is_long, earlier = _find_back(maps, middle, before.uv_px)
    return Track(now=now, before=before, earlier=keep_places(earlier, is_long), is_long=is_long)


def measure_change(rgb: UInt8[np.ndarray, "V T H W 3"], track: Track) -> Change:
    """Compare frames along a track.

    Warp: |now - before|. Flicker: |before - (earlier + now) / 2|, which steady change, such as a shadow that moves
    on, does not raise.
    """
    now = pixel_colors(rgb, track.now)
    before = sample_places(rgb, track.before)
    warp = np.abs(now - before)
    middle = 0.5 * (now[track.is_long] + sample_places(rgb, track.earlier))
    flicker = np.abs(before[track.is_long] - middle)
    return Change(
        warp_sum=float(warp.sum(dtype=np.float64)),
        num_warp=warp.size,
        flicker_sum=float(flicker.sum(dtype=np.float64)),
        num_flicker=flicker.size,
    )


def _find_back(
    maps: ConditionMaps, pixels: Pixels, uv_px: Float[np.ndarray, "N 2"]
) -> tuple[Bool[np.ndarray, " N"], Places]:
    """Say which surfaces are seen one step before, and where.

    Args:
        maps: of the steps.
        pixels: whose motion is followed.
        uv_px: exact places within these pixels.
    """
    height, width = maps.material.shape[2:]
    then_px = uv_px + maps.motion_px[pixels.view, pixels.step, pixels.row, pixels.column]
    is_inside = (then_px >= 0.0).all(axis=1) & (then_px < (width, height)).all(axis=1)
    then_px = np.where(is_inside[:, None], then_px, 0.0).astype(np.float32)
    # Rounding to single precision may reach the far edge itself, which is no pixel's.
    then_px = np.minimum(then_px, np.nextafter(np.array([width, height], np.float32), np.float32(0.0)))
    places = place_points(then_px, view=pixels.view, step=pixels.step - 1)
    return is_inside & same_surface(maps, pixels, places), places
