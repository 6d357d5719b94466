"""Who goes first where two paths cross or join.

Whoever is in the shared piece goes on. Else whoever would be there first goes first, unless only the other could
still stop. Once decided it stays so until one is through, or the one with the right of way has not moved for a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from scenegen.layout.corridor import Corridor

APART_M = 0.4
"""Between two vehicles that pass each other at full speed."""
MARGIN_S = 1.2
"""Between one leaving the shared piece and the next entering it."""
SEEN_M = 70.0
SLOWEST_MPS = 2.0
"""A waiting vehicle is taken to need this speed on its way."""
PATIENCE_S = 2.0
FIRMEST_STOP_MPS2 = 3.5


class Stretch(NamedTuple):
    """From where to where a path runs through a piece that another needs too."""

    begin_m: float
    end_m: float


class Progress(NamedTuple):
    """Where a vehicle's front and rear are along its path, and its speed."""

    front_m: float
    rear_m: float
    speed_mps: float


class Demand(NamedTuple):
    """What the right of way asks of one vehicle.

    Do not pass `line_m` unless behind a leader whose rear is `gap_m` ahead of the own front; None: not at all.
    """

    line_m: float
    gap_m: float | None
    leader_mps: float


@dataclass(kw_only=True)
class Conflict:
    """A piece of ground that two paths share."""

    pair: tuple[int, int]
    stretches: tuple[Stretch, Stretch]
    is_merge: bool
    first: int | None = None
    waited_s: float = 0.0

    def update(self, state: dict[int, Progress], step_s: float) -> tuple[int, Demand] | None:
        """Return who has to yield now, and to what; None if nobody has to."""
        both = [state[vehicle] for vehicle in self.pair]
        if any(who.rear_m > piece.end_m for who, piece in zip(both, self.stretches, strict=True)):
            return None
        inside = [who.front_m > piece.begin_m for who, piece in zip(both, self.stretches, strict=True)]
        if all(inside):
            return None  # both are there: they see each other
        if any(inside):
            self.first = inside.index(True)
        elif self.first is None:
            self.first = self._decide(both)
            if self.first is None:
                return None
        else:
            self._lose_patience(both, step_s)
        return self._demand(both)

    def _decide(self, both: list[Progress]) -> int | None:
        room_m = [piece.begin_m - who.front_m for who, piece in zip(both, self.stretches, strict=True)]
        if min(room_m) > SEEN_M:
            return None
        speed_mps = [max(who.speed_mps, SLOWEST_MPS) for who in both]
        enter_s = [room / speed for room, speed in zip(room_m, speed_mps, strict=True)]
        leave_s = [
            (piece.end_m - who.rear_m) / speed
            for who, piece, speed in zip(both, self.stretches, speed_mps, strict=True)
        ]
        if not self.is_merge and (enter_s[0] > leave_s[1] + MARGIN_S or enter_s[1] > leave_s[0] + MARGIN_S):
            return None
        first = int(enter_s[1] < enter_s[0])
        needed = [who.speed_mps**2 / (2.0 * max(room, 0.1)) for who, room in zip(both, room_m, strict=True)]
        if needed[1 - first] > FIRMEST_STOP_MPS2 >= needed[first]:
            first = 1 - first
        return first

    def _lose_patience(self, both: list[Progress], step_s: float) -> None:
        assert self.first is not None
        stands = both[self.first].speed_mps < 0.2
        self.waited_s = self.waited_s + step_s if stands else 0.0
        if self.waited_s > PATIENCE_S and both[1 - self.first].speed_mps < 0.5:
            self.first, self.waited_s = 1 - self.first, 0.0

    def _demand(self, both: list[Progress]) -> tuple[int, Demand]:
        assert self.first is not None
        leader, other = both[self.first], both[1 - self.first]
        line_m = self.stretches[1 - self.first].begin_m
        gap_m = None
        if self.is_merge:
            to_rear_m = self.stretches[self.first].begin_m - leader.rear_m
            gap_m = line_m - other.front_m - to_rear_m
        return self.pair[1 - self.first], Demand(line_m, gap_m, leader.speed_mps)


def find_conflicts(
    corridors: dict[int, Corridor], widths_m: dict[int, float], starts: dict[int, Progress]
) -> list[Conflict]:
    """Return the pieces of ground that any two paths share and that not both have entered yet."""
    found = []
    vehicles = sorted(corridors)
    boxes = {idx: (corridors[idx].points_m.min(axis=0), corridors[idx].points_m.max(axis=0)) for idx in vehicles}
    for place, a in enumerate(vehicles):
        for b in vehicles[place + 1 :]:
            apart_m = 0.5 * (widths_m[a] + widths_m[b]) + APART_M
            if (boxes[a][0] > boxes[b][1] + apart_m).any() or (boxes[b][0] > boxes[a][1] + apart_m).any():
                continue
            for piece in _shared(corridors[a], corridors[b], apart_m):
                conflict = _conflict((a, b), piece, corridors)
                inside = [starts[v].front_m > s.begin_m for v, s in zip((a, b), conflict.stretches, strict=True)]
                if not all(inside):
                    found.append(conflict)
    return found


def _conflict(pair: tuple[int, int], piece: tuple[Stretch, Stretch], corridors: dict[int, Corridor]) -> Conflict:
    first, second = (
        corridors[v].along[min(int(s.begin_m), len(corridors[v].along) - 1)] for v, s in zip(pair, piece, strict=True)
    )
    return Conflict(pair=pair, stretches=piece, is_merge=bool(first @ second > 0.5))


def _shared(a: Corridor, b: Corridor, apart_m: float) -> list[tuple[Stretch, Stretch]]:
    """Return the stretches of two paths that are nearer to each other than `apart_m`, in the order of the first."""
    near = _square(a.points_m, b.points_m) < apart_m**2
    rows = np.flatnonzero(near.any(axis=1))
    if not len(rows):
        return []
    pieces = []
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > 3) + 1):
        columns = np.flatnonzero(near[run].any(axis=0))
        pieces.append(
            (
                Stretch(float(run[0]) - 1.0, float(run[-1]) + 1.0),
                Stretch(float(columns[0]) - 1.0, float(columns[-1]) + 1.0),
            )
        )
    return pieces


def _square(a_m: Float64[np.ndarray, "N 2"], b_m: Float64[np.ndarray, "M 2"]) -> Float64[np.ndarray, "N M"]:
    middle_m = a_m.mean(axis=0)
    a_m, b_m = a_m - middle_m, b_m - middle_m
    return np.asarray((a_m**2).sum(axis=1)[:, None] + (b_m**2).sum(axis=1)[None] - 2.0 * a_m @ b_m.T)
