"""Certification: an independent judge looks at a painted scene before it is committed.

Judged is the last step of every chunk, in all views. The bars are ratios to the same judge's figures on ground-truth
renders of the same steps, so a hard scene is not held against its painting, and they hold for the worst BLOCK_S of a
scene, so a good minute does not pay for a bad moment.

Scenes are accepted or painted again as a whole. Each step is painted from the one before, so a chunk with other noise
would start from a history that it did not paint, and the seam would be in the data; besides, a scene that is one
attempt from end to end is named by one number. Ground truth is seen after painting only and decides nothing but
whether there is another attempt: it never enters the model.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, UInt8

from scenegen.config import MIN_FLICKER_STEPS, QualityConfig
from scenegen.types import ConditionMaps, SceneRecord
from scenegen.video.interface import SceneContext

if TYPE_CHECKING:
    from scenegen.checks.control import ControlScore
    from scenegen.checks.judge import Verdict

BLOCK_S = 5.0
"""Scores are taken over blocks of this length, and the worst block counts."""
SHOWN = ("painted", "truth")
"""What the judge is shown of every judged step: the painting, and the ground-truth render of the same step."""

Judging = Callable[..., "Verdict"]
"""`judge_frames` with its judge: (frames N H W 3, ray_ego= N H W 3) to a verdict."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What the judge said of one painting of a scene.

    Attributes:
        control: of each block, the judge's mean IoU on painted frames by that on ground truth; NaN where the judge
            was shown no class.
        flicker: of each block, the painting's flicker by that of ground truth; NaN where there were too few steps.
        found_share: per agent of the layout, the share of its judged views in which it was found; NaN where none was.
        num_views: judged views.
        missed: the bars that were missed, in words; empty for a scene that passed.
        shortfall: by how much, as a sum of shares of the bars.
    """

    control: tuple[float, ...]
    flicker: tuple[float, ...]
    found_share: Float32[np.ndarray, " A"]
    num_views: int
    missed: tuple[str, ...]
    shortfall: float

    @property
    def has_passed(self) -> bool:
        """Whether every bar was reached."""
        return not self.missed

    def scores(self, *, attempt: int, num_attempts: int) -> dict[str, Any]:
        """Return what is stored with the scene; figures that are not known are null.

        Args:
            attempt: the painting that is kept, from 0.
            num_attempts: paintings in all.
        """
        return {
            "status": "passed" if self.has_passed else "failed",
            "missed": list(self.missed),
            "attempt": attempt,
            "num_attempts": num_attempts,
            "control": _round(worst_control(self.control)),
            "flicker": _round(worst_flicker(self.flicker)),
            "control_of_block": [_round(value) for value in self.control],
            "flicker_of_block": [_round(value) for value in self.flicker],
            "block_s": BLOCK_S,
            "num_judged_views": self.num_views,
            "judge_sha256": judge_sha256(),
        }


class _Block:
    """Sums over one block, of the painting and of ground truth."""

    def __init__(self) -> None:
        from scenegen.checks.control import ControlScore

        self.control = {name: ControlScore() for name in SHOWN}
        self.flicker_sum = dict.fromkeys(SHOWN, 0.0)

    def control_ratio(self) -> float:
        truth = self.control["truth"].miou
        return self.control["painted"].miou / truth if truth > 0.0 else float("nan")

    def flicker_ratio(self) -> float:
        truth = self.flicker_sum["truth"]
        return self.flicker_sum["painted"] / truth if truth > 0.0 else float("nan")


class Inspection:
    """Looks at one painting of a scene, chunk after chunk.

    Args:
        record: the scene.
        context: of its world, as the painting backbone got it.
        quality: the bars.
        judging: the judge.
    """

    def __init__(self, record: SceneRecord, *, context: SceneContext, quality: QualityConfig, judging: Judging) -> None:
        from scenegen.checks.judge_targets import rig_rays_ego
        from scenegen.video.build import load_backbone

        self._layout = record.layout
        self._rig = record.rig
        self._quality = quality
        self._judging = judging
        self._rays_ego = rig_rays_ego(record.rig)
        self._truth = load_backbone("preview", steps=1, weights=None).open_session(context)
        self._blocks: dict[int, _Block] = {}
        self._num_asked = np.zeros(len(record.layout.agents), np.int64)
        self._num_found = np.zeros(len(record.layout.agents), np.int64)
        self._num_views = 0

    def look(self, conditions: ConditionMaps, rgb: UInt8[np.ndarray, "V T H W 3"], *, start_step: int) -> None:
        """Judge the last step of a painted chunk, black where views show nothing."""
        num_steps = rgb.shape[1]
        first = max(num_steps - MIN_FLICKER_STEPS, 0)
        maps = conditions.cut_steps(first, num_steps)
        truth = self._truth.paint(maps, start_step=start_step + first) * maps.is_seen[:, None, :, :, None]
        step = start_step + num_steps - 1
        block = self._blocks.setdefault(int(step / self._layout.timeline.rate_hz / BLOCK_S), _Block())
        for name, frames in (("painted", rgb[:, first:]), ("truth", truth)):
            verdict = self._judging(frames[:, -1], ray_ego=self._rays_ego)
            self._add_control(block.control[name], verdict, maps)
            if name == "painted":
                self._add_agents(verdict, maps, step=step)
            if num_steps - first == MIN_FLICKER_STEPS:
                block.flicker_sum[name] += _flicker_sum(frames, maps)
        self._num_views += len(rgb)

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the tallies so far; blocks in order, the painting before the truth."""
        indices = sorted(self._blocks)
        blocks = [self._blocks[index] for index in indices]
        return {
            "block": np.array(indices, np.int64),
            "confusion": np.array([[block.control[name].confusion for name in SHOWN] for block in blocks], np.int64),
            "flicker_sum": np.array([[block.flicker_sum[name] for name in SHOWN] for block in blocks], np.float64),
            "num_asked": self._num_asked.copy(),
            "num_found": self._num_found.copy(),
            "num_views": np.array(self._num_views, np.int64),
        }

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take up the tallies of another inspection of the same painting."""
        self._blocks = {}
        for row, index in enumerate(state["block"]):
            block = self._blocks[int(index)] = _Block()
            for column, name in enumerate(SHOWN):
                block.control[name].confusion = np.array(state["confusion"][row, column])
                block.flicker_sum[name] = float(state["flicker_sum"][row, column])
        self._num_asked, self._num_found = np.array(state["num_asked"]), np.array(state["num_found"])
        self._num_views = int(state["num_views"])

    def certificate(self) -> Certificate:
        """Sum up."""
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        control = tuple(block.control_ratio() for block in blocks)
        flicker = tuple(block.flicker_ratio() for block in blocks)
        missed, shortfall = [], 0.0
        quality = self._quality
        if quality.min_control is not None and not worst_control(control) >= quality.min_control:
            missed.append(f"control {worst_control(control):.3f} below {quality.min_control:g}")
            shortfall += 1.0 - np.nan_to_num(worst_control(control)) / quality.min_control
        if quality.max_flicker is not None and not worst_flicker(flicker) <= quality.max_flicker:
            missed.append(f"flicker {worst_flicker(flicker):.3f} above {quality.max_flicker:g}")
            shortfall += np.nan_to_num(worst_flicker(flicker), nan=np.inf) / quality.max_flicker - 1.0
        with np.errstate(invalid="ignore"):
            found_share = (self._num_found / self._num_asked).astype(np.float32)
        return Certificate(
            control=control,
            flicker=flicker,
            found_share=found_share,
            num_views=self._num_views,
            missed=tuple(missed),
            shortfall=float(shortfall),
        )

    def _add_control(self, score: ControlScore, verdict: Verdict, maps: ConditionMaps) -> None:
        from scenegen.checks.classes import judge_labels

        is_seen = maps.is_seen
        labels = judge_labels(maps.semantic[:, -1], maps.material[:, -1])
        score.add(verdict.labels[is_seen][None, None], labels[is_seen][None, None])

    def _add_agents(self, verdict: Verdict, maps: ConditionMaps, *, step: int) -> None:
        from scenegen.checks.agents import score_view
        from scenegen.checks.judge_targets import true_agents

        for view, camera in enumerate(self._rig.cameras):
            instance = maps.instance[view, -1]
            truth = true_agents(self._layout, camera, step=step, instance=instance)
            agents = score_view(verdict.agents[view], truth, camera=camera, instance=instance)
            self._num_asked[agents.agent] += 1
            self._num_found[agents.agent[agents.is_found]] += 1


def worst_control(control: tuple[float, ...]) -> float:
    """Return the lowest of the blocks' figures, NaN if one is."""
    return float(np.min(control)) if control else float("nan")


def worst_flicker(flicker: tuple[float, ...]) -> float:
    """Return the highest of the blocks' figures that are known, NaN of nothing."""
    known = [value for value in flicker if value == value]
    return max(known) if known else float("nan")


@functools.cache
def open_judging() -> Judging:
    """Load the shipped judge, once per process.

    Raises:
        WeightsError: its weights are missing or damaged.
    """
    from scenegen.checks.judge import judge_frames, load_judge

    return functools.partial(judge_frames, load_judge())


@functools.cache
def judge_sha256() -> str:
    """Return the hash of the judge's weights: with the bars, they decide what is committed."""
    from scenegen.checks.judge import SHIPPED_JUDGE

    return hashlib.sha256(SHIPPED_JUDGE.read_bytes()).hexdigest()


def _flicker_sum(frames: UInt8[np.ndarray, "V T H W 3"], maps: ConditionMaps) -> float:
    from scenegen.checks.temporal import follow_surfaces, measure_change

    return measure_change(frames, follow_surfaces(maps, is_seen=maps.is_seen)).flicker_sum


def _round(value: float) -> float | None:
    """Round for storage; JSON has no NaN."""
    return round(value, 4) if value == value else None
