"""A hand-made street, a config for it, and a backbone that paints classes as grey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.geometry.rigid import planar_poses
from scenegen.orchestration.attempt import SceneOutcome
from scenegen.types import (
    AgentCategory,
    AgentTrack,
    Area,
    ConditionMaps,
    EgoTrack,
    Lane,
    Layout,
    RoadMap,
    SceneRecord,
    Timeline,
)
from scenegen.video.interface import SceneContext

STEPS = 8


class GreySession:
    def __init__(self, fail_at_step: int | None) -> None:
        self._fail_at_step = fail_at_step

    def paint(self, conditions: ConditionMaps, *, start_step: int) -> np.ndarray:
        if self._fail_at_step is not None and start_step >= self._fail_at_step:
            raise RuntimeError("the model\nhas burnt down")
        return np.repeat(conditions.semantic[..., None] * np.uint8(14), 3, axis=-1)


class GreyBackbone:
    model_id = "grey"
    weights_sha256 = ""
    licence = "CC0-1.0"
    sampling = None

    def __init__(self, *, fail_at_step: int | None = None, fail_on: str = "") -> None:
        self._fail_at_step = fail_at_step
        self._fail_on = fail_on

    def open_session(self, scene: SceneContext) -> GreySession:
        fails = not self._fail_on or self._fail_on == scene.scene_id
        return GreySession(self._fail_at_step if fails else None)


class SilentReporter:
    def __init__(self) -> None:
        self.num_frames = 0
        self.num_skipped = 0
        self.outcomes: list[SceneOutcome] = []
        self.starts: list[tuple[str, int]] = []
        self.abandonments: list[tuple[str, str]] = []

    def plan(self, records: list[SceneRecord], *, num_skipped: int, num_bytes: int) -> None:
        self.num_skipped = num_skipped

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        self.num_frames += num_frames

    def started(self, scene_id: str, *, attempt: int) -> None:
        self.starts.append((scene_id, attempt))

    def abandoned(self, scene_id: str, *, attempt: int, reason: str) -> None:
        self.abandonments.append((scene_id, reason))

    def scene_done(self, outcome: SceneOutcome) -> None:
        self.outcomes.append(outcome)


def make_street(layout_id: str, **_: object) -> Layout:
    time_s = np.arange(STEPS) / 12.0
    ego_m = np.stack([6.0 * time_s, np.zeros(STEPS), np.zeros(STEPS)], axis=1)
    walker_m = np.stack([np.full(STEPS, 12.0), -2.0 + 1.4 * time_s, np.full(STEPS, 0.9)], axis=1)
    walker = AgentTrack(
        agent_id="walker",
        category=AgentCategory.PEDESTRIAN,
        size_lwh_m=np.array([0.6, 0.6, 1.8]),
        center_world_m=walker_m,
        heading_rad=np.full(STEPS, np.pi / 2),
        velocity_world_mps=np.tile([0.0, 1.4], (STEPS, 1)),
        valid=np.ones(STEPS, np.bool_),
    )
    line_m = np.array([[-40.0, 0.0, 0.0], [60.0, 0.0, 0.0]])
    road_m = np.array([[-40.0, -4.0], [60.0, -4.0], [60.0, 4.0], [-40.0, 4.0]])
    return Layout(
        layout_id=layout_id,
        source="file",
        licence="CC0-1.0",
        timeline=Timeline(rate_hz=12.0, num_steps=STEPS),
        road_map=RoadMap(
            lanes=(Lane(lane_id="lane", centerline_world_m=line_m, width_m=3.5),),
            areas=(Area(kind="drivable", polygon_world_m=road_m),),
            num_roads=1,
        ),
        agents=(walker,),
        ego=EgoTrack(
            world_from_ego=planar_poses(ego_m, np.zeros(STEPS)), velocity_world_mps=np.tile([6.0, 0.0], (STEPS, 1))
        ),
    )


@pytest.fixture
def config(tmp_path: Path) -> GenerateConfig:
    overrides = ["video=preview", "rig=front1", "rig.image.width_px=64", "rig.image.height_px=32", "duration_s=1"]
    composed = compose_config(GenerateConfig, "generate", overrides)
    return replace(composed, output=str(tmp_path / "ds"), num_steps_per_chunk=3)


@pytest.fixture
def use_streets(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let layout references name hand-made streets, and the configured backbone be any object."""

    def install(backbone: GreyBackbone) -> None:
        monkeypatch.setattr("scenegen.layout.sources.expand_references", list)
        monkeypatch.setattr("scenegen.layout.sources.read_layout", make_street)
        monkeypatch.setattr("scenegen.layout.extend.extend_layout", lambda layout, **kwargs: layout)
        monkeypatch.setattr("scenegen.pipeline.open_backbone", lambda config: backbone)
        monkeypatch.setattr("scenegen.streaming.open_backbone", lambda config: backbone)

    return install
