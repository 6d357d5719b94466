"""The video recipe on a tiny data set: it runs, resumes exactly, keeps its random streams, and learns something."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from scenegen.config import TrainConfig
from scenegen.errors import DatasetError, WeightsError
from scenegen.training import pixels, video
from scenegen.training.checkpoint import save_checkpoint
from scenegen.training.pictures import GAP_PX, MOST_STEPS, draw_grid
from scenegen.training.plan import PLAN_AFTER_STEPS, StepPlan
from scenegen.training.team import Team
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.training.windows import check_clips
from scenegen.types import random_generator, random_key
from scenegen.video.network import SIZES, VideoNetwork

MakeConfig = Callable[..., TrainConfig]
ALONE = Team(rank=0, size=1, device=torch.device("cpu"))


def same(a: Path, b: Path) -> bool:
    first, second = load_file(a), load_file(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.usefixtures("short_pixel_stage")
def test_interrupted_run_resumes_to_the_same_bytes(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = video.train_video(make_config(tmp_path / "straight"))
    calls, real_step = [], video.train_step

    def stop_in_the_third(*arguments: object, **options: object) -> dict[str, float]:
        calls.append(options["step"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real_step(*arguments, **options)  # type: ignore[arg-type]

    stopped = make_config(tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr(video, "train_step", stop_in_the_third)
        with pytest.raises(KeyboardInterrupt):
            video.train_video(stopped)
    resumed = video.train_video(replace(stopped, run=replace(stopped.run, num_loaders=2)))
    assert resumed.read_bytes() == straight.read_bytes()
    assert same(tmp_path / "straight" / "checkpoint.safetensors", tmp_path / "stopped" / "checkpoint.safetensors")


def test_windows_hang_on_seed_step_and_rank_alone(cache: WindowCache, make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(tmp_path)
    again = [video.read_batch(cache, 1, config=config, rank=rank).windows.planes for rank in (0, 0, 1)]
    assert torch.equal(again[0], again[1])
    assert not torch.equal(again[0], again[2])


def test_the_leader_draws_what_a_single_process_always_drew(
    cache: WindowCache, make_config: MakeConfig, tmp_path: Path
) -> None:
    """The streams of the shipped weights: a change here changes what `make weights` makes."""
    config = make_config(tmp_path)
    generator = random_generator(config.seed, "train-video", stage="windows", chunk=0)
    views, width = cache.pixels["material"].shape[1], cache.pixels["material"].shape[3]
    picks = [
        (int(generator.integers(48)), int(generator.integers(views)), 4 * int(generator.integers(width // 8 + 1)))
        for _ in range(2)
    ]
    expected = video.read_windows(cache, picks, crop_width=width // 2)
    assert torch.equal(video.read_batch(cache, 0, config=config, rank=0).windows.rgb, expected.rgb)
    run = video.start_run(config, device=ALONE.device)
    video.train_step(run, video.read_batch(cache, 0, config=config, rank=0), step=0, config=config, team=ALONE)
    after = torch.get_rng_state()
    torch.manual_seed(random_key(config.seed, "train-video", 0) % (1 << 63))
    video.batch_loss(run, expected, num_steps=1, stage=2)
    assert torch.equal(torch.get_rng_state(), after)


@pytest.mark.parametrize(("step", "stage", "num_steps"), [(0, 2, 1), (3, 2, 3), (8, 3, 1), (9, 3, 3)])
def test_stages_and_clips_follow_the_plan(
    cache: WindowCache, make_config: MakeConfig, tmp_path: Path, step: int, stage: int, num_steps: int
) -> None:
    config = make_config(tmp_path)
    config = replace(config, recipe=replace(config.recipe, steps=12))
    batch = video.read_batch(cache, step, config=config, rank=0)
    assert (batch.stage, batch.num_steps) == (stage, num_steps)
    run = video.start_run(config, device=ALONE.device)
    losses = video.train_step(run, batch, step=step, config=config, team=ALONE)
    assert all(torch.isfinite(torch.tensor(value)) for value in losses.values())


def test_a_large_batch_trains_on_several_clips_whose_views_find_no_partners_in_each_other(
    cache: WindowCache, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(tmp_path)
    config = replace(config, recipe=replace(config.recipe, batch_size=12))
    clips = video.read_batch(cache, 3, config=config, rank=0).windows
    assert len(clips.rgb) == 12
    partners = video.clip_partners(clips, num_steps=3)
    assert partners is not None
    cells = partners.shape[-2] * partners.shape[-1]
    owner = torch.where(partners >= 0, partners // cells // 6, -1)
    assert set(owner[:6].unique().tolist()) <= {-1, 0}
    assert set(owner[6:].unique().tolist()) <= {-1, 1}


def test_bf16_stays_near_fp32_and_keeps_weights_in_fp32(
    cache: WindowCache, make_config: MakeConfig, tmp_path: Path
) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        config = make_config(tmp_path, precision=precision)
        run = video.start_run(config, device=ALONE.device)
        batch = video.read_batch(cache, 3, config=config, rank=0)
        losses[precision] = video.train_step(run, batch, step=3, config=config, team=ALONE)["clip_loss"]
        assert {parameter.dtype for parameter in run.network.parameters()} == {torch.float32}
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)


def test_a_time_budget_becomes_a_number_of_steps_that_a_resumed_run_keeps(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(tmp_path)
    config = replace(config, recipe=replace(config.recipe, steps=10_000, time_budget_s=100.0))
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr("scenegen.training.plan.time.monotonic", lambda: float(next(clock)))
    plan = StepPlan(config, ALONE, first=0, began_s=0.0)
    totals = [plan.step_done(done) for done in range(1, PLAN_AFTER_STEPS + 1)]
    # Twenty steps took twenty seconds, and eighty seconds are left.
    assert totals[-2:] == [10_000, PLAN_AFTER_STEPS + 80]
    assert StepPlan(config, ALONE, first=60, began_s=0.0).config.recipe.steps == PLAN_AFTER_STEPS + 80
    assert StepPlan(config, ALONE, first=0, began_s=0.0).config.recipe.steps == 10_000


@pytest.mark.usefixtures("short_pixel_stage")
def test_pictures_log_and_weights_are_written(make_config: MakeConfig, tmp_path: Path, whole_dataset: Path) -> None:
    config = make_config(tmp_path, pictures_every_steps=2, held_out=str(whole_dataset), size="nano")
    config = replace(config, recipe=replace(config.recipe, steps=50, save_every_steps=50))
    weights = video.train_video(replace(config, recipe=replace(config.recipe, steps=2)))
    assert weights.is_file()
    (picture,) = (tmp_path / "pictures").iterdir()
    # Two scenes of one 64x32 camera: three true steps and three painted ones.
    assert Image.open(picture).size == (6 * 64 + 5 * GAP_PX, 2 * 32 + GAP_PX)
    assert not (tmp_path / "log.jsonl").exists()


def test_a_log_record_has_speed_and_losses(tmp_path: Path) -> None:
    report = video.TrainingReport(tmp_path / "log.jsonl", first=0, progress="plain")
    for done in range(1, 51):
        report.step_done(done, {"window_loss": 2.0} if done % 2 else {"clip_loss": 4.0}, total=100)
    record = json.loads((tmp_path / "log.jsonl").read_text())
    assert (record["step"], record["window_loss"], record["clip_loss"]) == (50, 2.0, 4.0)
    assert record["steps_per_s"] > 0 and record["eta_s"] >= 0


def test_painted_half_of_a_picture_is_the_network_and_the_other_the_truth(cache: WindowCache) -> None:
    torch.manual_seed(0)
    network = VideoNetwork(SIZES["nano"])
    grid, other = draw_grid(cache, network), draw_grid(cache, VideoNetwork(SIZES["nano"]))
    middle = MOST_STEPS * (64 + GAP_PX)
    assert (grid[:, :middle] == other[:, :middle]).all()
    assert (grid[:, middle:] != other[:, middle:]).any()


def test_a_checkpoint_of_another_size_or_damaged_is_a_weights_error(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(tmp_path, size="tiny")
    run = video.start_run(make_config(tmp_path), device=ALONE.device)
    save_checkpoint(tmp_path, step=2, modules=run.modules, optimizers={})
    with pytest.raises(WeightsError, match="of this network"):
        video.train_video(config)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError):
        video.train_video(config)


def test_windows_of_other_scenes_are_refused(whole_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(json.dumps({"num_scenes": 2, "content_sha256": "0" * 64}))
    with pytest.raises(DatasetError, match="those of other scenes"):
        open_window_cache(whole_dataset, tmp_path)


def test_scenes_too_short_for_a_clip_are_refused(cache: WindowCache) -> None:
    short = replace(cache, scene=cache.scene[::24])
    with pytest.raises(DatasetError, match="at least 3 steps"):
        check_clips(short, num_steps=3)


@pytest.mark.usefixtures("short_pixel_stage")
def test_pixel_stage_learns_the_colours(cache: WindowCache) -> None:
    torch.manual_seed(0)
    encoder = VideoNetwork(SIZES["nano"]).pixel
    planes, style, rgb = pixels.gather_pixels(cache, seed=9, bank=0)

    def error() -> float:
        with torch.no_grad():
            guess = encoder.expected_color(planes.permute(0, 2, 1)[..., None], style)
        return float((guess[..., 0].permute(0, 2, 1) - rgb).square().mean())

    before = error()
    pixels.train_pixels(encoder, cache, seed=0)
    assert error() < 0.7 * before
