"""Laplacian energy and Frechet distances, against numbers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.checks.fidelity import (
    clip_features,
    feature_distance,
    frechet_distance,
    kernel_distance,
    laplacian_energy,
    shrunk_covariance,
)


def cloud(seed: int, *, mean: float = 0.0, scale: float = 1.0, count: int = 4000, size: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, scale, (count, size)).astype(np.float32)


def test_blur_loses_laplacian_energy() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 256, (2, 30, 30, 3), dtype=np.uint8)
    blurred = ((sharp[:, 1:].astype(int) + sharp[:, :-1]) // 2).astype(np.uint8)
    assert laplacian_energy(blurred) < 0.7 * laplacian_energy(sharp)
    assert laplacian_energy(np.full((1, 9, 9, 3), 77, np.uint8)) == 0.0


def test_one_bright_pixel_has_the_energy_of_its_stencil() -> None:
    frame = np.zeros((1, 5, 5, 3), np.uint8)
    frame[0, 2, 2] = 10
    assert laplacian_energy(frame) == pytest.approx((40**2 + 4 * 10**2) / 9)


def test_a_shift_of_the_mean_is_its_square() -> None:
    assert frechet_distance(cloud(0), cloud(0) + np.float32(2.0)) == pytest.approx(6 * 2.0**2, rel=1e-3)


def test_a_wider_cloud_is_as_far_as_its_deviations_differ() -> None:
    assert frechet_distance(cloud(0), 3.0 * cloud(0)) == pytest.approx(6 * (3.0 - 1.0) ** 2, rel=0.02)


def test_the_distance_is_zero_of_the_same_and_symmetric() -> None:
    one, other = cloud(1, count=40), cloud(2, mean=0.3, count=60)
    assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one))


def test_few_samples_of_many_features_still_give_a_covariance() -> None:
    covariance = shrunk_covariance(cloud(3, count=10, size=50))
    assert np.linalg.eigvalsh(covariance).min() > 0.1
    assert np.allclose(shrunk_covariance(cloud(3, count=20000, size=4)), np.eye(4), atol=0.05)


def test_too_few_samples_are_no_cloud() -> None:
    assert np.isnan(frechet_distance(cloud(0, count=7), cloud(1, count=50)))


def test_the_kernel_distance_grows_with_a_shift_and_is_about_zero_without() -> None:
    same = kernel_distance(cloud(0, count=500), cloud(1, count=500))
    near, far = (kernel_distance(cloud(0, count=500), cloud(1, count=500, mean=mean)) for mean in (0.3, 1.0))
    assert abs(same) < 0.02
    assert 0.05 < near < far
    assert np.isnan(kernel_distance(cloud(0, count=7), cloud(1, count=50)))


def test_the_kernel_distance_of_single_points_is_that_of_its_formula() -> None:
    ones, zeros = np.ones((8, 2), np.float32), np.zeros((8, 2), np.float32)
    assert kernel_distance(ones, zeros) == pytest.approx(2.0**3 + 1.0 - 2.0 * 1.0)


def test_a_clip_is_told_by_what_it_shows_and_how_it_changes() -> None:
    still = np.ones((1, 8, 3), np.float32)
    beating = still + np.array([1, -1] * 4, np.float32)[None, :, None]
    assert clip_features(still).tolist() == [[1, 1, 1, 0, 0, 0]]
    assert clip_features(beating).tolist() == [[1, 1, 1, 2, 2, 2]]


def test_feature_distance_ignores_length() -> None:
    one = np.array([[1.0, 0.0], [1.0, 0.0]], np.float32)
    assert feature_distance(one, 5 * one) == pytest.approx(0.0)
    assert feature_distance(one, -one) == pytest.approx(2.0)
