"""A hand-made scene with everything an export may hold: ten classes, a map, sweeps, 2-D boxes, voxels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from scenegen.dataset import open_scene_writer
from scenegen.dataset.wireframe import box_corners_world_m, project_edges
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import (
    OCC3D_GRID,
    AgentCategory,
    AgentPixels,
    AgentTrack,
    Area,
    Lane,
    LaneLine,
    Layout,
    LidarLabels,
    RoadMap,
    SceneChunk,
    SceneRecord,
    Sweep,
)
from tests.unit.dataset.tiny_scene import tiny_layout, tiny_record

NUM_STEPS = 19
LIDAR2EGO = np.array([[1.0, 0.0, 0.0, 0.94], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.84], [0.0, 0.0, 0.0, 1.0]])
POINTS_PER_AGENT = 8
SPEED_MPS = {
    AgentCategory.CAR: 7.0,
    AgentCategory.TRUCK: 5.0,
    AgentCategory.BUS: 6.0,
    AgentCategory.TRAILER: 5.0,
    AgentCategory.CONSTRUCTION_VEHICLE: 2.0,
    AgentCategory.PEDESTRIAN: 1.4,
    AgentCategory.MOTORCYCLE: 8.0,
    AgentCategory.BICYCLE: 4.0,
    AgentCategory.TRAFFIC_CONE: 0.0,
    AgentCategory.BARRIER: 0.0,
    AgentCategory.ANIMAL: 0.0,
    AgentCategory.OTHER: 0.0,
}
SIZE_LWH_M = {
    AgentCategory.CAR: (4.5, 1.9, 1.6),
    AgentCategory.TRUCK: (7.0, 2.5, 3.0),
    AgentCategory.BUS: (11.0, 2.6, 3.2),
    AgentCategory.TRAILER: (8.0, 2.5, 3.0),
    AgentCategory.CONSTRUCTION_VEHICLE: (6.0, 2.6, 2.9),
    AgentCategory.PEDESTRIAN: (0.6, 0.7, 1.75),
    AgentCategory.MOTORCYCLE: (2.1, 0.8, 1.5),
    AgentCategory.BICYCLE: (1.7, 0.6, 1.5),
    AgentCategory.TRAFFIC_CONE: (0.4, 0.4, 0.7),
    AgentCategory.BARRIER: (0.6, 2.2, 1.0),
    AgentCategory.ANIMAL: (0.9, 0.4, 0.6),
    AgentCategory.OTHER: (0.5, 0.5, 0.5),
}


def export_layout(*, layout_id: str = "all-classes", shift_m: float = 0.0) -> Layout:
    """One agent of every category, driving away in all directions so that no two boxes meet."""
    base = tiny_layout(num_steps=NUM_STEPS)
    seconds = np.arange(NUM_STEPS) / 12.0
    agents = []
    for category in AgentCategory:
        heading = np.pi / 6.0 * int(category)
        direction = np.array([np.cos(heading), np.sin(heading)])
        size = np.array(SIZE_LWH_M[category])
        start = 14.0 * direction
        center = np.zeros((NUM_STEPS, 3))
        center[:, :2] = start + SPEED_MPS[category] * seconds[:, None] * direction
        center[:, 2] = 0.5 * size[2]
        agents.append(
            AgentTrack(
                agent_id=f"{category.label}-1",
                category=category,
                size_lwh_m=size,
                center_world_m=center,
                heading_rad=np.full(NUM_STEPS, heading),
                velocity_world_mps=np.tile(SPEED_MPS[category] * direction, (NUM_STEPS, 1)),
                valid=np.ones(NUM_STEPS, bool),
            )
        )
    gone = np.arange(NUM_STEPS) < 10  # present at two key frames only
    agents[3] = dataclasses.replace(agents[3], valid=gone)
    return dataclasses.replace(base, layout_id=layout_id, agents=tuple(agents), road_map=export_map(shift_m))


def export_map(shift_m: float = 0.0) -> RoadMap:
    """Three lanes in a row, of which the middle one is in an intersection."""
    lanes = []
    for idx, (start, end) in enumerate([(-40.0, 0.0), (0.0, 30.0), (30.0, 80.0)]):
        line = np.stack([np.linspace(start, end, 5), np.full(5, -1.75 + shift_m), np.zeros(5)], axis=1)
        lanes.append(Lane(lane_id=f"lane-{idx}", centerline_world_m=line, width_m=3.5, is_intersection=idx == 1))
    line = np.stack([np.linspace(-40.0, 80.0, 25), np.full(25, shift_m), np.zeros(25)], axis=1)
    ring = np.array([[-40.0, -6.0], [80.0, -6.0], [80.0, 6.0], [-40.0, 6.0]]) + np.array([0.0, shift_m])
    hole = np.array([[40.0, 2.0], [50.0, 2.0], [50.0, 5.0], [40.0, 5.0]]) + np.array([0.0, shift_m])
    return RoadMap(
        lanes=tuple(lanes),
        lane_lines=(
            LaneLine(points_world_m=line, kind="double_solid", color="yellow"),
            LaneLine(points_world_m=line - [0.0, 3.5, 0.0], kind="dashed", color="white"),
        ),
        areas=(
            Area(kind="drivable", polygon_world_m=ring, holes_world_m=(hole,)),
            Area(kind="sidewalk", polygon_world_m=ring + np.array([0.0, 14.0])),
            Area(kind="crossing", polygon_world_m=np.array([[10.0, -6.0], [13.0, -6.0], [13.0, 6.0], [10.0, 6.0]])),
            Area(kind="parking", polygon_world_m=np.array([[60.0, 6.0], [70.0, 6.0], [70.0, 9.0], [60.0, 9.0]])),
            Area(kind="building", polygon_world_m=ring + np.array([0.0, 40.0]), height_m=9.0),
        ),
    )


def export_record(*, scene_id: str = "all-00c0ffee", split: str = "train", shift_m: float = 0.0) -> SceneRecord:
    """The header of the scene."""
    record = tiny_record(num_steps=NUM_STEPS, scene_id=scene_id)
    return dataclasses.replace(record, layout=export_layout(shift_m=shift_m), split=split)


def export_chunks(record: SceneRecord, *, chunk_steps: int = 6) -> list[SceneChunk]:
    """The whole scene with its labels."""
    pixels, lidar = agent_pixels(record), lidar_labels(record)
    total = record.layout.timeline.num_steps
    chunks = []
    for start in range(0, total, chunk_steps):
        stop = min(start + chunk_steps, total)
        chunk = painted_chunk(record, start_step=start, num_steps=stop - start)
        instance = np.zeros(chunk.occupancy.shape, np.uint16)
        instance[chunk.occupancy == 4] = 1
        part = AgentPixels(
            num_px=pixels.num_px[:, start:stop],
            unoccluded_px=pixels.unoccluded_px[:, start:stop],
            xyxy_px=pixels.xyxy_px[:, start:stop],
        )
        sweeps = LidarLabels(
            lidar2ego=lidar.lidar2ego,
            sweeps=lidar.sweeps[start:stop],
            num_points=lidar.num_points[start:stop],
            mask=lidar.mask[start:stop],
        )
        chunks.append(dataclasses.replace(chunk, agent_pixels=part, lidar=sweeps, occupancy_instance=instance))
    return chunks


def painted_chunk(record: SceneRecord, *, start_step: int, num_steps: int) -> SceneChunk:
    """Gradients that move with time, a road of voxels, and everything fully visible."""
    width, height = record.rig.size_px
    steps = np.arange(start_step, start_step + num_steps)
    views = np.arange(len(record.rig.cameras))
    shade = np.linspace(0, 100, height)[:, None] + np.linspace(0, 60, width)[None]
    shade = shade + 3.0 * steps[None, :, None, None] + 5.0 * views[:, None, None, None]
    rgb = (shade[..., None] + 10.0 * np.arange(3)).astype(np.uint8)
    occupancy = np.full((num_steps, *OCC3D_GRID.shape), 17, np.uint8)
    occupancy[:, :, :, 2] = 11
    occupancy[np.arange(num_steps), steps, 5, 3] = 4
    valid = np.stack([agent.valid for agent in record.layout.agents], axis=1)[steps]
    return SceneChunk(
        start_step=start_step,
        rgb=rgb,
        occupancy=occupancy,
        mask_camera=(occupancy != 17).astype(np.uint8),
        visible_fraction=valid.astype(np.float32),
        visible_height_px=9.0 * valid.astype(np.float32),
    )


def agent_pixels(record: SceneRecord) -> AgentPixels:
    """Pixels as if every agent were its box and nothing hid it: the box of its projected edges."""
    layout, cameras = record.layout, record.rig.cameras
    shape = (len(cameras), layout.timeline.num_steps, len(layout.agents))
    xyxy = np.zeros((*shape, 4), np.int32)
    for view, camera in enumerate(cameras):
        for step in range(shape[1]):
            for idx, agent in enumerate(layout.agents):
                corners = box_corners_world_m(
                    agent.center_world_m[step], agent.size_lwh_m, heading_rad=agent.heading_rad[step]
                )
                edges, _ = project_edges(corners, camera, world_from_ego=layout.ego.world_from_ego[step])
                if not len(edges) or not agent.valid[step]:
                    continue
                points = edges.reshape(-1, 2)
                low = np.clip(np.floor(points.min(axis=0)), 0, camera.size_px)
                high = np.clip(np.ceil(points.max(axis=0)), 0, camera.size_px)
                if (high > low).all():
                    xyxy[view, step, idx] = [*low, *high]
    num_px = ((xyxy[..., 2] - xyxy[..., 0]) * (xyxy[..., 3] - xyxy[..., 1])).astype(np.int32)
    return AgentPixels(num_px=num_px, unoccluded_px=num_px.copy(), xyxy_px=xyxy)


def lidar_labels(record: SceneRecord) -> LidarLabels:
    """Eight points near the corners of every agent, and one on the ground ahead."""
    layout = record.layout
    is_key = layout.timeline.is_key_frame()
    sweeps: list[Sweep | None] = []
    for step in range(layout.timeline.num_steps):
        lidar_from_world = invert_rigid(layout.ego.world_from_ego[step] @ LIDAR2EGO)
        points, instance = [np.array([[5.0, 0.0, -1.84]])], [0]
        for idx, agent in enumerate(layout.agents):
            if agent.valid[step]:
                corners = box_corners_world_m(
                    agent.center_world_m[step], 0.9 * agent.size_lwh_m, heading_rad=agent.heading_rad[step]
                )
                points.append(transform_points(lidar_from_world, corners))
                instance += [1 + idx] * POINTS_PER_AGENT
        every = np.concatenate(points).astype(np.float32)
        sweep = Sweep(
            points_lidar_m=every,
            intensity=np.linspace(0.0, 1.0, len(every), dtype=np.float32),
            ring=(np.arange(len(every)) % 32).astype(np.uint8),
            instance=np.array(instance, np.uint16),
        )
        sweeps.append(sweep if is_key[step] else None)
    valid = np.stack([agent.valid for agent in layout.agents], axis=1)
    mask = np.zeros((len(valid), 200, 200, 16), np.uint8)
    mask[:, 100:150, 90:110, 2:6] = 1
    return LidarLabels(
        lidar2ego=LIDAR2EGO,
        sweeps=tuple(sweeps),
        num_points=(POINTS_PER_AGENT * valid).astype(np.int32),
        mask=mask,
    )


def write_labelled(dataset_dir: Path, record: SceneRecord, *, image_codec: str = "jpeg") -> None:
    with open_scene_writer(dataset_dir, record, num_steps_per_shard=8, image_codec=image_codec) as writer:
        for chunk in export_chunks(record):
            writer.append(chunk)
        writer.commit(scores={}, cost={})
