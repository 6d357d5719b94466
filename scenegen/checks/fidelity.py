"""Do frames look like ground truth as a whole? High-frequency energy, Frechet and kernel distances of features.

Frechet distances compare two clouds of features as Gaussians (Heusel et al. 2017, arXiv 1706.08500). There are
few frames and many features, so covariances are shrunk towards a multiple of the identity by the oracle
approximating rule (Chen et al. 2010, "Shrinkage algorithms for MMSE covariance estimation", equation 23).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, UInt8

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""
MIN_SAMPLES = 8
"""Fewer features than these say nothing about a covariance."""


def laplacian_energy(frames: UInt8[np.ndarray, "*N H W 3"]) -> float:
    """Return the mean squared 3x3 Laplacian of the luma: high-frequency energy, which a blur does not have."""
    luma = frames.astype(np.float32) @ np.array(LUMA, np.float32)
    middle = luma[..., 1:-1, 1:-1]
    around = luma[..., :-2, 1:-1] + luma[..., 2:, 1:-1] + luma[..., 1:-1, :-2] + luma[..., 1:-1, 2:]
    return float(((4.0 * middle - around) ** 2).mean())


def clip_features(features: Float32[np.ndarray, "*N T F"]) -> Float32[np.ndarray, "*N F2"]:
    """Describe a clip by the mean of its frames' features and the mean size of their change from step to step.

    Ours, not I3D: only comparable with figures made with the same judge.
    """
    change = np.abs(np.diff(features, axis=-2)).mean(axis=-2)
    return np.concatenate([features.mean(axis=-2), change], axis=-1)


def frechet_distance(one: Float32[np.ndarray, "N F"], other: Float32[np.ndarray, "M F"]) -> float:
    """Return the squared Frechet distance of two clouds of features; NaN for fewer than MIN_SAMPLES in either."""
    if min(len(one), len(other)) < MIN_SAMPLES:
        return float("nan")
    mean_one, mean_other = one.mean(axis=0, dtype=np.float64), other.mean(axis=0, dtype=np.float64)
    cov_one, cov_other = shrunk_covariance(one), shrunk_covariance(other)
    root = _root_of(cov_one)
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_other @ root), 0.0, None)).sum()
    distance = ((mean_one - mean_other) ** 2).sum() + np.trace(cov_one) + np.trace(cov_other) - 2.0 * cross
    return float(max(distance, 0.0))


def kernel_distance(one: Float32[np.ndarray, "N F"], other: Float32[np.ndarray, "M F"]) -> float:
    """Return the unbiased squared maximum mean discrepancy under a cubic kernel; NaN for fewer than MIN_SAMPLES.

    May be slightly negative. Source: kernel inception distance, Binkowski et al. 2018 (arXiv 1801.01401), section 4.
    """
    if min(len(one), len(other)) < MIN_SAMPLES:
        return float("nan")

    def kernel(a: np.ndarray, b: np.ndarray) -> Float64[np.ndarray, "N M"]:
        return (a.astype(np.float64) @ b.T.astype(np.float64) / a.shape[1] + 1.0) ** 3

    n, m = len(one), len(other)
    own, others = kernel(one, one), kernel(other, other)
    within = (own.sum() - np.trace(own)) / (n * (n - 1)) + (others.sum() - np.trace(others)) / (m * (m - 1))
    return float(within - 2.0 * kernel(one, other).mean())


def shrunk_covariance(samples: Float32[np.ndarray, "N F"]) -> Float64[np.ndarray, "F F"]:
    """Estimate a covariance from few samples."""
    count, size = samples.shape
    centred = samples.astype(np.float64) - samples.mean(axis=0, dtype=np.float64)
    empirical = centred.T @ centred / count
    variance = np.trace(empirical) / size
    alpha = (empirical**2).mean()
    below = (count + 1.0) * (alpha - variance**2 / size)
    shrinkage = 1.0 if below == 0.0 else min((alpha + variance**2) / below, 1.0)
    return (1.0 - shrinkage) * empirical + shrinkage * variance * np.eye(size)


def _root_of(matrix: Float64[np.ndarray, "F F"]) -> Float64[np.ndarray, "F F"]:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T


def feature_distance(one: Float32[np.ndarray, "*N F"], other: Float32[np.ndarray, "*N F"]) -> float:
    """Return the mean distance of corresponding features, each scaled to unit length: 0 the same, 2 opposite."""

    def unit(features: np.ndarray) -> np.ndarray:
        return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12)

    return float(np.linalg.norm(unit(one) - unit(other), axis=-1).mean())
