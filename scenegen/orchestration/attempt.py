"""One attempt at one scene: it never raises, it reports."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from typing import Protocol

from scenegen.config import GenerateConfig
from scenegen.cost import SceneCost
from scenegen.errors import SceneGenError
from scenegen.open_painting import Resumption
from scenegen.orchestration.failures import FailureKind, failure_kind
from scenegen.orchestration.planning import PlannedScene
from scenegen.painting import OnChunk, generate_scene
from scenegen.video.interface import VideoBackbone


@dataclass(frozen=True, kw_only=True)
class SceneOutcome:
    """What became of one scene. Small on purpose: it is all that travels back from a worker.

    Attributes:
        error: one line; empty when the scene is committed.
        kind: class of the failure; None when the scene is committed.
        traceback: for the ledger and `--debug`.
        warning: one line about a scene that is committed under the bar of `quality`; empty otherwise.
        num_frames: steps times views of a committed scene.
        wall_s: of the last attempt.
        num_attempts: how often the scene was started.
        resumptions: where its attempts went on from checkpoints, or could not; those of lost workers are not known.
    """

    scene_id: str
    error: str = ""
    kind: FailureKind | None = None
    traceback: str = ""
    warning: str = ""
    num_frames: int = 0
    wall_s: float = 0.0
    num_attempts: int = 1
    resumptions: tuple[Resumption, ...] = ()
    cost: SceneCost = field(default_factory=SceneCost)


class SceneWatch(Protocol):
    """Whoever is told how scenes get on while an executor makes them."""

    def started(self, scene_id: str, *, attempt: int) -> None:
        """Take note that a worker begins a scene; attempts count from 1."""
        ...

    def chunk_done(self, scene_id: str, num_frames: int) -> None:
        """Take note of frames (steps times views) that were just written."""
        ...

    def abandoned(self, scene_id: str, *, attempt: int, reason: str) -> None:
        """Take note that an attempt came to nothing and the scene will be tried again."""
        ...


def attempt_scene(
    scene: PlannedScene, *, config: GenerateConfig, backbone: VideoBackbone, on_chunk: OnChunk
) -> SceneOutcome:
    """Make one scene and report what became of it; only an interrupt gets through."""
    started_s = time.perf_counter()
    resumptions: list[Resumption] = []
    try:
        header = scene.read_header(config)
        made = generate_scene(
            header, config=config, backbone=backbone, on_chunk=on_chunk, on_resumption=resumptions.append
        )
    except Exception as error:
        text = str(error) if isinstance(error, SceneGenError) else f"{type(error).__name__}: {error}"
        return SceneOutcome(
            scene_id=scene.scene_id,
            error=" ".join(text.split()),
            kind=failure_kind(error),
            traceback=traceback.format_exc(),
            wall_s=time.perf_counter() - started_s,
            resumptions=tuple(resumptions),
        )
    return SceneOutcome(
        scene_id=scene.scene_id,
        num_frames=scene.num_frames,
        wall_s=time.perf_counter() - started_s,
        warning=made.warning,
        resumptions=tuple(resumptions),
        cost=made.cost,
    )
