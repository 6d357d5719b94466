"""A grid of scenes from one command: every layout in every weather, light, rig and seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from scenegen.config.rig import RigConfig
from scenegen.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SweepPoint:
    """One point of the grid; None keeps what the layout or the job says."""

    prompt: str | None
    rig: RigConfig | None
    seed: int | None


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """The axes of the grid; None for those that are not swept.

    Attributes:
        weather: words as in `prompt`, one value each: `fog`, `night`, `a rainy evening`.
        time_of_day: likewise; joined to every weather.
        rig: rigs in place of the job's; names or files on the command line.
        seed: seeds in place of the job's.
    """

    weather: tuple[str, ...] | None
    time_of_day: tuple[str, ...] | None
    rig: tuple[RigConfig, ...] | None
    seed: tuple[int, ...] | None

    def __post_init__(self) -> None:
        for axis in fields(self):
            values = getattr(self, axis.name)
            if values is not None:
                _check_axis(axis.name, values)
        if self.seed is not None and min(self.seed) < 0:
            raise ConfigError("seeds of zero or more", found=str(min(self.seed)), where="sweep.seed")

    @property
    def num_points(self) -> int:
        """How many scenes every layout becomes."""
        num = 1
        for axis in fields(self):
            num *= len(getattr(self, axis.name) or (None,))
        return num

    def points(self) -> Iterator[SweepPoint]:
        """Yield the points of the grid; the order decides in which order scenes are made, and nothing else."""
        for weather in self.weather or (None,):
            for time_of_day in self.time_of_day or (None,):
                for rig in self.rig or (None,):
                    for seed in self.seed or (None,):
                        words = [word for word in (weather, time_of_day) if word is not None]
                        yield SweepPoint(prompt=" ".join(words) or None, rig=rig, seed=seed)


NO_SWEEP = SweepConfig(weather=None, time_of_day=None, rig=None, seed=None)
"""A grid of one point."""


def _check_axis(name: str, values: tuple[object, ...]) -> None:
    if not values:
        raise ConfigError("at least one value", found="an empty list", where=f"sweep.{name}", fix="leave the axis out")
    shown = [value.name if isinstance(value, RigConfig) else str(value) for value in values]
    if len(set(shown)) < len(shown):
        raise ConfigError("every value once", found=", ".join(shown), where=f"sweep.{name}")
