"""Windows of the small data set, and configurations of short training runs on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from scenegen.cli.compose import compose_config
from scenegen.config import TrainConfig
from scenegen.training import pixels
from scenegen.training.window_cache import WindowCache, open_window_cache

MakeConfig = Callable[..., TrainConfig]


@pytest.fixture(scope="session")
def windows_folder(whole_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("windows") / "windows"
    open_window_cache(whole_dataset, folder)
    return folder


@pytest.fixture
def cache(whole_dataset: Path, windows_folder: Path) -> WindowCache:
    return open_window_cache(whole_dataset, windows_folder)


@pytest.fixture
def make_config(whole_dataset: Path, windows_folder: Path) -> MakeConfig:
    """Make the configuration of a nano run of four steps; keywords change fields of it."""

    def make(output: Path, **changes: object) -> TrainConfig:
        overrides = [
            "recipe=video",
            "size=nano",
            f"data={whole_dataset}",
            f"windows={windows_folder}",
            f"output={output}",
            "recipe.steps=4",
            "recipe.batch_size=2",
            "recipe.save_every_steps=2",
            "pictures_every_steps=null",
            "device=cpu",
            "progress=plain",
            "run.num_threads=1",
        ]
        return replace(compose_config(TrainConfig, "train", overrides), **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture
def short_pixel_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"NUM_BANKS": 1, "WINDOWS_PER_BANK": 12, "STEPS_PER_BANK": 80, "PIXELS_PER_STEP": 64}
    for name, value in small.items():
        monkeypatch.setattr(pixels, name, value)
