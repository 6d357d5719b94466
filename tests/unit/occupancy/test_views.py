"""Ego-frame occupancy: Occ3D layers, rotation with the ego, and the camera mask."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.geometry.lens import pixel_rays
from scenegen.geometry.rigid import planar_pose
from scenegen.occupancy.agents import build_agent_shapes
from scenegen.occupancy.build import build_world
from scenegen.occupancy.views import build_occupancy_view
from scenegen.types import Camera, Layout, OccupancyView, Semantic, ShapeSet, World

GROUND = (Semantic.DRIVEABLE_SURFACE, Semantic.OTHER_FLAT, Semantic.SIDEWALK, Semantic.TERRAIN)
GROUND_LAYER = 2
CAM_FORWARD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@pytest.fixture(scope="module")
def world(zoo: Layout) -> World:
    return build_world(zoo, seed=4)


def rays_of(K: np.ndarray, pixels: int) -> dict[str, np.ndarray]:
    """Return rays and focal length of a square pinhole view."""
    camera = Camera(name="CAM", K=K, ego_from_cam=np.eye(4), size_px=(pixels, pixels))
    return {"ray_cam": pixel_rays(camera)[None], "focal_px": np.full((1, pixels, pixels), K[0, 0])}


def cut(
    world: World, shapes: ShapeSet, world_from_ego: np.ndarray, *, depth_m: float = np.inf, pixels: int = 41
) -> OccupancyView:
    """Cut a view with one forward camera that sees a wall at `depth_m` everywhere."""
    ego_from_cam = np.eye(4)
    ego_from_cam[:3, :3], ego_from_cam[:3, 3] = CAM_FORWARD, [0.0, 0.0, 1.6]
    K = np.array([[100.0, 0.0, pixels / 2], [0.0, 100.0, pixels / 2], [0.0, 0.0, 1.0]])
    return build_occupancy_view(
        world,
        shapes,
        world_from_ego=world_from_ego,
        depth_m=np.full((1, pixels, pixels), depth_m, np.float32),
        world_from_cam=(world_from_ego @ ego_from_cam)[None],
        **rays_of(K, pixels),
    )


def test_ground_lies_in_the_layer_that_contains_zero(zoo: Layout, world: World) -> None:
    view = cut(world, build_agent_shapes(zoo, step=0), zoo.ego.world_from_ego[0])
    assert view.semantics.shape == (200, 200, 16)
    assert (view.semantics[:, :, :GROUND_LAYER] == Semantic.FREE).all()
    assert not np.isin(view.semantics[:, :, GROUND_LAYER + 1 :], GROUND).any()
    assert (view.semantics[:, :, GROUND_LAYER] != Semantic.FREE).all()
    assert view.semantics[100, 100, GROUND_LAYER] == Semantic.DRIVEABLE_SURFACE  # under the ego


def test_view_turns_with_the_ego(world: World) -> None:
    straight = cut(world, ShapeSet.empty(), planar_pose(0.0, 0.0, 0.0)).semantics
    turned = cut(world, ShapeSet.empty(), planar_pose(0.0, 0.0, np.pi / 2)).semantics
    # what lies ahead (+x) of the turned ego lay to the left (+y) of the straight one
    same = turned == np.rot90(straight, k=-1, axes=(0, 1))
    assert same.mean() > 0.99


def test_view_moves_with_the_ego(world: World) -> None:
    here = cut(world, ShapeSet.empty(), planar_pose(0.0, 0.0, 0.0)).semantics
    ahead = cut(world, ShapeSet.empty(), planar_pose(8.0, 0.0, 0.0)).semantics
    assert (ahead[:180] == here[20:]).mean() > 0.999


def test_agents_appear_with_their_class_and_instance(zoo: Layout, world: World) -> None:
    shapes = build_agent_shapes(zoo, step=10)
    for number, agent in enumerate(zoo.agents):
        pose = planar_pose(*agent.center_world_m[10, :2] - [6.0, 0.0], 0.0)
        view = cut(world, shapes, pose)
        assert view.instance is not None
        i, j, k = np.nonzero(view.instance == number + 1)
        assert len(i) > 0, agent.agent_id
        centre = np.stack([i + 0.5, j + 0.5, k + 0.5], axis=1).mean(axis=0) * 0.4 + [-40.0, -40.0, -1.0]
        assert np.abs(centre[:2] - [6.0, 0.0]).max() < 0.75, agent.agent_id
        volume = agent.size_lwh_m.prod() if agent.size_lwh_m[0] > 4.0 else np.inf
        assert len(i) * 0.064 < 1.6 * volume


def test_mask_reaches_the_surface_and_no_farther(world: World) -> None:
    pose = planar_pose(-40.0, -1.75, 0.0)
    view = cut(world, ShapeSet.empty(), pose, depth_m=10.1)
    i, j, _ = np.nonzero(view.mask_camera)
    reach = (i + 0.5) * 0.4 - 40.0
    assert reach.min() > -0.5
    assert 9.9 < reach.max() < 10.5
    assert np.abs((j + 0.5) * 0.4 - 40.0).max() < 2.6
    axis = view.mask_camera[100:125, 100, 6]
    assert axis.all()  # the ray along the optical axis, 1.6 m above the ground
    assert not view.mask_camera[127:].any()


def test_mask_agrees_with_densely_sampled_rays(world: World) -> None:
    generator = np.random.default_rng(3)
    pose = planar_pose(3.0, 1.0, 0.7)
    depth = generator.uniform(0.5, 60.0, (1, 12, 12)).astype(np.float32)
    ego_from_cam = np.eye(4)
    ego_from_cam[:3, :3], ego_from_cam[:3, 3] = CAM_FORWARD, [0.3, -0.2, 1.5]
    K = np.array([[8.0, 0.0, 6.0], [0.0, 8.0, 6.0], [0.0, 0.0, 1.0]])
    view = build_occupancy_view(
        world,
        ShapeSet.empty(),
        world_from_ego=pose,
        depth_m=depth,
        world_from_cam=(pose @ ego_from_cam)[None],
        **rays_of(K, 12),
    )
    sampled = np.zeros(view.mask_camera.shape, bool)
    for row in range(12):
        for column in range(12):
            ray = np.linalg.inv(K) @ [column + 0.5, row + 0.5, 1.0]
            reach = depth[0, row, column] + 0.1 / np.linalg.norm(ray)
            points = np.linspace(0.0, reach, 20000)[:, None] * ray
            ego = points @ ego_from_cam[:3, :3].T + ego_from_cam[:3, 3]
            cells = np.floor((ego - [-40.0, -40.0, -1.0]) / 0.4).astype(int)
            inside = ((cells >= 0) & (cells < sampled.shape)).all(axis=1)
            sampled[tuple(cells[inside].T)] = True
    assert not (sampled & ~view.mask_camera).any()
    assert (view.mask_camera & ~sampled).sum() <= 0.01 * sampled.sum()  # corners that samples step over
