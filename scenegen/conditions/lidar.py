"""A simulated spinning LiDAR on the roof of the ego vehicle: `LidarScanner`.

What it is: one exact ray per beam and azimuth of a `LidarModel` into the same world that the cameras see (voxels,
two-level ground, solids). Neither rain nor fog act on it. The ego vehicle itself is not seen.

All beams of a sweep fire at the instant of its step, or, where `LidarModel.is_rolling`, azimuth after azimuth: the last
one at the step, the others before it, while ego and agents come steadily from where they were one step earlier (limbs
and wheels rest meanwhile). Points are then where the beams met something, seen from the sensor at the step: the ego's
own motion is taken out, as frame `lidar` wants it, and `time_offset_us` says when each was met. The motion of agents is
not: their boxes are those of the step, so points of a moving agent may trail behind its box, as they do in recordings.

What comes back, from a surface at range d, of reflectivity p (`reflectivity`) that the beam meets at an angle with
cosine c (foliage: c = 1):

- intensity: `min(p (0.2 + 0.8 c) exp(-d / 100 m) (0.9 + 0.2 u), 1)`;
- lost: with probability `0.02 + 0.6 (d / range limit)^2 (1 - p (0.2 + 0.8 c))`, and 0.6 more on glass, times
  `LidarModel.drop_out_scale`;
- range: d and a normal error of `LidarModel.range_noise_m`, along the beam.

u, the error and whether a beam is lost are hashes of seed, scene, step and beam: the same whatever else is drawn.

Boxes and points agree by construction: what an agent returns, its error included, is moved to at least `INNER_M` inside
its own box, and returns of ground and static things inside an agent's box grown by `OUTER_M` (the road under a car) are
left out. So counting points in a box has one answer, whatever the rounding. What a moving agent returns to a rolling
sensor is moved so only where the agent's grown box was met; what trails behind it is left as it is.

Never zero for what a camera sees: an agent with visible pixels and no return gets up to `EXTRA_POINTS` extra ones, on
the surface points that the cameras see, evenly among its pixels. They are never lost, know no range limit, need no free
line to the LiDAR, and carry ring `EXTRA_RING`; whoever wants nothing but beams drops that ring.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64, UInt8, UInt16

from scenegen.conditions.packing import pack_tables, pack_world
from scenegen.conditions.reflectivity import reflectivity_by_code
from scenegen.conditions.turn import TurnMotion
from scenegen.geometry.rigid import invert_rigid, planar_poses, transform_points
from scenegen.types import EXTRA_RING, ConditionMaps, Layout, LidarModel, Material, ShapeSet, Sweep, World
from scenegen.types.seeding import random_key

INNER_M, OUTER_M = 0.002, 0.005
EXTRA_POINTS = 5
LEVEL = 1e-12
"""One minus the cosine of a tilt that moves no beam by an azimuth."""


@dataclass(frozen=True, kw_only=True)
class AgentBoxes:
    """The boxes of all A agents at one step; those of absent agents are never looked at."""

    world_from_box: Float64[np.ndarray, "A 4 4"]
    half_m: Float64[np.ndarray, "A 3"]
    is_present: Bool[np.ndarray, " A"]


def agent_boxes(layout: Layout, *, step: int) -> AgentBoxes:
    """Take the boxes of one step from a layout."""
    agents = layout.agents
    return AgentBoxes(
        world_from_box=planar_poses(
            np.array([agent.center_world_m[step] for agent in agents]).reshape(-1, 3),
            np.array([agent.heading_rad[step] for agent in agents], np.float64),
        ),
        half_m=0.5 * np.array([agent.size_lwh_m for agent in agents], np.float64).reshape(-1, 3),
        is_present=np.array([agent.valid[step] for agent in agents], np.bool_),
    )


@dataclass(frozen=True, kw_only=True)
class CountedSweep:
    """A sweep, and how many of its points lie in the box of each agent."""

    sweep: Sweep
    num_points: Int32[np.ndarray, " A"]


@dataclass(frozen=True, kw_only=True)
class _SeenPoints:
    """Surface points that cameras see, world frame."""

    point_world_m: Float64[np.ndarray, "P 3"]
    normal_world: Float64[np.ndarray, "P 3"]
    material: UInt8[np.ndarray, " P"]
    instance: UInt16[np.ndarray, " P"]


@dataclass(frozen=True, kw_only=True)
class _Fired:
    """The beams of a sweep in frame `lidar` at its step, and what describing their returns needs.

    Attributes:
        origins_m, directions: of each azimuth's and each beam's ray.
        is_still: agents that do not move while the sensor turns.
        near: boxes near each azimuth; see `lidar_kernel.boxes_per_azimuth`.
        time_us: when each azimuth fired, after the step; None where all did at the step.
    """

    origins_m: Float64[np.ndarray, "K 3"]
    directions: Float64[np.ndarray, "K R 3"]
    is_still: Bool[np.ndarray, " A"]
    near: tuple[np.ndarray, np.ndarray]
    time_us: Int32[np.ndarray, " K"] | None


class LidarScanner:
    """Sweeps one world, step after step; a step's sweep depends on nothing but the step.

    Args:
        world: static world.
        model: the sensor.
        seed, scene_id: with the step, the key of all that is drawn.
    """

    def __init__(self, world: World, *, model: LidarModel, seed: int, scene_id: str) -> None:
        from scenegen.conditions.lidar_static import measure_gaps

        self.model = model
        self._seed, self._scene_id = seed, scene_id
        self._static_shapes = world.shapes
        self._world = pack_world(world)
        self._gaps = measure_gaps(self._world)
        _, column_instance, static_material, _, _ = pack_tables(world)
        self._tables = (column_instance, static_material)
        self._reflectivity = reflectivity_by_code()
        self._transparent = np.arange(256) == int(Material.GLASS)
        self._directions = model.directions()
        num_azimuths, num_beams = model.num_azimuths, model.num_beams
        self._hits = (
            np.empty((num_azimuths, num_beams)),
            np.empty((num_azimuths, num_beams), np.uint8),
            np.zeros((num_azimuths, num_beams, 2), np.int64),
            np.empty((num_azimuths, num_beams)),
        )

    def scan(
        self,
        agent_shapes: ShapeSet,
        *,
        boxes: AgentBoxes,
        world_from_ego: Float64[np.ndarray, "4 4"],
        conditions: ConditionMaps,
        step: int,
        motion: TurnMotion | None = None,
    ) -> CountedSweep:
        """Make the sweep of one step and count the points in the agents' boxes.

        Args:
            agent_shapes: agents' solids at the step.
            boxes: agents' boxes at the step.
            world_from_ego: ego pose at the step.
            conditions: what the cameras see at the step (T = 1), for the extra returns.
            step: index in the scene, part of the key.
            motion: how ego and agents got here, of a rolling sensor.
        """
        from scenegen.conditions.lidar_kernel import count_inside

        world_from_lidar = np.ascontiguousarray(world_from_ego @ self.model.lidar2ego)
        box_from_lidar = np.ascontiguousarray(invert_rigid(boxes.world_from_box) @ world_from_lidar)
        counts = np.zeros(len(boxes.half_m), np.int64)
        joined = ShapeSet.concatenate([self._static_shapes, agent_shapes])
        if self.model.is_rolling:
            assert motion is not None, "a rolling sensor needs the motion"
            fired = self._fire_in_turn(joined, motion, boxes, world_from_ego, box_from_lidar)
        else:
            fired = self._fire_at_once(joined, boxes, world_from_lidar, box_from_lidar)
        beams = self._describe(joined, fired, boxes, box_from_lidar, step, counts)
        seen = _unmet_points(conditions, counts)
        if len(seen.instance):
            extra = self._extra_returns(seen, boxes, world_from_lidar, box_from_lidar)
            count_inside(extra.points_lidar_m, box_from_lidar, boxes.half_m, boxes.is_present, counts)
            beams = _join(beams, extra)
        return CountedSweep(sweep=beams, num_points=counts.astype(np.int32))

    def _fire_at_once(
        self,
        solids: ShapeSet,
        boxes: AgentBoxes,
        world_from_lidar: Float64[np.ndarray, "4 4"],
        box_from_lidar: Float64[np.ndarray, "A 4 4"],
    ) -> _Fired:
        """Fire all beams at the instant of the step."""
        from scenegen.conditions.lidar_kernel import cast_sweep

        model = self.model
        lidar_from_world = np.ascontiguousarray(invert_rigid(world_from_lidar))
        lidar = (world_from_lidar, lidar_from_world, model.packed(), self._directions)
        cast_sweep(self._world, self._gaps, _packed(solids), lidar, model.max_range_m, *self._hits)
        return _Fired(
            origins_m=np.zeros((model.num_azimuths, 3)),
            directions=self._directions,
            is_still=np.ones(len(boxes.half_m), np.bool_),
            near=self._boxes_near(boxes, box_from_lidar, away_m=0.0, num_beside=0),
            time_us=None,
        )

    def _fire_in_turn(
        self,
        solids: ShapeSet,
        motion: TurnMotion,
        boxes: AgentBoxes,
        world_from_ego: Float64[np.ndarray, "4 4"],
        box_from_lidar: Float64[np.ndarray, "A 4 4"],
    ) -> _Fired:
        """Fire azimuth after azimuth, the last one at the instant of the step."""
        from scenegen.conditions.rolling_kernel import cast_turn

        model = self.model
        time_us = model.firing_us(most_s=motion.most_s)
        time_s = 1e-6 * time_us
        poses = np.ascontiguousarray(motion.ego_at(time_s, world_from_ego) @ model.lidar2ego)
        lidar = (poses, np.ascontiguousarray(invert_rigid(poses)), model.packed(), self._directions)
        moves = (*motion.of_solids(solids.instance), time_s, *motion.most_of_sensor(model.lidar2ego))
        cast_turn(self._world, self._gaps, _packed(solids), moves, lidar, model.max_range_m, *self._hits)
        lidar_from_firing = invert_rigid(world_from_ego @ model.lidar2ego) @ poses
        turned_rad = np.arctan2(lidar_from_firing[:, 1, 0], lidar_from_firing[:, 0, 0])
        is_level = (lidar_from_firing[:, 2, 2] > 1.0 - LEVEL).all()
        num_beside = int(np.abs(turned_rad).max() * model.num_azimuths / (2.0 * np.pi)) + 1
        return _Fired(
            origins_m=np.ascontiguousarray(lidar_from_firing[:, :3, 3]),
            directions=np.ascontiguousarray(self._directions @ lidar_from_firing[:, :3, :3].swapaxes(1, 2)),
            is_still=motion.is_still(),
            near=self._boxes_near(
                boxes,
                box_from_lidar,
                away_m=float(np.linalg.norm(lidar_from_firing[:, :3, 3], axis=1).max()),
                num_beside=num_beside if is_level else model.num_azimuths,
            ),
            time_us=time_us,
        )

    def _boxes_near(
        self, boxes: AgentBoxes, box_from_lidar: Float64[np.ndarray, "A 4 4"], *, away_m: float, num_beside: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """List the boxes that beams of each azimuth may meet, fired at most `away_m` from the sensor at the step."""
        from scenegen.conditions.lidar_kernel import MOST_DEVIATIONS, boxes_per_azimuth

        lidar_from_box = np.ascontiguousarray(invert_rigid(box_from_lidar))
        margin_m = OUTER_M + MOST_DEVIATIONS * self.model.range_noise_m + away_m
        near: tuple[np.ndarray, np.ndarray] = boxes_per_azimuth(
            lidar_from_box, boxes.half_m, boxes.is_present, margin_m, self.model.packed(), num_beside
        )
        return near

    def _describe(
        self,
        solids: ShapeSet,
        fired: _Fired,
        boxes: AgentBoxes,
        box_from_lidar: Float64[np.ndarray, "A 4 4"],
        step: int,
        counts: Int64[np.ndarray, " A"],
    ) -> Sweep:
        """Return what comes back, in firing order, and add its points in boxes to `counts`."""
        from scenegen.conditions.lidar_kernel import describe_returns

        model = self.model
        key = random_key(self._seed, self._scene_id, "lidar", step) & (2**64 - 1)
        size = model.num_azimuths * model.num_beams
        out = (np.empty((size, 3), np.float32), np.empty(size, np.float32), np.empty(size, np.uint8),
               np.empty(size, np.uint16), np.empty(size, np.int32))  # fmt: skip
        count = describe_returns(
            self._tables,
            (solids.instance, solids.material),
            (self._reflectivity, self._transparent),
            (box_from_lidar, boxes.half_m, fired.is_still, fired.near),
            (fired.origins_m, fired.directions),
            np.uint64(key),
            (model.min_range_m, model.max_range_m, INNER_M, OUTER_M, model.range_noise_m, model.drop_out_scale),
            self._hits,
            out,
            counts,
        )
        points, intensity, ring, instance, azimuth = (array[:count].copy() for array in out)
        return Sweep(
            points_lidar_m=points,
            intensity=intensity,
            ring=ring,
            instance=instance,
            time_offset_us=None if fired.time_us is None else fired.time_us[azimuth],
        )

    def _extra_returns(
        self,
        seen: _SeenPoints,
        boxes: AgentBoxes,
        world_from_lidar: Float64[np.ndarray, "4 4"],
        box_from_lidar: Float64[np.ndarray, "A 4 4"],
    ) -> Sweep:
        """Make returns of surface points that cameras see."""
        from scenegen.conditions.lidar_kernel import intensity_of, into_box

        lidar_from_world = invert_rigid(world_from_lidar)
        points = transform_points(lidar_from_world, seen.point_world_m)
        range_m = np.linalg.norm(points, axis=1)
        away = seen.point_world_m - world_from_lidar[:3, 3]
        facing = np.abs((away * seen.normal_world).sum(axis=1)) / range_m
        intensity = np.empty(len(points), np.float32)
        for i, instance in enumerate(seen.instance.tolist()):
            into_box(box_from_lidar[instance - 1], boxes.half_m[instance - 1], INNER_M, points[i])
            intensity[i] = intensity_of(self._reflectivity[seen.material[i]], facing[i], range_m[i], 0.5)
        return Sweep(
            points_lidar_m=points.astype(np.float32),
            intensity=intensity,
            ring=np.full(len(points), EXTRA_RING, np.uint8),
            instance=seen.instance,
            time_offset_us=np.zeros(len(points), np.int32) if self.model.is_rolling else None,
        )


def _packed(solids: ShapeSet) -> tuple[np.ndarray, ...]:
    return solids.kind, solids.half_extent_m, solids.taper, solids.world_from_shape


def points_of_beams(sweep: Sweep) -> Float32[np.ndarray, "P 3"]:
    """Return the points of a sweep without its extra returns, frame `lidar`."""
    points: Float32[np.ndarray, "P 3"] = sweep.points_lidar_m[sweep.ring != EXTRA_RING]
    return points


def _unmet_points(conditions: ConditionMaps, counts: np.ndarray) -> _SeenPoints:
    """Pick up to `EXTRA_POINTS` pixels of every agent that cameras see and no beam met, all views as one image."""
    from scenegen.conditions.visibility import measure_agent_pixels

    instance = conditions.instance[:, 0]
    image = instance.reshape(-1)
    visible_px = measure_agent_pixels(conditions).num_px.sum(axis=(0, 1))
    picked = [np.zeros(0, np.int64)]
    for agent in np.flatnonzero((visible_px > 0) & (counts == 0)).tolist():
        pixels = np.flatnonzero(image == agent + 1)
        number = min(EXTRA_POINTS, len(pixels))
        picked.append(pixels[(np.arange(number) * len(pixels)) // number])
    chosen = np.unravel_index(np.concatenate(picked), instance.shape)
    return _SeenPoints(
        point_world_m=conditions.point_world_m[:, 0][chosen].astype(np.float64),
        normal_world=conditions.normal_world[:, 0][chosen].astype(np.float64),
        material=conditions.material[:, 0][chosen],
        instance=instance[chosen],
    )


def _join(first: Sweep, second: Sweep) -> Sweep:
    names = [name for name in Sweep.__dataclass_fields__ if getattr(first, name) is not None]
    return Sweep(**{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names})
