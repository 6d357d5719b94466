"""One second of a street in two small cameras, data sets of it, and a judge that knows its true frames by heart."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from scenegen.checks.classes import JudgeClass, judge_labels
from scenegen.checks.judge import Verdict
from scenegen.checks.judge_targets import FoundAgents, TrueAgents, true_agents
from scenegen.config import RigConfig, parse_config
from scenegen.cost import StageClock
from scenegen.dataset import fold_receipts, open_dataset, open_scene_writer
from scenegen.evaluation.evaluate import Evaluation, EvaluationPlan, evaluate_dataset
from scenegen.evaluation.occupancy.stored import look_at_world
from scenegen.evaluation.report import build_report
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import read_layout
from scenegen.rig import build_rig
from scenegen.scene import ChunkLabels, SceneStage
from scenegen.training.excerpts import cut_excerpt
from scenegen.types import CameraRig, Provenance, SceneRecord
from scenegen.video.backbones.preview import PreviewBackbone
from tests.conftest import REPOSITORY

STEPS = 12
START_STEP = 102
"""People stand at the kerb and begin to cross, seven metres ahead."""
SEED = 3
EVERY = 2


@dataclass(frozen=True, kw_only=True)
class Street:
    """The scene, its exact labels and its true frames (V T H W 3)."""

    stage: SceneStage
    rig: CameraRig
    labels: ChunkLabels
    truth: np.ndarray


class RememberingJudge:
    """Compares a frame with the true frame most like it: what looks as it should is seen, the rest is misread."""

    name = "remembering"
    weights_sha256 = "0" * 64

    def __init__(self, street: Street) -> None:
        maps = street.labels.conditions
        views, steps = maps.material.shape[:2]
        self._frames = street.truth.reshape(-1, *street.truth.shape[2:])
        self._labels = judge_labels(maps.semantic, maps.material).reshape(views * steps, *maps.material.shape[2:])
        self._instances = maps.instance.reshape(self._labels.shape)
        self._agents: list[TrueAgents] = [
            true_agents(street.stage.layout, camera, step=step, instance=maps.instance[view, step])
            for view, camera in enumerate(street.rig.cameras)
            for step in range(steps)
        ]

    def verdict(self, frames: np.ndarray, *, ray_ego: np.ndarray) -> Verdict:
        assert frames.shape == ray_ego.shape
        labels, agents = [], []
        for frame in frames:
            coarse = np.abs(self._frames[:, ::4, ::4].astype(int) - frame[::4, ::4])
            nearest = int(coarse.mean(axis=(1, 2, 3)).argmin())
            is_right = np.abs(self._frames[nearest].astype(int) - frame).max(axis=-1) <= 24
            true = self._labels[nearest]
            labels.append(np.where(is_right, true, (true + 1) % len(JudgeClass)).astype(np.uint8))
            known, instance = self._agents[nearest], self._instances[nearest]
            seen = np.array([is_right[instance == 1 + a].mean() > 0.5 for a in known.index], np.bool_)
            own = known.select(seen)
            agents.append(
                FoundAgents(
                    kind=own.kind,
                    center_px=own.center_px,
                    range_m=own.range_m,
                    score=np.ones(len(own.kind), np.float32),
                )
            )
        return Verdict(labels=np.stack(labels), range_m=np.ones(frames.shape[:3], np.float32), agents=tuple(agents))

    def features(self, frames: np.ndarray, *, ray_ego: np.ndarray) -> np.ndarray:
        luma = frames.astype(np.float32).mean(axis=-1)
        coarse = luma.reshape(len(frames), 2, 24, 2, 48).mean(axis=(2, 4)).reshape(len(frames), -1)
        edges = np.abs(np.diff(luma, axis=2)).mean(axis=(1, 2))
        return np.concatenate([coarse, edges[:, None]], axis=1)


class SilentWatcher:
    def __init__(self) -> None:
        self.num_moments = 0
        self.num_done = 0

    def plan(self, *, num_scenes: int, num_moments: int) -> None:
        self.num_moments = num_moments

    def moment_done(self, scene_id: str) -> None:
        self.num_done += 1


@pytest.fixture(scope="session", autouse=True)
def no_power_cuts() -> Iterator[None]:
    """Do not wait for the disk in tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def street() -> Street:
    config = yaml.safe_load((REPOSITORY / "conf/rig/nuscenes6.yaml").read_text())
    config["image"] = {"width_px": 96, "height_px": 48}
    config["cameras"] = config["cameras"][:2]
    rig = build_rig(parse_config(RigConfig, config))
    whole = extend_layout(read_layout("crossing_pedestrian"), duration_s=10.0, rate_hz=12.0)
    layout = cut_excerpt(whole, start_step=START_STEP, num_steps=STEPS)
    stage = SceneStage(layout, rig=rig, seed=SEED)
    labels = stage.label_chunk(0, STEPS, clock=StageClock())
    truth = PreviewBackbone().open_session(stage.context).paint(labels.conditions, start_step=0)
    return Street(stage=stage, rig=rig, labels=labels, truth=truth)


@pytest.fixture(scope="session")
def judge(street: Street) -> RememberingJudge:
    return RememberingJudge(street)


@pytest.fixture(scope="session")
def write_frames(street: Street) -> Callable[..., Path]:
    """Write frames as a data set of one scene."""

    def write(folder: Path, frames: np.ndarray, *, seed: int = SEED) -> Path:
        record = SceneRecord(
            scene_id="street-00000000",
            layout=street.stage.layout,
            rig=street.rig,
            seed=seed,
            split="val",
            provenance=Provenance(
                code_version="0",
                config_sha256="",
                model_id="painter",
                weights_sha256="",
                model_licence="Apache-2.0",
                source_licence="Apache-2.0",
            ),
        )
        with open_scene_writer(folder, record, image_codec="png") as writer:
            writer.append(street.labels.with_frames(frames))
            writer.commit(scores={}, cost={})
        fold_receipts(folder)
        return folder

    return write


@pytest.fixture(scope="session")
def stored(street: Street, write_frames: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The true frames as a data set."""
    return write_frames(tmp_path_factory.mktemp("true") / "ds", street.truth)


@pytest.fixture(scope="session")
def evaluate(judge: RememberingJudge) -> Callable[..., Evaluation]:
    """Evaluate a data set as it is."""

    def run(folder: Path, **options: Any) -> Evaluation:
        watcher = SilentWatcher()
        plan = EvaluationPlan(
            **{"dataset_dir": folder, "reference_dir": None, "weights": None, "every": EVERY, "max_scenes": None}
            | options
        )
        evaluation = evaluate_dataset(plan, judge=judge, watcher=watcher)
        assert watcher.num_done == watcher.num_moments > 0
        return evaluation

    return run


@pytest.fixture(scope="session")
def look_at(street: Street, stored: Path, evaluate: Callable[..., Evaluation]) -> Callable[..., Evaluation]:
    """Evaluate the data set as if it had other frames; its world is not built and looked at again."""

    known = SimpleNamespace(context=street.stage.context, render_conditions=street.labels.conditions.cut_steps)
    (scene,) = open_dataset(stored)
    world = look_at_world(scene, street.stage)

    def look(frames: np.ndarray) -> Evaluation:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("scenegen.evaluation.footage.read_frames", lambda scene, start, stop: frames[:, start:stop])
            patch.setattr("scenegen.evaluation.footage.stored_stage", lambda scene: known)
            patch.setattr("scenegen.evaluation.evaluate.look_at_world", lambda scene, stage: world)
            return evaluate(stored)

    return look


@pytest.fixture(scope="session")
def report_on(look_at: Callable[..., Evaluation]) -> Callable[[np.ndarray], dict[str, Any]]:
    """Evaluate other frames of the data set and return the report."""

    def report(frames: np.ndarray) -> dict[str, Any]:
        return build_report(look_at(frames))

    return report
