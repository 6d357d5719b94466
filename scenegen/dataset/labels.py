"""The labels of one step as the reader returns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64, UInt8, UInt16

from scenegen.errors import DatasetError
from scenegen.types import belongs_to_agent

Array = TypeVar("Array", bound=np.ndarray)

GENERATE_AGAIN = (
    "generate the data set again with this version, or open it with scenegen.rerender.open_rendered, "
    "which makes pixel maps and sweeps anew from the scene's layout"
)


def missing_label_error(path: str, *, scene_id: str) -> DatasetError:
    """Return the error for a label that a scene was written without."""
    return DatasetError(
        f"an array {path!r}",
        found="a scene written without it, by an earlier version or as configured",
        where=f"scene {scene_id}",
        fix=GENERATE_AGAIN,
    )


def present(values: Array | None, path: str, *, scene_id: str) -> Array:
    """Return the values of a label that a scene may be written without.

    Raises:
        DatasetError: it was.
    """
    if values is None:
        raise missing_label_error(path, scene_id=scene_id)
    return values


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """The agents of one step, world frame. `category_names[category[n]]` names the category of box n.

    `found_share` is the share of the judged views of box n's agent, over the whole scene, in which the judge found
    it; NaN where none was judged. `stored_lidar_pts` is None in scenes written without it.
    """

    scene_id: str
    center_world_m: Float64[np.ndarray, "N 3"]
    size_lwh_m: Float64[np.ndarray, "N 3"]
    rotation_wxyz: Float64[np.ndarray, "N 4"]
    velocity_world_mps: Float64[np.ndarray, "N 2"]
    track_id: Int32[np.ndarray, " N"]
    category: UInt8[np.ndarray, " N"]
    category_names: tuple[str, ...]
    attribute: tuple[str, ...]
    visibility: UInt8[np.ndarray, " N"]
    visible_fraction: Float32[np.ndarray, " N"]
    visible_height_px: Float32[np.ndarray, " N"]
    found_share: Float32[np.ndarray, " N"]
    stored_lidar_pts: Int32[np.ndarray, " N"] | None

    def __len__(self) -> int:
        return len(self.track_id)

    @property
    def num_lidar_pts(self) -> Int32[np.ndarray, " N"]:
        """Points of the step's simulated sweep inside each box; never 0 where a camera sees the agent.

        Raises:
            DatasetError: the scene was written without it.
        """
        return present(self.stored_lidar_pts, "objects/num_lidar_pts", scene_id=self.scene_id)


@dataclass(frozen=True, kw_only=True)
class Boxes2d:
    """The agents that one camera sees at one step, by box index.

    Attributes:
        box: index into `Scene.boxes(step)`.
        xyxy_px: tight box around the visible pixels, x1 y1 x2 y2 in pixel edges.
        center_px: where the box centre projects, also outside the image; NaN outside the lens's field of view.
        depth_m: z-depth of the box centre.
        visible_fraction: share of its own pixels in this camera that nothing hides.
        num_px: visible pixels, at least 1.
    """

    box: Int64[np.ndarray, " N"]
    xyxy_px: Float32[np.ndarray, "N 4"]
    center_px: Float32[np.ndarray, "N 2"]
    depth_m: Float32[np.ndarray, " N"]
    visible_fraction: Float32[np.ndarray, " N"]
    num_px: Int32[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.box)

    @staticmethod
    def of_columns(columns: Mapping[str, np.ndarray]) -> Boxes2d:
        """Return the rows of the store's `objects2d`, whose columns are called as there."""
        return Boxes2d(
            box=columns["box"],
            xyxy_px=columns["xyxy"],
            center_px=columns["center"],
            depth_m=columns["depth"],
            visible_fraction=columns["visible_fraction"],
            num_px=columns["num_px"],
        )


@dataclass(frozen=True, kw_only=True)
class LidarSweep:
    """One turn of the simulated LiDAR; see `scenegen.conditions.lidar` for the model.

    Attributes:
        points_lidar_m: frame `lidar`: x forward, y left, z up, on the roof (`Scene.lidar2ego`).
        intensity: 0..1.
        ring: beam, 0 the lowest; 255 an extra return, which no beam made.
        instance: 0 ground, 1 + track_id an agent, from 0x8000 static things.
        box: index into `Scene.boxes(step)` of the agent hit; -1 for none.
        time_offset_us: when it was hit, after the step; None unless the sensor is rolling (`lidar.is_rolling`).
    """

    points_lidar_m: Float32[np.ndarray, "P 3"]
    intensity: Float32[np.ndarray, " P"]
    ring: UInt8[np.ndarray, " P"]
    instance: UInt16[np.ndarray, " P"]
    box: Int32[np.ndarray, " P"]
    time_offset_us: Int32[np.ndarray, " P"] | None = None

    def __len__(self) -> int:
        return len(self.ring)


@dataclass(frozen=True, kw_only=True)
class Occupancy:
    """Ego-frame occupancy of one step, Occ3D meaning: 0 others .. 16 vegetation, 17 free.

    `velocity_ego_mps` is that of each agent of the scene at this step (zero where it is absent), in ego axes; the
    `stored_` arrays are None in scenes written without them.
    """

    scene_id: str
    semantics: UInt8[np.ndarray, "X Y Z"]
    mask_camera: UInt8[np.ndarray, "X Y Z"]
    stored_mask_lidar: UInt8[np.ndarray, "X Y Z"] | None
    stored_instance: UInt16[np.ndarray, "X Y Z"] | None
    velocity_ego_mps: Float32[np.ndarray, "A 2"]

    @property
    def mask_lidar(self) -> UInt8[np.ndarray, "X Y Z"]:
        """1 where a beam of the simulated sweep that returned crosses or hits the voxel.

        Raises:
            DatasetError: the scene was written without it.
        """
        return present(self.stored_mask_lidar, "occupancy/mask_lidar", scene_id=self.scene_id)

    @property
    def instance(self) -> UInt16[np.ndarray, "X Y Z"]:
        """What fills a voxel: 0 nothing or ground, 1 + track_id an agent, from 0x8000 static things.

        Raises:
            DatasetError: the scene was written without it.
        """
        return present(self.stored_instance, "occupancy/instance", scene_id=self.scene_id)

    @cached_property
    def flow_mps(self) -> Float32[np.ndarray, "X Y Z 2"]:
        """Velocity over ground of the agent in each voxel, in ego axes; zero elsewhere.

        Raises:
            DatasetError: the scene was written without `occupancy/instance`.
        """
        flow = np.zeros((*self.instance.shape, 2), np.float32)
        is_agent = belongs_to_agent(self.instance)
        flow[is_agent] = self.velocity_ego_mps[self.instance[is_agent].astype(np.int64) - 1]
        return flow
