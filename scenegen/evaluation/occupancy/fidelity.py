"""How near generated worlds come to held-out ones, beside how near the training worlds come to them.

Every figure has a floor: the same figure of training worlds against held-out worlds, with as many crops. Features are
those of a frozen encoder (`checks.world_encoder`), whose hash goes with the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenegen.checks.fidelity import frechet_distance, kernel_distance
from scenegen.checks.world_encoder import WorldEncoder, encode_worlds
from scenegen.evaluation.occupancy.components import component_distances, histogram_distance
from scenegen.occupancy.crops import Crops
from scenegen.types import random_generator


@dataclass(frozen=True, kw_only=True)
class WorldDistances:
    """Distances of one set of crops to another.

    Attributes:
        frechet: squared Frechet distance of features.
        kernel: unbiased squared maximum mean discrepancy of features.
        histogram: Jensen-Shannon divergence of class histograms, in bits.
        components: mean distance of component statistics, in standard deviations of the truth's.
        by_component: the distances behind it.
    """

    frechet: float
    kernel: float
    histogram: float
    components: float
    by_component: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Distances of a source to held-out worlds, and the floor. `num_crops` is the size of every set."""

    distances: WorldDistances
    floor: WorldDistances
    num_crops: int


def world_distances(source: Crops, truth: Crops, *, encoder: WorldEncoder) -> WorldDistances:
    """Measure one set of crops against another of the same height."""
    assert source.solid.shape[1:] == truth.solid.shape[1:], "crops of one size and height"
    own = encode_worlds(encoder, source.solid, source.ground)
    true = encode_worlds(encoder, truth.solid, truth.ground)
    by_component = component_distances(source, truth)
    return WorldDistances(
        frechet=frechet_distance(own, true),
        kernel=kernel_distance(own, true),
        histogram=histogram_distance(source, truth),
        components=by_component.pop("mean"),
        by_component=by_component,
    )


def measure_fidelity(source: Crops, *, held_out: Crops, train: Crops, encoder: WorldEncoder) -> Fidelity:
    """Measure a source against held-out worlds, and training worlds likewise.

    All sets are cut to the size of the smallest: distances between small sets grow as the sets shrink.
    """
    count = min(len(source), len(held_out), len(train))
    source, held_out, train = (_draw(own, count) for own in (source, held_out, train))
    return Fidelity(
        distances=world_distances(source, held_out, encoder=encoder),
        floor=world_distances(train, held_out, encoder=encoder),
        num_crops=count,
    )


def _draw(crops: Crops, count: int) -> Crops:
    if len(crops) == count:
        return crops
    rows = random_generator(0, "fidelity", stage="crops").permutation(len(crops))[:count]
    return crops.take(np.sort(rows))
