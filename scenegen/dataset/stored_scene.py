"""A scene as it is stored, and its labels step by step: numpy out, and lazy where there is much of it.

One class and long, because it is the whole of what a reader of a scene can ask for: a short method per label, each a
look-up in the arrays that other modules open, check, render and describe.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np
import zarr
from jaxtyping import Bool, Float64, Int64, UInt8

from scenegen.dataset.annotated2d import Annotated2d
from scenegen.dataset.damage import damage_error
from scenegen.dataset.jpeg_codec import register_image_codecs
from scenegen.dataset.labels import Boxes, Boxes2d, LidarSweep, Occupancy, missing_label_error
from scenegen.dataset.receipt import Receipt
from scenegen.dataset.rendered import LabelRenderer, RenderedArray
from scenegen.dataset.scene_files import SceneFiles
from scenegen.dataset.schema import ADDED_ARRAYS, CAMERA_FIELD, LIDAR_TIMES, SPEC_OF_PATH
from scenegen.dataset.stored_array import StoredArray
from scenegen.dataset.stored_header import read_lidar, read_provenance, read_recording, read_rig
from scenegen.dataset.strict_store import StrictStore
from scenegen.errors import DatasetError, StorageError
from scenegen.types import (
    CameraRig,
    DenseLabels,
    Layout,
    LidarModel,
    Recording,
    SceneRecord,
    Sweep,
    WorldVoxels,
)
from scenegen.types.layout_json import layout_from_dict

register_image_codecs()

LabelArray: TypeAlias = StoredArray | RenderedArray
"""A lazy array over time, stored or rendered on read; both are sliced alike and hold the same bytes."""


class Scene:
    """One scene. Arrays of the calibration and the tracks are read on first use; pictures and voxels when sliced.

    Labels that a scene was written without raise `DatasetError`, except where a renderer makes them anew.
    """

    def __init__(
        self, scene_id: str, files: SceneFiles, receipt: Receipt, *, open_renderer: OpenRenderer | None = None
    ) -> None:
        self.scene_id = scene_id
        self._open_renderer = open_renderer
        self.receipt = receipt
        self.files = files
        try:
            self._group = zarr.open_group(StrictStore(files), mode="r")
            self.attrs: dict[str, Any] = dict(self._group.attrs)
        except StorageError:
            raise
        except Exception as error:
            raise self.damage_error("", str(error)) from error

    @property
    def location(self) -> str:
        """Folder or URL of the scene's Zarr store."""
        return self.files.storage.where(self.files.prefix)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras, in the order of the rig."""
        return tuple(camera["name"] for camera in self.attrs["rig"]["cameras"])

    @property
    def num_steps(self) -> int:
        """Steps of the scene."""
        return int(self.attrs["timeline"]["num_steps"])

    @property
    def rate_hz(self) -> float:
        """Steps per second."""
        return float(self.attrs["timeline"]["rate_hz"])

    @cached_property
    def timestamps_us(self) -> Int64[np.ndarray, " T"]:
        """Microseconds from scene start."""
        return self.array("time/timestamp_us")[:]

    @cached_property
    def is_key_frame(self) -> Bool[np.ndarray, " T"]:
        """Steps at 2 Hz."""
        return self.array("time/is_key_frame")[:]

    @cached_property
    def is_recorded(self) -> Bool[np.ndarray, " T"]:
        """Steps that the source of the layout gave; the others were added to make it longer."""
        until = self.attrs["layout"].get("recorded_until_step", self.num_steps)
        return np.arange(self.num_steps) < until

    @cached_property
    def ego2global(self) -> Float64[np.ndarray, "T 4 4"]:
        """Pose of the ego vehicle in the world frame."""
        return self.array("ego/ego2global")[:]

    @cached_property
    def layout(self) -> Layout:
        """The layout the scene was made from, at the scene's own rate."""
        return layout_from_dict(self.attrs["layout"])

    @cached_property
    def rig(self) -> CameraRig:
        """The cameras with their calibration."""
        return read_rig(self.attrs["rig"])

    @property
    def lidar_model(self) -> LidarModel:
        """The simulated LiDAR."""
        return read_lidar(self.attrs)

    @cached_property
    def record(self) -> SceneRecord:
        """The header that the scene was written from."""
        return SceneRecord(
            scene_id=self.scene_id,
            layout=self.layout,
            rig=self.rig,
            seed=int(self.attrs["seed"]),
            split=self.attrs["split"],
            provenance=read_provenance(self.attrs),
            recording=self.recording,
            lidar=self.lidar_model,
        )

    @property
    def is_synthetic(self) -> bool:
        """False for real logs."""
        return bool(self.attrs["synthetic"])

    @property
    def recording(self) -> Recording | None:
        """Stamps, world and losses of a real log; None for generated scenes."""
        return read_recording(self.attrs)

    def rgb(self, camera: str) -> StoredArray:
        """Pictures of a camera: lazy, T H W 3, uint8 sRGB."""
        return self.array(f"cameras/{self._known_camera(camera)}/rgb")

    def depth(self, camera: str) -> LabelArray:
        """Z-depth of a camera's pixels: lazy, T H W, uint16 millimetres; 0 where nothing is hit or beyond 65.535 m.

        Raises:
            DatasetError: the scene stores no pixel maps, and no renderer was handed in.
        """
        return self._dense(camera, "depth", lambda labels: labels.depth_mm)

    def semantic(self, camera: str) -> LabelArray:
        """Occ3D classes of a camera's pixels: lazy, T H W, uint8; 17 is sky. Raises as `depth`."""
        return self._dense(camera, "semantic", lambda labels: labels.semantic)

    def instance(self, camera: str) -> LabelArray:
        """Instances of a camera's pixels: lazy, T H W, uint16; 0 none, 1 + track_id an agent. Raises as `depth`."""
        return self._dense(camera, "instance", lambda labels: labels.instance)

    def optical_flow(self, camera: str) -> LabelArray:
        """Where each surface point was one step earlier, minus where it is now: lazy, T H W 2 (x, y), float16 pixels.

        NaN for sky, at step 0, and where the point was outside the field of view. Raises as `depth`.
        """
        return self._dense(camera, "optical_flow", lambda labels: labels.optical_flow_px)

    def cam2img(self, camera: str) -> Float64[np.ndarray, "3 3"]:
        """Intrinsics of the stored pixels."""
        return self.array(f"cameras/{self._known_camera(camera)}/cam2img")[:]

    def cam2ego(self, camera: str) -> Float64[np.ndarray, "4 4"]:
        """Pose of a camera on the vehicle; x right, y down, z forward."""
        return self.array(f"cameras/{self._known_camera(camera)}/cam2ego")[:]

    def boxes(self, step: int) -> Boxes:
        """Return the agents of one step."""
        columns = self._object_columns
        start, stop = self._frame_ptr[self._known_step(step)], self._frame_ptr[step + 1]
        row = {name: values[start:stop] for name, values in columns.items()}
        labels = self._attribute_labels
        return Boxes(
            scene_id=self.scene_id,
            center_world_m=row["center"],
            size_lwh_m=row["size_lwh"],
            rotation_wxyz=row["rotation_wxyz"],
            velocity_world_mps=row["velocity"],
            track_id=row["track_id"],
            category=row["category"],
            category_names=tuple(self.attrs["taxonomy"]["categories"]),
            attribute=tuple(labels[code] for code in row["attribute"]),
            visibility=row["visibility"],
            visible_fraction=row["visible_fraction"],
            visible_height_px=row["visible_height"],
            found_share=row["found_share"],
            stored_lidar_pts=row.get("num_lidar_pts"),
        )

    def boxes2d(self, step: int, camera: str) -> Boxes2d:
        """Return the agents that a camera sees at one step.

        Raises:
            DatasetError: the scene was written without them.
        """
        view = self.cameras.index(self._known_camera(camera))
        columns = self._object2d_columns
        row = self._known_step(step) * len(self.cameras) + view
        start, stop = columns["ptr"][row], columns["ptr"][row + 1]
        part = {name: values[start:stop] for name, values in columns.items()}
        return Boxes2d.of_columns(part)

    def annotated2d(self, step: int, camera: str) -> Annotated2d:
        """Return the 2-D boxes that annotators drew into a picture of a real log.

        Raises:
            DatasetError: the scene has none.
        """
        view = self.cameras.index(self._known_camera(camera))
        row = self._known_step(step) * len(self.cameras) + view
        start, stop = self._added_array("annotated2d/ptr")[row : row + 2]
        word = self._added_array("annotated2d/word")
        labels = word.attrs["labels"]
        return Annotated2d(
            xyxy_px=self._added_array("annotated2d/xyxy")[start:stop],
            track_id=self._added_array("annotated2d/track_id")[start:stop],
            word=tuple(labels[code] for code in word[start:stop]),
        )

    @cached_property
    def lidar2ego(self) -> Float64[np.ndarray, "4 4"]:
        """Pose of the simulated LiDAR on the vehicle.

        Raises:
            DatasetError: the scene stores no sweeps, and no renderer was handed in.
        """
        if self._renderer is not None:
            return self._renderer.lidar2ego
        return self._added_array("lidar/lidar2ego")[:]

    def lidar(self, step: int) -> LidarSweep:
        """Return the simulated sweep of one step; stored at key frames, at any step with a renderer.

        Raises:
            DatasetError: the scene stores no sweep of this step, and no renderer was handed in.
        """
        step = self._known_step(step)
        renderer = self._renderer
        sweep = self._stored_sweep(step) if renderer is None else renderer.sweep(step)
        box_of_instance = np.full(2**16, -1, np.int32)
        start, stop = self._frame_ptr[step], self._frame_ptr[step + 1]
        box_of_instance[1 + self._object_columns["track_id"][start:stop]] = np.arange(stop - start)
        return LidarSweep(
            points_lidar_m=sweep.points_lidar_m,
            intensity=sweep.intensity,
            ring=sweep.ring,
            instance=sweep.instance,
            box=box_of_instance[sweep.instance],
            time_offset_us=sweep.time_offset_us,
        )

    def bev_raster(self, step: int) -> UInt8[np.ndarray, "C X Y"]:
        """Return the map and the agents from above, ego frame, 0 or 1 per channel of `bev_channels`.

        Cells are those of the occupancy view: [channel, x, y], 0.4 m, from -40 to 40 m.
        """
        from scenegen.dataset.bev_raster import build_bev_raster

        boxes = self.boxes(step)
        return build_bev_raster(self.layout.road_map, boxes, ego2global=self.ego2global[step])

    @property
    def bev_channels(self) -> tuple[str, ...]:
        """Names of the channels of `bev_raster`."""
        from scenegen.dataset.bev_raster import BEV_CHANNELS

        return BEV_CHANNELS

    def occupancy(self, step: int) -> Occupancy:
        """Return the voxels of one step."""
        step = self._known_step(step)
        start, stop = self._frame_ptr[step], self._frame_ptr[step + 1]
        objects = self._object_columns
        ego_from_world = self.ego2global[step, :3, :3].T
        velocity_ego_mps = np.zeros((len(self.attrs["layout"]["agents"]), 2), np.float32)
        velocity_ego_mps[objects["track_id"][start:stop]] = objects["velocity"][start:stop] @ ego_from_world[:2, :2].T
        return Occupancy(
            scene_id=self.scene_id,
            semantics=self.array("occupancy/semantics")[step],
            mask_camera=self.array("occupancy/mask_camera")[step],
            stored_mask_lidar=self._step_or_none("occupancy/mask_lidar", step),
            stored_instance=self._step_or_none("occupancy/instance", step),
            velocity_ego_mps=velocity_ego_mps,
        )

    @property
    def world_voxels(self) -> WorldVoxels | None:
        """The sampled static world, without the layout's thin things; None where rules made the scene's world."""
        if not self.has_array("world/solid"):
            return None
        solid = self.array("world/solid")
        x_m, y_m, _ = solid.attrs["origin_m"]
        return WorldVoxels(
            solid=solid[:],
            ground=self.array("world/ground")[:],
            origin_world_m=(float(x_m), float(y_m)),
            voxel_m=float(solid.attrs["voxel_m"]),
            is_recorded=not self.is_synthetic,
        )

    def has_array(self, path: str) -> bool:
        """Return whether the store has an array; those of `schema.ADDED_ARRAYS` may be missing."""
        return path in self._group

    def array(self, path: str) -> StoredArray:
        """Return any array of the store, for example `map/lanes/points`.

        Raises:
            DatasetError: there is no such array, or its metadata is damaged.
            StorageError: the object store cannot be reached, or refuses.
        """
        try:
            node = self._group[path]
        except StorageError:
            raise
        except Exception as error:
            raise self.damage_error(path, str(error)) from error
        if not isinstance(node, zarr.Array):
            raise DatasetError("an array", found=f"group {path!r}", where=f"scene {self.scene_id}")
        return StoredArray(node, damage_error=partial(self.damage_error, path))

    def damage_error(self, path: str, cause: str) -> DatasetError:
        """Find the file that makes an array unreadable and describe it."""
        return damage_error(self.files, self.receipt, path=path, cause=cause)

    @cached_property
    def _attribute_labels(self) -> tuple[str, ...]:
        return tuple(self.array("objects/attribute").attrs["labels"])

    @cached_property
    def _frame_ptr(self) -> Int64[np.ndarray, " T1"]:
        return self.array("objects/frame_ptr")[:]

    @cached_property
    def _object_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        names = ("center", "size_lwh", "rotation_wxyz", "velocity", "track_id", "category", "attribute")
        measured = ("visibility", "visible_fraction", "visible_height")
        columns = {name: self.array(f"objects/{name}")[:] for name in names + measured}
        is_judged = self.has_array("objects/found_share")
        unknown = np.full(len(columns["track_id"]), np.nan, np.float32)
        columns["found_share"] = self.array("objects/found_share")[:] if is_judged else unknown
        if self.has_array("objects/num_lidar_pts"):
            columns["num_lidar_pts"] = self.array("objects/num_lidar_pts")[:]
        return columns

    @cached_property
    def _object2d_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        names = ("ptr", "box", "xyxy", "center", "depth", "visible_fraction", "num_px")
        return {name: self._added_array(f"objects2d/{name}")[:] for name in names}

    @cached_property
    def _sweep_ptr(self) -> Int64[np.ndarray, " T1"]:
        return self._added_array("lidar/ptr")[:]

    @cached_property
    def _renderer(self) -> LabelRenderer | None:
        return None if self._open_renderer is None else self._open_renderer(self)

    def _stored_sweep(self, step: int) -> Sweep:
        start, stop = self._sweep_ptr[step], self._sweep_ptr[step + 1]
        if not self.is_key_frame[step]:
            keys = np.flatnonzero(self.is_key_frame)
            raise DatasetError(
                f"a key frame, {', '.join(map(str, keys[:4]))}{', ...' if len(keys) > 4 else ''}",
                found=f"step {step}",
                where=f"scene {self.scene_id}, sweeps",
                fix="scenegen.rerender.open_rendered makes the sweep of any step",
            )
        return Sweep(
            points_lidar_m=self._added_array("lidar/points")[start:stop],
            intensity=self._added_array("lidar/intensity")[start:stop],
            ring=self._added_array("lidar/ring")[start:stop],
            instance=self._added_array("lidar/instance")[start:stop],
            time_offset_us=self.array(LIDAR_TIMES)[start:stop] if self.has_array(LIDAR_TIMES) else None,
        )

    def _dense(self, camera: str, name: str, pick: Callable[[DenseLabels], np.ndarray[Any, Any]]) -> LabelArray:
        """Return a pixel map as stored, or else as the renderer makes it."""
        camera = self._known_camera(camera)
        path = f"cameras/{camera}/{name}"
        if self.has_array(path):
            return self.array(path)
        renderer = self._renderer
        if renderer is None:
            raise missing_label_error(path, scene_id=self.scene_id)
        view = self.cameras.index(camera)
        width, height = self.rig.cameras[view].size_px
        spec = SPEC_OF_PATH[f"cameras/{CAMERA_FIELD}/{name}"]

        def render_step(step: int) -> np.ndarray[Any, Any]:
            return pick(renderer.dense_labels(step))[view, 0, :height, :width]

        return RenderedArray(
            render_step,
            shape=(self.num_steps, height, width, *((2,) if len(spec.dims) == 4 else ())),
            dtype=np.dtype(spec.dtype),
            attrs={"unit": spec.unit, "frame": spec.frame, "note": spec.note},
        )

    def _added_array(self, path: str) -> StoredArray:
        """Return an array of `ADDED_ARRAYS`, or say how to get it."""
        if not self.has_array(path):
            assert path in ADDED_ARRAYS
            raise missing_label_error(path, scene_id=self.scene_id)
        return self.array(path)

    def _step_or_none(self, path: str, step: int) -> np.ndarray[Any, Any] | None:
        return self.array(path)[step] if self.has_array(path) else None

    def _known_camera(self, camera: str) -> str:
        if camera not in self.cameras:
            raise DatasetError(f"a camera in {self.cameras}", found=repr(camera), where=f"scene {self.scene_id}")
        return camera

    def _known_step(self, step: int) -> int:
        if not 0 <= step < self.num_steps:
            raise DatasetError(f"a step in 0..{self.num_steps - 1}", found=f"{step}", where=f"scene {self.scene_id}")
        return step


OpenRenderer: TypeAlias = Callable[[Scene], LabelRenderer]
"""Opens the renderer of one scene."""
