"""How ego and agents move while the LiDAR turns: `TurnMotion`, from a layout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, UInt16

from scenegen.types import STATIC_INSTANCE_OFFSET, Layout


@dataclass(frozen=True, kw_only=True)
class TurnMotion:
    """Steady motion that ends at a step; rates of turn are about the world's z axis.

    Attributes:
        velocity_mps, turn_rate_rad_s: of the ego.
        agent_center_m, agent_velocity_mps, agent_turn_rate_rad_s: of A agents; zero where absent.
        most_s: how long it lasts at least: the time since the step before.
    """

    velocity_mps: Float64[np.ndarray, "3"]
    turn_rate_rad_s: float
    agent_center_m: Float64[np.ndarray, "A 3"]
    agent_velocity_mps: Float64[np.ndarray, "A 3"]
    agent_turn_rate_rad_s: Float64[np.ndarray, " A"]
    most_s: float

    def ego_at(
        self, time_s: Float64[np.ndarray, " K"], world_from_ego: Float64[np.ndarray, "4 4"]
    ) -> Float64[np.ndarray, "K 4 4"]:
        """Return where the ego is, `time_s` from a step at which it is at `world_from_ego`."""
        poses = np.tile(world_from_ego, (len(time_s), 1, 1))
        poses[:, :3, :3] = _turns(self.turn_rate_rad_s * time_s) @ world_from_ego[:3, :3]
        poses[:, :3, 3] += time_s[:, None] * self.velocity_mps
        return poses

    def of_solids(self, instance: UInt16[np.ndarray, " S"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return middle, velocity and rate of turn of each solid's agent; zero for static ones."""
        agent = np.where((instance > 0) & (instance < STATIC_INSTANCE_OFFSET), instance.astype(np.int64), 0)
        nothing = np.zeros((1, 3))
        return (
            np.concatenate([nothing, self.agent_center_m])[agent],
            np.concatenate([nothing, self.agent_velocity_mps])[agent],
            np.concatenate([nothing[:, 0], self.agent_turn_rate_rad_s])[agent],
        )

    def most_of_sensor(self, lidar2ego: Float64[np.ndarray, "4 4"]) -> tuple[float, float]:
        """Return bounds of the speed and of the rate of turn of a sensor on the ego."""
        rate = abs(self.turn_rate_rad_s)
        return float(np.linalg.norm(self.velocity_mps) + rate * np.linalg.norm(lidar2ego[:3, 3])), rate

    def is_still(self) -> Bool[np.ndarray, " A"]:
        """Return which agents do not move."""
        still: Bool[np.ndarray, " A"] = (self.agent_velocity_mps == 0.0).all(axis=1) & (self.agent_turn_rate_rad_s == 0)
        return still


def turn_motion(layout: Layout, *, step: int) -> TurnMotion:
    """Return the motion from the step before to this one; where there is none before, to the next."""
    rate_hz = layout.timeline.rate_hz
    poses = layout.ego.world_from_ego
    before, after = (step - 1, step) if step > 0 else (0, min(1, len(poses) - 1))
    heading = np.arctan2(poses[[before, after], 1, 0], poses[[before, after], 0, 0])
    num_agents = len(layout.agents)
    center_m, velocity_mps = np.zeros((num_agents, 3)), np.zeros((num_agents, 3))
    turn_rate = np.zeros(num_agents)
    for a, agent in enumerate(layout.agents):
        if not agent.valid[step]:
            continue
        center_m[a] = agent.center_world_m[step]
        for first, last in ((step - 1, step), (step, step + 1)):
            if first >= 0 and last < len(agent.valid) and agent.valid[first] and agent.valid[last]:
                velocity_mps[a] = rate_hz * (agent.center_world_m[last] - agent.center_world_m[first])
                turn_rate[a] = rate_hz * _shortest(agent.heading_rad[last] - agent.heading_rad[first])
                break
    return TurnMotion(
        velocity_mps=rate_hz * (poses[after, :3, 3] - poses[before, :3, 3]),
        turn_rate_rad_s=float(rate_hz * _shortest(heading[1] - heading[0])),
        agent_center_m=center_m,
        agent_velocity_mps=velocity_mps,
        agent_turn_rate_rad_s=turn_rate,
        most_s=1.0 / rate_hz,
    )


def _shortest(angle_rad: float) -> float:
    return float((angle_rad + np.pi) % (2.0 * np.pi) - np.pi)


def _turns(angle_rad: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, "K 3 3"]:
    turns = np.tile(np.eye(3), (len(angle_rad), 1, 1))
    turns[:, 0, 0] = turns[:, 1, 1] = np.cos(angle_rad)
    turns[:, 1, 0], turns[:, 0, 1] = np.sin(angle_rad), -np.sin(angle_rad)
    return turns
