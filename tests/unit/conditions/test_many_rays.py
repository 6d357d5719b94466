"""The ray caster against the oracle on as many rays as are asked for, from upright and tilted, straight and bent views.

    SCENEGEN_ORACLE_RAYS=10000000 python -m pytest -n 0 -s --timeout 0 tests/unit/conditions/test_many_rays.py

Without the variable one world is looked at. A ray is a mismatch where class, instance, material of the ground or
whether it hits at all differ, or its depth by more than `MOST_DEPTH_ERROR` of itself.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from scenegen.conditions.build import ConditionRenderer
from scenegen.conditions.lens_kernel import pack_lens
from scenegen.conditions.raycast import NEAR_M
from scenegen.geometry.lens import pixel_rays
from scenegen.types import (
    PINHOLE,
    RAISED_MATERIALS,
    Camera,
    CameraRig,
    ConditionMaps,
    Material,
    Semantic,
    ShapeSet,
    World,
)
from tests.unit.conditions.oracle import cast_rays
from tests.unit.conditions.random_worlds import CAM_AXES, noon, random_rig, random_shapes, random_world
from tests.unit.geometry.lenses import bent_camera

RAYS_VARIABLE = "SCENEGEN_ORACLE_RAYS"
SIZE_PX = (160, 96)
NUM_AGENTS = 8
MOST_DEPTH_ERROR = 1e-5
BENT = ("fisheye", "fisheye", "f_theta", "brown_conrady")
REPORT_EVERY = 5


def upright(camera: Camera, *, heading_rad: float) -> Camera:
    """Return a camera without pitch and roll, at the same place."""
    pose = camera.ego_from_cam.copy()
    pose[:3, :3] = Rotation.from_euler("z", heading_rad).as_matrix() @ CAM_AXES
    return replace(camera, ego_from_cam=pose)


def mixed_rig(rng: np.random.Generator, world: World) -> CameraRig:
    """Return eight cameras: four pinholes and four bent, of each two upright, one nearly level and one in any pose."""
    drawn = random_rig(rng, num_cameras=8, size_px=SIZE_PX).cameras
    cameras = list(drawn[:4])
    for model, camera in zip(BENT, drawn[4:], strict=True):
        cameras.append(replace(bent_camera(model, size_px=SIZE_PX), ego_from_cam=camera.ego_from_cam))
    for index in (2, 3, 4, 7):
        cameras[index] = upright(cameras[index], heading_rad=rng.uniform(-np.pi, np.pi))
    named = (replace(camera, name=f"CAM_{index}") for index, camera in enumerate(cameras))
    return CameraRig(name="mixed", cameras=tuple(out_of_ground(camera, world) for camera in named))


def out_of_ground(camera: Camera, world: World) -> Camera:
    """Return a camera that would stand inside a kerb so much higher; nothing says what it sees from there."""
    pose = camera.ego_from_cam.copy()
    cell = np.floor((pose[:2, 3] - world.ground_origin_m) / world.ground_cell_m).astype(int)
    is_on_raster = ((cell >= 0) & (cell < world.ground.shape)).all()
    material = world.ground[tuple(cell)] if is_on_raster else Material.GRASS
    if material in RAISED_MATERIALS and pose[2, 3] <= world.kerb_height_m:
        pose[2, 3] += world.kerb_height_m
    return replace(camera, ego_from_cam=pose)


def some_world(rng: np.random.Generator, seed: int) -> World:
    """Return a random world; three of four have so few voxels that rays get far."""
    world = random_world(rng)
    kept = (1.0, 0.3, 0.1, 0.02)[seed % 4]
    semantics = np.where(rng.random(world.semantics.shape) < kept, world.semantics, Semantic.FREE).astype(np.uint8)
    return replace(world, semantics=semantics)


def find_mismatches(
    maps: ConditionMaps, view: int, camera: Camera, world: World, agents: ShapeSet
) -> tuple[int, np.ndarray]:
    """Return how many rays a view has, and the pixels (row, column) whose labels differ from the oracle's."""
    seen = maps.is_seen[view]
    xy = pixel_rays(camera, canvas_px=SIZE_PX)[seen]
    pose = maps.world_from_cam[view, 0]
    directions = np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ pose[:3, :3].T
    near_m = NEAR_M if camera.lens == PINHOLE else pack_lens(camera)[7]
    truth = cast_rays(world, agents, np.tile(pose[:3, 3], (len(xy), 1)), directions, near_m=near_m)
    depth_m = maps.depth_m[view, 0][seen]
    wrong = (maps.semantic[view, 0][seen] != truth.semantic) | (maps.instance[view, 0][seen] != truth.instance)
    wrong |= (truth.ground_material >= 0) & (maps.material[view, 0][seen] != truth.ground_material)
    wrong |= ~np.isclose(depth_m, truth.depth_m, rtol=MOST_DEPTH_ERROR, atol=0.0)
    return len(xy), np.argwhere(seen)[wrong]


def test_no_label_of_as_many_rays_as_asked_for_differs_from_the_oracle() -> None:
    asked = int(os.environ.get(RAYS_VARIABLE, "1"))
    num_rays, num_worlds, mismatches = 0, 0, []
    while num_rays < asked:
        seed = 1000 + num_worlds
        rng = np.random.default_rng(seed)
        world = some_world(rng, seed)
        agents = random_shapes(rng, count=NUM_AGENTS, first_instance=1)
        rig = mixed_rig(rng, world)
        renderer = ConditionRenderer(world, rig=rig, lighting=noon(), num_agents=NUM_AGENTS)
        maps = renderer.render(
            [agents], previous_shapes=None, world_from_ego=np.eye(4)[None], previous_world_from_ego=None
        )
        for view, camera in enumerate(rig.cameras):
            count, wrong = find_mismatches(maps, view, camera, world, agents)
            num_rays += count
            mismatches += [(seed, camera.name, *pixel) for pixel in wrong.tolist()]
        num_worlds += 1
        if num_worlds % REPORT_EVERY == 0:
            print(f"{num_rays:,} rays in {num_worlds} worlds, {len(mismatches)} mismatches", flush=True)
    print(f"{num_rays:,} rays in {num_worlds} worlds, {len(mismatches)} mismatches: {mismatches}")
    assert num_rays > 80_000
    assert not mismatches
