"""The judge's recipe on a tiny data set: it runs, resumes exactly, and its targets fit the pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from scenegen.checks.classes import AGENT_KINDS
from scenegen.checks.judge import load_judge
from scenegen.config import RecipeConfig, TrainConfig, TrainRunConfig
from scenegen.errors import ConfigError
from scenegen.training import judge as recipe
from scenegen.training import judge_crops
from scenegen.training.window_cache import open_window_cache
from scenegen.types import random_generator


@pytest.fixture(scope="module")
def windows(whole_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("windows") / "windows"
    open_window_cache(whole_dataset, folder)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_crops, "CROP_WIDTH", 32)
    monkeypatch.setattr(judge_crops, "FOCUS_SHARE", 0.0)


def config(steps: int, data: Path, output: Path, windows: Path, *, num_workers: int = 1) -> TrainConfig:
    return TrainConfig(
        recipe=RecipeConfig(
            name="judge",
            size=None,
            steps=steps,
            time_budget_s=None,
            batch_size=2,
            learning_rate=1e-3,
            save_every_steps=2,
        ),
        size=None,
        data=str(data),
        held_out=None,
        output=str(output),
        windows=str(windows),
        seed=0,
        device="cpu",
        precision="fp32",
        pictures_every_steps=None,
        progress="plain",
        run=TrainRunConfig(num_workers=num_workers, num_threads=1, num_loaders=None),
    )


def test_several_processes_are_refused(whole_dataset: Path, windows: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="num_workers"):
        recipe.train_judge(config(2, whole_dataset, tmp_path, windows, num_workers=2))


def test_judge_recipe_resumes_to_the_same_weights(
    whole_dataset: Path, windows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recipe.train_judge(config(4, whole_dataset, tmp_path / "straight", windows))
    load_judge(path)

    stopped, real_step, steps = config(4, whole_dataset, tmp_path / "stopped", windows), recipe.train_step, []

    def stop_after_two(*arguments: object, **options: object) -> dict[str, float]:
        steps.append(options["step"])
        if len(steps) == 3:
            raise KeyboardInterrupt
        return real_step(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(recipe, "train_step", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        recipe.train_judge(stopped)
    monkeypatch.setattr(recipe, "train_step", real_step)
    whole, resumed = load_file(path), load_file(recipe.train_judge(stopped))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_mirrored_crop_is_the_mirror_image(whole_dataset: Path, windows: Path, tmp_path: Path) -> None:
    cache = open_window_cache(whole_dataset, windows)
    table = judge_crops.open_agent_table(whole_dataset, cache, tmp_path / "agents.npz")
    entry = int(table.frame[0]) // cache.pixels["rgb"].shape[1]
    plain, mirrored = (judge_crops.read_crop(cache, table, entry, 0, 16, mirror=mirror) for mirror in (False, True))
    for one, other in zip(plain[:4], mirrored[:4], strict=True):
        np.testing.assert_array_equal(one[:, ::-1], other)
    np.testing.assert_allclose(plain[4][:, :, ::-1], mirrored[4], atol=1e-6)  # heat: cells of two pixels
    np.testing.assert_allclose(plain[7][0][:, ::-1], -mirrored[7][0], atol=1e-4)
    np.testing.assert_allclose(plain[7][1][:, ::-1], mirrored[7][1], atol=1e-4)


def test_centres_lie_on_their_agents_distance(whole_dataset: Path, windows: Path, tmp_path: Path) -> None:
    cache = open_window_cache(whole_dataset, windows)
    table = judge_crops.open_agent_table(whole_dataset, cache, tmp_path / "agents.npz")
    agents = table.agents
    clear = np.nonzero(agents.visible_px > 0.3 * agents.extent_px.prod(axis=1))[0]
    assert len(clear) > 0
    views = cache.pixels["rgb"].shape[1]
    for row in clear[:20].tolist():
        entry, view = divmod(int(table.frame[row]), views)
        own = cache.pixels["instance"][entry, view] == 1 + agents.index[row]
        depth_m = float(np.median(cache.pixels["depth_m"][entry, view][own].astype(np.float64)))
        assert 0.7 * depth_m - 3.0 < agents.range_m[row] < 1.6 * depth_m + 3.0


def test_look_variations_stay_mild(whole_dataset: Path, windows: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    rgb = torch.rand(4, 3, 16, 16) * 1.6 - 0.8
    varied = judge_crops.vary_look(rgb, random_generator(0, "look", stage="test"))
    assert varied.shape == rgb.shape
    assert varied.abs().max() <= 1.0
    assert 0.0 < float((varied - rgb).abs().mean()) < 0.3


def test_losses_vanish_for_a_perfect_judge(whole_dataset: Path, windows: Path, tmp_path: Path) -> None:
    from torch.nn import functional

    from scenegen.checks.classes import JudgeClass
    from scenegen.checks.judge import JudgeMaps

    cache = open_window_cache(whole_dataset, windows)
    table = judge_crops.open_agent_table(whole_dataset, cache, tmp_path / "agents.npz")
    batch = judge_crops.draw_batch(
        cache, table, random_generator(0, "batch", stage="test"), batch_size=2, focus_share=0.65
    )
    maps = JudgeMaps(
        scores=100.0 * functional.one_hot(batch.labels, len(JudgeClass)).permute(0, 3, 1, 2).float(),
        log_range=batch.log_range.nan_to_num(posinf=0.0),
        heat=torch.where(batch.heat == 1.0, 30.0, -30.0),
        offset_px=batch.offset_px,
        center_log_range=batch.center_log_range,
    )
    losses = recipe.judge_losses(maps, batch)
    assert set(losses) == set(recipe.LOSS_WEIGHT)
    assert all(float(loss) < 0.02 for loss in losses.values())
    assert batch.heat.shape[1] == len(AGENT_KINDS)
