"""Adversarial flow distillation on a tiny data set: exact resume, a closed box, errors before any work."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scenegen.cli.compose import compose_config
from scenegen.config import TrainConfig
from scenegen.dataset.read import open_dataset
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import ConfigError, DatasetError, WeightsError
from scenegen.training import afd
from scenegen.training.afd_bench import cut_part, discriminator_loss, weigh
from scenegen.training.afd_discriminator import ClipDiscriminator, recompress, see_clips
from scenegen.training.afd_teacher import ClipPlaces, StoredTeacher, check_clips_of_teacher
from scenegen.training.afd_update import noise_channels, roll_out, rollout_noise, update_noise
from scenegen.training.window_cache import WindowCache
from scenegen.training.windows import Windows
from scenegen.types import random_generator
from scenegen.video.backbones.native import save_network
from scenegen.video.network import SIZES, VideoNetwork

MakeAfd = Callable[..., TrainConfig]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    network = VideoNetwork(SIZES["nano"])
    for parameter in network.parameters():
        if not bool(parameter.any()):
            torch.nn.init.normal_(parameter, std=0.05)
    path = tmp_path_factory.mktemp("student") / "nano.safetensors"
    save_network(network, path, notes={})
    return path


@pytest.fixture
def make_afd(whole_dataset: Path, windows_folder: Path, student: Path) -> MakeAfd:
    """Make the configuration of a nano run of three steps; texts are overrides."""

    def make(output: Path, *overrides: str) -> TrainConfig:
        return compose_config(
            TrainConfig,
            "train",
            [
                "recipe=afd",
                f"data={whole_dataset}",
                f"windows={windows_folder}",
                f"output={output}",
                f"recipe.afd.student={student}",
                "recipe.steps=3",
                "recipe.batch_size=1",
                "recipe.save_every_steps=1",
                "recipe.afd.rollouts=2",
                "progress=plain",
                "device=cpu",
                "run.num_threads=1",
                *overrides,
            ],
        )

    return make


def clips_of(cache: WindowCache, config: TrainConfig) -> tuple[StoredTeacher, ClipPlaces, Windows]:
    teacher, settings = StoredTeacher(cache), afd.settings_of(config)
    places = teacher.draw_places(
        random_generator(0, "test", stage="clips"), num_clips=2, num_steps=settings.rollout_steps
    )
    return teacher, places, teacher.conditions(places, num_noise=noise_channels(settings), noise_seed=5)


def test_interrupted_run_resumes_to_the_same_bytes(
    make_afd: MakeAfd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = afd.train_afd(make_afd(tmp_path / "straight"))
    real_step = afd.train_step

    def stop_in_the_third(*arguments: object, **options: object) -> dict[str, float]:
        if options["step"] == 2:
            raise KeyboardInterrupt
        return real_step(*arguments, **options)  # type: ignore[arg-type]

    stopped = make_afd(tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr(afd, "train_step", stop_in_the_third)
        with pytest.raises(KeyboardInterrupt):
            afd.train_afd(stopped)
    resumed = afd.train_afd(stopped)
    assert resumed.read_bytes() == straight.read_bytes()
    ends = [(tmp_path / name / "checkpoint.safetensors").read_bytes() for name in ("straight", "stopped")]
    assert ends[0] == ends[1]


def test_nothing_but_pictures_and_layouts_of_the_teacher_is_read(
    make_afd: MakeAfd, whole_dataset: Path, tmp_path: Path
) -> None:
    """With zeros in the place of every label, whose check sums would be an error, the student's bytes are the same."""
    emptied = tmp_path / "emptied"
    shutil.copytree(whole_dataset, emptied)
    overwritten = 0
    for path in emptied.glob("scenes/*/*.zarr/*/**/c.*"):
        if path.is_file() and path.relative_to(emptied).parts[3] not in {"cameras", "time"}:
            path.write_bytes(bytes(path.stat().st_size))
            overwritten += 1
    assert overwritten > 20
    changes = (f"data={emptied}", f"windows={tmp_path / 'windows'}", "recipe.steps=1")
    whole = afd.train_afd(make_afd(tmp_path / "whole", "recipe.steps=1"))
    assert afd.train_afd(make_afd(tmp_path / "out", *changes)).read_bytes() == whole.read_bytes()
    with pytest.raises(DatasetError):
        _ = next(iter(open_dataset(emptied))).ego2global


def test_a_teacher_needs_three_answers_only(make_afd: MakeAfd, cache: WindowCache, tmp_path: Path) -> None:
    inner, asked = StoredTeacher(cache), []

    class Closed:
        """Fails on any other question."""

        def __getattr__(self, name: str) -> object:
            assert name in {"draw_places", "conditions", "sample"}
            asked.append(name)
            return getattr(inner, name)

    config = make_afd(tmp_path)
    run = afd.start_run(config)
    figures = afd.train_step(run, Closed(), step=0, config=config)  # type: ignore[arg-type]
    assert asked == ["draw_places", "conditions", "sample"]
    assert all(np.isfinite(value) for value in figures.values())


def test_a_discriminator_that_says_nothing_moves_nothing(make_afd: MakeAfd, cache: WindowCache, tmp_path: Path) -> None:
    """Its first scores are all zero; at a rate of zero they stay so, and the first update is rounding errors."""
    config = make_afd(tmp_path, "recipe.afd.discriminator_learning_rate=0", "recipe.learning_rate=0.001")
    run = afd.start_run(config)
    figures = afd.train_step(run, StoredTeacher(cache), step=0, config=config)
    assert figures["mean_weight"] == 0.5
    pairs = zip(run.student.parameters(), run.reference.parameters(), strict=True)
    assert max(float((own.detach() - first).abs().max()) for own, first in pairs) < 0.05 * config.recipe.learning_rate


def test_conditions_hold_no_picture(make_afd: MakeAfd, cache: WindowCache, tmp_path: Path) -> None:
    teacher, places, clips = clips_of(cache, make_afd(tmp_path))
    assert not clips.rgb.any() and not clips.carried.any()
    stored = teacher.sample(places)
    assert stored.dtype == torch.uint8 and stored.shape == clips.rgb.shape
    entry, view, left = places.picks[0]
    expected = cache.pixels["rgb"][entry, view][:, left : left + stored.shape[3]]
    assert (stored[0].permute(1, 2, 0).numpy() == expected).all()


def test_rollouts_of_a_condition_differ_and_are_drawn_anew_in_every_step(
    make_afd: MakeAfd, cache: WindowCache, tmp_path: Path
) -> None:
    config = make_afd(tmp_path)
    settings = afd.settings_of(config)
    teacher, places, clips = clips_of(cache, config)
    noises = [*rollout_noise(clips, settings=settings), *update_noise(clips, settings=settings)]
    assert all(not torch.equal(a[:, :3], b[:, :3]) for i, a in enumerate(noises) for b in noises[:i])
    frames = roll_out(afd.start_run(config).old, clips, settings=settings).frames
    assert frames.shape == (2, *clips.rgb.shape)
    assert not torch.equal(frames[0], frames[1])
    again = teacher.conditions(places, num_noise=noise_channels(settings), noise_seed=6)
    assert torch.equal(again.planes, clips.planes) and not torch.equal(again.noise, clips.noise)


@pytest.mark.parametrize("credit", ["clip", "cell"])
def test_a_discriminator_learns_a_darker_teacher_and_weighs_dark_rollouts_more(
    make_afd: MakeAfd, cache: WindowCache, tmp_path: Path, credit: str
) -> None:
    settings = afd.settings_of(make_afd(tmp_path, f"recipe.afd.credit={credit}", "recipe.afd.gradient_penalty=0.1"))
    teacher, places, clips = clips_of(cache, make_afd(tmp_path))
    bright = teacher.sample(places)
    dark = (bright.float() * 0.6).to(torch.uint8)
    student = torch.stack([bright.float() / 127.5 - 1.0, bright.float() * 0.8 / 127.5 - 1.0])
    torch.manual_seed(0)
    discriminator = ClipDiscriminator()
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=6e-3)
    generator = random_generator(0, "bench", stage="test")
    losses = []
    for _ in range(12):
        bench = cut_part(clips, dark, student, generator, settings=settings)
        loss, of_teacher, of_student = discriminator_loss(discriminator, bench, settings=settings)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    assert float(of_teacher.mean()) > float(of_student[:, 1].mean()) > float(of_student[:, 0].mean())
    weight = weigh(discriminator, bench, settings=settings, size_hw=(clips.rgb.shape[2], clips.rgb.shape[3]))
    assert weight.shape == (2, 2 * 2 * settings.clip_steps, 1, *clips.rgb.shape[2:])
    assert float(weight[1].mean()) > 0.55 > 0.45 > float(weight[0].mean())
    assert float(weight.mean()) == pytest.approx(0.5, abs=0.01)


def test_a_step_that_repeats_itself_is_seen_as_no_change(make_afd: MakeAfd, cache: WindowCache, tmp_path: Path) -> None:
    _, _, clips = clips_of(cache, make_afd(tmp_path))
    still = replace(clips, motion_px=torch.zeros_like(clips.motion_px), code=torch.zeros_like(clips.code))
    frames = torch.rand(1, 3, *clips.rgb.shape[2:]).expand(len(clips.rgb), -1, -1, -1)
    seen = see_clips(frames, still, num_steps=4)
    valid = seen[:, 6].unflatten(0, (-1, 4))
    assert float(seen[:, 3:6].abs().max()) < 1e-5
    assert not valid[:, 0].any() and bool(valid[:, 1:].all())


def test_both_streams_lose_the_same_on_the_way() -> None:
    frames = torch.randint(0, 256, (3, 3, 32, 24), dtype=torch.uint8)
    one, other = (recompress(frames, random_generator(0, "road", stage="test")) for _ in range(2))
    assert torch.equal(one, other) and one.shape == frames.shape
    error = (one - (frames.float() / 127.5 - 1.0)).abs().mean()
    assert 0.0 < float(error) < 0.3


class ChangedSecond:
    """A data set whose second scene says something else of itself."""

    def __init__(self, location: Path, change: Callable[[dict[str, Any]], None]) -> None:
        self._inner, self._change = open_dataset(location), change
        self.scene_ids = self._inner.scene_ids

    def __getitem__(self, scene_id: str) -> Scene:
        scene = self._inner[scene_id]
        if scene_id == self.scene_ids[1]:
            scene.attrs = deepcopy(scene.attrs)
            self._change(scene.attrs)
        return scene


def set_rate(attributes: dict[str, Any]) -> None:
    attributes["timeline"]["rate_hz"] = 10.0


def set_camera(attributes: dict[str, Any]) -> None:
    attributes["rig"]["cameras"][0]["name"] = "CAM_OTHER"


def set_size(attributes: dict[str, Any]) -> None:
    attributes["rig"]["cameras"][0]["size_px"] = [128, 32]


def test_bad_clips_are_refused_before_any_window_is_unpacked(
    make_afd: MakeAfd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(match: str, *overrides: str) -> None:
        config = make_afd(tmp_path / "out", f"windows={tmp_path / 'windows'}", *overrides)
        with pytest.raises(DatasetError, match=match):
            afd.train_afd(config)
        assert not (tmp_path / "windows").exists() and not (tmp_path / "out").exists()

    (tmp_path / "empty").mkdir()
    refuse("manifest|data set", f"data={tmp_path / 'empty'}")
    refuse("at 10 Hz", "recipe.afd.rate_hz=10")
    refuse("at least 25 steps", "recipe.afd.rollout_steps=25")
    for change, match in ((set_rate, "at 12 Hz"), (set_camera, "of the first scene"), (set_size, "of the first scene")):
        changed = partial(ChangedSecond, change=change)
        monkeypatch.setattr("scenegen.training.afd_teacher.open_dataset", changed)
        refuse(match)


def test_pictures_that_do_not_fit_the_network_are_refused(
    make_afd: MakeAfd, whole_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scenegen.training.afd_teacher.PATCH", 5)
    with pytest.raises(DatasetError, match="multiple of 5 pixels high"):
        check_clips_of_teacher(whole_dataset, settings=afd.settings_of(make_afd(tmp_path)))


def test_a_student_of_another_architecture_is_refused(make_afd: MakeAfd, tmp_path: Path) -> None:
    judge = Path(afd.__file__).parent.parent / "weights" / "judge.safetensors"
    with pytest.raises(WeightsError):
        afd.train_afd(make_afd(tmp_path / "judge", f"recipe.afd.student={judge}"))
    config = make_afd(tmp_path / "resumed", "recipe.steps=1")
    afd.train_afd(config)
    with pytest.raises(WeightsError, match="checkpoint of this network"):
        afd.train_afd(make_afd(tmp_path / "resumed", "recipe.steps=2", "recipe.afd.student=null"))


@pytest.mark.parametrize(
    ("override", "match"),
    [
        ("recipe.afd.rollouts=1", "at least 2 rollouts"),
        ("recipe.afd.clip_steps=5", "at most the 4 steps"),
        ("recipe.afd.credit=pixel", "credit in clip, cell"),
        ("recipe.afd.old_decay=1.0", "less than 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make_afd: MakeAfd, tmp_path: Path, override: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make_afd(tmp_path, override)
