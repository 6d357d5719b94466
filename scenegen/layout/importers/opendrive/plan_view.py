"""Positions and headings along a road's reference line.

Lines and arcs are exact; spirals (clothoids) by Fresnel integrals; cubic polynomials over their arc length, measured by
Gauss-Legendre quadrature. Source: ASAM OpenDRIVE 1.8, chapter 9, road reference line.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.opendrive.format import PlanPiece, Road, evaluate

STRAIGHT = 1e-12
"""Smaller curvatures (1/m) are those of lines."""
SAME_CURVATURE_RAD = 1e-9
"""A spiral that turns by less than this against an arc of its mean curvature is that arc."""
GAUSS_NODES = 8
TABLE_STEP_M = 0.1


class LinePoses(NamedTuple):
    """Points on reference lines with their headings, frame of the file."""

    position_m: Float64[np.ndarray, "N 2"]
    heading_rad: Float64[np.ndarray, " N"]

    def beside(self, t_m: Float64[np.ndarray, " N"] | float) -> Float64[np.ndarray, "N 2"]:
        """Return the points `t_m` to the left of these."""
        normal = np.stack([-np.sin(self.heading_rad), np.cos(self.heading_rad)], axis=1)
        return np.asarray(self.position_m + np.broadcast_to(t_m, len(normal))[:, None] * normal)


def poses_along(road: Road, s_m: Float64[np.ndarray, " N"]) -> LinePoses:
    """Evaluate a road's reference line; beyond its ends, straight on."""
    begin_m = np.array([piece.s_m for piece in road.plan])
    which = np.clip(np.searchsorted(begin_m, s_m + 1e-9, side="right") - 1, 0, len(begin_m) - 1)
    position_m, heading_rad = np.empty((len(s_m), 2)), np.empty(len(s_m))
    for idx in np.unique(which):
        mine = which == idx
        piece = road.plan[int(idx)]
        along_m = s_m[mine] - piece.s_m
        # A point between two pieces belongs to the nearer end; the last piece goes on to the road's end.
        inside_m = np.clip(along_m, 0.0, piece.length_m)
        position_m[mine], heading_rad[mine] = evaluate_piece(piece, inside_m)
        beyond_m = along_m - inside_m
        direction = np.stack([np.cos(heading_rad[mine]), np.sin(heading_rad[mine])], axis=1)
        position_m[mine] += beyond_m[:, None] * direction
    return LinePoses(position_m, heading_rad)


def height_along(road: Road, s_m: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Evaluate a road's elevation profile."""
    return evaluate(road.elevations, s_m)


def evaluate_piece(piece: PlanPiece, along_m: Float64[np.ndarray, " N"]) -> LinePoses:
    """Evaluate one geometry at distances from its begin."""
    if piece.kind == "line":
        local_m, turn_rad = np.stack([along_m, np.zeros(len(along_m))], axis=1), np.zeros(len(along_m))
    elif piece.kind == "arc":
        local_m, turn_rad = _spiral(along_m, piece.numbers[0], piece.numbers[0], piece.length_m)
    elif piece.kind == "spiral":
        local_m, turn_rad = _spiral(along_m, piece.numbers[0], piece.numbers[1], piece.length_m)
    elif piece.kind == "poly3":
        local_m, turn_rad = _poly3(piece, along_m)
    else:
        local_m, turn_rad = _param_poly3(piece, along_m)
    cos, sin = np.cos(piece.heading_rad), np.sin(piece.heading_rad)
    position_m = local_m @ np.array([[cos, sin], [-sin, cos]]) + np.array([piece.x_m, piece.y_m])
    return LinePoses(position_m, piece.heading_rad + turn_rad)


def _spiral(
    along_m: Float64[np.ndarray, " N"], begin_per_m: float, end_per_m: float, length_m: float
) -> tuple[Float64[np.ndarray, "N 2"], Float64[np.ndarray, " N"]]:
    """Integrate a curvature that changes evenly, from the origin along x."""
    rate = (end_per_m - begin_per_m) / length_m
    if abs(rate) * length_m**2 < SAME_CURVATURE_RAD:
        return _arc(along_m, 0.5 * (begin_per_m + end_per_m))
    from scipy.special import fresnel

    # With sigma = s + k0 / rate the heading is rate / 2 * (sigma^2 - sigma0^2): a piece of the standard clothoid.
    sigma0_m = begin_per_m / rate
    scale_m = np.sqrt(np.pi / abs(rate))
    sine, cosine = fresnel((along_m + sigma0_m) / scale_m)
    sine0, cosine0 = fresnel(sigma0_m / scale_m)
    standard_m = scale_m * np.stack([cosine - cosine0, np.sign(rate) * (sine - sine0)], axis=1)
    back_rad = -0.5 * rate * sigma0_m**2
    cos, sin = np.cos(back_rad), np.sin(back_rad)
    turn_rad = along_m * (begin_per_m + 0.5 * rate * along_m)
    return standard_m @ np.array([[cos, sin], [-sin, cos]]), turn_rad


def _arc(
    along_m: Float64[np.ndarray, " N"], curvature_per_m: float
) -> tuple[Float64[np.ndarray, "N 2"], Float64[np.ndarray, " N"]]:
    turn_rad = curvature_per_m * along_m
    if abs(curvature_per_m) < STRAIGHT:
        return np.stack([along_m, 0.5 * turn_rad * along_m], axis=1), turn_rad
    half = 0.5 * turn_rad
    chord_m = 2.0 * np.sin(half) / curvature_per_m  # keeps its digits where 1 - cos would not
    return np.stack([chord_m * np.cos(half), chord_m * np.sin(half)], axis=1), turn_rad


def _poly3(
    piece: PlanPiece, along_m: Float64[np.ndarray, " N"]
) -> tuple[Float64[np.ndarray, "N 2"], Float64[np.ndarray, " N"]]:
    """Evaluate `v(u)`, its `u` found from the arc length."""
    a, b, c, d = piece.numbers
    u_m = _parameter_at(piece, along_m)
    turn_rad = np.arctan2(b + u_m * (2.0 * c + 3.0 * d * u_m), 1.0)
    return np.stack([u_m, a + u_m * (b + u_m * (c + u_m * d))], axis=1), turn_rad


def _param_poly3(
    piece: PlanPiece, along_m: Float64[np.ndarray, " N"]
) -> tuple[Float64[np.ndarray, "N 2"], Float64[np.ndarray, " N"]]:
    """Evaluate `u(p), v(p)`. Where p is an arc length it is taken as it is; normalized, it is found from the length."""
    p = _parameter_at(piece, along_m) if piece.is_normalized else along_m
    u, v = (np.array(piece.numbers[first : first + 4]) for first in (0, 4))
    powers = np.stack([np.ones_like(p), p, p**2, p**3], axis=1)
    slopes = np.stack([np.zeros_like(p), np.ones_like(p), 2.0 * p, 3.0 * p**2], axis=1)
    return np.stack([powers @ u, powers @ v], axis=1), np.unwrap(np.arctan2(slopes @ v, slopes @ u))


def _parameter_at(piece: PlanPiece, along_m: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Invert the arc length of a polynomial curve; a normalized one ends exactly at its piece's length."""
    parameter, length_m = _arc_length_table(piece)
    if piece.is_normalized:
        length_m = length_m * (piece.length_m / length_m[-1])
    return np.interp(along_m, length_m, parameter)


@lru_cache(maxsize=256)
def _arc_length_table(piece: PlanPiece) -> tuple[Float64[np.ndarray, " K"], Float64[np.ndarray, " K"]]:
    """Tabulate a curve's parameter and arc length, finely enough for linear interpolation."""
    end = 1.0 if piece.is_normalized else piece.length_m
    intervals = int(np.clip(piece.length_m / TABLE_STEP_M, 64, 5_000))
    edges = np.linspace(0.0, end, intervals + 1)
    nodes, weights = np.polynomial.legendre.leggauss(GAUSS_NODES)
    half = 0.5 * (edges[1] - edges[0])
    p = (edges[:-1, None] + half) + half * nodes
    if piece.kind == "poly3":
        _, b, c, d = piece.numbers
        speed = np.hypot(1.0, b + p * (2.0 * c + 3.0 * d * p))
    else:
        _, bu, cu, du, _, bv, cv, dv = piece.numbers
        speed = np.hypot(bu + p * (2.0 * cu + 3.0 * du * p), bv + p * (2.0 * cv + 3.0 * dv * p))
    length_m = np.concatenate([[0.0], np.cumsum(half * (speed @ weights))])
    return edges, np.maximum(length_m, edges * 1e-12)
