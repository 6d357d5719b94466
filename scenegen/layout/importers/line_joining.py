"""Painted lines that go on from each other become one, so that dashes do not begin anew at every lane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from scenegen.types.layout import LaneLine

JOIN_M = 0.05


def join_lines(painted: Sequence[LaneLine]) -> list[LaneLine]:
    """Join lines of one look where one ends and another begins."""
    begins: dict[tuple[object, ...], list[int]] = {}
    for idx, line in enumerate(painted):
        begins.setdefault(_key(line, 0), []).append(idx)
    taken: set[int] = set()
    follower: dict[int, int] = {}
    for idx, line in enumerate(painted):
        free = [n for n in begins.get(_key(line, -1), []) if n not in taken and n != idx]
        if free:
            follower[idx] = free[0]
            taken.add(free[0])
    done: set[int] = set()
    joined = []
    for start in [*(n for n in range(len(painted)) if n not in taken), *range(len(painted))]:
        if start in done:
            continue
        chain: list[Float64[np.ndarray, "_ 3"]] = []
        at = start
        while at not in done:
            done.add(at)
            chain.append(painted[at].points_world_m[1 if chain else 0 :])
            at = follower.get(at, start)
        line = painted[start]
        joined.append(
            LaneLine(points_world_m=np.concatenate(chain), kind=line.kind, color=line.color, width_m=line.width_m)
        )
    return joined


def _key(line: LaneLine, end: int) -> tuple[object, ...]:
    x, y = np.round(line.points_world_m[end, :2] / JOIN_M).astype(int).tolist()
    return line.kind, line.color, round(line.width_m, 3), x, y
