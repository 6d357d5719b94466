"""The ablations measure what they say: switches do nothing by default, arms differ in one thing, sums are right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.ablations import training
from benchmarks.ablations.arms import ARMS, GUIDE, SMALL, Arm
from benchmarks.ablations.clips import Clip, PixelSampler, Use, build_clip, roll_out
from benchmarks.ablations.latent_flow import LatentNetwork, cosine_basis
from benchmarks.ablations.scores import FIGURES, find_blocks, ratio_of, score_clip
from scenegen.checks.judge import Judge
from scenegen.diffusion.sampler import Sampler
from scenegen.rig import build_rig
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.training.windows import read_windows
from scenegen.types import CameraRig
from scenegen.video.backbones.native import NativeBackbone
from scenegen.video.latent import AutoencoderSize, PictureAutoencoder
from scenegen.video.network import SIZES, PixelEncoder, VideoNetwork
from scenegen.video.planes import NUM_PLANES, STYLE_SIZE

NANO = SIZES["nano"]


@pytest.fixture(scope="module")
def rig() -> CameraRig:
    import yaml

    from scenegen.config import RigConfig, parse_config

    plain = yaml.safe_load(Path("conf/rig/front1.yaml").read_text())
    plain["image"] = {"width_px": 64, "height_px": 32}
    return build_rig(parse_config(RigConfig, plain))


@pytest.fixture(scope="module")
def clip(rig: CameraRig) -> Clip:
    return build_clip("procedural:1", rig=rig, start_s=1.0, num_steps=4, judged_every=3, seed=0)


@pytest.fixture(scope="module")
def cache(whole_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> WindowCache:
    return open_window_cache(whole_dataset, tmp_path_factory.mktemp("windows") / "windows")


def random_network() -> VideoNetwork:
    torch.manual_seed(0)
    network = VideoNetwork(NANO)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.08)
    return network.eval().requires_grad_(False)


def test_default_use_is_the_native_backbone(clip: Clip) -> None:
    network = random_network()
    backbone = NativeBackbone(network, size_name="nano", sampler=Sampler(steps=2), weights_sha256="")
    wanted = backbone.open_session(clip.context).paint(clip.maps, start_step=0)
    assert np.array_equal(roll_out(clip, PixelSampler(network=network), Use()), wanted)


@pytest.mark.parametrize(
    "use", [Use(history="none"), Use(anchored=False), Use(keep=1.0), Use(history="true"), Use(steps=1)]
)
def test_every_switch_changes_the_frames(clip: Clip, use: Use) -> None:
    sampler = PixelSampler(network=random_network())
    assert not np.array_equal(roll_out(clip, sampler, use), roll_out(clip, sampler, Use()))


def test_noise_of_latents_is_white() -> None:
    for factor, channels in ((8, 16), (4, 8)):
        basis = cosine_basis(factor, channels).flatten(1)
        assert torch.allclose(basis @ basis.T, torch.eye(channels), atol=1e-5)


@pytest.mark.parametrize("name", ["latent_f8", "latent_f4"])
def test_latent_network_draws_latents(name: str) -> None:
    size = ARMS[name].latent
    assert size is not None
    network = LatentNetwork(SMALL, PictureAutoencoder(size))
    encoded = network.encode(torch.randn(2, NUM_PLANES, 48, 56), torch.randn(2, STYLE_SIZE))
    noise = network.latent_noise(torch.randn(2, 3, 48, 56))
    latent, _ = network(
        noise,
        torch.ones(2),
        conditions=encoded,
        carried=torch.zeros(2, 4, 48, 56),
        noise=noise,
        partners=None,
        memory=None,
        num_steps=1,
    )
    assert latent.shape == (2, size.channels, 48 // size.factor, 56 // size.factor)


def test_arms_start_from_the_same_weights() -> None:
    full = training.start_network(Arm()).state_dict()
    for name in ("no_attention", "temporal_none", "no_cross_view", "temporal_window"):
        state = training.start_network(ARMS[name]).state_dict()
        assert all(torch.equal(value, full[key]) for key, value in state.items() if key in full), name
        assert len(state) != len(full) or name == "temporal_window", name


@pytest.mark.parametrize(
    "name", ["full", "no_repulsion", "true_history", "shared_history", "no_anchored_noise", "no_damage", "latent_f4"]
)
def test_arm_trains(name: str, cache: WindowCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CROP_WIDTH", 32)
    monkeypatch.setattr(training, "BATCH_SIZE", 2)
    monkeypatch.setattr(training.Budget, "shares", lambda _: iter([(step, step / 8) for step in range(8)]))
    monkeypatch.setattr(training, "draw_clip", one_view_clip)
    arm = ARMS[name]
    encoder = PixelEncoder(SMALL.pixel, SMALL.detail)
    trained = training.train_arm(arm, cache, encoder, seconds=1.0, rig_K=cache.tables[0].K)
    assert trained.steps == 8
    assert (trained.autoencoder_steps > 0) == (arm.latent is not None)
    network = trained.sampler.network  # type: ignore[attr-defined]
    assert all(bool(value.isfinite().all()) for value in network.parameters())


def one_view_clip(cache: WindowCache, allowed: np.ndarray, generator: np.random.Generator) -> training.Windows:
    """The tiny data set has one camera only; show the same view twice."""
    return read_windows(cache, [(step, 0, 0) for _ in range(2) for step in range(training.CLIP_STEPS)], crop_width=32)


def test_only_the_wanted_rig_is_allowed(cache: WindowCache) -> None:
    K = cache.tables[0].K
    plain = replace(Arm(), random_rigs=False)
    assert training.choose_entries(cache, plain, rig_K=K).all()
    assert not training.choose_entries(cache, plain, rig_K=2 * K).any()
    assert training.choose_entries(cache, Arm(), rig_K=2 * K).all()


def test_truth_scores_one(clip: Clip) -> None:
    units = score_clip(Judge().eval(), clip, clip.truth)
    assert [unit["step"] for unit in units] == list(clip.judged)
    for figure in ("miou", "sharpness", "warp_error"):
        ratio = ratio_of(units, units, figure)
        assert (ratio.value, ratio.low, ratio.high) == (1.0, 1.0, 1.0)


def test_figures_follow_the_sums() -> None:
    units = [
        {"clip": "a", "step": 0, "energy": 4.0, "steps": 1, "asked": [4, 0], "found": [3, 0]},
        {"clip": "a", "step": 30, "energy": 2.0, "steps": 1, "asked": [4, 2], "found": [1, 2]},
    ]
    assert FIGURES["sharpness"](units) == 3.0
    assert FIGURES["pedestrian_recall"](units) == 0.5
    assert FIGURES["vehicle_recall"](units) == 1.0
    assert find_blocks(units) == [[0], [1]]


def test_latent_arms_are_guided() -> None:
    for name in ("latent_f8", "latent_f4"):
        size = ARMS[name].latent
        assert isinstance(size, AutoencoderSize) and size.guide == GUIDE + 3
