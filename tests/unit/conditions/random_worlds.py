"""Random small worlds, solids and rigs for the ray-casting tests."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.plain_things import clear_day, plain_statics
from scenegen.types import (
    STATIC_INSTANCE_OFFSET,
    Camera,
    CameraRig,
    GridSpec,
    Lighting,
    Material,
    Semantic,
    ShapeSet,
    World,
)

CAM_AXES = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def random_shapes(rng: np.random.Generator, *, count: int, first_instance: int) -> ShapeSet:
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.random(count, rng).as_matrix()
    poses[:, :3, 3] = rng.uniform([-8, -8, 0], [8, 8, 4], (count, 3))
    half = rng.uniform(0.1, 1.2, (count, 3))
    return ShapeSet(
        kind=rng.integers(0, 4, count).astype(np.uint8),
        world_from_shape=poses,
        half_extent_m=half,
        taper=rng.uniform(0.0, 0.9, (count, 2)),
        instance=(first_instance + np.arange(count)).astype(np.uint16),
        semantic=rng.integers(0, 11, count).astype(np.uint8),
        material=np.full(count, Material.BODY, np.uint8),
        box_from_world=np.linalg.inv(poses),
    )


def random_world(rng: np.random.Generator) -> World:
    shape = (24, 20, 14)
    semantics = np.full(shape, Semantic.FREE, np.uint8)
    semantics[rng.random(shape) < 0.06] = Semantic.MANMADE
    semantics[rng.random(shape) < 0.03] = Semantic.VEGETATION
    return World(
        grid=GridSpec(origin_m=tuple(rng.uniform(-9, -7, 3) * [1, 1, 0.0]), voxel_m=0.7, shape=shape),
        semantics=semantics,
        column_instance=rng.integers(1, 5, shape[:2]).astype(np.uint16),
        ground_origin_m=(float(rng.uniform(-9, -7)), float(rng.uniform(-9, -7))),
        ground_cell_m=0.37,
        ground=rng.integers(1, 9, (44, 40)).astype(np.uint8),
        kerb_height_m=0.15,
        shapes=random_shapes(rng, count=6, first_instance=STATIC_INSTANCE_OFFSET + 5),
        statics=plain_statics(5),
    )


def random_rig(rng: np.random.Generator, *, num_cameras: int, size_px: tuple[int, int]) -> CameraRig:
    cameras = []
    for index in range(num_cameras):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.random(None, rng).as_matrix() @ CAM_AXES
        if index % 2:  # near level, as on a car
            angles = rng.uniform([-np.pi, -0.2, -0.2], [np.pi, 0.2, 0.2])
            pose[:3, :3] = Rotation.from_euler("ZYX", angles).as_matrix() @ CAM_AXES
        pose[:3, 3] = rng.uniform([-6, -6, 0.02], [6, 6, 3.0])
        focal = rng.uniform(0.3, 1.5) * size_px[0]
        K = np.array([[focal, 0, size_px[0] / 2 + 3.3], [0, focal * 1.1, size_px[1] / 2 - 2.7], [0, 0, 1.0]])
        cameras.append(Camera(name=f"CAM_{index}", K=K, ego_from_cam=pose, size_px=size_px))
    return CameraRig(name="random", cameras=tuple(cameras))


def noon() -> Lighting:
    return clear_day((0.4, 0.3, 0.85))
