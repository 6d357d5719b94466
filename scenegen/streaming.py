"""Labelled frames as they are made: a generator that stores nothing and remembers one chunk.

    for moment in stream(config):      # `num_steps_per_chunk=1` hands over every step as soon as it is painted
        moment.chunk.rgb, moment.chunk.dense, moment.boxes()

The frames and labels of a scene are those that `pipeline.generate` would store for the same configuration. The world
and the tracks of a scene are built before its first frame, and grow with its length; nothing grows while it runs.
A drive that ends where it begins (`procedural:ring/7`) can be shown again and again, or without end (`stream_laps`).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from scenegen.config import GenerateConfig
from scenegen.cost import StageClock
from scenegen.errors import ConfigError, LayoutError
from scenegen.layout.lap import require_lap, two_laps
from scenegen.orchestration.planning import PlannedScene, plan_scenes
from scenegen.painting import finish_chunk, open_backbone, open_occupancy, require_device
from scenegen.scene import SceneStage
from scenegen.types import AgentCategory, Layout, SceneChunk, SceneRecord
from scenegen.video.interface import VideoBackbone


@dataclass(frozen=True, kw_only=True)
class StreamedStep:
    """One step of a scene with all its labels.

    Attributes:
        record: header of the scene: layout, cameras, seed, where the pixels come from.
        step: index in the scene's timeline.
        chunk: frames and labels, T = 1.
        lap: how often the drive was shown before; 0 unless `stream_laps` asks for more.
    """

    record: SceneRecord
    step: int
    chunk: SceneChunk
    lap: int = 0

    @property
    def count(self) -> int:
        """Steps of this scene that came before, those of earlier laps included."""
        return self.lap * self.record.layout.timeline.num_steps + self.step

    @property
    def timestamp_us(self) -> int:
        """Microseconds from the scene's start."""
        timeline = self.record.layout.timeline
        lap_us = round(1e6 * timeline.num_steps / timeline.rate_hz)
        return self.lap * lap_us + int(timeline.timestamps_us()[self.step])

    def boxes(self) -> list[dict[str, Any]]:
        """Return the boxes of the agents that are there, frame `world`, as plain values.

        Each has `track_id`, `category`, `center` (m), `size_lwh` (m), `heading_rad`, `velocity` (m/s),
        `visible_fraction`, and in `boxes2d` its tight box (x1, y1, x2, y2, pixels) in every camera that sees it.
        """
        layout, chunk = self.record.layout, self.chunk
        names = [camera.name for camera in self.record.rig.cameras]
        found = []
        for index, agent in enumerate(layout.agents):
            if not agent.valid[self.step]:
                continue
            pixels = chunk.agent_pixels
            seen = [] if pixels is None else [v for v in range(len(names)) if pixels.num_px[v, 0, index] > 0]
            found.append(
                {
                    "track_id": index,
                    "category": AgentCategory(agent.category).label,
                    "center": agent.center_world_m[self.step].tolist(),
                    "size_lwh": [float(length) for length in agent.size_lwh_m],
                    "heading_rad": float(agent.heading_rad[self.step]),
                    "velocity": agent.velocity_world_mps[self.step].tolist(),
                    "visible_fraction": float(chunk.visible_fraction[0, index]),
                    "boxes2d": {names[v]: pixels.xyxy_px[v, 0, index].tolist() for v in seen} if pixels else {},
                }
            )
        return found


def stream(config: GenerateConfig) -> Generator[StreamedStep, None, None]:
    """Return a generator of the steps of all scenes of a job, scene after scene, in order.

    A step comes at the latest when its chunk of `num_steps_per_chunk` steps is painted. While the caller holds a step
    the labels of the next chunk are made in a thread, and no further one.

    Raises:
        SceneGenError: before any work: input that is not usable, a bar of `quality` (a scene is judged as a whole), a
            road that ends before the scene does, or several laps of a drive that does not end where it begins.
    """
    if config.quality.is_asked:
        raise ConfigError(
            "no bar of `quality` for frames that are given away as they are made",
            found="quality.min_control or quality.max_flicker",
            where="quality",
            fix="generate without streaming, or judge what you keep",
        )
    require_device(config)
    backbone = open_backbone(config)
    scenes = plan_scenes(config, backbone)
    if config.stream_laps == 0 and len(scenes) > 1:
        raise ConfigError("one scene in a stream without end", found=f"{len(scenes)}", where="layouts")
    for scene in scenes:
        layout = scene.read_header(config).layout
        require_road(layout, reference=scene.reference)
        if config.stream_laps != 1:
            require_lap(layout, reference=scene.reference)
    return _stream_scenes(scenes, config, backbone)


def require_road(layout: Layout, *, reference: str) -> None:
    """Refuse a layout whose road ends before its time does.

    Raises:
        LayoutError: says when the ego leaves the last lane.
    """
    from scenegen.layout.road_end import road_end_s

    end_s = road_end_s(layout)
    if end_s is None:
        return
    duration_s = layout.timeline.duration_s
    longer = f"procedural:{math.ceil(duration_s)}s/1"
    raise LayoutError(
        f"a road for {duration_s:g} s",
        found=f"one that ends after {end_s:.1f} s",
        where=reference,
        fix=f"duration_s={math.floor(end_s)}, or a road drawn for that long: layouts=[{longer}]",
    )


def _stream_scenes(
    scenes: Sequence[PlannedScene], config: GenerateConfig, backbone: VideoBackbone
) -> Generator[StreamedStep, None, None]:
    for scene in scenes:
        yield from stream_scene(scene.read_header(config), config=config, backbone=backbone)


def stream_scene(
    record: SceneRecord, *, config: GenerateConfig, backbone: VideoBackbone
) -> Generator[StreamedStep, None, None]:
    """Yield the steps of one scene in order, `stream_laps` times; without end where that is 0."""
    from scenegen.video.threads import pin_threads

    pin_threads(config.run.threads_per_scene)
    occupancy = open_occupancy(config.occupancy)
    voxels = None if occupancy is None else occupancy.sample(record.layout, seed=record.seed)
    # From the second lap on the step before is the last of the lap before, which only a layout of two laps knows.
    is_once = config.stream_laps == 1
    stage = SceneStage(
        record.layout if is_once else two_laps(record.layout),
        rig=record.rig,
        seed=record.seed,
        world_voxels=voxels,
        lidar=record.lidar,
        device=config.conditions.torch_device,
    )
    session = backbone.open_session(stage.context)
    num_steps = record.layout.timeline.num_steps
    for lap in count() if config.stream_laps == 0 else range(config.stream_laps):
        first = num_steps if lap else 0
        coming = stage.label_ahead(
            num_steps_per_chunk=config.num_steps_per_chunk,
            clock=StageClock(),
            start_step=first,
            end_step=first + num_steps,
        )
        with closing(coming) as chunks:
            for labels in chunks:
                rgb = session.paint(labels.conditions, start_step=labels.start_step)
                chunk = finish_chunk(labels, rgb, config)
                if chunk.dense is None:  # a data set renders them again when they are read; a stream is read once
                    chunk = replace(chunk, dense=labels.dense())
                del labels, rgb
                for offset in range(chunk.rgb.shape[1]):
                    step = chunk.start_step + offset - first
                    moment = replace(chunk.cut_step(offset), start_step=step)
                    yield StreamedStep(record=record, step=step, chunk=moment, lap=lap)
