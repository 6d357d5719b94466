"""How much of the battery runs: on every change, every night, for every release."""

from __future__ import annotations

import os
from dataclasses import dataclass

from scenegen.errors import ConfigError

TIER_VARIABLE = "SCENEGEN_FAULT_TIER"


@dataclass(frozen=True, kw_only=True)
class Tier:
    """Sizes of the random batteries.

    Attributes:
        num_kills: of processes of a small job on a disk.
        num_store_kills: likewise on an S3 emulator.
        num_job_kills: of the whole `scenegen generate`.
        num_ray_kills: of parts of a Ray cluster.
        num_state_runs, num_state_steps: of the state machine of commits.
    """

    num_kills: int
    num_store_kills: int
    num_job_kills: int
    num_ray_kills: int
    num_state_runs: int
    num_state_steps: int


TIERS = {
    "change": Tier(
        num_kills=20, num_store_kills=5, num_job_kills=1, num_ray_kills=4, num_state_runs=15, num_state_steps=15
    ),
    "nightly": Tier(
        num_kills=200, num_store_kills=50, num_job_kills=30, num_ray_kills=40, num_state_runs=1000, num_state_steps=30
    ),
    "release": Tier(
        num_kills=2000,
        num_store_kills=500,
        num_job_kills=100,
        num_ray_kills=200,
        num_state_runs=5000,
        num_state_steps=30,
    ),
}


def asked_tier() -> Tier:
    """Return the tier that the environment asks for; `change` where it asks for none."""
    name = os.environ.get(TIER_VARIABLE, "change")
    if name not in TIERS:
        raise ConfigError(f"one of {', '.join(TIERS)}", found=repr(name), where=TIER_VARIABLE)
    return TIERS[name]
