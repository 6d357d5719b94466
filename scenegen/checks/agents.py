"""Is every agent where the layout has it, is none invented, and do they move as fast as they should?

Found means what `judge_targets` says it means. Positions and velocities are compared on the ground plane.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt16

from scenegen.checks.classes import JudgeClass
from scenegen.checks.judge_targets import (
    MIN_RADIUS_PX,
    FoundAgents,
    TrueAgents,
    agent_positions_ego_m,
    match_agents,
)
from scenegen.types import Camera, belongs_to_agent

GROUPS = ("pedestrians", "vehicles")
MIN_HEIGHT_PX = 12
"""Agents are asked for from this visible height on, if enough of them is visible (`TrueAgents.is_asked`)."""


@dataclass(frozen=True, kw_only=True)
class ViewAgents:
    """What a judge made of the agents of one view.

    Attributes:
        agent: those asked for, as indices of the layout.
        group: index of `GROUPS`.
        is_found: whether the judge found it.
        position_ego_m: where the judge puts its centre, x and y; NaN where not found.
        visible_height_px: of the agent in this view.
        num_reported: all agents the judge reports.
        num_invented: those of them with no agent, visible to whatever small part, around.
    """

    agent: Int64[np.ndarray, " N"]
    group: Int64[np.ndarray, " N"]
    is_found: Bool[np.ndarray, " N"]
    position_ego_m: Float64[np.ndarray, "N 2"]
    visible_height_px: Int64[np.ndarray, " N"]
    num_reported: int
    num_invented: int


def score_view(
    found: FoundAgents, truth: TrueAgents, *, camera: Camera, instance: UInt16[np.ndarray, "H W"]
) -> ViewAgents:
    """Hold the agents that a judge found in a view against the true ones."""
    match = match_agents(found, truth)
    asked = np.nonzero(truth.is_asked & (truth.visible_height_px >= MIN_HEIGHT_PX))[0]
    partner = match.found_of_true[asked]
    is_found = partner >= 0
    position_ego_m = np.full((len(asked), 2), np.nan)
    chosen = partner[is_found]
    position_ego_m[is_found] = agent_positions_ego_m(found.center_px[chosen], found.range_m[chosen], camera=camera)[
        :, :2
    ]
    return ViewAgents(
        agent=truth.index[asked],
        group=np.where(truth.kind[asked] == JudgeClass.PEDESTRIAN, 0, 1).astype(np.int64),
        is_found=is_found,
        position_ego_m=position_ego_m,
        visible_height_px=truth.visible_height_px[asked],
        num_reported=len(found.kind),
        num_invented=int((match.is_false & is_alone(found, truth, instance)).sum()),
    )


def is_alone(found: FoundAgents, truth: TrueAgents, instance: UInt16[np.ndarray, "H W"]) -> Bool[np.ndarray, " N"]:
    """Say which found centres have no true agent around: no pixel of any agent within MIN_RADIUS_PX, and no box.

    A bus called a car, or one person found twice, is wrong but not invented.
    """
    height, width = instance.shape
    is_agent = belongs_to_agent(instance)
    alone = np.ones(len(found.kind), np.bool_)
    for n, (u, v) in enumerate(found.center_px):
        left, right = max(int(u - MIN_RADIUS_PX), 0), min(int(u + MIN_RADIUS_PX) + 1, width)
        top, bottom = max(int(v - MIN_RADIUS_PX), 0), min(int(v + MIN_RADIUS_PX) + 1, height)
        in_box = (np.abs(truth.center_px - (u, v)) <= 0.5 * truth.extent_px + MIN_RADIUS_PX).all(axis=1)
        alone[n] = not (is_agent[top:bottom, left:right].any() or in_box.any())
    return alone


@dataclass(kw_only=True)
class AgentScore:
    """Adds up views; lists and counts are per group of `GROUPS`.

    Attributes:
        num_asked, num_found: agents of at least MIN_HEIGHT_PX, and those found.
        num_reported, num_invented: what the judge reports, and what of it is not there.
        position_error_m, velocity_error_mps: of the agents found.
    """

    num_asked: Int64[np.ndarray, "2"] = field(default_factory=lambda: np.zeros(2, np.int64))
    num_found: Int64[np.ndarray, "2"] = field(default_factory=lambda: np.zeros(2, np.int64))
    num_reported: int = 0
    num_invented: int = 0
    position_error_m: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    velocity_error_mps: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))

    def add_view(self, view: ViewAgents, center_ego_m: Float64[np.ndarray, "A 3"]) -> None:
        """Add a view; `center_ego_m` are the true centres of all agents of the layout at that step."""
        self.num_asked += np.bincount(view.group, minlength=2)
        self.num_found += np.bincount(view.group[view.is_found], minlength=2)
        self.num_reported += view.num_reported
        self.num_invented += view.num_invented
        error_m = np.linalg.norm(view.position_ego_m - center_ego_m[view.agent, :2], axis=1)
        for group, error, is_found in zip(view.group, error_m, view.is_found, strict=True):
            if is_found:
                self.position_error_m[group].append(float(error))

    def join(self, other: AgentScore) -> None:
        """Add what another score has seen."""
        self.num_asked += other.num_asked
        self.num_found += other.num_found
        self.num_reported += other.num_reported
        self.num_invented += other.num_invented
        for group in range(len(GROUPS)):
            self.position_error_m[group].extend(other.position_error_m[group])
            self.velocity_error_mps[group].extend(other.velocity_error_mps[group])

    def recall(self, group: str | None = None) -> float:
        """Return the share of agents found, of one group or of all; NaN where none was asked for."""
        chosen = slice(None) if group is None else slice(GROUPS.index(group), GROUPS.index(group) + 1)
        asked = self.num_asked[chosen].sum()
        return float(self.num_found[chosen].sum() / asked) if asked else float("nan")

    @property
    def invented_rate(self) -> float:
        """Share of what the judge reports that is not there; NaN where it reports nothing."""
        return self.num_invented / self.num_reported if self.num_reported else float("nan")


def best_positions(views: list[ViewAgents]) -> dict[int, tuple[int, Float64[np.ndarray, "2"]]]:
    """Return group and position (ego frame) of every agent found, from the view that shows most of its height."""
    best: dict[int, tuple[int, int, Float64[np.ndarray, "2"]]] = {}
    for view in views:
        for n in np.nonzero(view.is_found)[0]:
            agent, height_px = int(view.agent[n]), int(view.visible_height_px[n])
            if agent not in best or best[agent][0] < height_px:
                best[agent] = (height_px, int(view.group[n]), view.position_ego_m[n])
    return {agent: (group, position) for agent, (_, group, position) in best.items()}
