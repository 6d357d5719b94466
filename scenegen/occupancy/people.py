"""Walking people, riders, animals and small things as solids inside their own box."""

from __future__ import annotations

import numpy as np

from scenegen.occupancy.template import SIDEWAYS, Part, Vector, bar, block, wedge, wheel
from scenegen.types import Material, ShapeKind

LEG_SHARE = 0.48
LONGEST_SWING_RAD = 0.55


def pedestrian_parts(length: float, width: float, height: float) -> list[Part]:
    """Return a person: legs and arms that swing about hips and shoulders, torso, neck, head, hair, shoes."""
    hz = height / 2
    hip, shoulder, chin = -hz + LEG_SHARE * height, -hz + 0.82 * height, -hz + 0.865 * height
    stout = float(np.clip(min(width, 0.62), 0.25, 0.62))
    torso_y = min(0.125 * height, 0.33 * stout)
    torso_x = min(0.075 * height, 0.4 * length)
    leg, arm = min(0.048 * height, 0.16 * stout), min(0.028 * height, 0.1 * stout)
    arm_y = min(torso_y + arm, width / 2 - arm - 0.005)
    parts = [
        _ellipsoid((0.0, 0.0, (hip + shoulder) / 2), (torso_x, torso_y, 0.23 * height), Material.CLOTH_UPPER),
        block(
            (-0.75 * torso_x, 0.75 * torso_x),
            (-0.95 * torso_y, 0.95 * torso_y),
            (hip, shoulder - 0.03 * height),
            Material.CLOTH_UPPER,
        ),
        block(
            (-0.7 * torso_x, 0.7 * torso_x),
            (-0.9 * torso_y, 0.9 * torso_y),
            (hip - 0.04 * height, hip + 0.05 * height),
            Material.CLOTH_LOWER,
        ),
        _cylinder((0.0, 0.0, chin - 0.02 * height), (0.03 * height, 0.03 * height, 0.03 * height), Material.SKIN),
        *_head(0.0, hz, height, reach=(length / 2, width / 2)),
    ]
    for side in (1.0, -1.0):
        parts += _walking_leg(
            (0.0, side * 0.5 * torso_y, hip), side, height, radius=leg, toe=min(2.4 * leg, 0.4 * length)
        )
        parts += _walking_arm((0.0, side * arm_y, shoulder - 0.02 * height), -0.8 * side, height, radius=arm)
    return parts


def _walking_leg(hip: Vector, swing: float, height: float, *, radius: float, toe: float) -> list[Part]:
    """Return a straight leg and its shoe, which turn about the hip."""
    ground, middle = -height / 2, (hip[2] - height / 2) / 2
    length = hip[2] - ground
    lift = length - float(np.sqrt(length**2 - toe**2))  # so that a swinging toe stays above the ground
    half = (radius, radius, length / 2 - 0.01 * height)
    trouser = _cylinder((0.0, hip[1], middle + 0.01 * height), half, Material.CLOTH_LOWER)
    sole = (ground + lift, ground + lift + 0.035 * height)
    shoe = block((-radius, toe), (hip[1] - radius, hip[1] + radius), sole, Material.HAIR)
    return [_limb(trouser, hip, swing), _limb(shoe, hip, swing)]


def _walking_arm(joint: Vector, swing: float, height: float, *, radius: float) -> list[Part]:
    """Return a straight arm and its hand, which turn about the shoulder."""
    wrist = -0.06 * height
    half = (radius, radius, (joint[2] - wrist) / 2)
    sleeve = _cylinder((0.0, joint[1], (joint[2] + wrist) / 2), half, Material.CLOTH_UPPER)
    hand = _ellipsoid((0.0, joint[1], wrist - 0.02 * height), (radius, radius, 0.035 * height), Material.SKIN)
    return [_limb(sleeve, joint, swing), _limb(hand, joint, swing)]


def pedestrian_swing_rad(length: float, width: float, height: float) -> float:
    """Return the widest swing of a leg that keeps the shoe inside the box."""
    leg = LEG_SHARE * height
    toe = min(2.4 * min(0.048 * height, 0.16 * float(np.clip(min(width, 0.62), 0.25, 0.62))), 0.4 * length)
    room = max(length / 2 - toe, 0.0)
    return float(min(LONGEST_SWING_RAD, np.arcsin(min(room / leg, 1.0))))


def cycle_parts(length: float, width: float, height: float, *, has_rider: bool, is_motorcycle: bool) -> list[Part]:
    """Return a bicycle or motorcycle, and the person on it."""
    hl, hw, hz = length / 2, width / 2, height / 2
    radius = float(min(0.19 * length, 0.34, 0.45 * height))
    tyre = min(0.07, 0.4 * hw) if is_motorcycle else min(0.03, 0.4 * hw)
    saddle = -hz + min(0.95, (0.52 if has_rider else 0.85) * height)
    bars = min(saddle + 0.12, hz - 0.05)
    grip = min(0.3, hw - 0.01)
    back, front = -hl + radius + 0.005, hl - radius - 0.005
    axle = -hz + radius
    parts = [wheel(x, 0.0, axle, radius_m=radius, half_width_m=tyre, material=Material.TYRE) for x in (back, front)]
    parts += [
        wheel(x, 0.0, axle, radius_m=0.55 * radius, half_width_m=tyre + 0.004, material=Material.METAL)
        for x in (back, front)
    ]
    steer = front - 0.22 * length
    parts += [
        bar((front, 0.0, axle), (steer, 0.0, bars), half_width_m=0.03, half_thickness_m=0.025, material=Material.METAL),
        block((steer - 0.03, steer + 0.03), (-grip, grip), (bars - 0.03, bars), Material.METAL),
        block((back - 0.02, back + 0.26), (-0.09, 0.09), (saddle - 0.06, saddle), Material.TYRE),
    ]
    if is_motorcycle:
        girth = min(0.16, 0.5 * hw)
        parts += [
            block((back + 0.1, front - 0.25), (-girth, girth), (axle, axle + 0.7 * radius), Material.METAL),
            wedge(
                (back - 0.05, steer + 0.02),
                (-girth, girth),
                (axle + 0.6 * radius, saddle - 0.02),
                Material.BODY,
                front=0.3,
                back=0.1,
            ),
            block((steer, steer + 0.12), (-0.1, 0.1), (bars - 0.25, bars - 0.05), Material.HEADLIGHT),
            block((back - 0.16, back - 0.06), (-0.08, 0.08), (saddle - 0.16, saddle - 0.06), Material.TAILLIGHT),
        ]
    else:
        crank = (-0.05 * length, 0.0, axle)
        for start, end in (
            (crank, (steer, 0.0, bars - 0.15)),
            (crank, (back + 0.12, 0.0, saddle)),
            ((back, 0.0, axle), crank),
            ((back + 0.12, 0.0, saddle - 0.1), (steer, 0.0, bars - 0.12)),
        ):
            parts.append(bar(start, end, half_width_m=0.022, half_thickness_m=0.022, material=Material.BODY))
    if has_rider:
        parts += _rider(back + 0.12, saddle, steer, bars, axle, height, hl, hw)
    return parts


def _rider(
    seat: float, saddle: float, steer: float, bars: float, axle: float, height: float, hl: float, hw: float
) -> list[Part]:
    """Return a seated person from saddle to the top of the box, hands on the bars, feet at the axle's height."""
    hz = height / 2
    room = hz - saddle
    neck = (seat + 0.3 * (steer - seat), 0.0, hz - 0.34 * room)
    torso_y = min(0.2, 0.62 * hw)
    torso = bar((seat, 0.0, saddle), neck, half_width_m=torso_y, half_thickness_m=0.11, material=Material.CLOTH_UPPER)
    parts = [torso, *_head(neck[0] + 0.05, hz, 3.0 * room * 0.62, reach=(hl, hw))]
    knee_x, knee_z = seat + 0.42, saddle - 0.22 * (saddle + hz)
    for side in (1.0, -1.0):
        hip_y = side * 0.55 * torso_y
        leg = min(0.06, 0.25 * hw)
        thigh = bar(
            (seat + 0.05, hip_y, saddle),
            (knee_x, hip_y, knee_z),
            half_width_m=leg,
            half_thickness_m=0.07,
            material=Material.CLOTH_LOWER,
        )
        shin = bar(
            (knee_x, hip_y, knee_z),
            (knee_x - 0.18, hip_y, axle - 0.08),
            half_width_m=0.9 * leg,
            half_thickness_m=0.055,
            material=Material.CLOTH_LOWER,
        )
        arm_y = side * min(torso_y + 0.04, hw - 0.05)
        arm = bar(
            (neck[0], arm_y, neck[2] - 0.06),
            (steer, arm_y, bars),
            half_width_m=0.04,
            half_thickness_m=0.045,
            material=Material.CLOTH_UPPER,
        )
        parts += [_limb(thigh, (seat, hip_y, saddle), 0.5 * side), _limb(shin, (seat, hip_y, saddle), 0.5 * side), arm]
    return parts


def animal_parts(length: float, width: float, height: float) -> list[Part]:
    """Return a four-legged animal whose legs swing in diagonal pairs."""
    hl, hw, hz = length / 2, width / 2, height / 2
    belly = -hz + 0.45 * height
    parts = [
        _ellipsoid(
            (-0.08 * length, 0.0, belly + 0.2 * height), (0.36 * length, 0.75 * hw, 0.22 * height), Material.HAIR
        ),
        _ellipsoid((0.36 * length, 0.0, hz - 0.16 * height), (0.13 * length, 0.45 * hw, 0.15 * height), Material.HAIR),
        bar(
            (-0.4 * length, 0.0, belly + 0.25 * height),
            (-hl + 0.03, 0.0, belly + 0.35 * height),
            half_width_m=0.1 * hw,
            half_thickness_m=0.02 * height,
            material=Material.HAIR,
        ),
    ]
    thick = 0.035 * length
    lift = (belly + hz) - float(np.sqrt((belly + hz) ** 2 - thick**2))  # so that a swinging paw stays above the ground
    for x, side in ((0.18, 1.0), (0.18, -1.0), (-0.3, 1.0), (-0.3, -1.0)):
        y = side * 0.45 * hw
        half = (thick, 0.16 * hw, (belly + hz - lift) / 2)
        leg = _cylinder((x * length, y, belly - half[2]), half, Material.HAIR)
        parts.append(_limb(leg, (x * length, y, belly), side if x > 0 else -side))
    return parts


def cone_parts(length: float, width: float, height: float) -> list[Part]:
    """Return a traffic cone: a foot, a stack of narrowing rings, a white band."""
    hz, foot, rings = height / 2, 0.06 * height, 7
    parts = [block((-length / 2, length / 2), (-width / 2, width / 2), (-hz, -hz + foot), Material.CONE)]
    for index in range(rings):
        low = -hz + foot + (height - foot) * index / rings
        high = low + (height - foot) / rings
        share = 0.40 * (1 - index / rings) + 0.06
        material = Material.MARKING_WHITE if index in (3, 5) else Material.CONE
        parts.append(
            _cylinder((0.0, 0.0, (low + high) / 2), (share * length, share * width, (high - low) / 2), material)
        )
    return parts


def barrier_parts(length: float, width: float, height: float) -> list[Part]:
    """Return a concrete or plastic barrier: a wide foot and a narrow top along its longer side."""
    hz = height / 2
    thin, long = min(length, width) / 2, max(length, width) / 2
    foot = wedge((-thin, thin), (-long, long), (-hz, -hz + 0.4 * height), Material.BARRIER, front=0.5, back=0.5)
    top = wedge(
        (-0.5 * thin, 0.5 * thin), (-long, long), (-hz + 0.4 * height, hz), Material.BARRIER, front=0.25, back=0.25
    )
    if length <= width:
        return [foot, top]
    turned = []
    for part in (foot, top):
        turned.append(
            Part(
                kind=part.kind,
                center_m=part.center_m,
                half_m=part.half_m,
                material=part.material,
                taper=part.taper,
                rotation=SIDEWAYS,
            )
        )
    return turned


def other_parts(length: float, width: float, height: float) -> list[Part]:
    """Return a plain box."""
    half = (length / 2, width / 2, height / 2)
    return [Part(kind=ShapeKind.BOX, center_m=(0.0, 0.0, 0.0), half_m=half, material=Material.CARGO)]


def _head(x: float, top: float, height: float, *, reach: tuple[float, float]) -> list[Part]:
    """Return head and hair of a person of some height, the crown at `top`."""
    radius = min(0.068 * height, 0.8 * reach[0], 0.8 * reach[1])
    tall = 0.07 * height
    return [
        _ellipsoid((x + 0.01, 0.0, top - tall - 0.01 * height), (radius * 0.95, radius * 0.85, tall), Material.SKIN),
        _ellipsoid((x - 0.015, 0.0, top - 0.62 * tall), (radius * 0.97, radius * 0.93, 0.62 * tall), Material.HAIR),
    ]


def _limb(part: Part, pivot_m: Vector, swing: float) -> Part:
    return Part(
        kind=part.kind,
        center_m=part.center_m,
        half_m=part.half_m,
        material=part.material,
        taper=part.taper,
        rotation=part.rotation,
        swing=swing,
        pivot_m=pivot_m,
    )


def _ellipsoid(center_m: Vector, half_m: Vector, material: int) -> Part:
    return Part(kind=ShapeKind.ELLIPSOID, center_m=center_m, half_m=half_m, material=material)


def _cylinder(center_m: Vector, half_m: Vector, material: int) -> Part:
    return Part(kind=ShapeKind.CYLINDER, center_m=center_m, half_m=half_m, material=material)
