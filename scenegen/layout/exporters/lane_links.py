"""Which lanes of a layout follow each other, by where they end and begin, and the junctions that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scenegen.types.layout import Lane

JOIN_M = 0.5
LARGEST_TURN_RAD = np.pi / 3


@dataclass(frozen=True, kw_only=True)
class Junction:
    """Pairs (incoming lane, lane that begins there). Direct: nothing lies between incoming and outgoing lanes."""

    pairs: tuple[tuple[int, int], ...]
    is_direct: bool


@dataclass(frozen=True, kw_only=True)
class LaneLinks:
    """Followers and leaders of every lane by index, and junctions."""

    following: tuple[tuple[int, ...], ...]
    leading: tuple[tuple[int, ...], ...]
    junctions: tuple[Junction, ...]

    def junction_at_end(self, idx: int) -> int | None:
        """Return the junction that a lane leads into, if any."""
        found = [n for n, junction in enumerate(self.junctions) if any(pair[0] == idx for pair in junction.pairs)]
        return found[0] if found else None

    def junction_at_begin(self, idx: int) -> int | None:
        """Return the junction that a lane comes from; a lane of an intersection comes from its incoming lane."""
        for n, junction in enumerate(self.junctions):
            begins = {after for _, after in junction.pairs}
            if junction.is_direct and idx in begins:
                return n
            if not junction.is_direct and idx not in begins and any(way in begins for way in self.leading[idx]):
                return n
        return None

    def junction_through(self, idx: int) -> int | None:
        """Return the junction that a lane is a connecting road of, if any."""
        for n, junction in enumerate(self.junctions):
            if not junction.is_direct and any(pair[1] == idx for pair in junction.pairs):
                return n
        return None


def link_by_ends(lanes: Sequence[Lane]) -> LaneLinks:
    """Link lanes whose end and begin are within `JOIN_M` and point about the same way."""
    begin_m = np.array([lane.centerline_world_m[0, :2] for lane in lanes])
    begin_rad = np.array([_heading(lane, 0) for lane in lanes])
    following: list[tuple[int, ...]] = []
    for lane in lanes:
        gap_m = np.linalg.norm(begin_m - lane.centerline_world_m[-1, :2], axis=1)
        turn = np.cos(begin_rad - _heading(lane, -1))
        following.append(tuple(np.flatnonzero((gap_m < JOIN_M) & (turn > np.cos(LARGEST_TURN_RAD))).tolist()))
    leading: list[list[int]] = [[] for _ in lanes]
    for idx, ways in enumerate(following):
        for way in ways:
            leading[way].append(idx)
    return LaneLinks(
        following=tuple(following),
        leading=tuple(tuple(ways) for ways in leading),
        junctions=tuple(_junctions(lanes, following, leading)),
    )


def _heading(lane: Lane, end: int) -> float:
    ends_m = lane.centerline_world_m[:2, :2] if end == 0 else lane.centerline_world_m[-2:, :2]
    way_m = ends_m[1] - ends_m[0]
    return float(np.arctan2(way_m[1], way_m[0]))


def _junctions(
    lanes: Sequence[Lane], following: Sequence[tuple[int, ...]], leading: Sequence[Sequence[int]]
) -> list[Junction]:
    """Group pairs into lanes of intersections by shared incoming and outgoing lanes, other forks by shared ends."""
    every = [(a, b) for a, ways in enumerate(following) for b in ways]
    into = [(a, b) for a, b in every if lanes[b].is_intersection and not lanes[a].is_intersection]
    inside = {b for _, b in into}
    forks = [
        (a, b)
        for a, b in every
        if b not in inside and a not in inside and (len(following[a]) > 1 or len(leading[b]) > 1)
    ]
    found = []
    for pairs, is_direct in ((into, False), (forks, True)):
        group = list(range(len(pairs)))
        touched: dict[tuple[str, int], int] = {}
        for k, (before, after) in enumerate(pairs):
            beyond = [] if is_direct else [("out", way) for way in following[after]]
            for key in (("in", before), ("through", after), *beyond):
                _unite(group, k, touched.setdefault(key, k))
        for root in dict.fromkeys(_root(group, k) for k in range(len(pairs))):
            members = tuple(pair for k, pair in enumerate(pairs) if _root(group, k) == root)
            found.append(Junction(pairs=members, is_direct=is_direct))
    return found


def _root(group: list[int], k: int) -> int:
    while group[k] != k:
        k = group[k]
    return k


def _unite(group: list[int], first: int, second: int) -> None:
    a, b = _root(group, first), _root(group, second)
    group[max(a, b)] = min(a, b)
