"""The common canvas of a rig: pictures of different sizes as one array, for what draws all views."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from scenegen.dataset.stored_scene import Scene


def on_canvas(scene: Scene, pictures: dict[str, UInt8[np.ndarray, "_h _w 3"]]) -> UInt8[np.ndarray, "V H W 3"]:
    """Put the pictures of one step on the rig's common canvas."""
    width, height = scene.rig.size_px
    canvas = np.zeros((len(pictures), height, width, 3), np.uint8)
    for view, picture in zip(canvas, pictures.values(), strict=True):
        view[: picture.shape[0], : picture.shape[1]] = picture
    return canvas
