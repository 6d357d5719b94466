"""Are painted lines where the map has them? Distance between judged and true marking pixels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage

from scenegen.checks.classes import JudgeClass

MAX_DISTANCE_PX = 10.0
"""Further away counts as this far."""
MIN_MARKING_PX = 30
"""Frames with fewer true marking pixels are not asked."""


def lane_error_px(judged: UInt8[np.ndarray, "H W"], truth: UInt8[np.ndarray, "H W"]) -> float:
    """Return the symmetric chamfer distance of marking pixels; NaN where the truth has next to none.

    The mean of two means: from judged pixels to the nearest true one, and from true ones to the nearest judged
    one, each distance cut at MAX_DISTANCE_PX.
    """
    is_true, is_judged = truth == JudgeClass.MARKING, judged == JudgeClass.MARKING
    if is_true.sum() < MIN_MARKING_PX:
        return float("nan")
    if not is_judged.any():
        return MAX_DISTANCE_PX
    return 0.5 * (_mean_distance_px(is_judged, is_true) + _mean_distance_px(is_true, is_judged))


def _mean_distance_px(of: Bool[np.ndarray, "H W"], to: Bool[np.ndarray, "H W"]) -> float:
    distance_px = ndimage.distance_transform_edt(~to)
    return float(np.minimum(distance_px[of], MAX_DISTANCE_PX).mean())
