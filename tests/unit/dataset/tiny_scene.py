"""A hand-made scene of a few steps: two agents and a pedestrian on a straight road, six small cameras."""

from __future__ import annotations

import numpy as np

from scenegen.types import (
    OCC3D_GRID,
    SEMANTIC_OF_CATEGORY,
    AgentCategory,
    AgentTrack,
    Area,
    Camera,
    CameraRig,
    EgoTrack,
    Environment,
    Lane,
    LaneLine,
    Layout,
    Prop,
    Provenance,
    RoadMap,
    SceneChunk,
    SceneRecord,
    Timeline,
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
    paint_agents(occupancy, record.layout, steps=steps)
    valid = np.stack([agent.valid for agent in record.layout.agents], axis=1)[steps]
    return SceneChunk(
        start_step=start_step,
        rgb=rgb.astype(np.uint8),
        occupancy=occupancy,
        mask_camera=(occupancy != 17).astype(np.uint8),
        visible_fraction=np.where(valid, [1.0, 0.5], 0.0).astype(np.float32),
        visible_height_px=np.where(valid, [9.0, 14.0], 0.0).astype(np.float32),
    )


def paint_agents(occupancy: np.ndarray, layout: Layout, *, steps: np.ndarray) -> None:
    """Set, in place, the voxel in the middle of every agent to the agent's class, at each of the steps."""
    for agent in layout.agents:
        for idx, step in enumerate(steps.tolist()):
            center_ego_m = agent.center_world_m[step] - layout.ego.world_from_ego[step, :3, 3]
            voxel = np.floor((center_ego_m - OCC3D_GRID.origin_m) / OCC3D_GRID.voxel_m).astype(int)
            if agent.valid[step] and (voxel >= 0).all() and (voxel < OCC3D_GRID.shape).all():
                occupancy[idx, *voxel] = SEMANTIC_OF_CATEGORY[agent.category]


def tiny_chunks(record: SceneRecord, *, chunk_steps: int = 3) -> list[SceneChunk]:
    """The whole scene, cut into chunks that do not divide it."""
    total = record.layout.timeline.num_steps
    return [
        tiny_chunk(record, start_step=start, num_steps=min(chunk_steps, total - start))
        for start in range(0, total, chunk_steps)
    ]
