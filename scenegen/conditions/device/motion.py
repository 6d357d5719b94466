"""Where the surfaces were one step earlier in the image: motion for tensors, of any lens."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from scenegen.conditions.device.describe import Surfaces, transform
from scenegen.conditions.device.hits import Hits
from scenegen.conditions.lens_kernel import LENS_ANGULAR, LENS_PINHOLE
from scenegen.conditions.surfaces import SURFACE_NONE
from scenegen.types import STATIC_INSTANCE_OFFSET


def measure_motion(
    hits: Hits,
    surfaces: Surfaces,
    *,
    agents: tuple[Tensor, Tensor],
    previous_cam_from_world: Tensor,
    lenses: list[tuple[Any, ...]],
) -> Tensor:
    """Return the motion (2, P) of every pixel, float64; NaN where there is none.

    Args:
        hits: of V views.
        surfaces: what they are.
        agents: of `packing.agent_motion`: transform of each instance to one step earlier, and whether it was there.
        previous_cam_from_world: of each view (V, 4, 4).
        lenses: of each view, of `lens_kernel.pack_lens`.
    """
    previous_from_current, was_there = agents
    point, moved = surfaces.point, hits.surface != SURFACE_NONE
    of_agent = torch.nonzero((surfaces.instance > 0) & (surfaces.instance < STATIC_INSTANCE_OFFSET))[:, 0]
    instance = surfaces.instance[of_agent]
    point = point.clone()
    point[:, of_agent] = transform(previous_from_current[instance], point[:, of_agent])
    moved[of_agent] = was_there[instance]
    motion = torch.full_like(point[:2], math.nan)
    area = hits.height * hits.width
    for view, lens in enumerate(lenses):
        at = torch.nonzero(moved[view * area : (view + 1) * area])[:, 0]
        cam_from_world = previous_cam_from_world[view].expand(len(at), 4, 4)
        u, v = project(lens, transform(cam_from_world, point[:, view * area + at]))
        motion[0, view * area + at] = u - (at % hits.width + 0.5)
        motion[1, view * area + at] = v - (at // hits.width + 0.5)
    return motion


def project(lens: tuple[Any, ...], point: Tensor) -> tuple[Tensor, Tensor]:
    """Return the image points (u, v) of points (3, N) in frame `cam`; NaN where they are not seen."""
    kind, fx, fy, cx, cy, coefficients, max_angle_rad, near_m = lens
    numbers = [float(number) for number in coefficients]
    x, y, z = point
    if kind == LENS_PINHOLE:
        is_seen = z > near_m
        u, v = fx * x / z + cx, fy * y / z + cy
    elif kind == LENS_ANGULAR:
        off_axis = torch.sqrt(x * x + y * y)
        angle = torch.atan2(off_axis, z)
        radius = torch.full_like(angle, numbers[9])
        for power in range(8, -1, -1):
            radius = radius * angle + numbers[power]
        stretch = torch.where(off_axis > 1e-12, radius / off_axis, 0.0)
        is_seen = angle <= max_angle_rad
        u, v = fx * x * stretch + cx, fy * y * stretch + cy
    else:
        a, b = x / z, y / z
        squared = a * a + b * b
        is_seen = (z > near_m) & (squared <= math.tan(max_angle_rad) ** 2)
        radial = 1.0 + squared * (numbers[0] + squared * (numbers[1] + squared * numbers[4]))
        u = fx * (a * radial + 2.0 * numbers[2] * a * b + numbers[3] * (squared + 2.0 * a * a)) + cx
        v = fy * (b * radial + numbers[2] * (squared + 2.0 * b * b) + 2.0 * numbers[3] * a * b) + cy
    return torch.where(is_seen, u, math.nan), torch.where(is_seen, v, math.nan)
