"""One made-up street that the writers of motion data sets tell in their own formats: an ego, a car, a walker, a bike.

World of the test: the ego drives north at 8 m/s along x = 0, a car comes towards it, a walker crosses, a cyclist rides
beside. Everything is a function of time, so that a reader is checked by the functions and not by another reader.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

NORTH = np.pi / 2
Path = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Actor:
    """Middle of the box and heading at times, seconds; when it is seen."""

    name: str
    kind: str
    size_lwh_m: tuple[float, float, float]
    at: Path
    heading: Path
    seen_s: tuple[float, float] = (-1.0, 1e9)

    def velocity(self, t_s: np.ndarray) -> np.ndarray:
        return (self.at(t_s + 1e-4) - self.at(t_s - 1e-4)) / 2e-4


def line(x: float, y: float, vx: float, vy: float) -> Path:
    return lambda t_s: np.stack([x + vx * t_s, y + vy * t_s], axis=-1)


def constant(heading_rad: float) -> Path:
    return lambda t_s: np.full(np.shape(t_s), heading_rad)


def bend(t_s: np.ndarray) -> np.ndarray:
    """A circle of 20 m radius to the left of (4, 0), 6 m/s, beginning northwards."""
    angle = 6.0 / 20.0 * np.asarray(t_s)
    return np.stack([4.0 - 20.0 + 20.0 * np.cos(angle), 20.0 * np.sin(angle)], axis=-1)


EGO = Actor("ego", "car", (4.8, 2.0, 1.7), line(0.0, 1.5, 0.0, 8.0), constant(NORTH))
CAR = Actor("car", "car", (4.4, 1.9, 1.5), line(-3.5, 80.0, 0.0, -6.0), constant(-NORTH))
WALKER = Actor("walker", "pedestrian", (0.6, 0.7, 1.8), line(6.0, 30.0, -1.4, 0.0), constant(np.pi), (0.45, 1.25))
BIKE = Actor("bike", "cyclist", (1.8, 0.6, 1.7), bend, lambda t_s: NORTH + 0.3 * np.asarray(t_s))
ACTORS = (CAR, WALKER, BIKE)
