"""What is shared between rays changes no bit: every pixel sees what a walk of its own sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scenegen.conditions.build import ConditionRenderer
from scenegen.conditions.kerbs import cells_to_raised
from scenegen.conditions.open_space import RAY_STRIDE
from scenegen.conditions.raycast import FAR_M, cast_ground, cast_voxels
from scenegen.conditions.static_kernel import add_up
from scenegen.geometry.lens import pixel_rays
from scenegen.types import Camera, CameraRig, Semantic, ShapeSet, World
from tests.unit.conditions.random_worlds import CAM_AXES, noon, random_rig, random_shapes, random_world
from tests.unit.geometry.lenses import bent_camera

SIZE_PX = (48, 40)
GRASS = 8


def see(world: World, rig: CameraRig, ego: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return class and depth of all views."""
    renderer = ConditionRenderer(world, rig=rig, lighting=noon(), num_agents=0)
    pose = np.eye(4) if ego is None else ego
    maps = renderer.render_semantic_depth([ShapeSet.empty()], world_from_ego=pose[None])
    return maps.semantic[:, 0], maps.depth_m[:, 0]


def walk_each(world: World, camera: Camera, pose: np.ndarray, canvas_px: tuple[int, int]) -> np.ndarray:
    """Return the depth of every pixel from a walk of its own."""
    renderer = ConditionRenderer(world, rig=CameraRig(name="one", cameras=(camera,)), lighting=noon(), num_agents=0)
    masks, origin_m, voxel_m, num_levels, ground, raised, corner_m, cell_m, kerb_m = renderer._world
    rays = pixel_rays(camera, canvas_px=canvas_px)
    depth = np.full(rays.shape[:2], np.inf, np.float32)
    o, m = pose[:3, 3].copy(), pose
    for v, u in np.argwhere(np.isfinite(rays[..., 0])):
        x, y = rays[v, u]
        d = np.array([m[a, 0] * x + m[a, 1] * y + m[a, 2] for a in range(3)])
        t, _, _ = cast_ground(ground, raised, corner_m, cell_m, kerb_m, o, d, GRASS)
        t = min(t, FAR_M)
        t = min(t, cast_voxels(masks, origin_m, voxel_m, num_levels, o, d, t)[0])
        depth[v, u] = t if t < FAR_M else np.inf
    return depth


def check(world: World, rig: CameraRig) -> None:
    world = replace(world, shapes=ShapeSet.empty())
    _, depth_m = see(world, rig)
    for view, camera in enumerate(rig.cameras):
        expected = walk_each(world, camera, np.ascontiguousarray(np.eye(4) @ camera.ego_from_cam), rig.size_px)
        assert depth_m[view].tobytes() == expected.tobytes(), camera.name


def upright(camera: Camera, heading: float, place: np.ndarray) -> Camera:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("z", heading).as_matrix() @ CAM_AXES
    pose[:3, 3] = place
    return replace(camera, ego_from_cam=pose)


@pytest.mark.parametrize("seed", range(3))
def test_any_pose(seed: int) -> None:
    rng = np.random.default_rng(300 + seed)
    check(random_world(rng), random_rig(rng, num_cameras=4, size_px=SIZE_PX))


def test_upright_cameras_inside_voxels_on_their_planes_and_outside_the_grid() -> None:
    rng = np.random.default_rng(9)
    world = random_world(rng)
    cameras = random_rig(rng, num_cameras=6, size_px=SIZE_PX).cameras
    corner, voxel_m = np.array(world.grid.origin_m), world.grid.voxel_m
    filled = np.argwhere(world.semantics != Semantic.FREE)[40]
    places = [
        *rng.uniform([-6, -6, 0.3], [6, 6, 3.0], (2, 3)),
        corner + voxel_m * (filled + 0.4),
        corner + voxel_m * np.array([11, 9, 4]),
        corner + voxel_m * np.array([11.5, 9.5, 4.5]),
        np.array([30.0, -14.0, 2.0]),
    ]
    headings = [0.3, 2.0, -1.0, 0.0, np.pi / 4, 2.5]
    rig = CameraRig(
        name="upright",
        cameras=tuple(upright(c, h, p) for c, h, p in zip(cameras, headings, places, strict=True)),
    )
    check(world, rig)


def test_bent_lenses_and_images_of_two_sizes() -> None:
    rng = np.random.default_rng(10)
    poses = [camera.ego_from_cam for camera in random_rig(rng, num_cameras=4, size_px=SIZE_PX).cameras]
    cameras = [
        replace(bent_camera(model, size_px=SIZE_PX), ego_from_cam=pose)
        for model, pose in zip(("brown_conrady", "fisheye", "f_theta"), poses, strict=False)
    ]
    small = random_rig(rng, num_cameras=1, size_px=(32, 24)).cameras[0]
    cameras.append(upright(replace(small, name="small"), 1.0, np.array([0.5, 0.2, 1.5])))
    check(random_world(rng), CameraRig(name="bent", cameras=tuple(cameras)))


def test_a_small_view_of_which_no_sampled_ray_is_seen() -> None:
    rng = np.random.default_rng(20)
    small, large = random_rig(rng, num_cameras=2, size_px=(104, 80)).cameras
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("y", 0.2).as_matrix() @ CAM_AXES
    pose[:3, 3] = [0.0, 0.0, 1.0]
    small = replace(bent_camera("fisheye", size_px=(32, 24)), ego_from_cam=pose)
    rig = CameraRig(name="sizes", cameras=(small, large))
    seen = np.isfinite(pixel_rays(small, canvas_px=rig.size_px)[..., 0])
    assert seen.any() and not seen[::RAY_STRIDE, ::RAY_STRIDE].any()
    check(random_world(rng), rig)


@pytest.mark.parametrize("filled", [Semantic.FREE, Semantic.MANMADE])
def test_grids_with_nothing_or_everything_in_them(filled: int) -> None:
    rng = np.random.default_rng(11)
    world = random_world(rng)
    world.semantics[...] = filled
    check(world, random_rig(rng, num_cameras=3, size_px=SIZE_PX))


def test_class_and_depth_alone_are_those_of_all_maps() -> None:
    rng = np.random.default_rng(12)
    world, agents = random_world(rng), random_shapes(rng, count=5, first_instance=1)
    rig = random_rig(rng, num_cameras=3, size_px=SIZE_PX)
    renderer = ConditionRenderer(world, rig=rig, lighting=noon(), num_agents=5)
    pose = np.eye(4)[None]
    whole = renderer.render([agents], previous_shapes=None, world_from_ego=pose, previous_world_from_ego=None)
    alone = renderer.render_semantic_depth([agents], world_from_ego=pose)
    assert alone.semantic.tobytes() == whole.semantic.tobytes()
    assert alone.depth_m.tobytes() == whole.depth_m.tobytes()
    again = renderer.render_semantic_depth([ShapeSet.empty()], world_from_ego=pose, out=alone)
    assert again is alone and (again.semantic != whole.semantic).any()


def test_sums_of_steps_are_those_of_a_walk() -> None:
    rng = np.random.default_rng(13)
    delta = np.concatenate([rng.uniform(0.05, 0.9, 4000), rng.integers(1, 64, 2000) / 64.0, np.full(200, 0.4)])
    t = rng.random(len(delta)) * delta
    t[::7] = 0.0
    adds = rng.integers(0, 400, len(delta))
    expected = t.copy()
    for count in range(400):
        expected += np.where(count < adds, delta, 0.0)
    add_up(t, delta, adds.astype(float))
    assert t.tobytes() == expected.tobytes()


def test_cells_to_the_nearest_raised_one() -> None:
    rng = np.random.default_rng(14)
    ground = np.where(rng.random((40, 31)) < 0.01, 6, 1).astype(np.uint8)
    raised = np.zeros(32, np.bool_)
    raised[6] = True
    cells = cells_to_raised(ground, raised)
    around = np.pad(ground == 6, 1, constant_values=True)
    sources = np.argwhere(around) - 1
    i, j = np.mgrid[0:40, 0:31]
    expected = np.min([np.maximum(abs(i - a), abs(j - b)) for a, b in sources], axis=0)
    np.testing.assert_array_equal(cells, expected)
