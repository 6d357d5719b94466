"""The simulated LiDAR: every beam against the slow oracle, and the promises of its points about boxes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scenegen.conditions.build import ConditionRenderer
from scenegen.conditions.lidar import INNER_M, AgentBoxes, CountedSweep, LidarScanner
from scenegen.conditions.lidar_kernel import aim, cast_sweep, intensity_of
from scenegen.conditions.lidar_static import cast_static, measure_gaps
from scenegen.conditions.packing import pack_world
from scenegen.conditions.raycast import cast_ground, cast_voxels
from scenegen.conditions.static_kernel import GRASS
from scenegen.conditions.surfaces import SURFACE_GROUND, SURFACE_NONE, SURFACE_SHAPE, SURFACE_VOXEL
from scenegen.errors import ConfigError
from scenegen.geometry.rigid import invert_rigid
from scenegen.types import (
    EXTRA_RING,
    STATIC_INSTANCE_OFFSET,
    ConditionMaps,
    LidarModel,
    Material,
    Semantic,
    ShapeSet,
    World,
)
from tests.unit.conditions.oracle import cast_rays
from tests.unit.conditions.random_worlds import noon, random_rig, random_shapes, random_world

NUM_AGENTS = 8


def boxes_of(shapes: ShapeSet) -> AgentBoxes:
    """Boxes that are their agents' only solid."""
    count = len(shapes)
    return AgentBoxes(
        world_from_box=shapes.world_from_shape, half_m=shapes.half_extent_m, is_present=np.ones(count, np.bool_)
    )


def see(world: World, agents: ShapeSet, rng: np.random.Generator) -> ConditionMaps:
    rig = random_rig(rng, num_cameras=2, size_px=(60, 40))
    renderer = ConditionRenderer(world, rig=rig, lighting=noon(), num_agents=len(agents))
    return renderer.render([agents], previous_shapes=None, world_from_ego=np.eye(4)[None], previous_world_from_ego=None)


def scan(seed: int, *, model: LidarModel, step: int = 0) -> tuple[CountedSweep, ShapeSet, ConditionMaps, World]:
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    agents = random_shapes(rng, count=NUM_AGENTS, first_instance=1)
    conditions = see(world, agents, rng)
    scanner = LidarScanner(world, model=model, seed=seed, scene_id="random")
    counted = scanner.scan(agents, boxes=boxes_of(agents), world_from_ego=np.eye(4), conditions=conditions, step=step)
    return counted, agents, conditions, world


@pytest.mark.parametrize("seed", range(6))
def test_every_beam_hits_what_the_oracle_hits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    agents = random_shapes(rng, count=NUM_AGENTS, first_instance=1)
    model = LidarModel(num_azimuths=180, max_range_m=9.0, position_ego_m=tuple(rng.uniform([-6, -6, 1], [6, 6, 4])))
    scanner = LidarScanner(world, model=model, seed=0, scene_id="random")
    joined = ShapeSet.concatenate([world.shapes, agents])
    solids = (joined.kind, joined.half_extent_m, joined.taper, joined.world_from_shape)
    turned = np.array([[0.6, -0.8, 0.0, 1.0], [0.8, 0.6, 0.0, 0.5], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    pose = turned @ model.lidar2ego
    directions = model.directions()
    range_m, surface, detail, facing = scanner._hits
    lidar = (pose, np.ascontiguousarray(invert_rigid(pose)), model.packed(), directions)
    cast_sweep(scanner._world, scanner._gaps, solids, lidar, model.max_range_m, *scanner._hits)
    rays = directions.reshape(-1, 3) @ pose[:3, :3].T
    truth = cast_rays(world, agents, np.tile(pose[:3, 3], (len(rays), 1)), rays, near_m=0.0)
    is_hit = truth.depth_m < model.max_range_m
    assert np.array_equal(surface.ravel() != SURFACE_NONE, is_hit)
    np.testing.assert_allclose(range_m.ravel()[is_hit], truth.depth_m[is_hit], rtol=1e-9)
    instance = np.zeros(len(rays), np.int64)
    on_shape, on_voxel = surface.ravel() == SURFACE_SHAPE, surface.ravel() == SURFACE_VOXEL
    columns = detail.reshape(-1, 2)
    instance[on_shape] = joined.instance[columns[on_shape, 0]]
    instance[on_voxel] = STATIC_INSTANCE_OFFSET + world.column_instance[tuple(columns[on_voxel].T)]
    assert np.array_equal(instance[is_hit], truth.instance[is_hit])
    on_ground = surface.ravel() == SURFACE_GROUND
    assert np.array_equal(columns[on_ground, 0], truth.ground_material[on_ground])
    assert min(on_shape.sum(), on_voxel.sum()) > 20
    assert (facing >= 0.0).all() and (facing <= 1.0 + 1e-12).all()


@pytest.mark.parametrize("seed", range(12))
def test_beams_cast_together_meet_what_each_meets_alone_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    if seed >= 3:  # less in the way, so that beams get far
        world.semantics[rng.random(world.semantics.shape) < 0.95] = Semantic.FREE
    packed = pack_world(world)
    model = LidarModel(num_azimuths=90, num_beams=40, max_elevation_deg=30.0, max_range_m=rng.uniform(4.0, 20.0))
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("zy", [rng.uniform(0.0, 6.0), 0.1 if seed % 4 == 3 else 0.0]).as_matrix()
    pose[:3, 3] = rng.uniform([-6, -6, 0.5], [6, 6, 4]) if seed % 6 else [-40.0, 3.0, 2.0]
    directions, shape = model.directions(), (model.num_azimuths, model.num_beams)
    range_m, surface, detail, facing = hits = (
        np.empty(shape), np.empty(shape, np.uint8), np.zeros((*shape, 2), np.int64), np.empty(shape)
    )  # fmt: skip
    cast_static(packed, measure_gaps(packed), (pose, pose, model.packed(), directions), model.max_range_m, *hits)
    masks, origin_m, voxel_m, num_levels, ground, raised, corner_m, cell_m, kerb_m = packed
    origin, aimed = pose[:3, 3].copy(), np.empty(3)
    for k in range(model.num_azimuths):
        for r in range(model.num_beams):
            aim(pose, directions[k, r], aimed)
            nearest_m, met, where, towards = model.max_range_m, SURFACE_NONE, (), 0.0
            t, material, axis = cast_ground(ground, raised, corner_m, cell_m, kerb_m, origin, aimed, GRASS)
            if t < nearest_m:
                nearest_m, met, towards = t, SURFACE_GROUND, abs(aimed[axis])
                where = (material if axis == 2 else Material.KERB,)
            t, ix, iy, _, axis = cast_voxels(masks, origin_m, voxel_m, num_levels, origin, aimed, nearest_m)
            if t < nearest_m:
                nearest_m, met, where, towards = t, SURFACE_VOXEL, (ix, iy), abs(aimed[axis]) if axis < 3 else 1.0
            assert (range_m[k, r], surface[k, r], facing[k, r]) == (nearest_m, met, towards)
            assert tuple(detail[k, r, : len(where)]) == where


@pytest.mark.parametrize("range_noise_m", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(4))
def test_counts_are_the_points_inside_the_boxes(seed: int, range_noise_m: float) -> None:
    counted, agents, conditions, _ = scan(seed, model=LidarModel(num_azimuths=360, range_noise_m=range_noise_m))
    sweep = counted.sweep
    points = np.c_[sweep.points_lidar_m.astype(np.float64), np.ones(len(sweep.ring))]
    world_from_lidar = LidarModel().lidar2ego
    for a in range(NUM_AGENTS):
        local_m = (points @ (np.linalg.inv(agents.world_from_shape[a]) @ world_from_lidar).T)[:, :3]
        half_m = agents.half_extent_m[a]
        inside = (np.abs(local_m) <= half_m).all(axis=1)
        assert counted.num_points[a] == inside.sum()
        own = sweep.instance == a + 1
        assert (np.abs(local_m[own]) <= half_m - 0.9 * INNER_M).all()
        # nothing but agents lies in a box, nor near enough to its faces for rounding to matter
        others = (sweep.instance == 0) | (sweep.instance >= STATIC_INSTANCE_OFFSET)
        assert not (np.abs(local_m[others]) <= half_m + 0.9 * 0.005).all(axis=1).any()
        if (conditions.instance == a + 1).any():
            assert counted.num_points[a] > 0


def test_what_only_a_camera_sees_gets_extra_returns_on_its_surface() -> None:
    blind = LidarModel(num_beams=2, num_azimuths=1, min_elevation_deg=80.0, max_elevation_deg=85.0)
    num_seen = 0
    for seed in range(8):
        counted, _, conditions, _ = scan(seed, model=blind)
        visible = np.bincount(conditions.instance[conditions.instance <= NUM_AGENTS], minlength=NUM_AGENTS + 1)[1:]
        for agent in np.flatnonzero(visible):
            mine = (counted.sweep.ring == EXTRA_RING) & (counted.sweep.instance == agent + 1)
            assert counted.num_points[agent] >= mine.sum() == min(5, visible[agent])
            seen_m = conditions.point_world_m[conditions.instance == agent + 1] - blind.lidar2ego[:3, 3]
            gap_m = np.linalg.norm(counted.sweep.points_lidar_m[mine][:, None] - seen_m, axis=-1).min(axis=1)
            assert (gap_m < 2.0 * INNER_M).all()
            num_seen += 1
    assert num_seen >= 4


def test_a_sweep_depends_on_its_step_and_nothing_before() -> None:
    model = LidarModel(num_azimuths=90)
    first, again, other = (scan(3, model=model, step=step)[0].sweep for step in (4, 4, 5))
    for name in ("points_lidar_m", "intensity", "ring", "instance"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert len(first.ring) != len(other.ring) or not np.array_equal(first.intensity, other.intensity)


def test_intensity_by_hand() -> None:
    # half of the light, met head on, 10 m away: 0.5 * exp(-0.1) = 0.4524
    assert intensity_of(0.5, 1.0, 10.0, 0.5) == pytest.approx(0.452419, abs=1e-6)
    # at grazing incidence a fifth of it
    assert intensity_of(0.5, 0.0, 10.0, 0.5) == pytest.approx(0.0904837, abs=1e-6)
    assert intensity_of(1.0, 1.0, 0.0, 1.0) == 1.0


def test_flat_ground_gives_rings_of_known_radius_and_some_beams_are_lost() -> None:
    rng = np.random.default_rng(0)
    world = random_world(rng)
    world.semantics[...] = Semantic.FREE
    world.ground[...] = Material.ASPHALT
    world = World(**{**{n: getattr(world, n) for n in World.__dataclass_fields__}, "shapes": ShapeSet.empty()})
    model = LidarModel(max_range_m=6.0)
    counted = LidarScanner(world, model=model, seed=0, scene_id="flat").scan(
        ShapeSet.empty(),
        boxes=AgentBoxes(world_from_box=np.zeros((0, 4, 4)), half_m=np.zeros((0, 3)), is_present=np.zeros(0, np.bool_)),
        world_from_ego=np.eye(4),
        conditions=see(world, ShapeSet.empty(), rng),
        step=0,
    )
    sweep = counted.sweep
    lowest = sweep.ring == 0
    radius_m = np.linalg.norm(sweep.points_lidar_m[lowest, :2], axis=1)
    # 1.84 m over the ground, 30.67 degrees down
    np.testing.assert_allclose(radius_m, 1.84 / np.tan(np.radians(30.67)), rtol=1e-5)
    # lost: 0.02 + 0.6 (3.607 / 6)^2 (1 - 0.15 (0.2 + 0.8 sin 30.67)) = 0.2174 of 1080
    assert 1.0 - lowest.sum() / 1080 == pytest.approx(0.2174 - 0.0013, abs=0.03)
    assert counted.num_points.shape == (0,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_beams": 1},
        {"num_azimuths": 0},
        {"min_elevation_deg": 20.0},
        {"min_range_m": 80.0},
        {"range_noise_m": -0.01},
        {"range_noise_m": 1.5},
        {"drop_out_scale": -1.0},
        {"turn_rate_hz": 0.0},
    ],
)
def test_impossible_sensors_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        LidarModel(**wrong)
