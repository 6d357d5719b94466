"""The judge: shapes, what its centre maps say and read back, and files of weights that are not right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from scenegen.checks.classes import AGENT_KINDS, JudgeClass
from scenegen.checks.judge import (
    FEATURE_SIZE,
    LOG_RANGE_MIDDLE,
    SHIPPED_JUDGE,
    Judge,
    JudgeMaps,
    decode_centers,
    judge_features,
    judge_frames,
    judge_planes,
    load_judge,
)
from scenegen.checks.judge_targets import TrueAgents
from scenegen.errors import WeightsError
from scenegen.training.judge_crops import encode_centers

EVERYTHING = (0.0,) * len(AGENT_KINDS)


def rays_ahead(num: int, height: int, width: int) -> np.ndarray:
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    rays = np.stack([np.full_like(u, width), width / 2 - u, height / 2 - v], axis=-1)
    return np.broadcast_to(rays / np.linalg.norm(rays, axis=-1, keepdims=True), (num, height, width, 3)).copy()


def agents_at(centers: list[tuple[float, float]], kinds: list[JudgeClass], ranges: list[float]) -> TrueAgents:
    num = len(kinds)
    return TrueAgents(
        index=np.arange(num),
        kind=np.array(kinds, np.uint8),
        center_px=np.array(centers, np.float32).reshape(-1, 2),
        range_m=np.array(ranges, np.float32),
        visible_px=np.full(num, 200),
        visible_height_px=np.full(num, 20),
        extent_px=np.full((num, 2), (10.0, 20.0), np.float32),
    )


@pytest.mark.parametrize("size", [(36, 64), (35, 63)])
def test_verdict_has_the_frames_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    frames = np.random.default_rng(0).integers(0, 256, (13, *size, 3), dtype=np.uint8)
    judge = Judge().eval()
    verdict = judge_frames(judge, frames, ray_ego=rays_ahead(13, *size), min_score=EVERYTHING)
    assert verdict.labels.shape == verdict.range_m.shape == frames.shape[:3]
    assert len(verdict.agents) == 13
    assert set(np.unique(verdict.agents[0].kind)) <= set(AGENT_KINDS)
    assert judge_features(judge, frames, ray_ego=rays_ahead(13, *size)).shape == (13, FEATURE_SIZE)


def test_a_frame_is_judged_the_same_alone_and_among_others() -> None:
    torch.manual_seed(0)
    frames = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    judge, rays = Judge().eval(), rays_ahead(3, 32, 32)
    together, alone = judge_frames(judge, frames, ray_ego=rays), judge_frames(judge, frames[1:2], ray_ego=rays[1:2])
    np.testing.assert_allclose(together.range_m[1], alone.range_m[0], rtol=1e-4)


def test_turning_the_camera_about_the_vertical_changes_no_plane() -> None:
    rays = torch.from_numpy(rays_ahead(1, 20, 30))
    turned = rays @ torch.tensor([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]]).T
    rgb = torch.zeros(1, 3, 20, 30)
    assert torch.allclose(judge_planes(rgb, rays), judge_planes(rgb, turned), atol=1e-3)


def test_pixels_without_a_ray_have_bounded_planes() -> None:
    planes = judge_planes(torch.zeros(1, 3, 8, 8), torch.zeros(1, 8, 8, 3))
    assert planes.abs().max() <= 3.0


def test_decoding_encoded_agents_gives_them_back() -> None:
    kinds = [JudgeClass.CAR, JudgeClass.PEDESTRIAN, JudgeClass.PEDESTRIAN, JudgeClass.TWO_WHEELER]
    truth = agents_at([(20.3, 11.9), (50.0, 20.7), (57.1, 21.2), (0.4, 35.9)], kinds, [8.0, 21.5, 30.0, 60.0])
    targets = encode_centers(truth, size_px=(64, 36))
    maps = JudgeMaps(
        scores=torch.zeros(1, len(JudgeClass), 36, 64),
        log_range=torch.zeros(1, 36, 64),
        heat=torch.logit(torch.from_numpy(targets.heat)[None], eps=1e-6),
        offset_px=torch.from_numpy(targets.offset_px)[None],
        center_log_range=torch.from_numpy(targets.log_range)[None],
    )
    (found,) = decode_centers(maps, min_score=(0.9,) * len(AGENT_KINDS))
    order = np.lexsort((found.center_px[:, 0], found.kind))
    expected = np.lexsort((truth.center_px[:, 0], truth.kind))
    assert found.kind[order].tolist() == truth.kind[expected].tolist()
    np.testing.assert_allclose(found.center_px[order], truth.center_px[expected], atol=1e-4)
    np.testing.assert_allclose(found.range_m[order], truth.range_m[expected], rtol=1e-5)


def test_hidden_agents_are_neither_wanted_nor_wrong() -> None:
    truth = agents_at([(20.0, 18.0)], [JudgeClass.CAR], [10.0])
    hidden = TrueAgents(**{**truth.__dict__, "visible_px": np.array([3])})
    targets = encode_centers(hidden, size_px=(64, 36))
    car = AGENT_KINDS.index(JudgeClass.CAR)
    assert targets.heat.max() == 0.0
    assert not targets.near.any()
    assert not targets.counts[car, 9, 10]
    assert targets.counts[AGENT_KINDS.index(JudgeClass.PEDESTRIAN), 9, 10]


def test_range_targets_are_logarithms_about_the_middle() -> None:
    targets = encode_centers(agents_at([(20.0, 18.0)], [JudgeClass.CAR], [30.0]), size_px=(64, 36))
    assert targets.log_range[9, 10] == pytest.approx(np.log(2.0), abs=1e-6)
    assert np.exp(LOG_RANGE_MIDDLE) == pytest.approx(15.0)


def test_shipped_weights_load() -> None:
    judge = load_judge()
    assert not judge.training
    assert not any(parameter.requires_grad for parameter in judge.parameters())
    assert SHIPPED_JUDGE.stat().st_size < 5_000_000


def test_missing_weights_are_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="recipe=judge"):
        load_judge(tmp_path / "none.safetensors")


def test_damaged_weights_are_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "judge.safetensors"
    path.write_bytes(SHIPPED_JUDGE.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match=r"judge\.safetensors"):
        load_judge(path)


@pytest.mark.parametrize("change", ["shape", "missing"])
def test_weights_of_another_network_are_a_typed_error(tmp_path: Path, change: str) -> None:
    tensors = load_file(SHIPPED_JUDGE)
    name = next(iter(tensors))
    if change == "shape":
        tensors[name] = tensors[name][..., :1].repeat_interleave(7, dim=-1).contiguous()
    else:
        del tensors[name]
    path = tmp_path / "judge.safetensors"
    save_file(tensors, path)
    with pytest.raises(WeightsError, match="weights of the judge"):
        load_judge(path)
