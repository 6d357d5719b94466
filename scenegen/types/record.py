"""What one generated scene consists of: a header that is known at once, and chunks that stream."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np
from jaxtyping import Float16, Float32, Float64, Int32, UInt8, UInt16

from scenegen.types.camera import CameraRig
from scenegen.types.layout import Layout
from scenegen.types.lidar import LidarModel

FULL_PRECISION, HALF_PRECISION = "fp32", "bf16"

RECORDED_MODEL_ID = "recorded"
"""What stands in scenes of real logs where others name the model that painted them."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a video backbone sampled every frame.

    Attributes:
        model: `teacher`, or `student` of one, distilled to few steps.
        sampler: `euler` or `cps`.
        steps: network evaluations per frame.
        eta: share of the noise drawn anew in each step, 0..1; None for `euler`, which draws none.
        precision: of the network's products: `fp32`, or `bf16` (bfloat16).
        temperature: what all noise was multiplied by, 0..1; None for what the model takes by itself.
    """

    model: str
    sampler: str
    steps: int
    eta: float | None
    precision: str = field(default=FULL_PRECISION, repr=False)
    temperature: float | None = field(default=None, repr=False)

    def as_attributes(self) -> dict[str, str | int | float | None]:
        """Return what a scene stores; full precision and the model's own temperature go without saying."""
        attributes = asdict(self)
        if self.precision == FULL_PRECISION:
            del attributes["precision"]
        if self.temperature is None:
            del attributes["temperature"]
        return attributes


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where the pixels of a scene come from; stored with it for ever.

    Attributes:
        code_version: version of scenegen.
        config_sha256: hash of everything in the configuration that decides bytes.
        model_id: name and size of the video backbone, for example `native-tiny`.
        weights_sha256: hash of the weight file; empty where nothing is learned.
        occupancy_id: name of the occupancy model; `rules` where nothing is sampled.
        occupancy_sha256: hash of its weights; empty where nothing is learned.
        model_licence: licence of the weights.
        source_licence: licence of the layout's source data.
        sampling: how frames were sampled; None where nothing is.
    """

    code_version: str
    config_sha256: str
    model_id: str
    weights_sha256: str
    model_licence: str
    source_licence: str
    occupancy_id: str = field(default="rules", repr=False)
    occupancy_sha256: str = field(default="", repr=False)
    sampling: Sampling | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What a scene has that was recorded and not generated; becomes the attribute `recording`.

    Attributes:
        stamps_us: of every step in the recording, from its first; the timeline's are equally spaced.
        camera_stamps_us: likewise, of every camera's exposures.
        recorded_size_px: (width, height) of every camera's pictures before they were resized.
        world: where the static world comes from: `occ3d`, `lidar` or `none`.
        derived: arrays that no instrument and no annotator made: rendered or counted from boxes and world.
        lost: what the source says and the scene does not.
    """

    stamps_us: tuple[int, ...]
    camera_stamps_us: dict[str, tuple[int, ...]]
    recorded_size_px: dict[str, tuple[int, int]]
    world: str
    derived: tuple[str, ...]
    lost: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SceneRecord:
    """The header of a scene: all that is known before the first pixel.

    Attributes:
        scene_id: `<layout_id>-<8 hex of what decides its bytes>`.
        layout: the layout at the generated timeline (already extended and resampled).
        rig: the cameras that were rendered.
        seed: seed of the scene.
        split: `train`, `val` or `test`.
        provenance: versions, hashes and licences.
        recording: None for generated scenes.
        lidar: the simulated sensor; of real logs the usual one, which counts what boxes would return.
    """

    scene_id: str
    layout: Layout
    rig: CameraRig
    seed: int
    split: str
    provenance: Provenance
    recording: Recording | None = None
    lidar: LidarModel = field(default=LidarModel(), repr=False)


@dataclass(frozen=True, kw_only=True)
class AgentPixels:
    """What each of V cameras sees of A agents at T steps.

    Attributes:
        num_px: visible pixels.
        unoccluded_px: pixels the agent would cover with nothing before it.
        xyxy_px: tight box around the visible pixels in pixel edges (x1, y1, x2, y2); zero where `num_px` is zero.
    """

    num_px: Int32[np.ndarray, "V T A"]
    unoccluded_px: Int32[np.ndarray, "V T A"]
    xyxy_px: Int32[np.ndarray, "V T A 4"]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One turn of the simulated LiDAR, frame `lidar`; see `scenegen.conditions.lidar`.

    Attributes:
        points_lidar_m: in firing order, extra returns last.
        intensity: 0..1.
        ring: beam, 0 the lowest; `EXTRA_RING` for an extra return.
        instance: image instance id of what was hit.
        time_offset_us: when it was hit, after the step (zero or less); None where all beams fire at the step.
    """

    points_lidar_m: Float32[np.ndarray, "P 3"]
    intensity: Float32[np.ndarray, " P"]
    ring: UInt8[np.ndarray, " P"]
    instance: UInt16[np.ndarray, " P"]
    time_offset_us: Int32[np.ndarray, " P"] | None = None


@dataclass(frozen=True, kw_only=True)
class LidarLabels:
    """What the simulated LiDAR saw at T steps.

    Attributes:
        lidar2ego: pose of the sensor on the vehicle.
        sweeps: per step, None where the sweep is not kept; None where the scene keeps none.
        num_points: points inside the box of each of the A agents.
        mask: 1 where a beam that returned crosses or hits a voxel of the ego frame's grid.
    """

    lidar2ego: Float64[np.ndarray, "4 4"]
    sweeps: tuple[Sweep | None, ...] | None
    num_points: Int32[np.ndarray, "T A"]
    mask: UInt8[np.ndarray, "T X Y Z"]


@dataclass(frozen=True, kw_only=True)
class DenseLabels:
    """Labels of every pixel of V views at T steps, in the numbers they are stored in.

    Attributes:
        depth_mm: z-depth, rounded; 0 where nothing is hit or beyond 65.535 m.
        semantic: Occ3D class; 17 is sky.
        instance: image instance id.
        optical_flow_px: where the surface point was one step earlier, minus where it is now; NaN where unknown.
    """

    depth_mm: UInt16[np.ndarray, "V T H W"]
    semantic: UInt8[np.ndarray, "V T H W"]
    instance: UInt16[np.ndarray, "V T H W"]
    optical_flow_px: Float16[np.ndarray, "V T H W 2"]


@dataclass(frozen=True, kw_only=True)
class SceneChunk:
    """T consecutive steps of a scene, ready to be written. A is the number of agents of the layout.

    Attributes:
        start_step: index of the first step in the scene's timeline.
        rgb: sRGB frames on the rig's canvas; a view that is smaller fills the top left corner.
        occupancy: Occ3D semantics in the ego frame.
        mask_camera: 1 where a voxel is seen by, or lies in front of a surface seen by, a camera.
        visible_fraction: share of each agent's own pixels that no other thing hides, over all views; 0 if in no view.
        visible_height_px: tallest visible extent of each agent over the views, in pixels.
        occupancy_instance: image instance id of what fills a voxel; 0 for nothing and ground.
        agent_pixels, lidar, dense: labels that a scene may do without; all its chunks have them or none.
    """

    start_step: int
    rgb: UInt8[np.ndarray, "V T H W 3"]
    occupancy: UInt8[np.ndarray, "T X Y Z"]
    mask_camera: UInt8[np.ndarray, "T X Y Z"]
    visible_fraction: Float32[np.ndarray, "T A"]
    visible_height_px: Float32[np.ndarray, "T A"]
    occupancy_instance: UInt16[np.ndarray, "T X Y Z"] | None = None
    agent_pixels: AgentPixels | None = None
    lidar: LidarLabels | None = None
    dense: DenseLabels | None = None

    def cut_step(self, offset: int) -> SceneChunk:
        """Return the step `offset` of the chunk as a chunk of its own."""
        own = slice(offset, offset + 1)
        lidar, pixels, dense = self.lidar, self.agent_pixels, self.dense
        return SceneChunk(
            start_step=self.start_step + offset,
            rgb=self.rgb[:, own],
            occupancy=self.occupancy[own],
            mask_camera=self.mask_camera[own],
            visible_fraction=self.visible_fraction[own],
            visible_height_px=self.visible_height_px[own],
            occupancy_instance=None if self.occupancy_instance is None else self.occupancy_instance[own],
            agent_pixels=pixels
            and AgentPixels(
                num_px=pixels.num_px[:, own], unoccluded_px=pixels.unoccluded_px[:, own], xyxy_px=pixels.xyxy_px[:, own]
            ),
            lidar=lidar
            and LidarLabels(
                lidar2ego=lidar.lidar2ego,
                sweeps=None if lidar.sweeps is None else lidar.sweeps[own],
                num_points=lidar.num_points[own],
                mask=lidar.mask[own],
            ),
            dense=dense
            and DenseLabels(
                depth_mm=dense.depth_mm[:, own],
                semantic=dense.semantic[:, own],
                instance=dense.instance[:, own],
                optical_flow_px=dense.optical_flow_px[:, own],
            ),
        )
