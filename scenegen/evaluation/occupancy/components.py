"""What the connected components of worlds are like: how large, how high, how many. And class histograms.

Both are compared as distributions, without a network: Wasserstein-1 between pooled measurements of components, in
standard deviations of the truth's, and the Jensen-Shannon divergence of histograms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8
from scipy import ndimage, stats

from scenegen.occupancy.crops import GIVEN_GROUND, Crops
from scenegen.occupancy.voxels import SolidClass

MIN_VOXELS = 4
"""Smaller components count as specks: their number is a measurement of its own, their sizes are none."""
KINDS = {"manmade": SolidClass.MANMADE, "vegetation": SolidClass.VEGETATION}
MEASURES = ("log2_volume", "height", "log2_footprint", "fill", "count", "specks")


@dataclass(frozen=True, kw_only=True)
class ComponentTable:
    """Measurements of all components of one class in N crops.

    Attributes:
        values: by measure. Per component: log2 of its voxels, levels from its lowest to its highest, log2 of its
            columns, share of its bounding box that it fills. Per crop: number of components and of specks.
    """

    values: dict[str, Float64[np.ndarray, " M"]]


def measure_components(crops: Crops, kind: int) -> ComponentTable:
    """Label the voxels of one class, faces touching, and measure the components."""
    values: dict[str, list[float]] = {name: [] for name in MEASURES}
    for solid in crops.solid:
        labels, _ = ndimage.label(solid == kind)
        volumes = np.bincount(labels.ravel())[1:]
        boxes = ndimage.find_objects(labels)
        large = np.nonzero(volumes >= MIN_VOXELS)[0]
        for row in large:
            box = boxes[row]
            own = labels[box] == row + 1
            values["log2_volume"].append(float(np.log2(volumes[row])))
            values["height"].append(float(own.shape[2]))
            values["log2_footprint"].append(float(np.log2(own.any(axis=2).sum())))
            values["fill"].append(float(volumes[row] / own.size))
        values["count"].append(float(len(large)))
        values["specks"].append(float(len(volumes) - len(large)))
    return ComponentTable(values={name: np.array(own) for name, own in values.items()})


def component_distances(source: Crops, truth: Crops) -> dict[str, float]:
    """Return the distance of every measure of every class, as `manmade.height`, and their mean as `mean`.

    A measure is in standard deviations of the truth's, at least 0.1 of its unit. NaN where a side has no component.
    """
    distances: dict[str, float] = {}
    for name, kind in KINDS.items():
        own, true = measure_components(source, kind), measure_components(truth, kind)
        for measure in MEASURES:
            a, b = own.values[measure], true.values[measure]
            if len(a) == 0 or len(b) == 0:
                distances[f"{name}.{measure}"] = float("nan")
                continue
            scale = max(float(b.std()), 0.1)
            distances[f"{name}.{measure}"] = float(stats.wasserstein_distance(a, b)) / scale
    distances["mean"] = float(np.mean(list(distances.values())))
    return distances


def class_histogram(crops: Crops) -> Float64[np.ndarray, " K"]:
    """Return the shares of every class at every level, and of every class of ground, each summing to a half."""
    levels = np.stack([(crops.solid == kind).sum(axis=(0, 1, 2)) for kind in SolidClass], axis=1).astype(np.float64)
    ground = np.bincount(_bare_ground(crops), minlength=GIVEN_GROUND + 1).astype(np.float64)
    return np.concatenate([levels.ravel() / max(levels.sum(), 1.0), ground / max(ground.sum(), 1.0)]) / 2.0


def histogram_distance(source: Crops, truth: Crops) -> float:
    """Return the Jensen-Shannon divergence of class histograms in bits: 0 the same, 1 disjoint."""
    p, q = class_histogram(source), class_histogram(truth)
    middle = (p + q) / 2.0
    return float((_bits(p, middle) + _bits(q, middle)) / 2.0)


def _bits(p: Float64[np.ndarray, " K"], q: Float64[np.ndarray, " K"]) -> float:
    some = p > 0.0
    return float((p[some] * np.log2(p[some] / q[some])).sum())


def _bare_ground(crops: Crops) -> UInt8[np.ndarray, " M"]:
    return crops.ground[crops.solid[..., 0] == SolidClass.FREE]
