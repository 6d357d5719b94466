"""The rule-built world: deterministic, obedient to the layout, consistent with itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from scenegen.errors import WorldError
from scenegen.occupancy.build import build_world
from scenegen.occupancy.site import survey_site
from scenegen.types import (
    STATIC_INSTANCE_OFFSET,
    AgentCategory,
    Area,
    Layout,
    Material,
    RoadMap,
    Semantic,
    ShapeKind,
    StaticTable,
    World,
)
from tests.unit.occupancy.conftest import rectangle, track

ROADWAY = (
    Material.ASPHALT, Material.MARKING_WHITE, Material.MARKING_YELLOW, Material.CROSSING, Material.PARKING,
)  # fmt: skip
CLEARANCE_M = 4.5
PAVED_WITHIN_M = 9.0
"""Of a town building: the land in front of it that is paved with it."""


@pytest.fixture(scope="module")
def world(crossroads: Layout) -> World:
    return build_world(crossroads, seed=1)


def world_arrays(world: World) -> dict[str, np.ndarray]:
    tables = {"statics": world.statics, "look": world.statics.appearance, "shapes": world.shapes}
    arrays = {
        f"{name}.{key}": value
        for name, table in tables.items()
        for key, value in vars(table).items()
        if isinstance(value, np.ndarray)
    }
    return arrays | {name: getattr(world, name) for name in ("semantics", "column_instance", "ground")}


def is_roadway(world: World, points: np.ndarray) -> np.ndarray:
    cells = np.floor((points[:, :2] - world.ground_origin_m) / world.ground_cell_m).astype(int)
    inside = ((cells >= 0) & (cells < world.ground.shape)).all(axis=1)
    material = world.ground[tuple(np.where(inside[:, None], cells, 0).T)]
    return inside & np.isin(material, ROADWAY)


def solid_points(world: World, index: int) -> np.ndarray:
    unit = np.linspace(-1.0, 1.0, 9)
    grid = np.stack(np.meshgrid(unit, unit, unit, indexing="ij"), axis=-1).reshape(-1, 3)
    shapes = world.shapes
    if shapes.kind[index] == ShapeKind.ELLIPSOID:
        grid = grid[(grid**2).sum(axis=1) <= 1.0]
    elif shapes.kind[index] == ShapeKind.CYLINDER:
        grid = grid[(grid[:, :2] ** 2).sum(axis=1) <= 1.0]
    pose = shapes.world_from_shape[index]
    return (grid * shapes.half_extent_m[index]) @ pose[:3, :3].T + pose[:3, 3]


def test_same_seed_gives_the_same_bytes(crossroads: Layout, world: World) -> None:
    again = world_arrays(build_world(crossroads, seed=1))
    for name, array in world_arrays(world).items():
        assert array.dtype == again[name].dtype, name
        assert array.tobytes() == again[name].tobytes(), name


def test_another_seed_gives_another_world_on_the_same_road(crossroads: Layout, world: World) -> None:
    other = build_world(crossroads, seed=2)
    assert (other.semantics != world.semantics).any()
    assert (np.isin(other.ground, ROADWAY) == np.isin(world.ground, ROADWAY)).all()


@pytest.mark.parametrize("seed", range(4))
def test_an_agent_on_open_ground_changes_only_what_it_passes(crossroads: Layout, seed: int) -> None:
    """It walks 17 m through the land behind the sidewalk, where things give way to it or get smaller."""
    walker = track("stroller", AgentCategory.PEDESTRIAN, (0.7, 0.7, 1.75), (-40.0, 20.0), (1.2, 1.2))
    with_walker = dataclasses.replace(crossroads, agents=(*crossroads.agents, walker))
    before, after = (build_world(layout, seed=seed) for layout in (crossroads, with_walker))
    path = walker.center_world_m[:, :2]

    assert len(before.statics.material) == len(after.statics.material)
    is_passed = reaches(before.statics, path) | reaches(after.statics, path)
    is_smaller = (after.statics.size_lwh_m[:, :2] < before.statics.size_lwh_m[:, :2]).any(axis=1)
    assert is_smaller.any()
    assert not (is_smaller & ~is_passed).any()
    assert is_passed.mean() < 0.05
    for name, array in world_arrays(before).items():
        if name.startswith(("statics.", "look.")):
            np.testing.assert_array_equal(array[~is_passed], world_arrays(after)[name][~is_passed], err_msg=name)
    owners = before.column_instance, after.column_instance
    changed = (before.semantics != after.semantics).any(axis=2) | (owners[0] != owners[1])
    assert (is_passed[owners[0][changed]] | is_passed[owners[1][changed]]).all()
    plots = is_passed[owners[0]] | is_passed[owners[1]]
    repaved = (before.ground != after.ground).reshape(plots.shape[0], 4, -1, 4).any(axis=(1, 3))
    assert not (repaved & (ndimage.distance_transform_edt(~plots) * before.grid.voxel_m > PAVED_WITHIN_M)).any()
    solids = [solid_bytes(world, ~is_passed) for world in (before, after)]
    assert solids[0] == solids[1]


def test_something_gives_way_to_an_agent_and_its_neighbours_keep_their_rows(crossroads: Layout) -> None:
    walker = track("stroller", AgentCategory.PEDESTRIAN, (0.7, 0.7, 1.75), (-50.0, 18.0), (8.0, 0.0))
    before = build_world(crossroads, seed=1).statics
    after = build_world(dataclasses.replace(crossroads, agents=(*crossroads.agents, walker)), seed=1).statics
    gave_way = (before.size_lwh_m > 0.0).any(axis=1) & (after.size_lwh_m == 0.0).all(axis=1)
    assert 1 <= gave_way.sum() < 0.1 * len(gave_way)
    assert (after.material[gave_way] == Material.GRASS).all()


def test_one_more_given_building_changes_nothing_far_away(crossroads: Layout) -> None:
    hall = Area(kind="building", polygon_world_m=rectangle(-60, 12, -40, 30), height_m=8.0)
    road_map = dataclasses.replace(crossroads.road_map, areas=(*crossroads.road_map.areas, hall))
    with_hall = dataclasses.replace(crossroads, road_map=road_map)
    for seed in range(4):
        places = [
            {place.tobytes() for place in world.statics.world_from_thing if abs(place[0, 3] + 50.0) > 60.0}
            for world in (build_world(crossroads, seed=seed), build_world(with_hall, seed=seed))
        ]
        assert len(places[0]) > 50
        assert places[0] == places[1]


def reaches(statics: StaticTable, path: np.ndarray) -> np.ndarray:
    """Return which things' boxes come within 3 m of a path; a tree's canopy is lifted or narrowed that near."""
    passed = np.zeros(len(statics.material), np.bool_)
    for row, (pose, size) in enumerate(zip(statics.world_from_thing, statics.size_lwh_m, strict=True)):
        local = np.abs((path - pose[:2, 3]) @ pose[:2, :2])
        passed[row] = size.any() and bool((local <= size[:2] / 2 + 3.0).all(axis=1).any())
    return passed


def solid_bytes(world: World, is_row: np.ndarray) -> bytes:
    shapes = world.shapes
    mine = is_row[shapes.instance.astype(int) - STATIC_INSTANCE_OFFSET]
    return shapes.instance[mine].tobytes() + shapes.world_from_shape[mine].tobytes() + shapes.kind[mine].tobytes()


@pytest.mark.parametrize("name", ["crossroads", "bend", "zoo"])
def test_nothing_stands_on_the_roadway_or_in_swept_space(name: str, request: pytest.FixtureRequest) -> None:
    layout = request.getfixturevalue(name)
    world = build_world(layout, seed=3)
    site = survey_site(layout, sidewalk_width_m=3.0)
    lowest_m = (
        np.where((world.semantics != Semantic.FREE).any(axis=2), (world.semantics != Semantic.FREE).argmax(axis=2), 64)
        * 0.4
    )
    assert not ((world.column_instance > 0) & site.is_road).any()
    assert not (lowest_m < site.swept_top_m).any()
    for index in range(len(world.shapes)):
        points = solid_points(world, index)
        low = points[:, 2] < CLEARANCE_M
        assert not is_roadway(world, points[low]).any(), index
        cells = np.floor((points[:, :2] - world.grid.origin_m[:2]) / world.grid.voxel_m).astype(int)
        inside = ((cells >= 0) & (cells < world.grid.shape[:2])).all(axis=1)
        top = np.where(inside, site.swept_top_m[tuple(np.where(inside[:, None], cells, 0).T)], 0.0)
        assert (points[:, 2] >= top - 1e-6).all(), index


def test_voxels_and_column_owners_agree(world: World) -> None:
    filled = (world.semantics != Semantic.FREE).any(axis=2)
    assert (filled == (world.column_instance > 0)).all()
    material = world.statics.material[world.column_instance[filled]]
    assert set(np.unique(material)) <= {Material.FACADE, Material.FOLIAGE, Material.WALL}
    first = np.take_along_axis(world.semantics, (world.semantics != Semantic.FREE).argmax(axis=2)[..., None], 2)[..., 0]
    assert ((first[filled] == Semantic.VEGETATION) == (material == Material.FOLIAGE)).all()


def test_building_boxes_match_their_voxels(world: World) -> None:
    statics = world.statics
    explicit = 1  # the L-shaped building fills only part of its rectangle
    for row in np.nonzero(statics.material == Material.FACADE)[0]:
        i, j = np.nonzero(world.column_instance == row)
        centre = np.stack([i + 0.5, j + 0.5], axis=1) * 0.4 + world.grid.origin_m[:2]
        local = (centre - statics.world_from_thing[row, :2, 3]) @ statics.world_from_thing[row, :2, :2]
        half = statics.size_lwh_m[row, :2] / 2
        assert (np.abs(local) <= half + 1e-6).all()
        share = len(i) * 0.16 / (4 * half[0] * half[1])
        assert share > (0.6 if row == explicit else 0.85), row
        top = (world.semantics[i, j] != Semantic.FREE).sum(axis=1).max() * 0.4
        assert top == pytest.approx(statics.size_lwh_m[row, 2], abs=2.41)


def test_the_layout_building_is_built_exactly(crossroads: Layout, world: World) -> None:
    def at(x: float, y: float) -> np.ndarray:
        i, j = np.floor((np.array([x, y]) - world.grid.origin_m[:2]) / 0.4).astype(int)
        return world.semantics[i, j]

    inside = at(30.0, 18.0)
    assert (inside[:30] == Semantic.MANMADE).all()
    assert (inside[30:] == Semantic.FREE).all()
    assert (at(30.0, 26.0) != Semantic.MANMADE).all()  # the notch of the L


def test_every_instance_has_a_row(world: World) -> None:
    rows = len(world.statics.material)
    assert world.column_instance.max() < rows
    assert (world.shapes.instance >= STATIC_INSTANCE_OFFSET + 1).all()
    assert (world.shapes.instance < STATIC_INSTANCE_OFFSET + rows).all()
    assert world.statics.appearance.primary_rgb.shape == (rows, 3)
    assert (world.statics.appearance.primary_rgb >= 0.0).all()
    assert (world.statics.appearance.primary_rgb <= 1.0).all()


def test_zebra_bars_run_along_the_road(world: World) -> None:
    i = int((-8.25 - world.ground_origin_m[0]) / 0.1)
    across = world.ground[i, int((-7 - world.ground_origin_m[1]) / 0.1) : int((7 - world.ground_origin_m[1]) / 0.1)]
    flips = np.count_nonzero(np.diff((across == Material.CROSSING).astype(int)))
    assert flips >= 24  # about one bar per metre of the 14 m road
    j = int((-6.5 - world.ground_origin_m[1]) / 0.1)
    bar = world.ground[int((-9.9 - world.ground_origin_m[0]) / 0.1) : int((-6.6 - world.ground_origin_m[0]) / 0.1), j]
    assert len(set(bar.tolist())) == 1  # uniform along the driving direction


def test_dashes_repeat_and_kerbs_edge_the_sidewalk(world: World) -> None:
    j = int((3.5 - world.ground_origin_m[1]) / 0.1)
    row = world.ground[int((10 - world.ground_origin_m[0]) / 0.1) : int((70 - world.ground_origin_m[0]) / 0.1), j]
    painted = (row == Material.MARKING_WHITE).mean()
    assert painted == pytest.approx(3.0 / 7.5, abs=0.08)
    i = int((60 - world.ground_origin_m[0]) / 0.1)
    edge = world.ground[i, int((7.05 - world.ground_origin_m[1]) / 0.1) : int((9.5 - world.ground_origin_m[1]) / 0.1)]
    assert 2 <= np.count_nonzero(edge == Material.KERB) <= 3
    assert Material.SIDEWALK in edge


def test_lanes_alone_grow_a_road_with_sidewalks(bend: Layout) -> None:
    world = build_world(bend, seed=1)
    assert np.count_nonzero(world.ground == Material.ASPHALT) * 0.01 > 800.0
    assert np.count_nonzero(world.ground == Material.SIDEWALK) * 0.01 > 400.0
    assert np.count_nonzero(world.statics.material == Material.FACADE) > 3


def test_a_layout_without_road_is_an_error(crossroads: Layout) -> None:
    empty = dataclasses.replace(crossroads, road_map=RoadMap())
    with pytest.raises(WorldError, match="lanes or drivable areas"):
        build_world(empty, seed=1)
