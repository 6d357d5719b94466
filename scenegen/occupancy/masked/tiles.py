"""Where the tiles of a world lie, and in which order they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from scenegen.occupancy.site import VOXEL_M

COLUMNS_PER_CODE = 4
TILE_CODES = 32
"""Codes along each side of a tile: 51.2 m, what the network is trained on."""
OVERLAP_CODES = 8
"""Codes of a tile that its neighbour may have drawn already: 12.8 m of known world to go on from."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A square of codes, by its corner."""

    row: int
    column: int

    @property
    def codes(self) -> tuple[slice, slice]:
        """Where it lies among the codes."""
        return slice(self.row, self.row + TILE_CODES), slice(self.column, self.column + TILE_CODES)

    @property
    def columns(self) -> tuple[slice, slice]:
        """Where it lies among the columns of voxels."""
        size = TILE_CODES * COLUMNS_PER_CODE
        row, column = self.row * COLUMNS_PER_CODE, self.column * COLUMNS_PER_CODE
        return slice(row, row + size), slice(column, column + size)


def num_codes_of(shape: tuple[int, int]) -> tuple[int, int]:
    """Return how many codes cover so many columns; the last may reach beyond them."""
    return -(-shape[0] // COLUMNS_PER_CODE), -(-shape[1] // COLUMNS_PER_CODE)


def plan_tiles(
    num_codes: tuple[int, int], *, ego_path_codes: Float64[np.ndarray, "T 2"], overlap: int = OVERLAP_CODES
) -> list[Tile]:
    """Cover a grid of codes with overlapping tiles, in the order in which the ego comes nearest to their middles.

    Tiles lie inside the grid where it is large enough, so the last of a row may overlap more.
    """
    rows, columns = (_starts(count, TILE_CODES - overlap) for count in num_codes)
    tiles = [Tile(row=row, column=column) for row in rows for column in columns]

    def when(tile: Tile) -> tuple[int, float, int, int]:
        middle = np.array([tile.row, tile.column]) + TILE_CODES / 2
        distance = np.linalg.norm(ego_path_codes - middle, axis=1)
        nearest = int(np.argmin(distance))
        return nearest, float(distance[nearest]), tile.row, tile.column

    return sorted(tiles, key=when)


def _starts(count: int, stride: int) -> list[int]:
    last = max(0, count - TILE_CODES)
    return [*range(0, last, stride), last]


def path_in_codes(
    position_world_m: Float64[np.ndarray, "T 2"], *, origin_world_m: tuple[float, float]
) -> Float64[np.ndarray, "T 2"]:
    """Return world positions in codes from the corner of code (0, 0)."""
    return (position_world_m - np.asarray(origin_world_m)) / (VOXEL_M * COLUMNS_PER_CODE)
