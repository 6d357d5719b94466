"""`scenegen eval`: look at every scene of a data set once, and report how well it obeys, holds still and looks.

scene -> windows of steps -> judge -> tallies of five seconds -> figures, intervals, worst frames
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from scenegen.dataset.read import Dataset, open_dataset
from scenegen.dataset.storage import Location, open_storage
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import DatasetError
from scenegen.evaluation.footage import Footage
from scenegen.evaluation.judging import FrameJudge
from scenegen.evaluation.leak import donor_maps
from scenegen.evaluation.look import SceneFinding, SceneLook
from scenegen.evaluation.model import ModelFinder
from scenegen.evaluation.moments import plan_moments
from scenegen.evaluation.occupancy.stored import WorldFinding, look_at_world
from scenegen.evaluation.worst import WorstFrame, WorstFrames


class Watcher(Protocol):
    """Whoever shows progress."""

    def plan(self, *, num_scenes: int, num_moments: int) -> None:
        """Take note of what will be looked at."""
        ...

    def moment_done(self, scene_id: str) -> None:
        """Take note of one moment."""
        ...


@dataclass(frozen=True, kw_only=True)
class EvaluationPlan:
    """What is looked at, and how closely.

    Attributes:
        dataset_dir: the data set to be judged, a folder or a URL.
        reference_dir: the same scenes with true frames; None to paint the truth with the preview.
        weights: weights of the model that painted the scenes, where they are not shipped.
        every: steps between judged moments.
        max_scenes: look at the first so many scenes; None for all.
    """

    dataset_dir: Location
    reference_dir: Location | None
    weights: Path | None
    every: int
    max_scenes: int | None


@dataclass(frozen=True, kw_only=True)
class LookedAt:
    """One scene after it was looked at."""

    scene_id: str
    layout_sha256: str
    seed: int
    model_id: str
    finding: SceneFinding
    world: WorldFinding


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All that the report is made of.

    Attributes:
        no_model: why the model could not be asked for its controls; empty where it could.
    """

    plan: EvaluationPlan
    judge_name: str
    judge_sha256: str
    scenes: tuple[LookedAt, ...]
    worst: tuple[WorstFrame, ...]
    no_model: str = field(default="")


def evaluate_dataset(plan: EvaluationPlan, *, judge: FrameJudge, watcher: Watcher) -> Evaluation:
    """Look at every scene once. Memory grows by a few numbers per moment, not by frames.

    Raises:
        DatasetError: the data set has no scenes, or the reference lacks one of them.
        WeightsError: the weights named did not paint the scenes.
    """
    dataset = open_dataset(plan.dataset_dir)
    scene_ids = dataset.scene_ids[: plan.max_scenes]
    if not scene_ids:
        raise DatasetError("at least one scene", found="none", where=str(plan.dataset_dir))
    references = _match_references(dataset, scene_ids, plan.reference_dir)
    models = ModelFinder(open_storage(plan.dataset_dir), weights=plan.weights)
    found = {scene_id: models.find(dataset[scene_id].attrs["model"]) for scene_id in scene_ids}
    moments = {
        scene_id: plan_moments(dataset[scene_id].num_steps, rate_hz=dataset[scene_id].rate_hz, every=plan.every)
        for scene_id in scene_ids
    }
    watcher.plan(num_scenes=len(scene_ids), num_moments=sum(map(len, moments.values())))
    worst = WorstFrames()
    looked_at: list[LookedAt] = []
    # Each scene borrows the conditions of the leak test from the one before it; the first from the last.
    before = Footage(dataset[scene_ids[-1]], reference=None) if len(scene_ids) > 1 else None
    for scene_id in scene_ids:
        scene = dataset[scene_id]
        footage = Footage(scene, reference=references.get(scene_id))
        look = SceneLook(
            footage,
            judge=judge,
            backbone=found[scene_id].backbone,
            donor=donor_maps(footage, before),
            every=plan.every,
        )
        with closing(footage.windows(moments[scene_id])) as windows:
            for window in windows:
                look.add(window)
                watcher.moment_done(scene_id)
        finding = look.finish()
        worst.join(finding.worst)
        looked_at.append(_describe(scene, finding, look_at_world(scene, footage.stage)))
        before = footage
    return Evaluation(
        plan=plan,
        judge_name=judge.name,
        judge_sha256=judge.weights_sha256,
        scenes=tuple(looked_at),
        worst=worst.listed(),
        no_model="; ".join(sorted({model.reason for model in found.values() if model.reason})),
    )


def _describe(scene: Scene, finding: SceneFinding, world: WorldFinding) -> LookedAt:
    attributes = scene.attrs
    return LookedAt(
        scene_id=scene.scene_id,
        layout_sha256=attributes["layout_sha256"],
        seed=int(attributes["seed"]),
        model_id=attributes["model"]["model_id"],
        finding=finding,
        world=world,
    )


def _match_references(dataset: Dataset, scene_ids: Sequence[str], folder: Location | None) -> dict[str, Scene]:
    """Find the scene of the reference with the same layout, seed and rig, for every scene."""
    if folder is None:
        return {}
    reference = open_dataset(folder)
    known = {_identity_of(scene): scene for scene in reference}
    matched = {scene_id: known.get(_identity_of(dataset[scene_id])) for scene_id in scene_ids}
    for scene_id, scene in matched.items():
        if scene is None:
            raise DatasetError(
                "a scene of the same layout, seed and rig in the reference",
                found=f"none among {len(reference)}",
                where=f"{folder}: {scene_id}",
                fix="generate it with the same layouts, seed, rig and duration_s",
            )
    return {scene_id: scene for scene_id, scene in matched.items() if scene is not None}


def _identity_of(scene: Scene) -> tuple[Any, ...]:
    attributes = scene.attrs
    return attributes["layout_sha256"], attributes["seed"], json.dumps(attributes["rig"], sort_keys=True)
