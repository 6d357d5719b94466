"""The ray caster in tensors gives the maps of the compiled one, on the processor to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from scenegen.conditions.build import ConditionRenderer
from scenegen.conditions.device import caster, cell_walk, solids, voxels
from scenegen.errors import DependencyError
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import read_layout
from scenegen.scene import SceneStage
from scenegen.types import Camera, CameraRig, Semantic, ShapeSet, World
from tests.unit.conditions.device_cases import Case, built_case, check_same, check_same_but_for_ties, small_rig, turned
from tests.unit.conditions.random_worlds import noon, random_rig, random_shapes, random_world
from tests.unit.conditions.test_lenses import bent_rig
from tests.unit.conditions.test_shared_walks import upright, walk_each

NUM_AGENTS = 8
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
        ],
    ),
]


@pytest.fixture(autouse=True)
def one_thread_and_no_ray_left_to_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(cell_walk, "FEW", 0)


def case_of(rng: np.random.Generator, world: World, rig: CameraRig) -> Case:
    now = random_shapes(rng, count=NUM_AGENTS, first_instance=1)
    before = replace(now, world_from_shape=now.world_from_shape.copy())
    before.world_from_shape[:, 0, 3] -= 0.2
    before = replace(before, box_from_world=np.linalg.inv(before.world_from_shape))
    poses = np.stack([np.eye(4), np.eye(4)])
    poses[0, 0, 3] = -0.3
    return Case(
        world=world,
        rig=rig,
        lighting=noon(),
        num_agents=NUM_AGENTS,
        # An agent that was not there a step earlier has no motion.
        shapes=(without_first(before), now),
        world_from_ego=poses,
    )


def without_first(shapes: ShapeSet) -> ShapeSet:
    return ShapeSet(**{name: getattr(shapes, name)[1:] for name in ShapeSet.__dataclass_fields__})


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(3))
def test_any_pose(seed: int, device: str) -> None:
    rng = np.random.default_rng(500 + seed)
    case = case_of(rng, random_world(rng), random_rig(rng, num_cameras=6, size_px=(72, 50)))
    maps = check_same(case, device=device)
    assert len(np.unique(maps.instance)) > 8
    assert 0.02 < maps.sun_visible[np.isfinite(maps.depth_m)].mean() < 0.98


@pytest.mark.parametrize("device", DEVICES)
def test_bent_lenses_and_images_of_two_sizes(device: str) -> None:
    rng = np.random.default_rng(510)
    check_same(case_of(rng, random_world(rng), bent_rig(rng, size_px=(80, 60))), device=device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("reference", "rig"),
    [
        ("library:crossing_pedestrian", "nuscenes6"),
        ("library:highway_merge", "hyperion7"),
        ("procedural:3", "surround_fisheye4"),
    ],
)
def test_scenes_as_they_are_built(reference: str, rig: str, device: str) -> None:
    maps = check_same(built_case(reference, rig, size_px=(96, 48)), device=device)
    assert len(np.unique(maps.semantic)) > 5
    assert maps.unoccluded_px.sum() > 0


@pytest.mark.parametrize("device", DEVICES)
def test_upright_and_tilted_cameras_of_a_built_scene(device: str) -> None:
    case = built_case("library:school_zone", "nuscenes6", size_px=(96, 48))
    for pitch_rad, roll_rad in ((0.0, 0.0), (0.3, -0.2)):
        rig = turned(case.rig, pitch_rad=pitch_rad, roll_rad=roll_rad)
        maps = check_same(replace(case, rig=rig), device=device)
        assert len(np.unique(maps.semantic)) > 5


def place_cameras(world: World, cameras: tuple[Camera, ...]) -> CameraRig:
    """Return upright cameras where decisions are close: on planes between voxels, inside one, and out of the grid."""
    corner, voxel_m = np.array(world.grid.origin_m), world.grid.voxel_m
    filled = np.argwhere(world.semantics != Semantic.FREE)[40]
    places = [
        corner + voxel_m * (filled + 0.4),
        corner + voxel_m * np.array([11, 9, 4]),
        corner + voxel_m * np.array([11.5, 9.5, 4]),
        np.array([30.0, -14.0, 2.0]),
        np.array([1.0, -2.0, 0.1]),
        np.array([60.0, 2.0, -0.5]),
    ]
    headings = [0.0, np.pi / 4, 0.0, 2.5, 0.3, 3.0]
    return CameraRig(
        name="upright",
        cameras=tuple(upright(c, h, p) for c, h, p in zip(cameras, headings, places, strict=True)),
    )


@pytest.mark.parametrize("device", DEVICES)
def test_rays_that_are_too_close_to_call_are_cast_alone(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    world = random_world(rng)
    rig = place_cameras(world, random_rig(rng, num_cameras=6, size_px=(48, 40)).cameras)
    K = np.array([[24.0, 0.0, 24.5], [0.0, 24.0, 20.5], [0.0, 0.0, 1.0]])
    rig = replace(rig, cameras=tuple(replace(camera, K=K) for camera in rig.cameras))
    alone = []

    def count(*arguments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        alone.append(len(arguments[-1]))
        return cast(*arguments)

    cast = voxels.cast_voxel_rays
    monkeypatch.setattr(voxels, "cast_voxel_rays", count)
    check_same(case_of(rng, world, rig), device=device)
    assert 0 < sum(alone) < 0.2 * 6 * 48 * 40


def see_static(world: World, rig: CameraRig) -> np.ndarray:
    """Return the depth of ground and voxels alone."""
    world = replace(world, shapes=ShapeSet.empty())
    renderer = ConditionRenderer(world, rig=rig, lighting=noon(), num_agents=0, device="cpu")
    return renderer.render_semantic_depth([ShapeSet.empty()], world_from_ego=np.eye(4)[None]).depth_m[:, 0]


def test_a_ray_along_an_edge_stays_on_its_side() -> None:
    """It leaves the edge by so little that rounding would not tell its side from the other."""
    rng = np.random.default_rng(17)
    world = random_world(rng)
    world.semantics[...] = Semantic.FREE
    world.semantics[11, 0, :] = Semantic.MANMADE
    world = replace(world, grid=replace(world.grid, origin_m=(0.0, 0.0, 0.0)))
    place = world.grid.voxel_m * np.array([11, 18.5, 5.5])
    camera = random_rig(rng, num_cameras=1, size_px=(25, 20)).cameras[0]
    K = np.array([[20.0, 0.0, 12.5], [0.0, 20.0, 10.5], [0.0, 0.0, 1.0]])
    camera = upright(replace(camera, K=K), 1.5 * np.pi, place)
    assert -1e-15 < camera.ego_from_cam[0, 2] < 0.0
    depth_m = see_static(world, CameraRig(name="one", cameras=(camera,)))[0]
    np.testing.assert_array_equal(depth_m, walk_each(world, camera, camera.ego_from_cam, (25, 20)))
    assert depth_m[10, 12] == pytest.approx(17.5 * world.grid.voxel_m)


@pytest.mark.parametrize("seed", range(4))
def test_round_places_headings_and_focal_lengths(seed: int) -> None:
    """Rays that meet planes of two axes at once, against a walk of their own."""
    rng = np.random.default_rng(600 + seed)
    world = random_world(rng)
    size_px = (22, 18)
    cameras = []
    for camera in random_rig(rng, num_cameras=8, size_px=size_px).cameras:
        focal_px = float(rng.integers(4, 40))
        K = np.array([[focal_px, 0.0, 11.5], [0.0, focal_px, 9.0], [0.0, 0.0, 1.0]])
        place = np.array(world.grid.origin_m) + world.grid.voxel_m * rng.integers(1, 28, 3) / 2
        cameras.append(upright(replace(camera, K=K), rng.integers(8) * np.pi / 4, place))
    depth_m = see_static(world, CameraRig(name="round", cameras=tuple(cameras)))
    for view, camera in enumerate(cameras):
        np.testing.assert_array_equal(depth_m[view], walk_each(world, camera, camera.ego_from_cam, size_px))


@pytest.mark.parametrize("filled", [Semantic.FREE, Semantic.MANMADE])
def test_grids_with_nothing_or_everything_in_them(filled: int) -> None:
    rng = np.random.default_rng(11)
    world = random_world(rng)
    world.semantics[...] = filled
    check_same(case_of(rng, world, random_rig(rng, num_cameras=3, size_px=(48, 40))), device="cpu")


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(12)
    case = case_of(rng, random_world(rng), random_rig(rng, num_cameras=4, size_px=(48, 40)))
    monkeypatch.setattr(cell_walk, "FEW", 256)
    monkeypatch.setattr(caster, "MOST_RAYS", 2 * 48 * 40)
    monkeypatch.setattr(solids, "MOST_PAIRS", 500)
    monkeypatch.setattr("scenegen.conditions.device.sun.MOST_PAIRS", 500)
    check_same(case, device="cpu")


def test_of_two_solids_at_one_depth_the_first_is_seen() -> None:
    rng = np.random.default_rng(13)
    world = random_world(rng)
    case = case_of(rng, world, random_rig(rng, num_cameras=3, size_px=(48, 40)))
    twins = ShapeSet.concatenate([case.shapes[1], case.shapes[1]])
    twins.instance[NUM_AGENTS:] += NUM_AGENTS
    check_same(replace(case, shapes=(case.shapes[0], twins), num_agents=2 * NUM_AGENTS), device="cpu")


def test_class_and_depth_alone_are_those_of_all_maps() -> None:
    rng = np.random.default_rng(14)
    case = case_of(rng, random_world(rng), random_rig(rng, num_cameras=3, size_px=(48, 40)))
    renderer = ConditionRenderer(case.world, rig=case.rig, lighting=noon(), num_agents=NUM_AGENTS, device="cpu")
    alone = renderer.render_semantic_depth(case.shapes[1:], world_from_ego=case.world_from_ego[1:])
    whole = case.render(None)
    assert alone.semantic.tobytes() == whole.semantic.tobytes()
    assert alone.depth_m.tobytes() == whole.depth_m.tobytes()


def test_the_comparison_takes_ties_and_nothing_else() -> None:
    rng = np.random.default_rng(16)
    case = case_of(rng, random_world(rng), random_rig(rng, num_cameras=2, size_px=(120, 90)))
    expected = case.render(None)
    pixel = tuple(np.argwhere(np.isfinite(expected.depth_m))[0])
    semantic = expected.semantic.copy()
    semantic[pixel] ^= 1
    check_same_but_for_ties(expected, replace(expected, semantic=semantic))
    depth_m = expected.depth_m.copy()
    depth_m[pixel] *= 1.0 + 1e-5
    with pytest.raises(AssertionError):
        check_same_but_for_ties(expected, replace(expected, semantic=semantic, depth_m=depth_m))
    with pytest.raises(AssertionError):
        check_same_but_for_ties(expected, replace(expected, semantic=expected.semantic ^ 1))


def test_the_steps_of_a_scene_from_its_first() -> None:
    layout = extend_layout(read_layout("library:cut_in"), duration_s=1.0, rate_hz=12.0)
    rig = small_rig("front1", size_px=(96, 48))
    stages = [SceneStage(layout, rig=rig, seed=1, device=device) for device in (None, "cpu")]
    for span in ((0, 3), (3, 5)):
        compiled, there = (stage.render_conditions(*span) for stage in stages)
        for name in ("semantic", "depth_m", "instance", "motion_px", "sun_visible", "unoccluded_px"):
            assert getattr(there, name).tobytes() == getattr(compiled, name).tobytes(), name


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here: this is what asking without one says")
def test_cuda_without_a_device_is_refused_before_any_work() -> None:
    rng = np.random.default_rng(15)
    with pytest.raises(DependencyError, match="a CUDA device"):
        ConditionRenderer(
            random_world(rng),
            rig=random_rig(rng, num_cameras=1, size_px=(48, 40)),
            lighting=noon(),
            num_agents=0,
            device="cuda",
        )
