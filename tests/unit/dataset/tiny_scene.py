"""A hand-made scene of a few steps: two agents and a pedestrian on a straight road, six small cameras."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scenegen.types import (
    OCC3D_GRID,
    SEMANTIC_OF_CATEGORY,
    STATIC_INSTANCE_OFFSET,
    AgentCategory,
    AgentPixels,
    AgentTrack,
    Area,
    Camera,
    CameraRig,
    DenseLabels,
    EgoTrack,
    Environment,
    Lane,
    LaneLine,
    Layout,
    LidarLabels,
    Prop,
    Provenance,
    RoadMap,
    SceneChunk,
    SceneRecord,
    Sweep,
    Timeline,
    WorldVoxels,
)

RIG_YAWS_DEG = {
    "CAM_FRONT": 0.0,
    "CAM_FRONT_RIGHT": -55.0,
    "CAM_BACK_RIGHT": -110.0,
    "CAM_BACK": 180.0,
    "CAM_BACK_LEFT": 110.0,
    "CAM_FRONT_LEFT": 55.0,
}


def tiny_rig(*, size_px: tuple[int, int] = (40, 24), names: tuple[str, ...] = tuple(RIG_YAWS_DEG)) -> CameraRig:
    """Level pinhole cameras 1.5 m above the ego origin, 70 degrees wide."""
    width, height = size_px
    focal_px = 0.5 * width / np.tan(np.radians(35.0))
    K = np.array([[focal_px, 0.0, 0.5 * width], [0.0, focal_px, 0.5 * height], [0.0, 0.0, 1.0]])
    return CameraRig(
        name="nuscenes6",
        cameras=tuple(
            Camera(name=name, K=K, ego_from_cam=_ego_from_cam(np.radians(RIG_YAWS_DEG[name])), size_px=size_px)
            for name in names
        ),
    )


def _ego_from_cam(yaw_rad: float) -> np.ndarray:
    forward = np.array([np.cos(yaw_rad), np.sin(yaw_rad), 0.0])
    right = np.array([np.sin(yaw_rad), -np.cos(yaw_rad), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, [0.0, 0.0, -1.0], forward], axis=1)
    pose[:3, 3] = [1.0, 0.0, 1.5]
    return pose


def tiny_layout(*, num_steps: int = 7) -> Layout:
    """A straight road along x; the ego at 6 m/s, a car ahead, a pedestrian who appears at step 2."""
    timeline = Timeline(rate_hz=12.0, num_steps=num_steps)
    seconds = np.arange(num_steps) / 12.0
    ego = np.tile(np.eye(4), (num_steps, 1, 1))
    ego[:, 0, 3] = 6.0 * seconds
    flat = np.zeros(num_steps)
    car = AgentTrack(
        agent_id="car-1",
        category=AgentCategory.CAR,
        size_lwh_m=np.array([4.5, 1.9, 1.6]),
        center_world_m=np.stack([15.0 + 7.0 * seconds, flat, flat + 0.8], axis=1),
        heading_rad=flat,
        velocity_world_mps=np.tile([7.0, 0.0], (num_steps, 1)),
        valid=np.ones(num_steps, bool),
        attribute="vehicle.moving",
    )
    walker = AgentTrack(
        agent_id="walker-1",
        category=AgentCategory.PEDESTRIAN,
        size_lwh_m=np.array([0.6, 0.6, 1.75]),
        center_world_m=np.stack([flat + 12.0, 5.0 - 1.4 * seconds, flat + 0.875], axis=1),
        heading_rad=flat - np.pi / 2,
        velocity_world_mps=np.tile([0.0, -1.4], (num_steps, 1)),
        valid=np.arange(num_steps) >= 2,
    )
    line = np.stack([np.linspace(-40.0, 80.0, 25), np.zeros(25), np.zeros(25)], axis=1)
    road = np.array([[-40.0, -6.0], [80.0, -6.0], [80.0, 6.0], [-40.0, 6.0]])
    square = np.array([[20.0, 10.0], [30.0, 10.0], [30.0, 18.0], [20.0, 18.0]])
    courtyard = 0.5 * square + [12.5, 7.0]
    return Layout(
        layout_id="tiny",
        source="file",
        licence="CC0-1.0",
        timeline=timeline,
        road_map=RoadMap(
            lanes=(Lane(lane_id="a", centerline_world_m=line - [0.0, 1.75, 0.0], width_m=3.5),),
            lane_lines=(LaneLine(points_world_m=line, kind="dashed", color="yellow"),),
            areas=(
                Area(kind="drivable", polygon_world_m=road),
                Area(kind="building", polygon_world_m=square, holes_world_m=(courtyard,), height_m=9.0),
            ),
            props=(Prop(kind="tree", position_world_m=np.array([10.0, 9.0])),),
            num_roads=1,
        ),
        agents=(car, walker),
        ego=EgoTrack(world_from_ego=ego, velocity_world_mps=np.tile([6.0, 0.0], (num_steps, 1))),
        environment=Environment(prompt="a quiet street"),
    )


def tiny_record(*, num_steps: int = 7, scene_id: str = "tiny-00c0ffee", rig: CameraRig | None = None) -> SceneRecord:
    """The header of the tiny scene."""
    return SceneRecord(
        scene_id=scene_id,
        layout=tiny_layout(num_steps=num_steps),
        rig=rig or tiny_rig(),
        seed=7,
        split="train",
        provenance=Provenance(
            code_version="0.1.0",
            config_sha256="0" * 64,
            model_id="preview",
            weights_sha256="",
            model_licence="Apache-2.0",
            source_licence="CC0-1.0",
        ),
    )


def tiny_chunk(record: SceneRecord, *, start_step: int, num_steps: int) -> SceneChunk:
    """Gradients that move with time and voxels that depend on the step, so that no two steps are equal."""
    width, height = record.rig.size_px
    views, steps = len(record.rig.cameras), np.arange(start_step, start_step + num_steps)
    rows = np.linspace(0, 100, height)[None, None, :, None, None]
    columns = np.linspace(0, 60, width)[None, None, None, :, None]
    shade = rows + columns + 3.0 * steps[None, :, None, None, None] + 5.0 * np.arange(views)[:, None, None, None, None]
    rgb = np.broadcast_to(shade + 10.0 * np.arange(3), (views, num_steps, height, width, 3))
    occupancy = np.full((num_steps, *OCC3D_GRID.shape), 17, np.uint8)
    occupancy[:, :, :, 2] = 11
    occupancy[np.arange(num_steps), steps, 5, 3] = 15
    instance = np.zeros(occupancy.shape, np.uint16)
    for idx, step in enumerate(steps.tolist()):
        for a, voxel in voxel_of_agents(record, step).items():
            occupancy[idx, *voxel] = SEMANTIC_OF_CATEGORY[record.layout.agents[a].category]
            instance[idx, *voxel] = 1 + a
    valid = valid_at(record, steps)
    num_agents = valid.shape[1]
    return SceneChunk(
        start_step=start_step,
        rgb=rgb.astype(np.uint8),
        occupancy=occupancy,
        mask_camera=(occupancy != 17).astype(np.uint8),
        visible_fraction=np.where(valid, [1.0, 0.5][:num_agents], 0.0).astype(np.float32),
        visible_height_px=np.where(valid, [9.0, 14.0][:num_agents], 0.0).astype(np.float32),
        occupancy_instance=instance,
        agent_pixels=tiny_pixels(record, steps),
        lidar=tiny_lidar(record, steps),
    )


def valid_at(record: SceneRecord, steps: np.ndarray) -> np.ndarray:
    """Which agents are there at which steps, T A."""
    return (
        np.array([agent.valid for agent in record.layout.agents], bool)
        .reshape(-1, record.layout.timeline.num_steps)
        .T[steps]
    )


def voxel_of_agents(record: SceneRecord, step: int) -> dict[int, tuple[int, ...]]:
    """The voxel in the middle of every agent that is there and inside the grid."""
    ego_from_world = np.linalg.inv(record.layout.ego.world_from_ego[step])
    voxels = {}
    for a, agent in enumerate(record.layout.agents):
        center_ego_m = (ego_from_world @ np.append(agent.center_world_m[step], 1.0))[:3]
        voxel = np.floor((center_ego_m - OCC3D_GRID.origin_m) / OCC3D_GRID.voxel_m).astype(int)
        if agent.valid[step] and ((voxel >= 0) & (voxel < OCC3D_GRID.shape)).all():
            voxels[a] = tuple(voxel.tolist())
    return voxels


def tiny_pixels(record: SceneRecord, steps: np.ndarray) -> AgentPixels:
    """The agents' pixels of `tiny_instance`; half of each pedestrian is hidden."""
    instance = tiny_instance(record, steps)
    num_agents = len(record.layout.agents)
    xyxy_px = np.zeros((*instance.shape[:2], num_agents, 4), np.int32)
    num_px = np.zeros((*instance.shape[:2], num_agents), np.int32)
    for view, idx, a in np.ndindex(num_px.shape):
        v, u = np.nonzero(instance[view, idx] == 1 + a)
        if len(u):
            num_px[view, idx, a] = len(u)
            xyxy_px[view, idx, a] = u.min(), v.min(), u.max() + 1, v.max() + 1
    return AgentPixels(num_px=num_px, unoccluded_px=num_px * np.array([1, 2], np.int32)[:num_agents], xyxy_px=xyxy_px)


def tiny_instance(record: SceneRecord, steps: np.ndarray) -> np.ndarray:
    """Static ramps, and 6 x 4 pixels about each agent's centre in the cameras that see the centre; later agents win."""
    cameras, (width, height) = record.rig.cameras, record.rig.size_px
    ramp = np.arange(height)[:, None] * width + np.arange(width) + 7 * steps[:, None, None]
    instance = np.repeat((STATIC_INSTANCE_OFFSET + ramp % 3).astype(np.uint16)[None], len(cameras), axis=0)
    for view, camera in enumerate(cameras):
        for idx, step in enumerate(steps):
            cam_from_world = np.linalg.inv(record.layout.ego.world_from_ego[step] @ camera.ego_from_cam)
            for a, agent in enumerate(record.layout.agents):
                x, y, z = (cam_from_world @ np.append(agent.center_world_m[step], 1.0))[:3]
                center = np.array([camera.K[0, 0] * x / z + camera.K[0, 2], camera.K[1, 1] * y / z + camera.K[1, 2]])
                if agent.valid[step] and z > 0.5 and ((center >= 0) & (center < camera.size_px)).all():
                    low = np.clip(np.floor(center).astype(int) - [3, 2], 0, camera.size_px)
                    high = np.clip(np.add(low, (6, 4)), 0, camera.size_px)
                    instance[view, idx, low[1] : high[1], low[0] : high[0]] = 1 + a
    return instance


def tiny_lidar(record: SceneRecord, steps: np.ndarray) -> LidarLabels:
    """Two points in each agent's box and a ring of 24 on the ground around the ego, 8 m away."""
    lidar2ego = np.eye(4)
    lidar2ego[:3, 3] = [0.94, 0.0, 1.84]
    angle = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    ground_m = np.stack([8.0 * np.cos(angle), 8.0 * np.sin(angle), np.full(24, -1.84)], axis=1)
    sweeps, is_key_frame = [], record.layout.timeline.is_key_frame()
    for step in steps:
        lidar_from_world = np.linalg.inv(record.layout.ego.world_from_ego[step] @ lidar2ego)
        points, instance = [ground_m], [np.zeros(24, np.uint16)]
        for a, agent in enumerate(record.layout.agents):
            if agent.valid[step]:
                inside_m = agent.center_world_m[step] + np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.3]])
                points.append(inside_m @ lidar_from_world[:3, :3].T + lidar_from_world[:3, 3])
                instance.append(np.full(2, a + 1, np.uint16))
        joined = np.concatenate(points).astype(np.float32)
        sweep = Sweep(
            points_lidar_m=joined,
            intensity=np.linspace(0.0, 1.0, len(joined), dtype=np.float32),
            ring=(np.arange(len(joined)) % 32).astype(np.uint8),
            instance=np.concatenate(instance),
        )
        sweeps.append(sweep if is_key_frame[step] else None)
    mask = np.zeros((len(steps), *OCC3D_GRID.shape), np.uint8)
    mask[np.arange(len(steps)), steps, :, 2] = 1
    return LidarLabels(
        lidar2ego=lidar2ego, sweeps=tuple(sweeps), num_points=2 * valid_at(record, steps).astype(np.int32), mask=mask
    )


def tiny_dense(record: SceneRecord, steps: np.ndarray) -> DenseLabels:
    """Ramps that move with time; no flow at the first step."""
    width, height = record.rig.size_px
    views = len(record.rig.cameras)
    ramp = np.arange(height)[:, None] * width + np.arange(width) + 7 * steps[:, None, None]
    ramp = np.broadcast_to(ramp, (views, *ramp.shape))
    flow = np.stack([0.25 * ramp, -0.5 * ramp], axis=-1).astype(np.float16)
    flow[:, steps == 0] = np.nan
    return DenseLabels(
        depth_mm=(3 * ramp).astype(np.uint16),
        semantic=(ramp % 18).astype(np.uint8),
        instance=tiny_instance(record, steps),
        optical_flow_px=flow,
    )


def tiny_chunks(record: SceneRecord, *, chunk_steps: int = 3) -> list[SceneChunk]:
    """The whole scene, cut into chunks that do not divide it."""
    total = record.layout.timeline.num_steps
    return [
        tiny_chunk(record, start_step=start, num_steps=min(chunk_steps, total - start))
        for start in range(0, total, chunk_steps)
    ]


def full_chunks(record: SceneRecord, *, chunk_steps: int = 3) -> list[SceneChunk]:
    """The whole scene with the labels of every pixel, which most tests can do without."""
    return [
        replace(chunk, dense=tiny_dense(record, chunk.start_step + np.arange(len(chunk.occupancy))))
        for chunk in tiny_chunks(record, chunk_steps=chunk_steps)
    ]


def bare_chunks(record: SceneRecord) -> list[SceneChunk]:
    """The whole scene without the labels that a scene may do without."""
    bare = {"occupancy_instance": None, "agent_pixels": None, "lidar": None, "dense": None}
    return [replace(chunk, **bare) for chunk in tiny_chunks(record)]


def tiny_world() -> WorldVoxels:
    """Return a sampled world of a few columns."""
    generator = np.random.default_rng(3)
    return WorldVoxels(
        solid=generator.integers(0, 3, (6, 5, 4)).astype(np.uint8),
        ground=generator.integers(0, 2, (6, 5)).astype(np.uint8),
        origin_world_m=(-1.2, 0.8),
        voxel_m=0.4,
    )
