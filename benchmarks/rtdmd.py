"""Few-step students against their teacher on held-out windows: short rollouts with the painters' own history.

Every model paints the same clips (two views, three steps, half width) at the temperature in use. Scored by the judge of
`scenegen eval`, which no student was rewarded by: layout agreement, mean intersection over union, found agents; change
along exact motion and difference between views; sharpness against the truth; and the diversity that the training guard
measures, relative to the teacher with the most steps. Differences to each of the teacher's own samplers are paired clip
by clip, with 95 % bootstrap intervals.

    python -m benchmarks.rtdmd --data out/held_out --windows out/held_out_windows --student student=FILE --json FILE
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from scenegen.checks.control import ControlScore
from scenegen.checks.judge import FOUND_SCORE, Judge, decode_centers, judge_planes, load_judge
from scenegen.checks.judge_targets import match_agents
from scenegen.diffusion.sampler import Sampler
from scenegen.training.judge_crops import AgentTable, open_agent_table
from scenegen.training.rewards import (
    RewardTruth,
    cross_view_agreement,
    find_same_points,
    layout_agreement,
    read_truth,
    temporal_agreement,
)
from scenegen.training.rollout import NUM_VIEWS, paint_clip
from scenegen.training.rtdmd_guard import measure, open_held_out
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.training.windows import Windows, half_width, read_windows, sample_clip
from scenegen.types import random_generator
from scenegen.video.backbones.native import TEMPERATURE, load_network
from scenegen.video.build import SHIPPED_WEIGHTS
from scenegen.video.network import VideoNetwork

CLIP_STEPS = 3
TEACHER_STEPS = (1, 2, 4, 50)
STUDENT_STEPS = (1, 2, 4, 8)
LEVELS_PER_UNIT = 127.5
NUM_DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class ClipScores:
    """Scores of one clip by one painter; `confusion` is the judge's."""

    numbers: dict[str, float]
    confusion: np.ndarray
    num_asked: int
    num_found: int


@dataclass(frozen=True, kw_only=True)
class TestClip:
    """A clip to paint, and what it should show."""

    windows: Windows
    truth: RewardTruth


def read_test_clips(
    cache: WindowCache, table: AgentTable, *, num_clips: int, seed: int, num_noise: int
) -> list[TestClip]:
    generator = random_generator(seed, "benchmark-rtdmd", stage="windows")
    width, clips = half_width(cache), []
    for _ in range(num_clips):
        picks = sample_clip(cache, generator, num_steps=CLIP_STEPS, crop_width=width)
        windows = read_windows(cache, picks, crop_width=width, num_noise=num_noise)
        clips.append(TestClip(windows=windows, truth=read_truth(cache, table, picks, crop_width=width)))
    return clips


@torch.no_grad()
def paint(network: VideoNetwork, clip: TestClip, *, sampler: Sampler) -> tuple[Tensor, Tensor]:
    """Return frames and what each was shown of the one before."""
    windows = clip.windows
    encoded = network.encode(windows.planes.contiguous(memory_format=torch.channels_last), windows.style)
    noise = TEMPERATURE * windows.noise[:, : sampler.num_noise]
    rollout = paint_clip(network, windows, encoded, noise, num_steps=CLIP_STEPS, sampler=sampler)
    return rollout.frames, rollout.carried


@torch.no_grad()
def score(frames: Tensor, carried: Tensor, clip: TestClip, judge: Judge) -> ClipScores:
    windows, truth = clip.windows, clip.truth
    maps = judge(judge_planes(frames, windows.ray_world.float()))
    control = ControlScore()
    control.add(maps.scores.argmax(1).numpy().astype(np.uint8), truth.labels.numpy().astype(np.uint8))
    asked = found = 0
    for agents, seen in zip(truth.agents, decode_centers(maps, min_score=FOUND_SCORE), strict=True):
        match = match_agents(seen, agents)
        asked += int(agents.is_asked.sum())
        found += int(((match.found_of_true >= 0) & agents.is_asked).sum())
    last = slice(CLIP_STEPS - 1, None, CLIP_STEPS)
    points = find_same_points(windows.part(last), num_views=NUM_VIEWS)
    has_past = carried[:, 3].flatten(1).any(dim=1)
    past = temporal_agreement(frames[has_past], carried[has_past])
    return ClipScores(
        numbers={
            "layout": float(layout_agreement(maps.scores.float(), truth.labels).mean()),
            "change_levels": -LEVELS_PER_UNIT * float(past.mean()) if len(past) else float("nan"),
            "view_difference_levels": -LEVELS_PER_UNIT * float(cross_view_agreement(frames[last], points).mean()),
            "sharpness": float(sharpness(frames) / sharpness(windows.rgb)),
            "error_levels": LEVELS_PER_UNIT * float((frames - windows.rgb).abs().mean()),
        },
        confusion=control.confusion,
        num_asked=asked,
        num_found=found,
    )


def sharpness(rgb: Float[Tensor, "B 3 H W"]) -> Tensor:
    """Return the energy of the Laplacian."""
    x = rgb.float()
    laplacian = 4 * x[..., 1:-1, 1:-1] - x[..., :-2, 1:-1] - x[..., 2:, 1:-1] - x[..., 1:-1, :-2] - x[..., 1:-1, 2:]
    return laplacian.square().mean()


def figures_of(scores: list[ClipScores]) -> dict[str, float]:
    control = ControlScore(confusion=np.sum([score.confusion for score in scores], axis=0))
    asked = sum(score.num_asked for score in scores)
    return {
        **{name: float(np.nanmean([score.numbers[name] for score in scores])) for name in scores[0].numbers},
        "miou": control.miou,
        "agents": sum(score.num_found for score in scores) / asked if asked else float("nan"),
    }


def paired_interval(own: list[ClipScores], other: list[ClipScores]) -> dict[str, tuple[float, float, float]]:
    """Return difference and 95 % interval of every figure, clips drawn again with replacement, the same for both."""
    generator = random_generator(0, "benchmark-rtdmd", stage="bootstrap")
    draws: dict[str, list[float]] = {}
    for _ in range(NUM_DRAWS):
        chosen = generator.integers(len(own), size=len(own))
        one, two = figures_of([own[i] for i in chosen]), figures_of([other[i] for i in chosen])
        for name in one:
            draws.setdefault(name, []).append(one[name] - two[name])
    middle = {name: value - figures_of(other)[name] for name, value in figures_of(own).items()}
    return {
        name: (middle[name], *(float(np.nanpercentile(values, p)) for p in (2.5, 97.5)))
        for name, values in draws.items()
    }


def run(arguments: argparse.Namespace) -> dict[str, object]:
    cache = open_window_cache(arguments.data, arguments.windows)
    with TemporaryDirectory() as folder:
        table = open_agent_table(arguments.data, cache, Path(folder) / "agents.npz")
    judge, (teacher, _) = load_judge(), load_network(arguments.teacher)
    own_steps = sorted(arguments.teacher_steps)
    arms = {f"teacher_euler_{steps}": (teacher, Sampler(name="euler", steps=steps)) for steps in own_steps}
    references = list(arms)
    arms["teacher_cps_4"] = (teacher, Sampler(name="cps", steps=4))
    for item in arguments.student:
        name, _, file = item.partition("=")
        network, _ = load_network(Path(file))
        arms |= {f"{name}_{steps}": (network, Sampler(name="cps", steps=steps)) for steps in arguments.steps}
    most = max(sampler.num_noise for _, sampler in arms.values())
    clips = read_test_clips(cache, table, num_clips=arguments.clips, seed=arguments.seed, num_noise=most)
    held = open_held_out(cache, table, encoder=teacher, seed=arguments.seed, num_clips=arguments.diversity_clips)
    truth = figures_of([score(c.windows.rgb, c.windows.carried, c, judge) for c in clips])
    results: dict[str, object] = {"clips": len(clips), "seed": arguments.seed, "truth": truth}
    scores: dict[str, list[ClipScores]] = {}
    distance: dict[str, float] = {}
    with torch.autocast("cpu", torch.bfloat16, enabled=arguments.bf16):
        for name, (network, sampler) in arms.items():
            painted = [paint(network, clip, sampler=sampler) for clip in clips]
            scores[name] = [score(*pair, clip, judge) for pair, clip in zip(painted, clips, strict=True)]
            measured = measure(network, held, sampler=sampler, judge=judge, rewards=None)
            distance[name] = float(measured.distance.mean())
            print(name, {k: round(v, 4) for k, v in figures_of(scores[name]).items()}, file=sys.stderr)
    results["arms"] = {
        name: {
            "figures": figures_of(own) | {"diversity": distance[name] / distance[references[-1]]},
            **{f"minus_{other}": paired_interval(own, scores[other]) for other in references},
        }
        for name, own in scores.items()
    }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a scenegen data set of layouts not trained on")
    parser.add_argument("--windows", type=Path, required=True, help="its unpacked windows")
    parser.add_argument("--teacher", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--teacher-steps", type=int, nargs="+", default=list(TEACHER_STEPS), help="Euler steps")
    parser.add_argument("--student", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--steps", type=int, nargs="+", default=list(STUDENT_STEPS), help="of the students")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--diversity-clips", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bf16", action="store_true", help="products in bfloat16")
    parser.add_argument("--json", required=True, help="a file, or - for standard output")
    arguments = parser.parse_args()
    text = json.dumps(run(arguments), indent=1)
    if arguments.json == "-":
        print(text)
    else:
        Path(arguments.json).write_text(text)


if __name__ == "__main__":
    main()
