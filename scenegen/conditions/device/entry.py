"""Where many rays enter analytic solids: `solid_kernel.enter_kind` for tensors, operation by operation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scenegen.conditions.raycast import NO_HIT
from scenegen.conditions.solid_kernel import KIND_BOX, KIND_CYLINDER, KIND_ELLIPSOID, KIND_WEDGE

LEAST = 1e-15
KINDS = (KIND_BOX, KIND_ELLIPSOID, KIND_CYLINDER, KIND_WEDGE)


@dataclass(frozen=True, kw_only=True)
class SolidRays:
    """N pairs of a ray and a solid, float64, in the solid's own frame; extents are halves."""

    half: tuple[Tensor, Tensor, Tensor]
    taper: tuple[Tensor, Tensor]
    o: tuple[Tensor, Tensor, Tensor]
    d: tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where rays enter: t is NO_HIT for a miss or from inside; the normal is in the solid's frame."""

    t: Tensor
    normal: tuple[Tensor, Tensor, Tensor]


def enter_kind(kind: int, rays: SolidRays) -> Entry:
    """Return where rays enter solids of one kind."""
    if kind == KIND_ELLIPSOID:
        return _enter_ellipsoid(rays)
    return _enter_capped(rays, kind)


def _enter_ellipsoid(rays: SolidRays) -> Entry:
    (hx, hy, hz), (ox, oy, oz), (dx, dy, dz) = rays.half, rays.o, rays.d
    ax, ay, az = ox / hx, oy / hy, oz / hz
    bx, by, bz = dx / hx, dy / hy, dz / hz
    a = bx * bx + by * by + bz * bz
    b = ax * bx + ay * by + az * bz
    c = ax * ax + ay * ay + az * az - 1.0
    disc = b * b - a * c
    t = (-b - torch.sqrt(disc)) / a
    nx, ny, nz = (ox + t * dx) / (hx * hx), (oy + t * dy) / (hy * hy), (oz + t * dz) / (hz * hz)
    length = torch.sqrt(nx * nx + ny * ny + nz * nz)
    is_hit = (disc > 0.0) & (c > 0.0) & (t > 0.0)
    return Entry(t=torch.where(is_hit, t, NO_HIT), normal=(nx / length, ny / length, nz / length))


class _Interval:
    """What is left of rays between the surfaces that bound a solid, and the normal where it begins."""

    def __init__(self, like: Tensor) -> None:
        zero = torch.zeros_like(like)
        self.t0, self.t1 = torch.full_like(like, -NO_HIT), torch.full_like(like, NO_HIT)
        self.normal: tuple[Tensor, Tensor, Tensor] = (zero, zero, zero)
        self.is_missed = torch.zeros_like(like, dtype=torch.bool)

    def begin(self, ta: Tensor, where: Tensor, normal: tuple[Tensor | float, Tensor | float, Tensor | float]) -> None:
        """Begin no earlier than `ta`."""
        is_later = where & (ta > self.t0)
        self.t0 = torch.where(is_later, ta, self.t0)
        x, y, z = (torch.where(is_later, new, old) for new, old in zip(normal, self.normal, strict=True))
        self.normal = (x, y, z)

    def end(self, tb: Tensor, where: Tensor) -> None:
        """End no later than `tb`."""
        self.t1 = torch.where(where & (tb < self.t1), tb, self.t1)

    def cut(self, half: Tensor, o: Tensor, d: Tensor, axis: int) -> None:
        """Cut to what lies between -half and half."""
        is_along = d.abs() < LEAST
        self.is_missed |= is_along & (o.abs() > half)
        sign = torch.where(d > 0, -1.0, 1.0).to(d)
        normal = (sign if axis == 0 else 0.0, sign if axis == 1 else 0.0, sign if axis == 2 else 0.0)
        self.begin((sign * half - o) / d, ~is_along, normal)
        self.end((-sign * half - o) / d, ~is_along)

    def entry(self) -> Entry:
        """Return the beginnings."""
        is_hit = ~self.is_missed & (self.t0 < self.t1) & (self.t0 > 0.0)
        return Entry(t=torch.where(is_hit, self.t0, NO_HIT), normal=self.normal)


def _enter_capped(rays: SolidRays, kind: int) -> Entry:
    """Return where rays enter boxes, wedges or cylinders, which have a floor and a ceiling."""
    interval = _Interval(rays.o[0])
    interval.cut(rays.half[2], rays.o[2], rays.d[2], 2)
    if kind == KIND_CYLINDER:
        _cut_round(interval, rays)
        return interval.entry()
    interval.cut(rays.half[1], rays.o[1], rays.d[1], 1)
    (hx, _, hz), (ox, _, oz), (dx, _, dz) = rays.half, rays.o, rays.d
    for sx, taper in zip((1.0, -1.0), rays.taper, strict=True):
        # sx * x + lean * (z + hz) <= hx, with lean 0 for a plain box
        lean = hx * taper / (2.0 * hz) if kind == KIND_WEDGE else torch.zeros_like(hx)
        rate = sx * dx + lean * dz
        gap = hx - sx * ox - lean * (oz + hz)
        is_along = rate.abs() < LEAST
        interval.is_missed |= is_along & (gap < 0.0)
        length = torch.sqrt(1.0 + lean * lean)
        interval.begin(gap / rate, ~is_along & (rate < 0.0), (sx / length, 0.0, lean / length))
        interval.end(gap / rate, ~is_along & (rate >= 0.0))
    return interval.entry()


def _cut_round(interval: _Interval, rays: SolidRays) -> None:
    """Cut to what lies inside an upright elliptic tube."""
    (hx, hy, _), (ox, oy, _), (dx, dy, _) = rays.half, rays.o, rays.d
    ax, ay = ox / hx, oy / hy
    bx, by = dx / hx, dy / hy
    a = bx * bx + by * by
    b = ax * bx + ay * by
    c = ax * ax + ay * ay - 1.0
    is_along = a < 1e-30
    disc = b * b - a * c
    interval.is_missed |= torch.where(is_along, c > 0.0, disc <= 0.0)
    root = torch.sqrt(disc)
    ta = (-b - root) / a
    nx, ny = (ox + ta * dx) / (hx * hx), (oy + ta * dy) / (hy * hy)
    length = torch.sqrt(nx * nx + ny * ny)
    interval.begin(ta, ~is_along, (nx / length, ny / length, 0.0))
    interval.end((-b + root) / a, ~is_along)
