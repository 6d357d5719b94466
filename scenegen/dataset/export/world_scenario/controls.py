"""Pictures of the other controls: edges, depth and segmentation.

Depth is grey, 255 at `WHITE_DEPTH_M` or nearer and falling with one over depth, 0 where nothing is hit: the shape of
what monocular depth networks give, on a scale that is the same in every picture. Segmentation has a colour per agent
and one per class for all else. Edges are Canny's of the painted picture.
"""

from __future__ import annotations

import colorsys

import numpy as np
from jaxtyping import Bool, Float32, UInt8, UInt16

from scenegen.dataset.palette import semantic_palette
from scenegen.types import belongs_to_agent

WHITE_DEPTH_M = 3.0
EDGE_SIGMA_PX = 1.4
EDGE_LOW, EDGE_HIGH = 20.0, 60.0
"""Slopes of the brightness (0 to 255, per pixel and Sobel weight 8) that continue and that start an edge."""
PALETTE: UInt8[np.ndarray, "K 3"] = semantic_palette()
GOLDEN_RATIO = 0.618033988749895


def depth_picture(depth_mm: UInt16[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """Draw z-depth.

    >>> depth_picture(np.array([[0, 3000, 6000, 30000]], np.uint16))[0, :, 0].tolist()
    [0, 255, 128, 26]
    """
    depth_m = depth_mm / 1000.0
    share = np.minimum(WHITE_DEPTH_M / np.where(depth_mm == 0, np.inf, depth_m), 1.0)
    return _grey(np.rint(255.0 * share).astype(np.uint8))


def segmentation_picture(
    semantic: UInt8[np.ndarray, "H W"], instance: UInt16[np.ndarray, "H W"]
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw classes, and agents in colours of their own."""
    picture = PALETTE[semantic]
    is_agent = belongs_to_agent(instance)
    for agent in np.unique(instance[is_agent]).tolist():
        picture[instance == agent] = agent_rgb(agent)
    return picture


def agent_rgb(instance: int) -> tuple[int, int, int]:
    """Return the colour of an agent: hues that stay far apart however many there are."""
    red, green, blue = colorsys.hsv_to_rgb(instance * GOLDEN_RATIO % 1.0, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def edge_picture(rgb: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """Draw the edges of a picture, white on black. Source: Canny (1986)."""
    from scipy import ndimage

    luma = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    smooth = ndimage.gaussian_filter(luma, EDGE_SIGMA_PX, mode="nearest")
    slope_x = ndimage.sobel(smooth, axis=1, mode="nearest")
    slope_y = ndimage.sobel(smooth, axis=0, mode="nearest")
    strength = np.hypot(slope_x, slope_y)
    is_ridge = _is_ridge(strength, slope_x, slope_y)
    weak, strong = is_ridge & (strength >= EDGE_LOW), is_ridge & (strength >= EDGE_HIGH)
    labels, _ = ndimage.label(weak, structure=np.ones((3, 3)))
    has_strong = np.zeros(int(labels.max()) + 1, np.bool_)
    has_strong[labels[strong]] = True
    has_strong[0] = False
    return _grey(np.where(has_strong[labels], 255, 0).astype(np.uint8))


def _is_ridge(
    strength: Float32[np.ndarray, "H W"], slope_x: Float32[np.ndarray, "H W"], slope_y: Float32[np.ndarray, "H W"]
) -> Bool[np.ndarray, "H W"]:
    """Return where the slope is no less than at both neighbours across the edge, in the nearest of four directions."""
    height, width = strength.shape
    padded = np.pad(strength, 1)
    sector = np.rint(np.arctan2(slope_y, slope_x) / (np.pi / 4)).astype(np.int64) % 4
    is_ridge = np.zeros(strength.shape, np.bool_)
    for number, (down, right) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        behind = padded[1 - down : 1 - down + height, 1 - right : 1 - right + width]
        # ties go to one side only, so that an edge between two pixels is one pixel wide
        is_ridge |= (sector == number) & (strength >= ahead) & (strength > behind)
    return is_ridge


def _grey(values: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    return np.repeat(values[:, :, None], 3, axis=2)
