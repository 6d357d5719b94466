"""Render exact condition maps of a world for any rig: `ConditionRenderer`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, UInt64

from scenegen.geometry.lens import local_focal_px, pixel_rays
from scenegen.geometry.rigid import invert_rigid
from scenegen.types import (
    RAISED_MATERIALS,
    STATIC_INSTANCE_OFFSET,
    CameraRig,
    ConditionMaps,
    Lighting,
    Material,
    Semantic,
    ShapeSet,
    World,
)

MIN_SUN_HEIGHT = 0.05
"""Below this z of the sun direction shadows are not cast (they would be longer than the world)."""


@dataclass(frozen=True, kw_only=True)
class _PreparedShapes:
    """Solids of one step as the kernels want them, with the agents' own boxes."""

    solids: tuple[Any, ...]
    tables: tuple[Any, ...]
    box_from_world: dict[int, Float64[np.ndarray, "4 4"]]


class ConditionRenderer:
    """Casts the rays of a rig into one world, step after step.

    The world is packed once (columns to 64-bit words); steps cost only their own rays.

    Args:
        world: static world.
        rig: cameras of any lens, size and pose.
        lighting: only the sun's direction is used, for `sun_visible`.
        num_agents: number of agents of the layout, the A of `unoccluded_px`.
    """

    def __init__(self, world: World, *, rig: CameraRig, lighting: Lighting, num_agents: int) -> None:
        from scenegen.conditions.kerbs import cells_to_raised
        from scenegen.conditions.lens_kernel import pack_lens, ray_spans
        from scenegen.conditions.open_space import make_table

        self._num_agents = num_agents
        self._rig = rig
        canvas_px = rig.size_px
        self._rays = np.stack([pixel_rays(camera, canvas_px=canvas_px) for camera in rig.cameras])
        self._focal_px = np.stack([local_focal_px(c, rays) for c, rays in zip(rig.cameras, self._rays, strict=True)])
        self._lenses = [(pack_lens(c), rays, ray_spans(rays)) for c, rays in zip(rig.cameras, self._rays, strict=True)]
        self._static_shapes = world.shapes
        self._use_sun = lighting.sun > 0.02 and lighting.sun_direction_world[2] > MIN_SUN_HEIGHT
        self._sun = np.ascontiguousarray(lighting.sun_direction_world, np.float64)
        self._world = pack_world(world)
        self._cells = cells_to_raised(self._world[4], self._world[5])
        self._voxel_tables = pack_tables(world)
        self._tables = [make_table(rays) for rays in self._rays]
        width, height = canvas_px
        self._hits = (
            np.empty((height, width)),
            np.empty((height, width), np.uint8),
            np.empty((height, width), np.uint8),
            np.empty((height, width, 3), np.int32),
            np.empty((height, width, 3)),
        )

    def render(
        self,
        shapes: Sequence[ShapeSet],
        *,
        previous_shapes: ShapeSet | None,
        world_from_ego: Float64[np.ndarray, "T 4 4"],
        previous_world_from_ego: Float64[np.ndarray, "4 4"] | None,
    ) -> ConditionMaps:
        """Render all views of T consecutive steps.

        Args:
            shapes: agents' solids at each step.
            previous_shapes: agents' solids one step before the first; None at the start of a scene.
            world_from_ego: ego pose at each step.
            previous_world_from_ego: ego pose one step before the first; None at the start of a scene.
        """
        num_steps, num_views = len(shapes), len(self._rig.cameras)
        width, height = self._rig.size_px
        maps = empty_maps(num_views, num_steps, height=height, width=width)
        maps["unoccluded_px"] = np.zeros((num_views, num_steps, self._num_agents), np.int32)
        poses = np.stack([world_from_ego @ camera.ego_from_cam for camera in self._rig.cameras])
        before = self._prepare(previous_shapes) if previous_shapes is not None else None
        before_ego = previous_world_from_ego
        for step in range(num_steps):
            now = self._prepare(shapes[step])
            for view in range(num_views):
                self._render_view(view, step, now, before, world_from_ego[step], before_ego, maps)
            before, before_ego = now, world_from_ego[step]
        return ConditionMaps(
            **maps,
            world_from_cam=poses,
            K=np.stack([camera.K for camera in self._rig.cameras]),
            ray_cam=self._rays,
            focal_px=self._focal_px,
        )

    def _prepare(self, agent_shapes: ShapeSet) -> _PreparedShapes:
        joined = ShapeSet.concatenate([self._static_shapes, agent_shapes])
        first = {int(instance): i for i, instance in reversed(list(enumerate(agent_shapes.instance)))}
        return _PreparedShapes(
            solids=(joined.kind, joined.half_extent_m, joined.taper, joined.world_from_shape),
            tables=(joined.instance, joined.semantic, joined.material, joined.box_from_world),
            box_from_world={instance: agent_shapes.box_from_world[i] for instance, i in first.items()},
        )

    def _render_view(
        self,
        view: int,
        step: int,
        now: _PreparedShapes,
        before: _PreparedShapes | None,
        world_from_ego: Float64[np.ndarray, "4 4"],
        before_ego: Float64[np.ndarray, "4 4"] | None,
        maps: dict[str, np.ndarray],
    ) -> None:
        from scenegen.conditions.shadows import index_shadows
        from scenegen.conditions.view_kernel import describe_surfaces, find_surfaces

        camera = self._rig.cameras[view]
        world_from_cam = np.ascontiguousarray(world_from_ego @ camera.ego_from_cam)
        packed_camera = (world_from_cam, invert_rigid(world_from_cam), *self._lenses[view])
        unoccluded_px = maps["unoccluded_px"][view, step]
        find_surfaces(
            self._world,
            self._cells,
            self._tables[view],
            now.solids,
            now.tables[0],
            packed_camera,
            self._hits,
            unoccluded_px,
        )
        is_first = before is None or before_ego is None
        earlier = world_from_ego if before_ego is None else before_ego
        center_xy = np.ascontiguousarray(world_from_ego[:2, 3])
        sun = self._sun if self._use_sun else np.array([0.0, 0.0, 1.0])
        index = index_shadows(now.solids[1], now.solids[3], sun, center_xy)
        describe_surfaces(
            self._world,
            self._voxel_tables,
            now.solids,
            now.tables,
            agent_motion(now.box_from_world, before.box_from_world if before is not None else {}),
            packed_camera,
            (np.ascontiguousarray(invert_rigid(earlier @ camera.ego_from_cam)), is_first),
            (sun, self._use_sun, center_xy),
            index,
            self._hits,
            tuple(maps[name][view, step] for name in MAP_ORDER),
        )


MAP_ORDER = (
    "semantic",
    "material",
    "instance",
    "depth_m",
    "normal_world",
    "canonical",
    "point_world_m",
    "motion_px",
    "sun_visible",
)


def empty_maps(num_views: int, num_steps: int, *, height: int, width: int) -> dict[str, np.ndarray]:
    """Allocate maps that show nothing but sky."""
    shape = (num_views, num_steps, height, width)
    return {
        "semantic": np.full(shape, Semantic.FREE, np.uint8),
        "material": np.full(shape, Material.SKY, np.uint8),
        "instance": np.zeros(shape, np.uint16),
        "depth_m": np.full(shape, np.inf, np.float32),
        "normal_world": np.zeros((*shape, 3), np.float32),
        "canonical": np.zeros((*shape, 3), np.float32),
        "point_world_m": np.zeros((*shape, 3), np.float32),
        "motion_px": np.full((*shape, 2), np.nan, np.float32),
        "sun_visible": np.ones(shape, np.bool_),
    }


def pack_world(world: World) -> tuple[Any, ...]:
    """Return voxels and ground as the kernels want them, columns packed to words."""
    raised = np.zeros(32, np.bool_)
    raised[[int(material) for material in RAISED_MATERIALS]] = True
    grid = world.grid
    return (
        pack_columns(world.semantics != Semantic.FREE),
        np.array(grid.origin_m, np.float64),
        float(grid.voxel_m),
        grid.shape[2],
        world.ground,
        raised,
        np.array(world.ground_origin_m, np.float64),
        float(world.ground_cell_m),
        float(world.kerb_height_m),
    )


def pack_tables(world: World) -> tuple[Any, ...]:
    """Return what a voxel belongs to, as the kernels want it."""
    statics = world.statics
    return (
        world.semantics,
        world.column_instance,
        statics.material,
        np.ascontiguousarray(invert_rigid(statics.world_from_thing)),
        statics.size_lwh_m,
    )


def pack_columns(occupied: Bool[np.ndarray, "X Y Z"]) -> UInt64[np.ndarray, "X Y"]:
    """Pack each column of voxels into one word: bit k is level k."""
    padded = np.zeros((*occupied.shape[:2], 64), np.bool_)
    padded[..., : occupied.shape[2]] = occupied
    return np.packbits(padded, axis=-1, bitorder="little").view(np.uint64)[..., 0]


def agent_motion(
    now: dict[int, Float64[np.ndarray, "4 4"]], before: dict[int, Float64[np.ndarray, "4 4"]]
) -> tuple[Float64[np.ndarray, "A 4 4"], Bool[np.ndarray, " A"]]:
    """Return, by instance id, the map from a world point on an agent now to where it was one step earlier."""
    count = max((i for i in now if i < STATIC_INSTANCE_OFFSET), default=0) + 1
    previous_from_current = np.tile(np.eye(4), (count, 1, 1))
    known = np.zeros(count, np.bool_)
    for instance, box_from_world in now.items():
        if instance in before:
            previous_from_current[instance] = np.linalg.solve(before[instance], box_from_world)
            known[instance] = True
    return previous_from_current, known
