"""Where the road ends under the ego: beyond it a layout that was extended drives straight on over grass."""

from __future__ import annotations

import numpy as np

from scenegen.types.layout import Layout

FARTHEST_M = 6.0
"""From the centre of the nearest lane for vehicles: further off is no road."""
SPACING_M = 1.0


def road_end_s(layout: Layout) -> float | None:
    """Return when the ego leaves the last lane for good; None where it does not, or the layout has no lanes.

    Args:
        layout: at its final length.
    """
    from scipy.spatial import cKDTree

    lines_m = [lane.centerline_world_m[:, :2] for lane in layout.road_map.lanes if lane.kind != "walk"]
    points_m = [_densify(line_m) for line_m in lines_m if len(line_m) >= 2]
    if not points_m:
        return None
    distance_m, _ = cKDTree(np.concatenate(points_m)).query(layout.ego.position_world_m[:, :2])
    is_on = distance_m <= FARTHEST_M
    if is_on[-1] or not is_on.any():
        return None
    last_step = int(np.flatnonzero(is_on)[-1])
    return (last_step + 1) / layout.timeline.rate_hz


def _densify(line_m: np.ndarray) -> np.ndarray:
    """Return points of a polyline that lie at most SPACING_M apart."""
    lengths_m = np.linalg.norm(np.diff(line_m, axis=0), axis=1)
    at_m = np.concatenate([[0.0], np.cumsum(lengths_m)])
    wanted_m = np.linspace(0.0, at_m[-1], max(2, int(np.ceil(at_m[-1] / SPACING_M)) + 1))
    return np.stack([np.interp(wanted_m, at_m, line_m[:, axis]) for axis in (0, 1)], axis=1)
