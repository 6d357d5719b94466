"""Render exact condition maps of a world for any rig: `ConditionRenderer`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8, UInt16

from scenegen.conditions.packing import MAP_ORDER, agent_motion, empty_maps, pack_tables, pack_world
from scenegen.geometry.lens import local_focal_px, pixel_rays
from scenegen.geometry.rigid import invert_rigid
from scenegen.types import (
    CameraRig,
    ConditionMaps,
    Lighting,
    ShapeSet,
    World,
)

if TYPE_CHECKING:
    from scenegen.conditions.device.caster import TensorCaster

MIN_SUN_HEIGHT = 0.05
"""Below this z of the sun direction shadows are not cast (they would be longer than the world)."""


@dataclass(frozen=True, kw_only=True)
class _PreparedShapes:
    """Solids of one step as the kernels want them, with the agents' own boxes."""

    solids: tuple[Any, ...]
    tables: tuple[Any, ...]
    box_from_world: dict[int, Float64[np.ndarray, "4 4"]]


@dataclass(frozen=True, kw_only=True)
class _Scratch:
    """Room for the hits of one view and for the tables of free space of each, for one caller at a time."""

    hits: tuple[Any, ...]
    last_agent: UInt16[np.ndarray, "H W"]
    tables: list[tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class SemanticDepth:
    """Class and z-depth of every pixel, as in `ConditionMaps`."""

    semantic: UInt8[np.ndarray, "V T H W"]
    depth_m: Float32[np.ndarray, "V T H W"]


class ConditionRenderer:
    """Casts the rays of a rig into one world, step after step.

    The world is packed once (columns to 64-bit words); steps cost only their own rays.

    Args:
        world: static world.
        rig: cameras of any lens, size and pose.
        lighting: only the sun's direction is used, for `sun_visible`.
        num_agents: number of agents of the layout, the A of `unoccluded_px`.
        device: None casts with compiled code on the processor; the name of a torch device (`cpu`, `cuda`) casts there,
            in tensors. Both give the same maps (docs/performance.md, "On a GPU").

    Raises:
        DependencyError: a CUDA device is asked for and there is none.
    """

    def __init__(
        self, world: World, *, rig: CameraRig, lighting: Lighting, num_agents: int, device: str | None = None
    ) -> None:
        from scenegen.conditions.lens_kernel import pack_lens, ray_spans
        from scenegen.conditions.upright_kernel import columns_of

        self._num_agents = num_agents
        self._rig = rig
        canvas_px = rig.size_px
        self._rays = np.stack([pixel_rays(camera, canvas_px=canvas_px) for camera in rig.cameras])
        self._focal_px = np.stack([local_focal_px(c, rays) for c, rays in zip(rig.cameras, self._rays, strict=True)])
        self._caster: TensorCaster | None = None
        self._lenses = [(pack_lens(c), rays, ray_spans(rays)) for c, rays in zip(rig.cameras, self._rays, strict=True)]
        self._idle: list[_Scratch] = []
        self._columns = [int(columns_of(rays)) for rays in self._rays]
        self._use_sun = lighting.sun > 0.02 and lighting.sun_direction_world[2] > MIN_SUN_HEIGHT
        self._sun = np.ascontiguousarray(lighting.sun_direction_world, np.float64)
        if device is not None:
            from scenegen.conditions.device.caster import TensorCaster, open_device

            self._caster = TensorCaster(self._rays, self._lenses, device=open_device(device))
        self.look_into(world)

    def look_into(self, world: World) -> None:
        """Exchange the world: what a change of the static world costs beside its rays."""
        from scenegen.conditions.kerbs import cells_to_raised

        self._static_shapes = world.shapes
        self._world = pack_world(world)
        self._cells = cells_to_raised(self._world[4], self._world[5])
        self._voxel_tables = pack_tables(world)
        self._lit: tuple[Any, ...] | None = None
        if self._caster is not None:
            self._caster.look_into(self._world, self._cells, self._voxel_tables)

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
            motion = agent_motion(now.box_from_world, before.box_from_world if before is not None else {})
            light = self._light(now, world_from_ego[step])
            is_first = before is None or before_ego is None
            ego = (world_from_ego[step], world_from_ego[step] if before_ego is None else before_ego)
            self._render_step(step, now, motion, light, ego, is_first, maps)
            before, before_ego = now, world_from_ego[step]
        return ConditionMaps(
            **maps,
            world_from_cam=poses,
            K=np.stack([camera.K for camera in self._rig.cameras]),
            ray_cam=self._rays,
            focal_px=self._focal_px,
        )

    def render_semantic_depth(
        self,
        shapes: Sequence[ShapeSet],
        *,
        world_from_ego: Float64[np.ndarray, "T 4 4"],
        out: SemanticDepth | None = None,
    ) -> SemanticDepth:
        """Render only class and depth of all views of T steps: the same numbers as `render`, for less.

        Args:
            shapes: agents' solids at each step.
            world_from_ego: ego pose at each step.
            out: maps of the same shape, written over and returned: new memory costs as much as some of the rays.
        """
        from scenegen.conditions.view_kernel import name_surfaces

        width, height = self._rig.size_px
        shape = (len(self._rig.cameras), len(shapes), height, width)
        if out is None:
            out = SemanticDepth(semantic=np.empty(shape, np.uint8), depth_m=np.empty(shape, np.float32))
        if self._caster is not None:
            self._classify_on_device(self._caster, shapes, world_from_ego, out)
            return out
        unoccluded_px = np.zeros(self._num_agents, np.int32)
        scratch = self._take_scratch()
        for step, agents in enumerate(shapes):
            now = self._prepare(agents)
            for view, camera in enumerate(self._rig.cameras):
                self._find(view, now, world_from_ego[step] @ camera.ego_from_cam, scratch, unoccluded_px)
                name_surfaces(
                    self._voxel_tables[0],
                    now.tables[1],
                    scratch.hits[:4],
                    out.semantic[view, step],
                    out.depth_m[view, step],
                )
        self._idle.append(scratch)
        return out

    def _take_scratch(self) -> _Scratch:
        """Return room that no other thread uses; whoever is done puts it back, since new pages cost time."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._make_scratch()

    def _make_scratch(self) -> _Scratch:
        from scenegen.conditions.open_space import make_table

        width, height = self._rig.size_px
        return _Scratch(
            hits=(
                np.empty((height, width)),
                np.empty((height, width), np.uint8),
                np.empty((height, width), np.uint8),
                np.empty((height, width, 3), np.int32),
                np.empty((height, width, 3)),
            ),
            last_agent=np.empty((height, width), np.uint16),
            tables=[make_table(rays, columns=found) for rays, found in zip(self._rays, self._columns, strict=True)],
        )

    def _find(
        self,
        view: int,
        now: _PreparedShapes,
        world_from_cam: Float64[np.ndarray, "4 4"],
        scratch: _Scratch,
        unoccluded_px: Int32[np.ndarray, " A"],
    ) -> tuple[Any, ...]:
        """Fill the hits of a view; return the camera as the kernels want it."""
        from scenegen.conditions.static_kernel import find_static
        from scenegen.conditions.view_kernel import find_solids

        world_from_cam = np.ascontiguousarray(world_from_cam)
        camera = (world_from_cam, invert_rigid(world_from_cam), *self._lenses[view])
        seen = (world_from_cam, self._rays[view])
        find_static(self._world, self._cells, scratch.tables[view], seen, *scratch.hits[:4])
        if len(now.tables[0]):
            find_solids(now.solids, now.tables[0], camera, scratch.hits, scratch.last_agent, unoccluded_px)
        return camera

    def _light(self, now: _PreparedShapes, world_from_ego: Float64[np.ndarray, "4 4"]) -> tuple[Any, ...]:
        """Return the sun as the kernels want it, and which solids may hide it where."""
        from scenegen.conditions.shadows import index_shadows, lit_levels

        center_xy = np.ascontiguousarray(world_from_ego[:2, 3])
        sun = self._sun if self._use_sun else np.array([0.0, 0.0, 1.0])
        if self._lit is None:
            self._lit = lit_levels(self._world[0], sun)
        return (sun, self._use_sun, center_xy, self._lit), index_shadows(now.solids[1], now.solids[3], sun, center_xy)

    def _prepare(self, agent_shapes: ShapeSet) -> _PreparedShapes:
        joined = ShapeSet.concatenate([self._static_shapes, agent_shapes])
        first = {int(instance): i for i, instance in reversed(list(enumerate(agent_shapes.instance)))}
        return _PreparedShapes(
            solids=(joined.kind, joined.half_extent_m, joined.taper, joined.world_from_shape),
            tables=(joined.instance, joined.semantic, joined.material, joined.box_from_world),
            box_from_world={instance: agent_shapes.box_from_world[i] for instance, i in first.items()},
        )

    def _render_step(
        self,
        step: int,
        now: _PreparedShapes,
        motion: tuple[Any, ...],
        light: tuple[Any, ...],
        ego: tuple[Float64[np.ndarray, "4 4"], Float64[np.ndarray, "4 4"]],
        is_first: bool,
        maps: dict[str, np.ndarray],
    ) -> None:
        """Fill the maps of all views of a step."""
        if self._caster is None:
            scratch = self._take_scratch()
            for view in range(len(self._rig.cameras)):
                self._render_view(view, step, now, motion, light, ego, is_first, scratch, maps)
            self._idle.append(scratch)
            return
        world_from_ego, earlier = ego
        poses = np.stack([world_from_ego @ camera.ego_from_cam for camera in self._rig.cameras])
        previous = np.stack([invert_rigid(earlier @ camera.ego_from_cam) for camera in self._rig.cameras])
        for views in self._caster.groups():
            hits = self._caster.find(views, poses, now.solids, now.tables[0], maps["unoccluded_px"][:, step])
            images = self._caster.describe(
                views,
                hits,
                now.tables,
                solids=now.solids,
                light=light if self._use_sun else None,
                motion=motion,
                previous_cam_from_world=None if is_first else previous,
            )
            for name, image in images.items():
                maps[name][views, step] = image

    def _classify_on_device(
        self,
        caster: TensorCaster,
        shapes: Sequence[ShapeSet],
        world_from_ego: Float64[np.ndarray, "T 4 4"],
        out: SemanticDepth,
    ) -> None:
        """Fill class and depth of all views of T steps."""
        unoccluded_px = np.zeros((len(self._rig.cameras), self._num_agents), np.int32)
        for step, agents in enumerate(shapes):
            now = self._prepare(agents)
            poses = np.stack([world_from_ego[step] @ camera.ego_from_cam for camera in self._rig.cameras])
            for views in caster.groups():
                hits = caster.find(views, poses, now.solids, now.tables[0], unoccluded_px)
                out.semantic[views, step], out.depth_m[views, step] = caster.classes(hits, now.tables)

    def _render_view(
        self,
        view: int,
        step: int,
        now: _PreparedShapes,
        motion: tuple[Any, ...],
        light: tuple[Any, ...],
        ego: tuple[Float64[np.ndarray, "4 4"], Float64[np.ndarray, "4 4"]],
        is_first: bool,
        scratch: _Scratch,
        maps: dict[str, np.ndarray],
    ) -> None:
        from scenegen.conditions.view_kernel import describe_surfaces

        world_from_ego, earlier = ego
        camera = self._rig.cameras[view]
        unoccluded_px = maps["unoccluded_px"][view, step]
        packed_camera = self._find(view, now, world_from_ego @ camera.ego_from_cam, scratch, unoccluded_px)
        sun, index = light
        describe_surfaces(
            self._world,
            self._voxel_tables,
            now.solids,
            now.tables,
            motion,
            packed_camera,
            (np.ascontiguousarray(invert_rigid(earlier @ camera.ego_from_cam)), is_first),
            sun,
            index,
            scratch.hits,
            tuple(maps[name][view, step] for name in MAP_ORDER),
        )
