"""What the renderer's benchmarks look at: a synthetic street, a world built by scenegen, and rigs in two attitudes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial.transform import Rotation

from benchmarks.ablations.clips import read_rig
from benchmarks.plain_things import clear_day, plain_statics
from scenegen.conditions.build import ConditionRenderer
from scenegen.geometry.lens import pixel_rays
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import read_layout
from scenegen.occupancy.build import build_world
from scenegen.types import (
    CameraRig,
    GridSpec,
    Material,
    Semantic,
    ShapeSet,
    World,
)

SIZE_PX = (400, 224)
RIG_FILE = Path("conf/rig/nuscenes6.yaml")
MOST_TILT_RAD = np.deg2rad(25.0)
RATE_HZ = 12.0


@dataclass(frozen=True, kw_only=True)
class View:
    """A world and the six cameras in it."""

    world: World
    rig: CameraRig
    world_from_ego: Float64[np.ndarray, "4 4"]

    def open_renderer(self) -> ConditionRenderer:
        """Return our renderer for this view."""
        return ConditionRenderer(self.world, rig=self.rig, lighting=clear_day((0.0, 0.0, 1.0)), num_agents=0)

    def rays(self) -> tuple[Float64[np.ndarray, "N 3"], Float64[np.ndarray, "N 3"]]:
        """Return origins and directions of all pixels in the world, in order V H W; directions have unit z-depth."""
        origins, directions = [], []
        for camera in self.rig.cameras:
            pose = self.world_from_ego @ camera.ego_from_cam
            xy = pixel_rays(camera).reshape(-1, 2)
            directions.append(np.concatenate([xy, np.ones((len(xy), 1))], axis=1) @ pose[:3, :3].T)
            origins.append(np.tile(pose[:3, 3], (len(xy), 1)))
        return np.concatenate(origins), np.concatenate(directions)

    def packed_rays(self) -> Float32[np.ndarray, "N 6"]:
        """Return the same as Open3D wants it."""
        return np.concatenate(self.rays(), axis=1).astype(np.float32)


def level_rig(size_px: tuple[int, int] = SIZE_PX) -> CameraRig:
    """Return the six cameras of nuScenes at a size, each upright: its place and heading kept, pitch and roll taken."""
    rig = sized_rig(size_px)
    cameras = []
    for camera in rig.cameras:
        heading = np.arctan2(camera.ego_from_cam[1, 2], camera.ego_from_cam[0, 2])
        pose = camera.ego_from_cam.copy()
        pose[:3, :3] = Rotation.from_euler("z", heading).as_matrix() @ [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
        cameras.append(replace(camera, ego_from_cam=pose))
    return replace(rig, name="level", cameras=tuple(cameras))


def tilted_rig(size_px: tuple[int, int] = SIZE_PX) -> CameraRig:
    """Return the same cameras, each pitched and rolled by up to 25 degrees."""
    rng = np.random.default_rng(5)
    cameras = []
    for camera in level_rig(size_px).cameras:
        pose = camera.ego_from_cam.copy()
        pitch, roll = rng.uniform(-MOST_TILT_RAD, MOST_TILT_RAD, 2)
        pose[:3, :3] = pose[:3, :3] @ Rotation.from_euler("xz", [pitch, roll]).as_matrix()
        cameras.append(replace(camera, ego_from_cam=pose))
    return replace(level_rig(size_px), name="tilted", cameras=tuple(cameras))


def sized_rig(size_px: tuple[int, int]) -> CameraRig:
    """Return the calibrated rig with images of another size, scaled by width."""
    cameras = []
    for camera in read_rig(RIG_FILE).cameras:
        K = camera.K.copy()
        K[:2] *= size_px[0] / camera.size_px[0]
        cameras.append(replace(camera, K=K, size_px=size_px))
    return CameraRig(name="nuscenes6", cameras=tuple(cameras))


def street(length_m: float = 80.0) -> World:
    """Return a street of voxels, ground included, as occupancy data sets have it: 0.4 m, 16 levels, 80 m wide.

    Houses on both sides, a row of trees, parked cars and poles. The ground under and around the voxels is flat.
    """
    rng = np.random.default_rng(0)
    voxel_m = 0.4
    num_x, num_y, num_z = round(length_m / voxel_m), 200, 16
    semantics = np.full((num_x, num_y, num_z), Semantic.FREE, np.uint8)
    semantics[:, :, 0] = Semantic.SIDEWALK
    semantics[:, 90:110, 0] = Semantic.DRIVEABLE_SURFACE
    for x in range(0, num_x, 30):
        for near, far in ((70 - int(rng.integers(8)), 40), (130 + int(rng.integers(8)), 165)):
            low, high = sorted((near, far))
            semantics[x : x + int(rng.integers(18, 28)), low:high, : int(rng.integers(6, 16))] = Semantic.MANMADE
    for x in range(6, num_x, 25):
        for y in (84, 116):
            semantics[x, y, :5] = Semantic.VEGETATION
            crown = rng.random((9, 9, 7)) < 0.6
            part = semantics[x - 4 : x + 5, y - 4 : y + 5, 5:12]
            part[crown[: part.shape[0]]] = Semantic.VEGETATION
    for x in range(12, num_x - 12, 17):
        y = 91 if rng.random() < 0.5 else 105
        semantics[x : x + 11, y : y + 4, 1:4] = Semantic.CAR
    for x in range(0, num_x, 40):
        semantics[x, 88, :14] = semantics[x, 112, :14] = Semantic.OTHERS
    return World(
        grid=GridSpec(origin_m=(-length_m / 2, -40.0, 0.0), voxel_m=voxel_m, shape=semantics.shape),
        semantics=semantics,
        column_instance=np.ones((num_x, num_y), np.uint16),
        ground_origin_m=(-length_m / 2, -40.0),
        ground_cell_m=0.4,
        ground=np.full((num_x, num_y), Material.GRASS, np.uint8),
        kerb_height_m=0.0,
        shapes=ShapeSet.empty(),
        statics=plain_statics(2),
    )


def street_views() -> tuple[View, View]:
    """Return the street seen from its middle by upright and by tilted cameras, that stand on the ground layer."""
    ego = np.eye(4)
    ego[:3, 3] = [0.0, 0.35, 0.4]
    world = street()
    return (
        View(world=world, rig=level_rig(), world_from_ego=ego),
        View(world=world, rig=tilted_rig(), world_from_ego=ego),
    )


def built_views(name: str = "crossing_pedestrian") -> tuple[View, View]:
    """Return a world of four seconds' drive built by rules: voxels and ground alone, flat for the baselines."""
    layout = extend_layout(read_layout(f"library:{name}"), duration_s=4.0, rate_hz=RATE_HZ)
    world = replace(build_world(layout, seed=0), shapes=ShapeSet.empty(), kerb_height_m=0.0)
    ego = layout.ego.world_from_ego[len(layout.ego.world_from_ego) // 2]
    return (
        View(world=world, rig=level_rig(), world_from_ego=ego),
        View(world=world, rig=tilted_rig(), world_from_ego=ego),
    )
