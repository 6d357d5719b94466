"""The recipe of the masked network: it learns, resumes exactly, and its weights speak the shipped tokenizer's codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scenegen.cli.compose import compose_config
from scenegen.config import TrainConfig
from scenegen.occupancy.masked.codes import Vocabulary
from scenegen.occupancy.masked.weights import load_network
from scenegen.occupancy.tokenizer.tokenizer import load_tokenizer
from scenegen.training import occupancy
from scenegen.training.occupancy import draw_known_border, held_out_loss, train_occupancy
from scenegen.training.world_cache import WorldRequest, store_worlds

REFERENCE = "procedural:suburb/3"


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worlds")
    store_worlds([WorldRequest(reference=REFERENCE, style=None, seed=0)], folder, num_workers=1)
    return folder


def make_config(windows: Path, output: Path, *, steps: int = 4, learning_rate: float = 0.001) -> TrainConfig:
    overrides = [
        "recipe=occupancy", "size=nano", f"data={REFERENCE}", f"windows={windows}", f"output={output}",
        f"recipe.steps={steps}", "recipe.batch_size=2", "recipe.save_every_steps=2", "device=cpu", "progress=plain",
        "run.num_threads=1", f"recipe.learning_rate={learning_rate}",
    ]  # fmt: skip
    return compose_config(TrainConfig, "train", overrides)


def test_a_run_that_was_stopped_ends_with_the_same_bytes(windows: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    whole = train_occupancy(make_config(windows, tmp_path / "whole")).read_bytes()
    config = make_config(windows, tmp_path / "parts")
    save = occupancy.save_checkpoint

    class StoppedError(Exception):
        pass

    def save_and_stop(folder: Path, **kept: object) -> None:
        save(folder, **kept)  # type: ignore[arg-type]
        raise StoppedError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(occupancy, "save_checkpoint", save_and_stop)
        train_occupancy(config)
    assert train_occupancy(config).read_bytes() == whole


def test_it_learns_and_its_weights_are_read_for_the_shipped_codes(windows: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    tokenizer = load_tokenizer()
    vocabulary = Vocabulary(num_codes=tokenizer.num_codes, sha256=tokenizer.hash)
    losses = {}
    for steps in (1, 40):
        config = make_config(windows, tmp_path / str(steps), steps=steps, learning_rate=0.01)
        network, _ = load_network(train_occupancy(config), vocabulary=vocabulary)
        cache = occupancy.worlds_of(config.data, windows)
        tiles = occupancy.draw_held_out(replace(cache, held_out=cache.train), tokenizer, vocabulary)
        losses[steps] = held_out_loss(network, tiles, vocabulary, loops=1)
    assert losses[1] < np.log(tokenizer.num_codes) - 2.0  # it begins with how often every code occurs
    assert losses[40] < losses[1] - 0.05


def test_known_borders_lie_along_sides_and_leave_something_to_draw() -> None:
    generator = np.random.default_rng(0)
    borders = [draw_known_border(generator) for _ in range(200)]
    with_border = [border for border in borders if border.any()]
    assert 60 < len(with_border) < 140
    assert all(not border.all() for border in borders)
    sides = [(border[0], border[-1], border[:, 0], border[:, -1]) for border in with_border]
    assert all(any(side.all() for side in four) for four in sides)
