"""The video and judge recipes on a tiny data set: they run, they resume exactly, they learn something."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scenegen.config import RecipeConfig, TrainConfig
from scenegen.training import pixels, video
from scenegen.training.window_cache import open_window_cache

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.fixture(scope="module")
def windows(whole_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("windows") / "windows"
    open_window_cache(whole_dataset, folder)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pixels, video):
        monkeypatch.setattr(module, "CROP_WIDTH", 32)
    for name, value in {"NUM_BANKS": 1, "WINDOWS_PER_BANK": 12, "STEPS_PER_BANK": 40, "PIXELS_PER_STEP": 64}.items():
        monkeypatch.setattr(pixels, name, value)


def config(name: str, steps: int, data: Path, output: Path, windows: Path) -> TrainConfig:
    output.mkdir(parents=True, exist_ok=True)
    if not (output / "windows").exists():
        (output / "windows").symlink_to(windows)
    recipe = RecipeConfig(name=name, steps=steps, batch_size=2, learning_rate=1e-3, save_every_steps=2)
    return TrainConfig(recipe=recipe, data=str(data), output=str(output), seed=0, progress="plain")


def test_video_recipe_resumes_to_the_same_weights(whole_dataset: Path, windows: Path, tmp_path: Path) -> None:
    straight = config("video", 4, whole_dataset, tmp_path / "straight", windows)
    whole = load_file(video.train_video(straight, size_name="nano"))

    stopped = config("video", 4, whole_dataset, tmp_path / "stopped", windows)
    interrupted = pytest.MonkeyPatch()
    steps = []

    def stop_after_two(*arguments: object, **options: object) -> dict[str, float]:
        steps.append(options["step"])
        if len(steps) == 3:
            raise KeyboardInterrupt
        return real_step(*arguments, **options)  # type: ignore[arg-type]

    real_step = video.train_step
    interrupted.setattr(video, "train_step", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        video.train_video(stopped, size_name="nano")
    interrupted.undo()
    resumed = load_file(video.train_video(stopped, size_name="nano"))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_pixel_stage_learns_the_colours(whole_dataset: Path, windows: Path) -> None:
    cache = open_window_cache(whole_dataset, windows)
    torch.manual_seed(0)
    encoder = video.VideoNetwork(video.SIZES["nano"]).pixel
    planes, style, rgb = pixels.gather_pixels(cache, seed=9, bank=0)

    def error() -> float:
        with torch.no_grad():
            guess = encoder.expected_color(planes.permute(0, 2, 1)[..., None], style)
        return float((guess[..., 0].permute(0, 2, 1) - rgb).square().mean())

    before = error()
    pixels.train_pixels(encoder, cache, seed=0)
    assert error() < 0.7 * before
