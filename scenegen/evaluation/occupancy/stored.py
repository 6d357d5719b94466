"""What `scenegen eval` says of the world of a stored scene: does it obey, does it stay, does it look like others.

Obedience: of everything that the layout fixes (`occupancy.fixed`), the share that the world has. Consistency: stored
labels of the ego frame, step by step, against the one world. Fidelity: distances to worlds that rules make of the same
layout with another seed, beside those of a third seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scenegen.checks.world_encoder import WorldEncoder
from scenegen.dataset.stored_scene import Scene
from scenegen.evaluation.figures import Figures, ratio
from scenegen.evaluation.occupancy.fidelity import WorldDistances, measure_fidelity
from scenegen.occupancy.build import begin_world, build_world
from scenegen.occupancy.crops import Crops, crop_world, join_crops, sparse_steps
from scenegen.occupancy.fixed import fixed_voxels
from scenegen.occupancy.latent_ar.frames import picture_layout
from scenegen.occupancy.views import build_occupancy_view
from scenegen.occupancy.voxels import voxelise_world
from scenegen.scene import SceneStage
from scenegen.types import STATIC_INSTANCE_OFFSET, Layout, ShapeSet, World

CROP_SPACING_M = 25.0
MOST_CROPS, MOST_STEPS = 12, 12
TRUTH_SEED, FLOOR_SEED = 1_000_003, 1_000_033
"""Added to a scene's seed for the rule-made worlds that its own is measured against."""
MIN_CROPS = 8


@dataclass(frozen=True, kw_only=True)
class WorldFinding:
    """What one look at a scene's world leaves.

    Attributes:
        obedience: share of fixed voxels and columns with their value.
        num_same, num_static: voxels of stored labels that are not agents', and those of them that the world has.
        source, truth, floor: crops of the scene's world, and of two that rules make of its layout.
    """

    obedience: float
    num_same: int
    num_static: int
    source: Crops
    truth: Crops
    floor: Crops


def look_at_world(scene: Scene, stage: SceneStage) -> WorldFinding:
    """Look at the world of a stored scene, built again as `stage`."""
    layout, seed = stage.layout, int(scene.attrs["seed"])
    draft = begin_world(layout, seed=seed).draft
    voxels = voxelise_world(stage.world)
    steps = sparse_steps(layout.ego.world_from_ego, spacing_m=CROP_SPACING_M, at_most=MOST_CROPS)
    told = picture_layout(draft.site, steps=steps)
    obedience = fixed_voxels(draft).obedience(voxels)
    num_same, num_static = _compare_labels(scene, stage.world, layout)
    truth, floor = (
        crop_world(voxelise_world(build_world(layout, seed=seed + other)), told) for other in (TRUTH_SEED, FLOOR_SEED)
    )
    return WorldFinding(
        obedience=obedience,
        num_same=num_same,
        num_static=num_static,
        source=crop_world(voxels, told),
        truth=truth,
        floor=floor,
    )


def _compare_labels(scene: Scene, world: World, layout: Layout) -> tuple[int, int]:
    """Count stored voxels that no agent fills, and how many of them are what the world has at their middle."""
    if not scene.has_array("occupancy/instance"):
        return 0, 0
    num_same = num_static = 0
    for step in np.unique(np.linspace(0, scene.num_steps - 1, MOST_STEPS).round().astype(int)):
        stored = scene.occupancy(int(step))
        cut = build_occupancy_view(
            world,
            ShapeSet.empty(),
            world_from_ego=layout.ego.world_from_ego[step],
            depth_m=np.zeros((1, 1, 1), np.float32),
            world_from_cam=np.eye(4)[None],
            ray_cam=np.zeros((1, 1, 1, 2)),
            focal_px=np.ones((1, 1, 1)),
        )
        is_static = (stored.instance == 0) | (stored.instance >= STATIC_INSTANCE_OFFSET)
        num_static += int(is_static.sum())
        num_same += int((stored.semantics == cut.semantics)[is_static].sum())
    return num_same, num_static


def occupancy_figures(findings: Sequence[WorldFinding], *, encoder: WorldEncoder) -> Figures:
    """Return `occupancy.*` over all scenes; NaN where there is nothing to measure."""
    num_static = sum(finding.num_static for finding in findings)
    figures: Figures = {
        "occupancy.obedience": float(np.mean([finding.obedience for finding in findings])),
        "occupancy.static_consistency": ratio(sum(finding.num_same for finding in findings), num_static),
    }
    source, truth, floor = (
        join_crops([getattr(finding, name) for finding in findings]) for name in ("source", "truth", "floor")
    )
    figures["occupancy.fidelity.num_crops"] = float(len(source))
    if len(source) < MIN_CROPS:
        nothing = dict.fromkeys(_names(), float("nan"))
        return figures | nothing
    measured = measure_fidelity(source, held_out=truth, train=floor, encoder=encoder)
    for name, distances in (("", measured.distances), ("floor.", measured.floor)):
        figures |= {f"occupancy.fidelity.{name}{key}": value for key, value in _values(distances).items()}
    return figures


MEASURES = ("frechet", "kernel", "histogram", "components")


def _names() -> list[str]:
    return [f"occupancy.fidelity.{part}{name}" for part in ("", "floor.") for name in MEASURES]


def _values(distances: WorldDistances) -> dict[str, float]:
    return {name: float(getattr(distances, name)) for name in MEASURES}
