"""The scene store as a table: every array with its dimensions, type, unit and frame.

The writer, the verifier, `datasets/scene.schema.json` and the contract tests all read this one table; the attributes
stand in `attributes_schema`.
"""

from __future__ import annotations

from dataclasses import dataclass

from scenegen.errors import DatasetError

SCHEMA_VERSION = "1.0"
CAMERA_FIELD = "<CAM>"
CHUNK_SEPARATOR = "."
"""Chunks lie beside their `zarr.json` as `c.0.0.0`: a scene has few folders, each of which costs an fsync."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of the scene store."""

    path: str
    dims: tuple[str, ...]
    dtype: str
    unit: str
    frame: str
    note: str

    def for_camera(self, camera_name: str) -> str:
        """Return the path with the camera filled in."""
        return self.path.replace(CAMERA_FIELD, camera_name)


_CAN_BUS_NOTE = (
    "BEVFormer's order: 0-2 position (m, world); 3-6 rotation wxyz; 7-9 acceleration (m/s2, ego, gravity included, "
    "as an accelerometer reads it); 10-12 rotation rate (rad/s, ego); 13-15 velocity (m/s, ego); 16 yaw (rad, "
    "0..2pi); 17 yaw (degrees, 0..360). 7-12 come from central differences of the ego track; there is no sensor noise"
)

ARRAYS: tuple[ArraySpec, ...] = (
    ArraySpec("time/timestamp_us", ("time",), "int64", "us", "scene start", "round(k * 1e6 / rate_hz)"),
    ArraySpec("time/is_key_frame", ("time",), "bool", "1", "none", "steps at 2 Hz"),
    ArraySpec("cameras/<CAM>/rgb", ("time", "y", "x", "rgb"), "uint8", "sRGB", "pixel", "one picture per inner chunk"),
    ArraySpec("cameras/<CAM>/cam2img", ("i", "j"), "float64", "px", "pixel from cam", "K of the stored pixels"),
    ArraySpec(
        "cameras/<CAM>/cam2ego", ("i4", "j4"), "float64", "m", "ego from cam", "OpenCV axes: x right, y down, z forward"
    ),
    ArraySpec(
        "cameras/<CAM>/depth",
        ("time", "y", "x"),
        "uint16",
        "mm",
        "cam",
        "z-depth, rounded; 0 where nothing is hit or beyond 65.535 m; with dataset.labels=stored",
    ),
    ArraySpec(
        "cameras/<CAM>/semantic",
        ("time", "y", "x"),
        "uint8",
        "1",
        "pixel",
        "Occ3D-nuScenes classes; 17 sky and what the lens does not show; with dataset.labels=stored",
    ),
    ArraySpec(
        "cameras/<CAM>/instance",
        ("time", "y", "x"),
        "uint16",
        "1",
        "pixel",
        "0 nothing or ground, 1 + track_id an agent, from 0x8000 static things; with dataset.labels=stored",
    ),
    ArraySpec(
        "cameras/<CAM>/optical_flow",
        ("time", "y", "x", "uv"),
        "float16",
        "px",
        "pixel",
        "where the surface point was one step earlier, minus where it is now; NaN for sky, at step 0 and where it was "
        "out of view; with dataset.labels=stored",
    ),
    ArraySpec("ego/ego2global", ("time", "i4", "j4"), "float64", "m", "world from ego", "rear axle, on the ground"),
    ArraySpec("ego/velocity", ("time", "xy"), "float32", "m/s", "world", ""),
    ArraySpec("ego/can_bus", ("time", "signal"), "float32", "mixed", "mixed", _CAN_BUS_NOTE),
    ArraySpec("objects/frame_ptr", ("step_boundary",), "int64", "1", "none", "boxes of step t are [ptr[t], ptr[t+1])"),
    ArraySpec("objects/center", ("box", "xyz"), "float64", "m", "world", "box centre"),
    ArraySpec("objects/size_lwh", ("box", "lwh"), "float64", "m", "agent", "length, width, height"),
    ArraySpec("objects/rotation_wxyz", ("box", "wxyz"), "float64", "1", "world from agent", "unit quaternion"),
    ArraySpec("objects/velocity", ("box", "xy"), "float64", "m/s", "world", ""),
    ArraySpec("objects/track_id", ("box",), "int32", "1", "none", "index into attribute agent_ids"),
    ArraySpec("objects/category", ("box",), "uint8", "1", "none", "index into attribute labels"),
    ArraySpec("objects/attribute", ("box",), "uint8", "1", "none", "index into attribute labels; '' where unknown"),
    ArraySpec(
        "objects/visibility",
        ("box",),
        "uint8",
        "1",
        "all cameras",
        "nuScenes levels of the visible fraction: 1 up to 0.4, 2 up to 0.6, 3 up to 0.8, 4 up to 1",
    ),
    ArraySpec(
        "objects/visible_fraction", ("box",), "float32", "1", "all cameras", "share of its pixels that nothing hides"
    ),
    ArraySpec("objects/visible_height", ("box",), "float32", "px", "pixel", "tallest visible extent in any camera"),
    ArraySpec(
        "objects/found_share",
        ("box",),
        "float32",
        "1",
        "all cameras",
        "share of the judged views of the box's agent, over the whole scene, in which the judge found it; NaN where "
        "none was judged",
    ),
    ArraySpec(
        "objects/num_lidar_pts",
        ("box",),
        "int32",
        "1",
        "all beams",
        "points of the step's simulated sweep inside the box; never 0 where a camera sees the agent. Of real logs: as "
        "the source counted, else those of the recorded sweep",
    ),
    ArraySpec(
        "objects2d/ptr",
        ("view_boundary",),
        "int64",
        "1",
        "none",
        "boxes of camera v (of V, in the rig's order) at step t are [ptr[t * V + v], ptr[t * V + v + 1])",
    ),
    ArraySpec("objects2d/box", ("box2d",), "int64", "1", "none", "index among the boxes of the step in objects"),
    ArraySpec(
        "objects2d/xyxy", ("box2d", "xyxy"), "float32", "px", "pixel", "tight around the visible pixels, pixel edges"
    ),
    ArraySpec(
        "objects2d/center",
        ("box2d", "uv"),
        "float32",
        "px",
        "pixel",
        "where the box centre projects, also outside the image; NaN outside the field of view of the lens",
    ),
    ArraySpec("objects2d/depth", ("box2d",), "float32", "m", "cam", "z-depth of the box centre"),
    ArraySpec(
        "objects2d/visible_fraction",
        ("box2d",),
        "float32",
        "1",
        "one camera",
        "share of its pixels in this camera that nothing hides",
    ),
    ArraySpec("objects2d/num_px", ("box2d",), "int32", "px", "one camera", "visible pixels, at least 1"),
    ArraySpec(
        "annotated2d/ptr",
        ("view_boundary",),
        "int64",
        "1",
        "none",
        "like objects2d/ptr; 2-D boxes that annotators of a real log drew into the pictures",
    ),
    ArraySpec("annotated2d/xyxy", ("annotated_box2d", "xyxy"), "float32", "px", "pixel", "pixel edges, as drawn"),
    ArraySpec(
        "annotated2d/track_id",
        ("annotated_box2d",),
        "int32",
        "1",
        "none",
        "as objects/track_id; -1 where the source does not say, or no 3-D box belongs to it",
    ),
    ArraySpec("annotated2d/word", ("annotated_box2d",), "uint8", "1", "none", "index into attribute labels"),
    ArraySpec(
        "occupancy/semantics",
        ("time", "x", "y", "z"),
        "uint8",
        "1",
        "ego",
        "Occ3D-nuScenes classes; 17 free; voxel (i, j, k) starts at attribute origin_m + voxel_m * (i, j, k)",
    ),
    ArraySpec(
        "occupancy/mask_camera", ("time", "x", "y", "z"), "uint8", "1", "ego", "1 where a camera observes the voxel"
    ),
    ArraySpec(
        "occupancy/mask_lidar",
        ("time", "x", "y", "z"),
        "uint8",
        "1",
        "ego",
        "1 where a beam of the simulated sweep that returned crosses or hits the voxel",
    ),
    ArraySpec(
        "occupancy/instance",
        ("time", "x", "y", "z"),
        "uint16",
        "1",
        "ego",
        "ids as in cameras/<CAM>/instance; with objects/velocity it gives the flow of a voxel",
    ),
    ArraySpec("lidar/lidar2ego", ("i4", "j4"), "float64", "m", "ego from lidar", "x forward, y left, z up"),
    ArraySpec(
        "lidar/ptr",
        ("step_boundary",),
        "int64",
        "1",
        "none",
        "points of step t are [ptr[t], ptr[t+1]); sweeps are stored at key frames, other steps have none",
    ),
    ArraySpec("lidar/points", ("point", "xyz"), "float32", "m", "lidar", "in firing order, extra returns last"),
    ArraySpec("lidar/intensity", ("point",), "float32", "1", "none", "0..1"),
    ArraySpec(
        "lidar/ring", ("point",), "uint8", "1", "none", "beam, 0 the lowest; 255 an extra return, or not recorded"
    ),
    ArraySpec(
        "lidar/instance",
        ("point",),
        "uint16",
        "1",
        "none",
        "ids as in cameras/<CAM>/instance; of real logs agents only, by their boxes",
    ),
    ArraySpec(
        "lidar/time_offset_us",
        ("point",),
        "int32",
        "us",
        "none",
        "with lidar.is_rolling: when the point was met, after the step's stamp, so zero or less; points have the "
        "ego's motion since then taken out, that of agents not",
    ),
    ArraySpec(
        "world/solid",
        ("world_x", "world_y", "world_z"),
        "uint8",
        "1",
        "world",
        "the sampled static world, or a real log's: 0 free, 1 manmade, 2 vegetation; voxel (i, j, k) starts at "
        "attribute origin_m + voxel_m * (i, j, k); worlds made by rules follow from the layout and are not stored",
    ),
    ArraySpec(
        "world/ground", ("world_x", "world_y"), "uint8", "1", "world", "open ground: 0 terrain, 1 paved; likewise"
    ),
    ArraySpec("map/lanes/ptr", ("lane_boundary",), "int64", "1", "none", "points of lane n are [ptr[n], ptr[n+1])"),
    ArraySpec("map/lanes/points", ("lane_point", "xyz"), "float64", "m", "world", "centre lines, driving direction"),
    ArraySpec("map/lanes/width", ("lane",), "float64", "m", "world", ""),
    ArraySpec("map/lanes/kind", ("lane",), "uint8", "1", "none", "index into attribute labels"),
    ArraySpec("map/lanes/is_intersection", ("lane",), "bool", "1", "none", ""),
    ArraySpec("map/lanes/speed_limit", ("lane",), "float64", "m/s", "none", "NaN where unknown"),
    ArraySpec("map/lane_lines/ptr", ("line_boundary",), "int64", "1", "none", "like map/lanes/ptr"),
    ArraySpec("map/lane_lines/points", ("line_point", "xyz"), "float64", "m", "world", "painted lines"),
    ArraySpec("map/lane_lines/width", ("line",), "float64", "m", "world", ""),
    ArraySpec("map/lane_lines/kind", ("line",), "uint8", "1", "none", "index into attribute labels"),
    ArraySpec("map/lane_lines/color", ("line",), "uint8", "1", "none", "index into attribute labels"),
    ArraySpec(
        "map/areas/ptr", ("area_boundary",), "int64", "1", "none", "rings of area n are [ptr[n], ptr[n+1]); holes after"
    ),
    ArraySpec("map/areas/ring_ptr", ("ring_boundary",), "int64", "1", "none", "corners of ring r likewise"),
    ArraySpec("map/areas/points", ("corner", "xy"), "float64", "m", "world", "corners, first not repeated"),
    ArraySpec("map/areas/kind", ("area",), "uint8", "1", "none", "index into attribute labels"),
    ArraySpec("map/areas/height", ("area",), "float64", "m", "world", "buildings only"),
    ArraySpec("map/props/position", ("prop", "xy"), "float64", "m", "world", "trees, poles, signs the layout names"),
    ArraySpec("map/props/heading", ("prop",), "float64", "rad", "world", ""),
    ArraySpec("map/props/kind", ("prop",), "uint8", "1", "none", "index into attribute labels"),
    ArraySpec("map/props/height", ("prop",), "float64", "m", "world", "NaN where the layout leaves it open"),
)

SPEC_OF_PATH = {spec.path: spec for spec in ARRAYS}
DENSE_ARRAYS = tuple(f"cameras/<CAM>/{name}" for name in ("depth", "semantic", "instance", "optical_flow"))
"""Maps per pixel, stored with `dataset.labels=stored`; else they are rendered again on read."""
LIDAR_ARRAYS = tuple(f"lidar/{name}" for name in ("lidar2ego", "ptr", "points", "intensity", "ring", "instance"))
"""The simulated sweeps, stored with `dataset.lidar=key_frames`."""
LIDAR_TIMES = "lidar/time_offset_us"
"""Of each point of a rolling LiDAR, stored with `lidar.is_rolling`."""
OBJECTS2D_ARRAYS = tuple(
    f"objects2d/{name}" for name in ("ptr", "box", "xyxy", "center", "depth", "visible_fraction", "num_px")
)
ANNOTATED2D_ARRAYS = tuple(f"annotated2d/{name}" for name in ("ptr", "xyxy", "track_id", "word"))
"""Of real logs whose source has them."""
ADDED_ATTRIBUTES = ("occupancy_model", "recording", "lidar")
"""Attributes that a scene may lack: `occupancy_model` says what sampled the static world where rules did not, `lidar`
which sensor was simulated where it is not the default one, `recording` where a real log's scene comes from."""
WORLD_ARRAYS = ("world/solid", "world/ground")
"""What an occupancy model sampled; without them a scene's world was made by rules."""
ADDED_ARRAYS = (
    "objects/found_share",
    "objects/num_lidar_pts",
    "occupancy/mask_lidar",
    "occupancy/instance",
    *OBJECTS2D_ARRAYS,
    *ANNOTATED2D_ARRAYS,
    *LIDAR_ARRAYS,
    LIDAR_TIMES,
    *DENSE_ARRAYS,
    *WORLD_ARRAYS,
)
"""Arrays that a scene of schema 1.0 may lack: written before the array was added, or left out by the configuration."""


def check_schema_version(found: object, *, where: str) -> None:
    """Refuse what another version of the format wrote.

    Raises:
        DatasetError: says which version was found, and whether a newer scenegen reads it.
    """
    if found == SCHEMA_VERSION:
        return
    raise DatasetError(
        f"schema version {SCHEMA_VERSION}",
        found=repr(found),
        where=where,
        fix="read it with the scenegen that wrote it, or a newer one: pip install --upgrade scenegen",
    )
