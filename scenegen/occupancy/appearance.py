"""Colours of things: plausible palettes, drawn by a seeded generator. Palettes in sRGB, results linear."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

FACADE_SRGB = (
    (150, 72, 58), (172, 96, 74), (126, 58, 50),  # brick
    (201, 174, 132), (188, 158, 118), (212, 192, 158),  # sandstone
    (150, 150, 146), (176, 174, 168), (122, 124, 126),  # concrete
    (232, 226, 212), (222, 212, 196), (240, 236, 228),  # plaster
    (206, 160, 84), (216, 182, 120), (196, 140, 92),  # ochre
    (78, 96, 118), (64, 82, 96), (104, 126, 140),  # dark glass
    (170, 186, 170), (196, 150, 140), (150, 164, 180),  # painted plaster
)  # fmt: skip
TRIM_SRGB = (
    (240, 238, 232), (72, 70, 68), (96, 84, 70), (120, 122, 124), (58, 66, 72), (180, 160, 130), (86, 44, 38),
    (48, 72, 60),
)  # fmt: skip
FOLIAGE_SRGB = (
    (68, 102, 42), (82, 118, 50), (54, 86, 40), (96, 124, 58), (74, 98, 60), (104, 132, 44), (58, 94, 58),
)  # fmt: skip
AUTUMN_SRGB = ((176, 120, 40), (190, 84, 36), (162, 140, 52), (140, 70, 40))
BARK_SRGB = ((84, 66, 50), (102, 86, 68), (70, 58, 48), (150, 142, 130))
METAL_SRGB = ((90, 94, 96), (60, 66, 64), (130, 134, 136), (48, 60, 54))
SIGN_SRGB = ((190, 30, 36), (30, 80, 170), (236, 236, 232), (230, 190, 30), (30, 120, 70))
WALL_SRGB = ((168, 160, 148), (150, 80, 62), (206, 200, 188), (120, 116, 110), (110, 84, 60))
CAR_SRGB = (
    ((236, 236, 234), 24), ((24, 25, 27), 20), ((172, 174, 178), 15), ((108, 110, 114), 15), ((62, 66, 72), 6),
    ((150, 24, 28), 7), ((36, 66, 130), 7), ((30, 44, 78), 3), ((40, 84, 60), 2), ((226, 186, 40), 1),
    ((168, 142, 110), 2), ((198, 92, 32), 1),
)  # fmt: skip
TRUCK_SRGB = (
    (236, 236, 232), (190, 40, 36), (40, 76, 150), (70, 110, 80), (220, 170, 50), (130, 132, 136), (230, 120, 40),
)  # fmt: skip
BUS_SRGB = ((206, 60, 44), (232, 196, 60), (46, 98, 168), (236, 236, 230), (80, 140, 90), (240, 130, 40))
PLANT_SRGB = ((236, 176, 30), (226, 140, 24), (214, 196, 60))
CLOTH_SRGB = (
    (32, 34, 40), (60, 64, 74), (120, 124, 130), (230, 228, 222), (40, 60, 110), (90, 120, 170), (160, 44, 48),
    (196, 90, 60), (60, 100, 70), (214, 180, 80), (130, 90, 130), (170, 140, 110), (226, 140, 160), (70, 150, 160),
)  # fmt: skip
TROUSERS_SRGB = ((30, 32, 40), (44, 58, 96), (62, 80, 120), (90, 84, 76), (150, 136, 110), (54, 54, 56), (110, 100, 92))


def linear(srgb: Float64[np.ndarray, "*N 3"]) -> Float32[np.ndarray, "*N 3"]:
    """Convert sRGB 0..255 to linear 0..1.

    >>> linear(np.array([0.0, 255.0, 188.0])).round(2).tolist()
    [0.0, 1.0, 0.5]
    """
    value = np.clip(np.asarray(srgb, np.float64) / 255.0, 0.0, 1.0)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


def draw_color(
    generator: np.random.Generator, palette: tuple[tuple[int, int, int], ...], *, spread: float = 10.0
) -> Float32[np.ndarray, "3"]:
    """Draw one colour of a palette, varied by brightness and a little hue; `spread` in sRGB steps."""
    base = np.asarray(palette[int(generator.integers(len(palette)))], np.float64)
    return linear(base + generator.normal(0.0, spread) + generator.normal(0.0, spread / 3, 3))


def draw_weighted_color(
    generator: np.random.Generator, palette: tuple[tuple[tuple[int, int, int], int], ...]
) -> Float32[np.ndarray, "3"]:
    """Draw one colour of a palette with weights."""
    weights = np.array([weight for _, weight in palette], np.float64)
    chosen = int(generator.choice(len(palette), p=weights / weights.sum()))
    return linear(np.asarray(palette[chosen][0], np.float64) + generator.normal(0.0, 5.0))


def draw_facade_pattern(generator: np.random.Generator) -> Float32[np.ndarray, "4"]:
    """Draw (bay width m, storey height m, window width fraction, window height fraction)."""
    low, high = np.array([2.5, 2.8, 0.35, 0.4]), np.array([4.5, 3.6, 0.75, 0.7])
    return generator.uniform(low, high).astype(np.float32)


def draw_detail(generator: np.random.Generator) -> Float32[np.ndarray, "4"]:
    """Draw four numbers in 0..1 that vary detail."""
    return generator.random(4).astype(np.float32)
