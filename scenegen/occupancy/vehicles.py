"""Cars, trucks, buses, trailers and construction machines as solids inside their own box."""

from __future__ import annotations

import numpy as np

from scenegen.occupancy.template import Part, bar, block, mirrored, wedge, wheel
from scenegen.types import Material

SKIN_M = 0.015
"""How far bodies stay inside the box, so that tyres, lamps and glass can stand out of them."""


def car_parts(length: float, width: float, height: float, *, variant: int) -> list[Part]:
    """Return a car: saloon, hatchback or estate by `variant`; tall ones become vans.

    Length, width and height are those of its box, in metres, here and in the functions below.
    """
    hl, hw, hz = length / 2, width / 2, height / 2
    if height > 1.85 and length > 4.6:
        belt, rear, nose, lean_front, lean_back = 0.52, -0.485, 0.36, 0.26, 0.03
    else:
        belt, rear, nose, lean_front, lean_back = (
            (0.56, -0.40, 0.21, 0.50, 0.34),
            (0.57, -0.475, 0.23, 0.45, 0.20),
            (0.58, -0.485, 0.22, 0.38, 0.10),
        )[variant % 3]
    radius = float(np.clip(0.215 * height, 0.06 * length, 0.38))
    floor, waist, belt_z = -hz + 0.55 * radius, -hz + (belt - 0.13) * height, -hz + belt * height
    side, end = hw - SKIN_M, hl - SKIN_M
    parts = [
        wedge((-end, end), (-side, side), (floor, waist), Material.BODY, front=0.02, back=0.01),
        wedge((-end, end), (-side, side), (waist, belt_z), Material.BODY, front=0.16, back=0.05),
        block((-end + 0.02, end + 0.005), (-side + 0.1, side - 0.1), (floor, floor + 0.1 * height), Material.METAL),
        block(
            (-0.3 * length, 0.3 * length), (-side - 0.004, side + 0.004), (floor, floor + 0.06 * height), Material.METAL
        ),
    ]
    parts += _cabin(rear * length, nose * length, belt_z, hz, hw, lean_front=lean_front, lean_back=lean_back)
    parts += _wheels((0.31 * length, -0.30 * length), hw, hz, radius=radius, half_width=0.1)
    lamp_z = -hz + (belt - 0.15) * height
    parts += _lamps(hl, hw, lamp_z, half_height=0.045 * height)
    return parts


def _cabin(
    rear: float, nose: float, low: float, high: float, hw: float, *, lean_front: float, lean_back: float
) -> list[Part]:
    """Return the glass house with roof, pillars and mirrors."""
    half, roof_z = (nose - rear) / 2, high - 0.07 * (high - low)
    middle = (nose + rear) / 2
    top_nose, top_rear = middle + half * (1 - lean_front), middle - half * (1 - lean_back)
    glass = hw - 0.13
    roof = hw - 0.115
    parts = [
        wedge((rear, nose), (-glass, glass), (low, roof_z), Material.GLASS, front=lean_front, back=lean_back),
        block((top_rear - 0.03, top_nose + 0.02), (-roof, roof), (roof_z - 0.05, high), Material.BODY),
        block((middle - 0.06, middle + 0.04), (-roof, roof), (low, roof_z), Material.BODY),
    ]
    for start, end, thickness in (((nose - 0.05), top_nose, 0.03), ((rear + 0.1), top_rear + 0.06, 0.09)):
        pillar = bar(
            (start, glass - 0.02, low),
            (end, glass - 0.02, roof_z - 0.02),
            half_width_m=0.035,
            half_thickness_m=thickness,
            material=Material.BODY,
        )
        parts += mirrored(pillar)
    parts += mirrored(
        block((nose - 0.3, nose - 0.16), (hw - 0.13, hw - 0.002), (low + 0.02, low + 0.14), Material.BODY)
    )
    return parts


def _wheels(axles_m: tuple[float, ...], hw: float, hz: float, *, radius: float, half_width: float) -> list[Part]:
    """Return tyres and hubs on both sides of each axle, standing on the box's floor."""
    parts: list[Part] = []
    for x in axles_m:
        parts += mirrored(
            wheel(
                x,
                hw - half_width - 0.004,
                -hz + radius,
                radius_m=radius,
                half_width_m=half_width,
                material=Material.TYRE,
            )
        )
        parts += mirrored(
            wheel(
                x,
                hw - half_width,
                -hz + radius,
                radius_m=0.6 * radius,
                half_width_m=half_width,
                material=Material.METAL,
            )
        )
    return parts


def _lamps(hl: float, hw: float, z: float, *, half_height: float) -> list[Part]:
    """Return head lamps and tail lamps that stand a few millimetres out of the body."""
    head = block((hl - 0.2, hl - 0.001), (0.52 * hw, 0.93 * hw), (z - half_height, z + half_height), Material.HEADLIGHT)
    tail_z = z + 0.5 * half_height
    tail = block(
        (-hl + 0.001, -hl + 0.16),
        (0.6 * hw, 0.975 * hw),
        (tail_z - 1.2 * half_height, tail_z + 1.2 * half_height),
        Material.TAILLIGHT,
    )
    return mirrored(head) + mirrored(tail)


def truck_parts(length: float, width: float, height: float) -> list[Part]:
    """Return a lorry with cab and cargo box; low ones are pick-ups."""
    hl, hw, hz = length / 2, width / 2, height / 2
    side = hw - SKIN_M
    if height < 2.2:
        return _pickup_parts(length, width, height)
    radius = float(np.clip(0.15 * height, 0.32, 0.52))
    cab = float(np.clip(0.28 * length, 1.5, 2.3))
    deck, cab_back, cab_top = -hz + 1.7 * radius, hl - cab, hz - 0.06 * height
    sill, windscreen_low = -hz + 0.8 * radius, -hz + 0.5 * height
    parts = [
        wedge(
            (cab_back, hl - SKIN_M), (-side + 0.03, side - 0.03), (sill, cab_top), Material.BODY, front=0.08, back=0.0
        ),
        wedge(
            (cab_back + 0.25 * cab, hl - 0.005),
            (-side + 0.12, side - 0.12),
            (windscreen_low, cab_top - 0.12 * height),
            Material.GLASS,
            front=0.02,
            back=0.0,
        ),
        block(
            (cab_back + 0.3 * cab, hl - 0.14 * cab),
            (-side - 0.004, side + 0.004),
            (windscreen_low, cab_top - 0.14 * height),
            Material.GLASS,
        ),
        block((hl - 0.3, hl - 0.008), (-side + 0.2, side - 0.2), (sill + 0.3, windscreen_low - 0.15), Material.METAL),
        block((-hl + 0.03, cab_back), (-0.5 * side, 0.5 * side), (-hz + radius, deck), Material.METAL),
        block((-hl + SKIN_M, cab_back - 0.12), (-side, side), (deck, hz - 0.01), Material.CARGO),
    ]
    rear = (-0.27 * length, -0.27 * length - 2.2 * radius) if length > 7.5 else (-0.28 * length,)
    parts += _wheels((hl - 0.55 * cab, *rear), hw, hz, radius=radius, half_width=0.16)
    parts += _lamps(hl, hw, -hz + 1.5 * radius, half_height=0.09)
    return parts


def _pickup_parts(length: float, width: float, height: float) -> list[Part]:
    hl, hw, hz = length / 2, width / 2, height / 2
    side, end = hw - SKIN_M, hl - SKIN_M
    radius = float(np.clip(0.21 * height, 0.32, 0.42))
    floor, belt = -hz + 0.7 * radius, -hz + 0.6 * height
    parts = [
        wedge((-end, end), (-side, side), (floor, belt - 0.1), Material.BODY, front=0.03, back=0.0),
        wedge((-0.14 * length, end), (-side, side), (belt - 0.1, belt), Material.BODY, front=0.2, back=0.0),
        block((-end + 0.1, -0.15 * length), (-side + 0.12, side - 0.12), (belt - 0.2, belt - 0.095), Material.CARGO),
        *mirrored(block((-end, -0.14 * length), (side - 0.1, side), (belt - 0.1, belt), Material.BODY)),
        block((-end, -end + 0.08), (-side, side), (belt - 0.1, belt), Material.BODY),
    ]
    parts += _cabin(-0.14 * length, 0.24 * length, belt, hz, hw, lean_front=0.42, lean_back=0.1)
    parts += _wheels((0.32 * length, -0.29 * length), hw, hz, radius=radius, half_width=0.12)
    parts += _lamps(hl, hw, -hz + 0.47 * height, half_height=0.05 * height)
    return parts


def bus_parts(length: float, width: float, height: float) -> list[Part]:
    """Return a bus: a long body with a band of glass all around, ribs between the windows, doors on the right."""
    hl, hw, hz = length / 2, width / 2, height / 2
    side, end = hw - SKIN_M, hl - SKIN_M
    radius = float(np.clip(0.15 * height, 0.36, 0.5))
    floor, low, high = -hz + 0.8 * radius, -hz + 0.44 * height, -hz + 0.8 * height
    parts = [
        block((-end, end), (-side, side), (floor, hz - 0.12), Material.BODY),
        block((-end + 0.2, end - 0.4), (-side + 0.1, side - 0.1), (hz - 0.12, hz - 0.005), Material.METAL),
        block((-end - 0.004, end + 0.006), (-side - 0.005, side + 0.005), (low, high), Material.GLASS),
        block(
            (end - 0.1, end + 0.007),
            (-side + 0.08, side - 0.08),
            (low - 0.16 * height, high + 0.1 * height),
            Material.GLASS,
        ),
    ]
    count = max(3, round(length / 1.7))
    for x in np.linspace(-end + 0.06, end - 0.06, count):
        parts.append(block((x - 0.06, x + 0.06), (-side - 0.01, side + 0.01), (low, high), Material.BODY))
    for x in (hl - 1.7, 0.02 * length):
        parts.append(block((x - 0.55, x + 0.55), (-side - 0.012, -side + 0.05), (floor + 0.05, high), Material.GLASS))
    parts += _wheels((0.27 * length, -0.26 * length), hw, hz, radius=radius, half_width=0.15)
    parts += _lamps(hl, hw, -hz + 0.22 * height, half_height=0.1)
    return parts


def trailer_parts(length: float, width: float, height: float) -> list[Part]:
    """Return a trailer: a cargo box on wheels at the back and a support at the front."""
    hl, hw, hz = length / 2, width / 2, height / 2
    side = hw - SKIN_M
    radius = float(np.clip(0.15 * height, 0.2, 0.5))
    deck = -hz + 2.05 * radius
    parts = [
        block((-hl + SKIN_M, hl - SKIN_M), (-side, side), (deck, hz - 0.005), Material.CARGO),
        block((-hl + 0.05, hl - 0.1), (-0.45 * side, 0.45 * side), (deck - 0.6 * radius, deck), Material.METAL),
        *mirrored(
            block((0.28 * length, 0.28 * length + 0.15), (0.5 * side, 0.5 * side + 0.15), (-hz, deck), Material.METAL)
        ),
    ]
    tail = block((-hl + 0.001, -hl + 0.1), (0.6 * hw, 0.95 * hw), (deck, deck + 0.18), Material.TAILLIGHT)
    axles = (-0.36 * length, -0.36 * length + 2.2 * radius) if length > 5.0 else (-0.2 * length,)
    return parts + mirrored(tail) + _wheels(axles, hw, hz, radius=radius, half_width=min(0.15, 0.2 * width))


def construction_parts(length: float, width: float, height: float) -> list[Part]:
    """Return an excavator: crawler tracks, a turning body with a glazed cab, an arm with a bucket."""
    hl, hw, hz = length / 2, width / 2, height / 2
    track_top, deck_top = -hz + 0.26 * height, -hz + 0.58 * height
    back, front = -0.96 * hl, 0.3 * hl
    return [
        *mirrored(block((back, front), (hw - 0.24 * width, hw - 0.005), (-hz, track_top), Material.TYRE)),
        *mirrored(
            block(
                (back + 0.2, front - 0.2),
                (hw - 0.2 * width, hw - 0.001),
                (-hz + 0.05 * height, track_top - 0.05 * height),
                Material.METAL,
            )
        ),
        block((back + 0.1, front - 0.05), (-0.3 * width, 0.3 * width), (-hz + 0.1 * height, track_top), Material.METAL),
        wedge(
            (-hl + 0.005, front - 0.1),
            (-hw + 0.06, hw - 0.06),
            (track_top + 0.03 * height, deck_top),
            Material.BODY,
            front=0.05,
            back=0.15,
        ),
        wedge(
            (-0.25 * hl, front), (0.02 * width, hw - 0.08), (deck_top, hz - 0.08), Material.GLASS, front=0.3, back=0.0
        ),
        block((-0.28 * hl, 0.2 * hl), (0.0, hw - 0.06), (hz - 0.1, hz - 0.005), Material.BODY),
        block((-0.28 * hl, -0.2 * hl), (0.0, hw - 0.06), (deck_top, hz - 0.08), Material.BODY),
        bar(
            (0.2 * hl, -0.15 * width, deck_top - 0.1),
            (0.62 * hl, -0.15 * width, hz - 0.2),
            half_width_m=0.14,
            half_thickness_m=0.16,
            material=Material.BODY,
        ),
        bar(
            (0.6 * hl, -0.15 * width, hz - 0.2),
            (0.85 * hl, -0.15 * width, -hz + 0.35 * height),
            half_width_m=0.12,
            half_thickness_m=0.12,
            material=Material.BODY,
        ),
        wedge(
            (0.66 * hl, 0.97 * hl),
            (-0.35 * width, 0.05 * width),
            (-hz + 0.02 * height, -hz + 0.35 * height),
            Material.METAL,
            front=0.3,
            back=0.2,
        ),
    ]
