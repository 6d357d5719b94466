"""Condition maps in the numbers that data sets store: the one place that rounds them."""

from __future__ import annotations

import numpy as np

from scenegen.types import ConditionMaps, DenseLabels

MAX_DEPTH_MM = 65535


def dense_labels(conditions: ConditionMaps) -> DenseLabels:
    """Round depth to millimetres (0 where nothing is hit or beyond 65.535 m) and motion to half precision.

    >>> to_millimetres(np.array([1.2344, 65.5354, 65.5356, np.inf], np.float32)).tolist()
    [1234, 65535, 0, 0]
    """
    return DenseLabels(
        depth_mm=to_millimetres(conditions.depth_m),
        semantic=conditions.semantic,
        instance=conditions.instance,
        optical_flow_px=conditions.motion_px.astype(np.float16),
    )


def to_millimetres(depth_m: np.ndarray) -> np.ndarray:
    """Return depths as uint16 millimetres, rounded to even; 0 beyond what fits."""
    depth_mm = np.rint(depth_m.astype(np.float64) * 1000.0)
    return np.where(depth_mm <= MAX_DEPTH_MM, depth_mm, 0.0).astype(np.uint16)
