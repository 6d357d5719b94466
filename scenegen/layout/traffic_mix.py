"""How much traffic random scenes have, of what kinds, and how often something rare happens.

Densities that are None are drawn per scene, as they always were; numbers replace what is drawn, and nothing else moves.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from functools import cached_property

import numpy as np

from scenegen.errors import ConfigError
from scenegen.types.seeding import random_generator
from scenegen.types.taxonomy import AgentCategory

FREE_SPACING_M, DENSE_SPACING_M = 9.0, 26.0
"""Mean spacing of vehicles in a lane: the first, and the second over the density."""


def _require_shares(shares: object) -> None:
    for name, value in vars(shares).items():
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"a share from 0 to 1 for {name!r}", found=f"{value:g}")


@dataclass(frozen=True, kw_only=True)
class VehicleShares:
    """Shares of the categories of moving vehicles; they sum to 1."""

    car: float = 0.74
    truck: float = 0.12
    bus: float = 0.07
    motorcycle: float = 0.07

    def __post_init__(self) -> None:
        _require_shares(self)
        if abs(sum(asdict(self).values()) - 1.0) > 1e-6:
            raise ConfigError("shares of vehicles that sum to 1", found=f"{sum(asdict(self).values()):g}")


@dataclass(frozen=True, kw_only=True)
class EventChances:
    """How probable each rare event is in a scene that asks for none by its reference; at most one happens."""

    jaywalker: float = 0.0
    wrong_way_cyclist: float = 0.0
    stroller: float = 0.0
    animal: float = 0.0
    stalled_truck: float = 0.0
    emergency_vehicle: float = 0.0
    debris: float = 0.0

    def __post_init__(self) -> None:
        _require_shares(self)
        if sum(asdict(self).values()) > 1.0 + 1e-6:
            raise ConfigError("chances of events that sum to at most 1", found=f"{sum(asdict(self).values()):g}")


@dataclass(frozen=True, kw_only=True)
class TrafficMix:
    """Density and distribution of random traffic.

    Attributes:
        vehicles_per_lane_km: vehicles per kilometre of lane that are tried; fewer find room. None is 12 to 29, drawn.
        people_per_km: people on foot along a kilometre of the ego's way.
        cyclists_per_km: likewise.
        parked_share: of parking places that are taken.
        vehicle_shares: of moving vehicles.
        events: of scenes.
    """

    vehicles_per_lane_km: float | None = None
    people_per_km: float | None = None
    cyclists_per_km: float | None = None
    parked_share: float | None = None
    vehicle_shares: VehicleShares = field(default_factory=VehicleShares)
    events: EventChances = field(default_factory=EventChances)

    def __post_init__(self) -> None:
        for name, most in (("people_per_km", 2000.0), ("cyclists_per_km", 500.0), ("parked_share", 1.0)):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= most:
                raise ConfigError(f"{name} from 0 to {most:g}", found=f"{value:g}")
        if self.vehicles_per_lane_km is not None and not 0.1 <= self.vehicles_per_lane_km <= 90.0:
            raise ConfigError("vehicles_per_lane_km from 0.1 to 90", found=f"{self.vehicles_per_lane_km:g}")

    @cached_property
    def moving(self) -> dict[AgentCategory, float]:
        """Shares by category."""
        return {AgentCategory[name.upper()]: share for name, share in asdict(self.vehicle_shares).items()}

    def density(self, drawn: float) -> float:
        """Return what the spacing of vehicles is divided by."""
        if self.vehicles_per_lane_km is None:
            return drawn
        return DENSE_SPACING_M / (1000.0 / self.vehicles_per_lane_km - FREE_SPACING_M)

    def num_people(self, drawn: int, way_km: float) -> int:
        """Return how many people are put along a way."""
        return drawn if self.people_per_km is None else round(self.people_per_km * way_km)

    def num_cyclists(self, drawn: int, way_km: float) -> int:
        """Return how many cyclists are put along a way."""
        return drawn if self.cyclists_per_km is None else round(self.cyclists_per_km * way_km)

    def parked(self, drawn: float) -> float:
        """Return the share of parking places that are taken."""
        return drawn if self.parked_share is None else self.parked_share

    def draw_event(self, seed: int, name: str) -> str | None:
        """Draw whether a scene has a rare event, and which; the same for the same seed."""
        chances = np.array(list(asdict(self.events).values()))
        if not chances.any():
            return None
        at = random_generator(seed, name, stage="event_choice").random()
        found = np.flatnonzero(at < np.cumsum(chances))
        return fields(self.events)[int(found[0])].name if len(found) else None


DRAWN_MIX = TrafficMix()
"""Everything drawn, and nothing rare."""
