"""One scene, everything but its pixels: the world, and chunk by chunk what the cameras see and the exact labels."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Float64, UInt8, UInt16

from scenegen.cost import StageClock
from scenegen.geometry.rigid import transform_points
from scenegen.types import (
    OCC3D_GRID,
    AgentPixels,
    CameraRig,
    ConditionMaps,
    DenseLabels,
    Layout,
    LidarLabels,
    LidarModel,
    OccupancyView,
    SceneChunk,
    ShapeSet,
    Sweep,
    WorldVoxels,
)
from scenegen.video.interface import SceneContext

if TYPE_CHECKING:
    from scenegen.conditions.lidar import CountedSweep
    from scenegen.dataset.stored_scene import Scene


STEPS_HELD = 64
"""Steps whose solids are held; a chunk of any usual length fits."""


@dataclass(frozen=True, kw_only=True)
class ChunkLabels:
    """All that is known of T steps before they are painted. See `SceneChunk` for the meaning of the arrays."""

    start_step: int
    conditions: ConditionMaps
    occupancy: UInt8[np.ndarray, "T X Y Z"]
    mask_camera: UInt8[np.ndarray, "T X Y Z"]
    visible_fraction: Float32[np.ndarray, "T A"]
    visible_height_px: Float32[np.ndarray, "T A"]
    occupancy_instance: UInt16[np.ndarray, "T X Y Z"] | None = None
    agent_pixels: AgentPixels | None = None
    lidar: LidarLabels | None = None

    def with_frames(self, rgb: UInt8[np.ndarray, "V T H W 3"]) -> SceneChunk:
        """Join labels and pixels into what is written; black where a view shows nothing, whoever painted it."""
        is_seen = self.conditions.is_seen
        return SceneChunk(
            start_step=self.start_step,
            rgb=rgb if is_seen.all() else rgb * is_seen[:, None, :, :, None],
            occupancy=self.occupancy,
            mask_camera=self.mask_camera,
            visible_fraction=self.visible_fraction,
            visible_height_px=self.visible_height_px,
            occupancy_instance=self.occupancy_instance,
            agent_pixels=self.agent_pixels,
            lidar=self.lidar,
        )

    def dense(self) -> DenseLabels:
        """Return the labels of every pixel as data sets store them."""
        from scenegen.conditions.dense import dense_labels

        return dense_labels(self.conditions)


class SceneStage:
    """The built world of one scene, ready to be looked at.

    Args:
        layout: at its final timeline.
        rig: cameras that look.
        seed: with the layout's id, the key of everything the layout leaves open. The backbone is not part of the
            key: the same layout and seed give the same world, light and conditions whatever paints them.
        world_voxels: what an occupancy model sampled for this layout and seed; None builds the world by rules.
        lidar: the simulated LiDAR; None for the default one.
        device: torch device that casts the cameras' rays; None casts with compiled code.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        rig: CameraRig,
        seed: int,
        world_voxels: WorldVoxels | None = None,
        lidar: LidarModel | None = None,
        device: str | None = None,
    ) -> None:
        from scenegen.conditions.build import ConditionRenderer
        from scenegen.conditions.lidar import LidarScanner
        from scenegen.conditions.lighting import build_lighting
        from scenegen.occupancy.agents import build_agent_appearance
        from scenegen.occupancy.build import build_world
        from scenegen.occupancy.masked.read_world import read_world

        self.layout = layout
        self.world_voxels = world_voxels
        self.world = (
            build_world(layout, seed=seed)
            if world_voxels is None
            else read_world(layout, seed=seed, voxels=world_voxels)
        )
        lighting = build_lighting(layout.environment, seed=seed, scene_id=layout.layout_id)
        self.context = SceneContext(
            scene_id=layout.layout_id,
            seed=seed,
            rate_hz=layout.timeline.rate_hz,
            statics=self.world.statics,
            agents=build_agent_appearance(layout, seed=seed),
            lighting=lighting,
        )
        self._renderer = ConditionRenderer(
            self.world, rig=rig, lighting=lighting, num_agents=len(layout.agents), device=device
        )
        self._held_shapes: dict[int, ShapeSet] = {}
        self._scanner = LidarScanner(self.world, model=lidar or LidarModel(), seed=seed, scene_id=layout.layout_id)

    def render_conditions(self, start_step: int, stop_step: int) -> ConditionMaps:
        """Cast the rays of steps `start_step` to `stop_step - 1`."""
        first = max(start_step - 1, 0)
        shapes = [self._shapes_at(step) for step in range(first, stop_step)]
        poses = self.layout.ego.world_from_ego
        has_previous = start_step > 0
        return self._renderer.render(
            shapes[1:] if has_previous else shapes,
            previous_shapes=shapes[0] if has_previous else None,
            world_from_ego=poses[start_step:stop_step],
            previous_world_from_ego=poses[start_step - 1] if has_previous else None,
        )

    def label_chunk(self, start_step: int, stop_step: int, *, clock: StageClock) -> ChunkLabels:
        """Render the conditions of a chunk and take its labels from the world."""
        from scenegen.conditions.visibility import agent_visibility, measure_agent_pixels

        with clock.stage("conditions"):
            conditions = self.render_conditions(start_step, stop_step)
            pixels = measure_agent_pixels(conditions)
            visibility = agent_visibility(pixels)
        with clock.stage("occupancy"):
            grid = (stop_step - start_step, *OCC3D_GRID.shape)
            semantics, mask_camera = np.empty(grid, np.uint8), np.empty(grid, np.uint8)
            instance = np.empty(grid, np.uint16)
            for idx in range(stop_step - start_step):
                view = self.cut_occupancy(conditions.cut_steps(idx, idx + 1), step=start_step + idx)
                semantics[idx], mask_camera[idx], instance[idx] = view.semantics, view.mask_camera, view.instance
        with clock.stage("lidar"):
            lidar = self._sweep_chunk(conditions, start_step=start_step)
        return ChunkLabels(
            start_step=start_step,
            conditions=conditions,
            occupancy=semantics,
            mask_camera=mask_camera,
            visible_fraction=visibility.visible_fraction,
            visible_height_px=visibility.visible_height_px,
            occupancy_instance=instance,
            agent_pixels=pixels,
            lidar=lidar,
        )

    @property
    def lidar2ego(self) -> Float64[np.ndarray, "4 4"]:
        """Pose of the LiDAR on the vehicle."""
        return self._scanner.model.lidar2ego

    def sweep(self, step: int, *, conditions: ConditionMaps) -> Sweep:
        """Return the LiDAR sweep of one step; `conditions` are those of the step (T = 1)."""
        return self._count_sweep(step, conditions).sweep

    def _shapes_at(self, step: int) -> ShapeSet:
        """Return the agents' solids at a step; cameras, voxels and LiDAR share them while they are held."""
        from scenegen.occupancy.agents import build_agent_shapes

        shapes = self._held_shapes.get(step)
        if shapes is None:
            shapes = build_agent_shapes(self.layout, step=step)
            if len(self._held_shapes) >= STEPS_HELD:
                self._held_shapes.clear()
            self._held_shapes[step] = shapes
        return shapes

    def cut_occupancy(self, conditions: ConditionMaps, *, step: int) -> OccupancyView:
        """Return the voxels of one step in the ego frame; `conditions` are those of the step (T = 1)."""
        from scenegen.occupancy.views import build_occupancy_view

        return build_occupancy_view(
            self.world,
            self._shapes_at(step),
            world_from_ego=self.layout.ego.world_from_ego[step],
            depth_m=conditions.depth_m[:, 0],
            world_from_cam=conditions.world_from_cam[:, 0],
            ray_cam=conditions.ray_cam,
            focal_px=conditions.focal_px,
        )

    def _sweep_chunk(self, conditions: ConditionMaps, *, start_step: int) -> LidarLabels:
        """Sweep every step, for its counts and its mask; only the sweeps of key frames are kept."""
        from scenegen.conditions.lidar import points_of_beams
        from scenegen.occupancy.traverse import mark_returns

        num_steps = conditions.instance.shape[1]
        is_key_frame = self.layout.timeline.is_key_frame()
        lidar2ego = self.lidar2ego
        sweeps: list[Sweep | None] = []
        counts = np.zeros((num_steps, len(self.layout.agents)), np.int32)
        mask = np.zeros((num_steps, *OCC3D_GRID.shape), np.bool_)
        origin_m = np.array(OCC3D_GRID.origin_m)
        for idx in range(num_steps):
            counted = self._count_sweep(start_step + idx, conditions.cut_steps(idx, idx + 1))
            counts[idx] = counted.num_points
            points_ego_m = transform_points(lidar2ego, points_of_beams(counted.sweep).astype(np.float64))
            mark_returns(mask[idx], origin_m, OCC3D_GRID.voxel_m, lidar2ego[:3, 3].copy(), points_ego_m)
            sweeps.append(counted.sweep if is_key_frame[start_step + idx] else None)
        return LidarLabels(lidar2ego=lidar2ego, sweeps=tuple(sweeps), num_points=counts, mask=mask.view(np.uint8))

    def _count_sweep(self, step: int, conditions: ConditionMaps) -> CountedSweep:
        from scenegen.conditions.lidar import agent_boxes
        from scenegen.conditions.turn import turn_motion

        return self._scanner.scan(
            self._shapes_at(step),
            boxes=agent_boxes(self.layout, step=step),
            world_from_ego=self.layout.ego.world_from_ego[step],
            conditions=conditions,
            step=step,
            motion=turn_motion(self.layout, step=step) if self._scanner.model.is_rolling else None,
        )

    def label_ahead(
        self, *, num_steps_per_chunk: int, clock: StageClock, start_step: int = 0, end_step: int | None = None
    ) -> Generator[ChunkLabels, None, None]:
        """Yield the scene's chunks from `start_step` to before `end_step`, always one ahead of the caller in a thread.

        The thread makes one chunk at a time, so the order of all arithmetic is fixed.
        """
        num_steps = self.layout.timeline.num_steps if end_step is None else end_step
        starts = range(start_step, num_steps, num_steps_per_chunk)
        spans = [(start, min(start + num_steps_per_chunk, num_steps)) for start in starts]
        if not spans:
            return
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="labels") as thread:
            coming = thread.submit(self.label_chunk, *spans[0], clock=clock)
            for span in spans[1:]:
                ready = [coming.result()]
                coming = thread.submit(self.label_chunk, *span, clock=clock)
                yield ready.pop()  # held by the caller alone, who may let go of it before the next
            yield coming.result()


def stored_stage(scene: Scene) -> SceneStage:
    """Build the world of a stored scene again: by rules, or from the voxels stored with it."""
    return SceneStage(
        scene.layout,
        rig=scene.rig,
        seed=int(scene.attrs["seed"]),
        world_voxels=scene.world_voxels,
        lidar=scene.lidar_model,
    )
