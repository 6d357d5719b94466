"""The rule-built world: deterministic, obedient to the layout, consistent with itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from scenegen.errors import WorldError
from scenegen.occupancy.build import build_world
from scenegen.occupancy.site import survey_site
from scenegen.types import STATIC_INSTANCE_OFFSET, Layout, Material, RoadMap, Semantic, ShapeKind, World

ROADWAY = (
    Material.ASPHALT, Material.MARKING_WHITE, Material.MARKING_YELLOW, Material.CROSSING, Material.PARKING,
)  # fmt: skip
CLEARANCE_M = 4.5


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
