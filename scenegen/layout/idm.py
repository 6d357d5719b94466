"""How drivers choose their speed: the Intelligent Driver Model.

Source: M. Treiber, A. Hennecke, D. Helbing, Congested traffic states in empirical observations and microscopic
simulations, Physical Review E 62 (2000), equations 1 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Parameters of one driver. Their letters in the paper: a, b, T, s0, delta.

    Attributes:
        acceleration_mps2: a, from a standing start.
        braking_mps2: b, what is comfortable.
        headway_s: T, behind a leader. The paper's 1.6 s is for motorways; recorded city traffic keeps less.
        standstill_gap_m: s0, bumper to bumper.
        exponent: delta, how late a driver stops accelerating.
        easing_mps2: hardest braking for a bend or a lower wish.
        firm_braking_mps2: harder is only braked where the gap does not allow less.
        hardest_braking_mps2: what tyres can do on a dry road.
    """

    acceleration_mps2: float = 1.4
    braking_mps2: float = 2.0
    headway_s: float = 1.2
    standstill_gap_m: float = 2.0
    exponent: float = 4.0
    easing_mps2: float = 3.0
    firm_braking_mps2: float = 4.0
    hardest_braking_mps2: float = 8.0


DRIVER = Driver()


def free_acceleration(speed_mps: float, desired_mps: float, driver: Driver = DRIVER) -> float:
    """Return the acceleration in m/s2 on an empty road; who is faster than desired brakes by `easing_mps2` at most.

    >>> free_acceleration(0.0, 10.0), free_acceleration(10.0, 10.0), free_acceleration(20.0, 10.0)
    (1.4, 0.0, -3.0)
    """
    if desired_mps <= 0.0:
        return -driver.braking_mps2 if speed_mps > 0.0 else 0.0
    change = driver.acceleration_mps2 * (1.0 - (speed_mps / desired_mps) ** driver.exponent)
    return max(change, -driver.easing_mps2)


def following_acceleration(
    speed_mps: float, desired_mps: float, *, gap_m: float, leader_mps: float, driver: Driver = DRIVER
) -> float:
    """Return the acceleration in m/s2 behind a leader.

    What the model asks for beyond `firm_braking_mps2` is granted only as far as the gap needs it: it brakes
    hard for a gap that is merely short. `gap_m` is from the own front to the leader's rear, `leader_mps` the leader's
    speed along the own path, zero for what stands.
    """
    gap_m = max(gap_m, 0.05)
    closing_mps = speed_mps - leader_mps
    comfort = 2.0 * (driver.acceleration_mps2 * driver.braking_mps2) ** 0.5
    wished_m = driver.standstill_gap_m + max(0.0, speed_mps * driver.headway_s + speed_mps * closing_mps / comfort)
    change = free_acceleration(speed_mps, desired_mps, driver) - driver.acceleration_mps2 * (wished_m / gap_m) ** 2
    if change >= -driver.firm_braking_mps2:
        return change
    room_m = max(gap_m - 0.5 * driver.standstill_gap_m, 0.05)
    needed = max(speed_mps**2 - max(leader_mps, 0.0) ** 2, 0.0) / (2.0 * room_m)
    return -min(max(needed, driver.firm_braking_mps2), driver.hardest_braking_mps2, -change)
