"""The video recipe reads a real log as it reads generated scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scenegen.cli import main
from scenegen.cli.compose import compose_config
from scenegen.config import TrainConfig
from scenegen.dataset.torch_view import SceneDataset
from scenegen.training.team import open_team
from scenegen.training.video import CLIP_STEPS, read_batch, start_run, train_step
from scenegen.training.window_cache import open_window_cache
from scenegen.training.windows import check_clips
from scenegen.types import Material
from tests.unit.logs.dgp_scene import RED, write_dgp_scene


@pytest.mark.slow
def test_a_step_of_the_video_recipe_and_a_sample_of_the_loader(tmp_path: Path) -> None:
    write_dgp_scene(tmp_path / "street")
    assert main(["import-log", f"dgp:{tmp_path / 'street'}", f"output={tmp_path / 'ds'}", "width_px=80"]) == 0
    overrides = [f"data={tmp_path / 'ds'}", f"output={tmp_path / 'run'}", "size=nano", "recipe.batch_size=2"]
    config = compose_config(TrainConfig, "train", ["recipe=video", *overrides, "device=cpu"])
    cache = open_window_cache(tmp_path / "ds", tmp_path / "windows")
    check_clips(cache, num_steps=CLIP_STEPS)
    is_car = cache.pixels["material"][:, 0] == Material.BODY
    assert is_car.sum() > 20  # where the map shows a car's body, the recorded picture is red
    assert np.abs(cache.pixels["rgb"][:, 0][is_car].mean(axis=0) - RED).max() < 60
    with open_team(config) as team:
        run = start_run(config, device=team.device)
        before = [parameter.detach().clone() for parameter in run.network.parameters()]
        losses = train_step(run, read_batch(cache, 0, config=config, rank=0), step=0, config=config, team=team)
    assert all(np.isfinite(value) for value in losses.values())
    assert any(not torch.equal(a, b) for a, b in zip(before, run.network.parameters(), strict=True))
    sample = SceneDataset(tmp_path / "ds")[0]
    assert sample["rgb"].shape[:2] == (2, 1)
