"""Twelve random layouts from above: `python -m benchmarks.procedural_grid docs/procedural.jpg`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from scenegen.layout.picture.agents import draw_agents
from scenegen.layout.picture.ground import BACKGROUND, draw_ground
from scenegen.layout.picture.pen import RasterPen
from scenegen.layout.picture.view import view_of
from scenegen.layout.procedural_reference import read_procedural
from scenegen.types.layout import Layout

LOCATIONS = (
    "5", "0", "11", "2", "dense_city/1", "rural/2", "highway/1", "suburb/4",
    "jaywalker/4", "stalled_truck/2", "stroller/1", "emergency_vehicle/1",
)  # fmt: skip
COLUMNS = 4
TILE_PX = 300
AROUND_M = 45.0


class _Wordless(RasterPen):
    """Draws no text: ids would cover a small picture."""

    def text(self, *args: Any, **kwargs: Any) -> None:
        pass


def draw_tile(layout: Layout, step: int) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a square around the ego at one step."""
    view = view_of(layout, width_px=TILE_PX, step=step, around_m=AROUND_M)
    pen = _Wordless(view.size_px, BACKGROUND)
    draw_ground(pen, view, layout)
    draw_agents(pen, view, layout, step)
    left, top, right, bottom = (round(v) for v in view.map_px)
    return pen.finish()[top:bottom, left:right]


def main() -> None:
    """Write the grid."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    tiles = []
    for location in LOCATIONS:
        layout = read_procedural(location)
        event = location.split("/")[0]
        actor = next((agent for agent in layout.agents if agent.agent_id == event), None)
        step = layout.timeline.num_steps // 3
        if actor is not None:
            ahead_m = layout.ego.world_from_ego[:, :2, 0]
            apart_m = actor.center_world_m[:, :2] - layout.ego.position_world_m[:, :2]
            distance_m = np.linalg.norm(apart_m, axis=1) + 1e3 * ((apart_m * ahead_m).sum(axis=1) < 9.0)
            step = int(np.argmin(np.where(actor.valid, distance_m, np.inf)))
        tiles.append(np.pad(draw_tile(layout, step), ((2, 2), (2, 2), (0, 0)), constant_values=255))
    rows = [np.hstack(tiles[k : k + COLUMNS]) for k in range(0, len(tiles), COLUMNS)]
    Image.fromarray(np.vstack(rows)).save(options.picture, quality=86)


if __name__ == "__main__":
    main()
