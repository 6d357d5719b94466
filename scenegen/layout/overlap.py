"""Oriented boxes in the ground plane: do they overlap, at any step?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M, EGO_SIZE_LWH_M
from scenegen.types.layout import AgentTrack, EgoTrack, Layout
from scenegen.types.taxonomy import AgentCategory

PAIRS_AT_ONCE = 1000


def ego_as_agent(ego: EgoTrack) -> AgentTrack:
    """Return the ego vehicle as a track with a box, for collision tests and pictures."""
    heading_rad = ego.heading_rad
    ahead = np.stack([np.cos(heading_rad), np.sin(heading_rad), np.zeros(len(heading_rad))], axis=1)
    lift = np.array([0.0, 0.0, 0.5 * EGO_SIZE_LWH_M[2]])
    return AgentTrack(
        agent_id="ego",
        category=AgentCategory.CAR,
        size_lwh_m=np.array(EGO_SIZE_LWH_M),
        center_world_m=ego.position_world_m + EGO_CENTER_FROM_AXLE_M * ahead + lift,
        heading_rad=heading_rad,
        velocity_world_mps=ego.velocity_world_mps,
        valid=np.ones(len(heading_rad), bool),
    )


def boxes_overlap(
    center_a_m: Float64[np.ndarray, "P 2"],
    heading_a_rad: Float64[np.ndarray, " P"],
    half_a_m: Float64[np.ndarray, "P 2"],
    center_b_m: Float64[np.ndarray, "P 2"],
    heading_b_rad: Float64[np.ndarray, " P"],
    half_b_m: Float64[np.ndarray, "P 2"],
) -> Bool[np.ndarray, " P"]:
    """Test P pairs of oriented rectangles by their four separating axes."""
    apart_m = center_b_m - center_a_m
    turn = heading_b_rad - heading_a_rad
    cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    overlap = np.ones(len(apart_m), bool)
    for heading, own, other in ((heading_a_rad, half_a_m, half_b_m), (heading_b_rad, half_b_m, half_a_m)):
        along = apart_m[:, 0] * np.cos(heading) + apart_m[:, 1] * np.sin(heading)
        across = apart_m[:, 1] * np.cos(heading) - apart_m[:, 0] * np.sin(heading)
        overlap &= np.abs(along) < own[:, 0] + other[:, 0] * cos + other[:, 1] * sin
        overlap &= np.abs(across) < own[:, 1] + other[:, 0] * sin + other[:, 1] * cos
    return overlap


class Crowd:
    """Tracks that are already in a scene; answers whether one more would run into any of them."""

    def __init__(self, num_steps: int, *, capacity: int = 256) -> None:
        self._center_m = np.full((capacity, num_steps, 2), 1e9)
        self._heading_rad = np.zeros((capacity, num_steps))
        self._half_m = np.zeros((capacity, 2))
        self._radius_m = np.zeros(capacity)
        self._low_m = np.full((capacity, 2), np.inf)
        self._high_m = np.full((capacity, 2), -np.inf)
        self._count = 0
        self._last: tuple[AgentTrack, Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]] | None = None

    def add(self, track: AgentTrack) -> None:
        """Take one more track in."""
        if self._count == len(self._radius_m):
            for name in ("_center_m", "_heading_rad", "_half_m", "_radius_m", "_low_m", "_high_m"):
                array = getattr(self, name)
                setattr(self, name, np.concatenate([array, array]))
        row = self._count
        self._center_m[row] = np.where(track.valid[:, None], track.center_world_m[:, :2], 1e9)
        self._heading_rad[row] = track.heading_rad
        self._half_m[row] = 0.5 * track.size_lwh_m[:2]
        self._radius_m[row] = np.linalg.norm(self._half_m[row])
        self._low_m[row], self._high_m[row] = self._rectangle(track)
        self._count += 1

    def first_conflict(self, track: AgentTrack, *, margin_m: float = 0.0) -> tuple[int, int] | None:
        """Return (row, step) of an overlap with the track grown by a margin on every side, or None."""
        half_m = 0.5 * track.size_lwh_m[:2] + margin_m
        near_rows = self._rows_around(track, float(np.linalg.norm(half_m)))
        if not len(near_rows):
            return None
        apart_m = self._center_m[near_rows] - track.center_world_m[None, :, :2]
        reach_m = (self._radius_m[near_rows] + np.linalg.norm(half_m))[:, None]
        near = (np.einsum("ntc,ntc->nt", apart_m, apart_m) < reach_m**2) & track.valid
        picked, steps = np.nonzero(near)
        if not len(picked):
            return None
        rows = near_rows[picked]
        hit = boxes_overlap(
            track.center_world_m[steps, :2],
            track.heading_rad[steps],
            np.broadcast_to(half_m, (len(rows), 2)),
            self._center_m[rows, steps],
            self._heading_rad[rows, steps],
            self._half_m[rows],
        )
        if not hit.any():
            return None
        first = int(np.argmax(hit))
        return int(rows[first]), int(steps[first])

    def _rows_around(self, track: AgentTrack, radius_m: float) -> Int64[np.ndarray, " C"]:
        """Return the rows whose ways, as upright rectangles, come near that of a track."""
        low_m, high_m = self._rectangle(track)
        n = self._count
        reach_m = (self._radius_m[:n] + radius_m)[:, None]
        beyond = (self._low_m[:n] - reach_m > high_m) | (self._high_m[:n] + reach_m < low_m)
        return np.flatnonzero(~(beyond[:, 0] | beyond[:, 1]))

    def _rectangle(self, track: AgentTrack) -> tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]]:
        """Return the corners of the rectangle around a track's way, inside out where it is never there.

        Who is tested is mostly taken in next, so the last answer is kept.
        """
        if self._last is None or self._last[0] is not track:
            low_m, high_m = np.full(2, np.inf), np.full(2, -np.inf)
            if track.valid.any():
                x_m, y_m = track.center_world_m[track.valid, 0], track.center_world_m[track.valid, 1]
                low_m, high_m = np.array([x_m.min(), y_m.min()]), np.array([x_m.max(), y_m.max()])
            self._last = (track, low_m, high_m)
        return self._last[1], self._last[2]


def find_overlaps(layout: Layout, *, margin_m: float = 0.0) -> list[tuple[str, str, int]]:
    """Return (agent, other agent or `ego`, step) of every agent that overlaps one before it, the ego first.

    Once per agent: the first of those before it that it ever overlaps, and the first step.
    """
    tracks = [ego_as_agent(layout.ego), *layout.agents]
    valid = np.stack([track.valid for track in tracks])
    center_m = np.stack([track.center_world_m[:, :2] for track in tracks])
    half_m = np.stack([0.5 * track.size_lwh_m[:2] for track in tracks])
    low_m = np.where(valid[:, :, None], center_m, np.inf).min(axis=1)
    high_m = np.where(valid[:, :, None], center_m, -np.inf).max(axis=1)
    radius_m = np.linalg.norm(half_m, axis=1) + margin_m * np.sqrt(2.0)
    around_m = (radius_m[:, None] + radius_m[None])[:, :, None]
    apart = ((low_m[:, None] - around_m > high_m[None]) | (high_m[:, None] + around_m < low_m[None])).any(axis=2)
    later, earlier = np.nonzero(np.tril(~apart, k=-1))
    heading_rad = np.stack([track.heading_rad for track in tracks])
    found: dict[int, tuple[str, str, int]] = {}
    for begin in range(0, len(later), PAIRS_AT_ONCE):
        some, others = later[begin : begin + PAIRS_AT_ONCE], earlier[begin : begin + PAIRS_AT_ONCE]
        gap_m = center_m[some] - center_m[others]
        near = gap_m[:, :, 0] ** 2 + gap_m[:, :, 1] ** 2 < around_m[some, others] ** 2
        pairs, steps = np.nonzero(near & valid[some] & valid[others])
        a, b = some[pairs], others[pairs]
        hit = boxes_overlap(
            center_m[a, steps], heading_rad[a, steps], half_m[a] + margin_m,
            center_m[b, steps], heading_rad[b, steps], half_m[b],
        )  # fmt: skip
        for k in np.flatnonzero(hit):
            found.setdefault(int(a[k]), (tracks[a[k]].agent_id, tracks[b[k]].agent_id, int(steps[k])))
    return list(found.values())


def new_overlaps(layout: Layout, *, since: int) -> list[tuple[int, int, int]]:
    """Return (agent, other agent, step) of pairs that begin to overlap after step `since`; the ego's index is -1.

    Each pair once, at its first such step. Pairs that overlap at `since` already are left out, and so is who is not
    there then.
    """
    tracks = [*layout.agents, ego_as_agent(layout.ego)]
    present = [idx for idx, track in enumerate(tracks) if track.valid[since]]
    found = []
    for place, idx in enumerate(present):
        others = present[place + 1 :]
        first = _first_overlaps(tracks[idx], [tracks[other] for other in others], since)
        for other, step in zip(others, first, strict=True):
            if step > since:
                found.append((idx, -1 if other == len(layout.agents) else other, step))
    return found


def _first_overlaps(track: AgentTrack, others: list[AgentTrack], since: int) -> list[int]:
    """Return the first step from `since` on at which a track overlaps each of several others; -1 for never."""
    if not others:
        return []
    center_m = np.stack([other.center_world_m[since:, :2] for other in others])
    half_m = np.stack([0.5 * other.size_lwh_m[:2] for other in others])
    own_half_m = 0.5 * track.size_lwh_m[:2]
    reach_m = np.linalg.norm(half_m, axis=1) + np.linalg.norm(own_half_m)
    apart_m = np.linalg.norm(center_m - track.center_world_m[None, since:, :2], axis=2)
    both = np.stack([other.valid[since:] for other in others]) & track.valid[None, since:]
    rows, steps = np.nonzero((apart_m < reach_m[:, None]) & both)
    headings = np.stack([other.heading_rad[since:] for other in others])
    hit = np.zeros(both.shape, bool)
    hit[rows, steps] = boxes_overlap(
        track.center_world_m[since + steps, :2],
        track.heading_rad[since + steps],
        np.broadcast_to(own_half_m, (len(rows), 2)),
        center_m[rows, steps],
        headings[rows, steps],
        half_m[rows],
    )
    return [since + int(np.argmax(row)) if row.any() else -1 for row in hit]
