"""Templates: the solids an agent is made of, in metres in its own box frame (origin at the box centre)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from scenegen.types import ShapeKind

UPRIGHT = np.eye(3)
ACROSS = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Turns the axis of a cylinder (local z) to the agent's y axis: wheels."""
SIDEWAYS = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""A quarter turn about z."""

Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One solid. `swing` is how far it turns about the y axis through `pivot_m` with the gait, -1..1."""

    kind: int
    center_m: Vector
    half_m: Vector
    material: int
    taper: tuple[float, float] = (0.0, 0.0)
    rotation: Float64[np.ndarray, "3 3"] | None = None
    swing: float = 0.0
    pivot_m: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Template:
    """The parts of an agent as arrays. `max_swing_rad` keeps its limbs inside its box."""

    kind: UInt8[np.ndarray, " N"]
    center_m: Float64[np.ndarray, "N 3"]
    half_extent_m: Float64[np.ndarray, "N 3"]
    taper: Float64[np.ndarray, "N 2"]
    rotation: Float64[np.ndarray, "N 3 3"]
    material: UInt8[np.ndarray, " N"]
    swing: Float64[np.ndarray, " N"]
    pivot_m: Float64[np.ndarray, "N 3"]
    max_swing_rad: float


def make_template(parts: list[Part], *, max_swing_rad: float = 0.0) -> Template:
    """Stack parts into arrays."""
    return Template(
        kind=np.array([part.kind for part in parts], np.uint8),
        center_m=np.array([part.center_m for part in parts]),
        half_extent_m=np.array([part.half_m for part in parts]),
        taper=np.array([part.taper for part in parts]),
        rotation=np.stack([UPRIGHT if part.rotation is None else part.rotation for part in parts]),
        material=np.array([part.material for part in parts], np.uint8),
        swing=np.array([part.swing for part in parts]),
        pivot_m=np.array([part.pivot_m for part in parts]),
        max_swing_rad=max_swing_rad,
    )


def block(x_m: tuple[float, float], y_m: tuple[float, float], z_m: tuple[float, float], material: int) -> Part:
    """Return a box from its low and high coordinates."""
    return Part(kind=ShapeKind.BOX, center_m=_middle(x_m, y_m, z_m), half_m=_half(x_m, y_m, z_m), material=material)


def wedge(
    x_m: tuple[float, float],
    y_m: tuple[float, float],
    z_m: tuple[float, float],
    material: int,
    *,
    front: float,
    back: float,
) -> Part:
    """Return a box whose front and back lean in towards the top by these shares of its half length."""
    return Part(
        kind=ShapeKind.WEDGE,
        center_m=_middle(x_m, y_m, z_m),
        half_m=_half(x_m, y_m, z_m),
        material=material,
        taper=(front, back),
    )


def mirrored(part: Part) -> list[Part]:
    """Return a part and its twin on the other side (y)."""
    x, y, z = part.center_m
    twin = Part(
        kind=part.kind, center_m=(x, -y, z), half_m=part.half_m, material=part.material, taper=part.taper,
        rotation=part.rotation, swing=part.swing, pivot_m=(part.pivot_m[0], -part.pivot_m[1], part.pivot_m[2]),
    )  # fmt: skip
    return [part, twin]


def wheel(x_m: float, y_m: float, z_m: float, *, radius_m: float, half_width_m: float, material: int) -> Part:
    """Return a disc whose axis lies across the vehicle."""
    return Part(
        kind=ShapeKind.CYLINDER, center_m=(x_m, y_m, z_m), half_m=(radius_m, radius_m, half_width_m),
        material=material, rotation=ACROSS,
    )  # fmt: skip


def bar(start_m: Vector, end_m: Vector, *, half_width_m: float, half_thickness_m: float, material: int) -> Part:
    """Return a box from one point to another in a plane of constant y; `half_thickness_m` lies in that plane."""
    direction = np.subtract(end_m, start_m)
    length = float(np.linalg.norm(direction))
    pitch = float(np.arctan2(-direction[2], direction[0]))
    cos, sin = np.cos(pitch), np.sin(pitch)
    middle = np.add(start_m, end_m) / 2
    return Part(
        kind=ShapeKind.BOX,
        center_m=(float(middle[0]), float(middle[1]), float(middle[2])),
        half_m=(length / 2, half_width_m, half_thickness_m),
        material=material,
        rotation=np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]]),
    )


def _middle(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]) -> Vector:
    return (x[0] + x[1]) / 2, (y[0] + y[1]) / 2, (z[0] + z[1]) / 2


def _half(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]) -> Vector:
    return (x[1] - x[0]) / 2, (y[1] - y[0]) / 2, (z[1] - z[0]) / 2
