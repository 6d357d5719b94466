"""Layouts that leave as OpenDRIVE and come back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import shapely

from scenegen.errors import LayoutError
from scenegen.layout.exporters import layout_to_opendrive
from scenegen.layout.importers.opendrive.read import assemble_layout, read_network
from scenegen.layout.sources import read_layout
from scenegen.types import Layout, RoadMap
from tests.conftest import run_scenegen


@pytest.mark.parametrize("reference", ["unprotected_left", "crossing_pedestrian", "procedural:5"])
def test_lanes_come_back_within_five_centimetres(tmp_path: Path, reference: str) -> None:
    layout = read_layout(reference)
    path = tmp_path / "map.xodr"
    path.write_text(layout_to_opendrive(layout), encoding="utf-8")
    network = read_network(path)
    back = assemble_layout(network, ego=layout.ego, frame=layout).road_map
    shift_m = layout.ego.position_world_m[0]
    assert len(back.lanes) == len(layout.road_map.lanes)
    for before, after in zip(layout.road_map.lanes, back.lanes, strict=True):
        moved = shapely.LineString((after.centerline_world_m + shift_m)[:, :2])
        assert shapely.hausdorff_distance(shapely.LineString(before.centerline_world_m[:, :2]), moved) < 0.05
        assert after.width_m == pytest.approx(before.width_m)
        assert (after.kind, after.is_intersection) == (before.kind, before.is_intersection)
        assert after.speed_limit_mps == pytest.approx(before.speed_limit_mps)
    assert network.graph.complaints == ()
    assert _joined(layout) == sum(map(len, network.graph.following.values()))
    for kind in ("crossing", "parking", "building"):
        ours = [area.polygon_world_m for area in layout.road_map.areas_of(kind)]
        theirs = [area.polygon_world_m + shift_m[:2] for area in back.areas_of(kind)]
        assert len(ours) == len(theirs)
        for before, after in zip(sorted(ours, key=_place), sorted(theirs, key=_place), strict=True):
            np.testing.assert_allclose(after, before, atol=1e-6)
    # A prop that stands over a lane, as a roundabout's trees do not, would be left out.
    assert Counter(prop.kind for prop in back.props) == Counter(prop.kind for prop in layout.road_map.props)
    places_m = np.array([prop.position_world_m + shift_m[:2] for prop in back.props]).reshape(-1, 2)
    for prop in layout.road_map.props:
        assert np.linalg.norm(places_m - prop.position_world_m, axis=1).min() < 0.01


def _place(outline_m: np.ndarray) -> tuple[float, float]:
    x, y = outline_m[0].round(2).tolist()
    return x, y


def _joined(layout: Layout) -> int:
    """Count pairs of lanes of which the second begins where the first ends, running on."""
    lanes = [lane.centerline_world_m for lane in layout.road_map.lanes]
    pairs = 0
    for before in lanes:
        for after in lanes:
            way, onward = before[-1] - before[-2], after[1] - after[0]
            pairs += int(np.linalg.norm(before[-1] - after[0]) < 0.5 and float(way @ onward) > 0.0)
    return pairs


def test_lines_along_lane_edges_become_marks(tmp_path: Path) -> None:
    layout = read_layout("crossing_pedestrian")
    path = tmp_path / "map.xodr"
    path.write_text(layout_to_opendrive(layout), encoding="utf-8")
    back = assemble_layout(read_network(path), ego=layout.ego, frame=layout).road_map
    looks = {(line.kind, line.color) for line in layout.road_map.lane_lines}
    assert back.lane_lines and {(line.kind, line.color) for line in back.lane_lines} <= looks


def test_a_layout_without_lanes_is_refused() -> None:
    layout = read_layout("crossing_pedestrian")
    with pytest.raises(LayoutError, match="a layout with lanes"):
        layout_to_opendrive(
            Layout(
                layout_id="bare", source="file", licence="CC0-1.0", timeline=layout.timeline, road_map=RoadMap(),
                agents=(), ego=layout.ego,
            )
        )  # fmt: skip


def test_the_command_writes_a_file_that_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "out" / "map.xodr"
    finished = run_scenegen("layout", "export", "procedural:3", "-o", str(path))
    assert finished.returncode == 0, finished.stderr
    assert len(read_layout(f"opendrive:{path}").road_map.lanes) == len(read_layout("procedural:3").road_map.lanes)
    refused = run_scenegen("layout", "export", "procedural:3", "-o", str(tmp_path / "map.txt"))
    assert refused.returncode == 2 and "*.xodr" in refused.stderr
