"""What the model paints without history: with its conditions, without them, and with those of somewhere else."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from scenegen.checks.leak import shuffled_conditions, zeroed_conditions
from scenegen.evaluation.footage import Footage
from scenegen.types import ConditionMaps
from scenegen.video.interface import SceneContext, VideoBackbone


def paint_alone(
    backbone: VideoBackbone, context: SceneContext, maps: ConditionMaps, *, step: int
) -> UInt8[np.ndarray, "V 1 H W 3"]:
    """Paint one step by itself: a fresh session knows no other."""
    return backbone.open_session(context).paint(maps, start_step=step)


def foreign_conditions(footage: Footage, maps: ConditionMaps, *, donor: ConditionMaps) -> ConditionMaps:
    """Return what other cameras see elsewhere, with things numbered as in this scene."""
    return shuffled_conditions(
        maps,
        donor,
        num_agents=len(footage.layout.agents),
        num_statics=len(footage.stage.context.statics.material),
    )


def paint_probes(
    backbone: VideoBackbone, footage: Footage, maps: ConditionMaps, *, foreign: ConditionMaps, step: int
) -> dict[str, UInt8[np.ndarray, "V 1 H W 3"]]:
    """Paint one step with zeroed and with foreign conditions; tables, light, poses and seed stay the scene's own."""
    probes = {"zeroed": zeroed_conditions(maps), "shuffled": foreign}
    context = footage.stage.context
    return {name: paint_alone(backbone, context, probe, step=step) for name, probe in probes.items()}


def donor_maps(footage: Footage, others: Footage | None) -> ConditionMaps:
    """Return one step that the shuffled conditions are taken from: the middle of another scene if it has such a rig."""
    source = footage if others is None or not _is_alike(footage, others) else others
    step = source.layout.timeline.num_steps // 2
    return source.stage.render_conditions(step, step + 1)


def _is_alike(one: Footage, other: Footage) -> bool:
    return len(one.rig.cameras) == len(other.rig.cameras) and one.rig.size_px == other.rig.size_px
