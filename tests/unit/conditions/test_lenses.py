"""Bent lenses in the ray caster: the oracle's labels, a pinhole's view of the same place, and conservative bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from scenegen.conditions.build import ConditionRenderer
from scenegen.conditions.lens_kernel import lens_pixel_bounds, pack_lens, project_bent, ray_spans
from scenegen.conditions.solid_kernel import enter_shape
from scenegen.geometry.lens import pixel_rays, project_points
from scenegen.geometry.rigid import invert_rigid
from scenegen.types import Camera, CameraRig, ConditionMaps, ShapeSet, World
from tests.unit.conditions.oracle import cast_rays
from tests.unit.conditions.random_worlds import noon, random_rig, random_shapes, random_world
from tests.unit.geometry.lenses import bent_camera

BENT = ("brown_conrady", "fisheye", "f_theta")
NUM_AGENTS = 8


def bent_rig(rng: np.random.Generator, *, size_px: tuple[int, int] = (160, 96)) -> CameraRig:
    """Return one camera per lens in random poses; the last is smaller than the others."""
    poses = [camera.ego_from_cam for camera in random_rig(rng, num_cameras=4, size_px=size_px).cameras]
    cameras = [
        replace(bent_camera(model, size_px=size_px), ego_from_cam=pose)
        for model, pose in zip(BENT, poses, strict=False)
    ]
    small = replace(bent_camera("fisheye", size_px=(104, 80), name="small"), ego_from_cam=poses[3])
    return CameraRig(name="bent", cameras=(*cameras, small))


def render(world: World, agents: ShapeSet, rig: CameraRig) -> ConditionMaps:
    renderer = ConditionRenderer(world, rig=rig, lighting=noon(), num_agents=NUM_AGENTS)
    return renderer.render([agents], previous_shapes=None, world_from_ego=np.eye(4)[None], previous_world_from_ego=None)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_label_equals_the_oracle(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    world = random_world(rng)
    agents = random_shapes(rng, count=NUM_AGENTS, first_instance=1)
    rig = bent_rig(rng)
    maps = render(world, agents, rig)
    for view, camera in enumerate(rig.cameras):
        seen = maps.is_seen[view]
        xy = pixel_rays(camera, canvas_px=rig.size_px)[seen]
        pose = maps.world_from_cam[view, 0]
        directions = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ pose[:3, :3].T
        origins = np.tile(pose[:3, 3], (len(xy), 1))
        truth = cast_rays(world, agents, origins, directions, near_m=pack_lens(camera)[7])
        assert (maps.semantic[view, 0][seen] == truth.semantic).all(), camera.name
        assert (maps.instance[view, 0][seen] == truth.instance).all(), camera.name
        depth_m = maps.depth_m[view, 0][seen]
        np.testing.assert_array_equal(np.isinf(depth_m), np.isinf(truth.depth_m))
        hit = np.isfinite(depth_m)
        np.testing.assert_allclose(depth_m[hit], truth.depth_m[hit], rtol=1e-5)
        assert (maps.instance[view, 0][~seen] == 0).all()
        assert np.isinf(maps.depth_m[view, 0][~seen]).all()
        assert np.isnan(maps.motion_px[view, 0][~seen]).all()


def test_a_pinhole_along_a_fisheye_ray_sees_the_same() -> None:
    """The middle pixel of a narrow pinhole, turned to look along the ray of a fisheye's pixel."""
    rng = np.random.default_rng(7)
    world = random_world(rng)
    agents = random_shapes(rng, count=NUM_AGENTS, first_instance=1)
    fisheye = bent_rig(rng).cameras[1]
    maps = render(world, agents, CameraRig(name="one", cameras=(fisheye,)))
    rows, columns = np.nonzero(maps.is_seen[0])
    picks = rng.choice(len(rows), 12, replace=False)
    K = np.array([[100.0, 0.0, 0.5], [0.0, 100.0, 0.5], [0.0, 0.0, 1.0]])
    cameras, ranges_m = [], []
    for index, (row, column) in enumerate(zip(rows[picks], columns[picks], strict=True)):
        ray = np.array([*maps.ray_cam[0, row, column], 1.0])
        ray_ego = fisheye.ego_from_cam[:3, :3] @ ray / np.linalg.norm(ray)
        turn, _ = Rotation.align_vectors([ray_ego], [[0.0, 0.0, 1.0]])
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn.as_matrix(), fisheye.ego_from_cam[:3, 3]
        cameras.append(Camera(name=f"P{index}", K=K, ego_from_cam=pose, size_px=(1, 1)))
        ranges_m.append(maps.depth_m[0, 0, row, column] * np.linalg.norm(ray))
    straight = render(world, agents, CameraRig(name="straight", cameras=tuple(cameras)))
    np.testing.assert_array_equal(straight.instance[:, 0, 0, 0], maps.instance[0, 0, rows[picks], columns[picks]])
    np.testing.assert_allclose(straight.depth_m[:, 0, 0, 0], ranges_m, rtol=1e-5)


@pytest.mark.parametrize("model", BENT)
def test_kernel_projects_as_geometry_does(model: str) -> None:
    rng = np.random.default_rng(1)
    camera = bent_camera(model)
    points = rng.uniform([-4, -4, -1], [4, 4, 4], (2000, 3))
    expected = project_points(points, camera)
    lens = pack_lens(camera)
    found = np.array([project_bent(lens, *point) for point in points])
    assert 0.1 < np.isfinite(expected[:, 0]).mean() < 0.9
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("model", ["pinhole", *BENT])
def test_bounds_hold_every_pixel_that_a_solid_covers(model: str) -> None:
    """Cast every ray at every solid; those that hit lie inside the bounds, which are not simply the image."""
    rng = np.random.default_rng(2)
    camera = bent_camera(model)
    width, height = camera.size_px
    rays, lens = pixel_rays(camera), pack_lens(camera)
    spans = ray_spans(rays)
    shapes = random_shapes(rng, count=24, first_instance=1)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("ZYX", [0.3, 0.1, -0.1]).as_matrix()
    shapes.world_from_shape[:, :3, 3] += [0.0, 0.0, rng.uniform(-1.0, 6.0)]
    area, num_hit = 0, 0
    for s in range(len(shapes)):
        half, placed = shapes.half_extent_m[s], shapes.world_from_shape[s]
        u0, u1, v0, v1 = lens_pixel_bounds(half, placed, invert_rigid(pose), lens, spans, width, height)
        area += max(u1 - u0, 0) * max(v1 - v0, 0)
        for v in range(0, height, 5):
            for u in range(0, width, 5):
                if np.isnan(rays[v, u, 0]):
                    continue
                direction = pose[:3, :3] @ [*rays[v, u], 1.0]
                t, *_ = enter_shape(shapes.kind[s], half, shapes.taper[s], placed, pose[:3, 3], direction)
                if lens[7] < t < 1e3:
                    num_hit += 1
                    assert u0 <= u < u1 and v0 <= v < v1, (s, u, v, (u0, u1, v0, v1))
    assert num_hit > 50
    assert area < 0.5 * len(shapes) * width * height


@pytest.mark.parametrize("model", BENT)
def test_motion_leads_to_where_the_point_was(model: str) -> None:
    rng = np.random.default_rng(3)
    world = random_world(rng)
    empty = ShapeSet.empty()
    camera = next(c for c in bent_rig(rng).cameras if c.name == model)
    renderer = ConditionRenderer(world, rig=CameraRig(name="one", cameras=(camera,)), lighting=noon(), num_agents=0)
    before = np.eye(4)
    before[0, 3] = -0.3
    maps = renderer.render(
        [empty], previous_shapes=empty, world_from_ego=np.eye(4)[None], previous_world_from_ego=before
    )
    hit = np.isfinite(maps.depth_m[0, 0])
    cam_from_world = invert_rigid(before @ camera.ego_from_cam)
    points = maps.point_world_m[0, 0][hit].astype(float) @ cam_from_world[:3, :3].T + cam_from_world[:3, 3]
    then = project_points(points, camera)
    v, u = np.nonzero(hit)
    motion = maps.motion_px[0, 0][hit]
    np.testing.assert_array_equal(np.isnan(motion), np.isnan(then))
    known = np.isfinite(then[:, 0])
    assert known.sum() > 1000
    np.testing.assert_allclose((motion + np.stack([u + 0.5, v + 0.5], axis=1))[known], then[known], atol=2e-3)


def test_agents_count_only_pixels_that_are_seen() -> None:
    rng = np.random.default_rng(4)
    world = random_world(rng)
    agents = random_shapes(rng, count=NUM_AGENTS, first_instance=1)
    rig = bent_rig(rng)
    maps = render(world, agents, rig)
    for view in range(len(rig.cameras)):
        instance = maps.instance[view, 0]
        visible = np.bincount(instance[(instance > 0) & (instance <= NUM_AGENTS)], minlength=NUM_AGENTS + 1)[1:]
        assert (visible <= maps.unoccluded_px[view, 0]).all()
        assert maps.unoccluded_px[view, 0].max() <= maps.is_seen[view].sum()
