"""The recipes rtdmd and reward on a tiny data set: they run, resume exactly, refuse what does not fit, and guard."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from scenegen.cli.compose import compose_config
from scenegen.config import TrainConfig
from scenegen.diffusion.sampler import Sampler
from scenegen.errors import ConfigError, TrainingError, WeightsError
from scenegen.training import judge_crops, reward, rtdmd, rtdmd_guard
from scenegen.training.judge_crops import AgentTable, open_agent_table
from scenegen.training.reward_network import RewardNetwork, load_reward_network, save_reward_network
from scenegen.training.rewards import (
    SamePoints,
    agent_agreement,
    cross_view_agreement,
    find_same_points,
    layout_agreement,
    read_truth,
    temporal_agreement,
)
from scenegen.training.rtdmd_moments import paint_moment, policy_mean, prepare_moment, read_clips
from scenegen.training.window_cache import WindowCache
from scenegen.training.windows import read_windows
from scenegen.types import random_generator
from scenegen.video.backbones.native import load_native, save_network
from scenegen.video.build import SHIPPED_STUDENT, SHIPPED_WEIGHTS
from scenegen.video.network import SIZES, VideoNetwork

MakeConfig = Callable[..., TrainConfig]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A nano teacher that says something, a student of another size, and a reward network."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    teacher = VideoNetwork(SIZES["nano"])
    for parameter in (*teacher.from_patches.parameters(), *teacher.head_out.parameters()):
        torch.nn.init.normal_(parameter, std=0.1)
    save_network(teacher, folder / "teacher.safetensors", notes={})
    save_network(VideoNetwork(replace(SIZES["nano"], middle=32)), folder / "other.safetensors", notes={})
    save_reward_network(RewardNetwork(), folder / "reward.safetensors", notes={})
    return {name: folder / f"{name}.safetensors" for name in ("teacher", "other", "reward")}


@pytest.fixture
def make_rtdmd(
    whole_dataset: Path, windows_folder: Path, weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> MakeConfig:
    """Make a run of three steps, the last of them with rewards; texts are further overrides."""
    monkeypatch.setattr(rtdmd, "REFERENCE", Sampler(name="euler", steps=2))
    monkeypatch.setattr(rtdmd, "FAKE_FIRST_STEPS", 0)
    monkeypatch.setattr(rtdmd_guard, "NUM_CLIPS", 2)

    def make(output: Path, *overrides: str) -> TrainConfig:
        own = [
            "recipe=rtdmd",
            f"data={whole_dataset}",
            f"windows={windows_folder}",
            f"output={output}",
            "recipe.steps=3",
            "recipe.batch_size=2",
            "recipe.save_every_steps=1",
            "recipe.rtdmd.cold_start_steps=2",
            "recipe.rtdmd.generator_every=1",
            "recipe.rtdmd.guard_every_steps=3",
            "recipe.rtdmd.guard=warn",
            "recipe.rtdmd.group_size=2",
            "recipe.rtdmd.teacher_draws=2",
            f"recipe.rtdmd.teacher={weights['teacher']}",
            f"recipe.rtdmd.rewards={weights['reward']}",
            "progress=plain",
            "run.num_threads=1",
        ]
        return compose_config(TrainConfig, "train", [*own, *overrides])

    return make


@pytest.fixture
def table(whole_dataset: Path, cache: WindowCache, tmp_path: Path) -> AgentTable:
    return open_agent_table(whole_dataset, cache, tmp_path / "agents.npz")


def test_an_interrupted_run_resumes_to_the_same_bytes(
    make_rtdmd: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = rtdmd.train_rtdmd(make_rtdmd(tmp_path / "straight"))
    real_step = rtdmd.train_step

    def stop_at_the_rewards(*arguments: object, **options: object) -> dict[str, float]:
        if options["step"] == 2:
            raise KeyboardInterrupt
        return real_step(*arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(rtdmd, "train_step", stop_at_the_rewards)
        with pytest.raises(KeyboardInterrupt):
            rtdmd.train_rtdmd(make_rtdmd(tmp_path / "stopped"))
    resumed = rtdmd.train_rtdmd(make_rtdmd(tmp_path / "stopped"))
    assert resumed.read_bytes() == straight.read_bytes()
    first, second = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("straight", "stopped"))
    assert all(torch.equal(first[name], second[name]) for name in first)

    line = json.loads((tmp_path / "straight" / "log.jsonl").read_text().splitlines()[-1])
    assert line["step"] == 3
    assert {"diversity", "reward_judge_gap", "held_out_judge_layout"} <= line.keys()
    with safe_open(str(straight), framework="pt") as file:
        notes = file.metadata()
    assert json.loads(notes["sampler"]) == {"name": "cps", "steps": 4, "eta": 0.9}


def test_only_the_denoiser_of_the_student_moves(
    make_rtdmd: MakeConfig, tmp_path: Path, weights: dict[str, Path]
) -> None:
    student = load_file(rtdmd.train_rtdmd(make_rtdmd(tmp_path)))
    teacher = load_file(weights["teacher"])
    moved = {name.split(".")[0] for name in teacher if not torch.equal(teacher[name], student[name])}
    assert moved
    assert not moved & set(rtdmd.ENCODER)


@pytest.mark.parametrize(
    ("override", "error", "words"),
    [
        ("recipe.rtdmd.rewards=null", ConfigError, "reward network"),
        ("recipe.rtdmd.rewards=/nowhere", WeightsError, "recipe=reward"),
        ("recipe.rtdmd.student={other}", WeightsError, "size"),
        ("recipe.rtdmd.student={reward}", WeightsError, "native network"),
        ("recipe.rtdmd.chosen_steps=4", ConfigError, "chosen_steps"),
        ("recipe.rtdmd.eta=0.0", ConfigError, "eta"),
    ],
)
def test_what_does_not_fit_is_refused(
    make_rtdmd: MakeConfig,
    tmp_path: Path,
    weights: dict[str, Path],
    override: str,
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        rtdmd.train_rtdmd(make_rtdmd(tmp_path, override.format(**weights)))


def test_the_guard_stops_a_student_whose_draws_are_all_the_same(make_rtdmd: MakeConfig, tmp_path: Path) -> None:
    config = make_rtdmd(tmp_path, "recipe.rtdmd.guard=stop", "recipe.rtdmd.least_diversity=100.0")
    with pytest.raises(TrainingError, match="at least 100"):
        rtdmd.train_rtdmd(config)
    assert (tmp_path / "student.safetensors").is_file()


def test_diversity_of_a_deaf_student_is_zero(
    make_rtdmd: MakeConfig, tmp_path: Path, cache: WindowCache, table: AgentTable
) -> None:
    run = rtdmd.start_run(make_rtdmd(tmp_path))
    guard = rtdmd.open_guard(run, make_rtdmd(tmp_path), cache, table)
    torch.nn.init.zeros_(run.average.head_out.weight)
    measured = rtdmd_guard.measure(run.average, guard.held, sampler=run.sampler, judge=guard.judge, rewards=None)
    assert rtdmd_guard.compare(measured, guard.teacher)["diversity"] == pytest.approx(0.0, abs=1e-4)
    assert guard.teacher.distance.min() > 1e-3


def test_a_rollout_is_on_policy(make_rtdmd: MakeConfig, tmp_path: Path, cache: WindowCache) -> None:
    """The mean computed for the gradient is the one the rollout was drawn around."""
    run = rtdmd.start_run(make_rtdmd(tmp_path))
    generator = random_generator(0, "test", stage="windows")
    clips = read_clips(cache, generator, batch_size=2, sampler=run.sampler, num_pictures=0)
    moment = prepare_moment(clips, encoder=run.teacher, student=run.student, sampler=run.sampler)
    painted = paint_moment(run.student, moment, sampler=run.sampler)
    mean = policy_mean(run.student, moment, painted.levels[1], 1, sampler=run.sampler).detach()
    std = 0.5 * float(np.sin(0.45 * np.pi))
    expected = (painted.levels[2] - mean) / std
    torch.testing.assert_close(expected, run.sampler.step_noise(moment.stack, 1), atol=1e-4, rtol=1e-4)


def test_the_reward_recipe_resumes_to_the_same_weights(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_crops, "CROP_WIDTH", 32)
    monkeypatch.setattr(reward, "FOCUS_SHARE", 0.0)

    def config(name: str, steps: int) -> TrainConfig:
        made = make_config(tmp_path / name)
        return replace(made, size=None, recipe=replace(made.recipe, name="reward", steps=steps, save_every_steps=1))

    straight = reward.train_reward(config("straight", 2))
    real_step = reward.train_step

    def stop_in_the_second(*arguments: object, **options: object) -> dict[str, float]:
        if options["step"] == 1:
            raise KeyboardInterrupt
        return real_step(*arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(reward, "train_step", stop_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            reward.train_reward(config("stopped", 2))
    assert reward.train_reward(config("stopped", 2)).read_bytes() == straight.read_bytes()
    load_reward_network(straight)


def test_rewards_are_those_of_the_scenes_learned_from(cache: WindowCache, table: AgentTable) -> None:
    half, agents = reward.take_half(cache, table)
    assert set(half.scene.tolist()) == {1}
    views = cache.pixels["material"].shape[1]
    entry = int(np.flatnonzero(cache.scene == 1)[3])
    assert np.array_equal(half.pixels["rgb"][3], cache.pixels["rgb"][entry])
    assert np.array_equal(agents.of_frame(3 * views).center_px, table.of_frame(entry * views).center_px)


def test_perfect_pictures_get_the_best_rewards(cache: WindowCache, table: AgentTable) -> None:
    entry = int(np.flatnonzero(cache.has_previous)[0])
    picks = [(entry, 0, 0)]
    windows = read_windows(cache, picks, crop_width=64, num_noise=0)
    truth = read_truth(cache, table, picks, crop_width=64)
    sure = 50.0 * torch.nn.functional.one_hot(truth.labels, 12).permute(0, 3, 1, 2).float()
    assert layout_agreement(sure, truth.labels).item() == pytest.approx(1.0)
    assert layout_agreement(0.0 * sure, truth.labels).item() == pytest.approx(1 / 12, rel=1e-4)
    nothing = torch.full((1, 4, 16, 32), -9.0)
    expected = 0.0 if truth.agents[0].is_asked.any() else 1.0
    assert agent_agreement(nothing, truth.agents).item() == expected
    still = windows.carried[:, :3]
    assert temporal_agreement(still, windows.carried).item() == 0.0
    assert temporal_agreement(still + 0.1, windows.carried).item() == pytest.approx(-0.1, rel=1e-4)


def test_two_windows_of_one_picture_share_their_overlap(cache: WindowCache) -> None:
    windows = read_windows(cache, [(0, 0, 0), (0, 0, 16)], crop_width=48, num_noise=0)
    points = find_same_points(windows, num_views=2)
    assert len(points.here) > 20
    height = windows.rgb.shape[-2]
    first = points.here < height * 48
    column_here, column_there = points.here[first] % 48, points.there[first] % 48
    assert (column_here - column_there == 16).float().mean() > 0.95
    assert cross_view_agreement(windows.rgb, points).abs().max() < 0.05
    unlike = windows.rgb.clone()
    unlike[1] += 0.5
    assert (cross_view_agreement(unlike, points) < -0.4).all()
    none = SamePoints(here=points.here[:0], there=points.there[:0])
    assert cross_view_agreement(windows.rgb, none).tolist() == [0.0, 0.0]


def test_the_shipped_student_has_its_teachers_encoder_and_names_its_sampler() -> None:
    student, teacher = load_file(SHIPPED_STUDENT), load_file(SHIPPED_WEIGHTS)
    same = {name.split(".")[0] for name in teacher if torch.equal(student[name], teacher[name])}
    moved = {name.split(".")[0] for name in teacher if not torch.equal(student[name], teacher[name])}
    assert set(rtdmd.ENCODER) <= same - moved
    assert {"head_out", "deep", "noisy_in"} <= moved
    backbone = load_native(weights=SHIPPED_STUDENT, role="student")
    assert backbone.sampler == Sampler(name="cps", steps=4, eta=0.9)
