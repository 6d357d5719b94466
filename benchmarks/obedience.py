"""Does the default model paint what the layout says, and is it sharp? Judged on worlds nobody trained on.

    python -m benchmarks.obedience --json obedience.json

Free-running from `--start-s` on: the model sees its own previous frames only. Ratios are to the same judge on
ground-truth renders of the same scenes. The leak rows run without history, with the condition planes zeroed
or taken from another scene and another camera: what is left is what the model invents without the layout.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import yaml

from scenegen.checks.classes import judge_labels
from scenegen.checks.control import ControlScore, laplacian_energy
from scenegen.checks.judge import SHIPPED_JUDGE, judge_frames, load_judge
from scenegen.checks.judge_targets import rig_rays_ego
from scenegen.config import RigConfig, parse_config
from scenegen.diffusion.flow import noise_levels, sample_euler
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import expand_references, read_layout
from scenegen.rig import build_rig
from scenegen.scene import SceneStage
from scenegen.training.excerpts import cut_excerpt
from scenegen.types import CameraRig, ConditionMaps, random_key
from scenegen.video.backbones.native import NativeBackbone, to_uint8
from scenegen.video.build import load_backbone
from scenegen.video.planes import build_planes, join_appearance, style_vector, surface_maps
from scenegen.video.traits import trait_salt

RATE_HZ = 12.0
JUDGED_EVERY = 6
MODES = ("truth", "native", "no_history", "zeroed", "shuffled")


@dataclass(kw_only=True)
class Tally:
    """Scores of one mode."""

    control: ControlScore = field(default_factory=ControlScore)
    energy: list[float] = field(default_factory=list)


def paint_planes(backbone: NativeBackbone, planes: torch.Tensor, style: torch.Tensor, *, key: int) -> np.ndarray:
    """Sample frames from planes alone, without history, from plain noise."""
    generator = torch.Generator().manual_seed(key)
    noise = torch.randn(len(planes), 3, *planes.shape[-2:], generator=generator)
    carried = torch.zeros(len(planes), 4, *planes.shape[-2:])
    with torch.no_grad():
        encoded = backbone.network.encode(planes, style)
        rgb = sample_euler(
            lambda x, t: backbone.network(x, t, conditions=encoded, carried=carried),
            noise,
            levels=noise_levels(backbone.steps),
        )
    return to_uint8(rgb.clamp(-1.0, 1.0))


def step_planes(stage: SceneStage, maps: ConditionMaps, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return planes and style codes of one step of all views."""
    context = stage.context
    salt = trait_salt(context.seed, context.scene_id)
    surfaces = surface_maps(
        maps,
        step=step,
        appearance=torch.from_numpy(join_appearance(context.agents, context.statics, salt=salt)),
        num_agents=len(stage.layout.agents),
        lighting=context.lighting,
    )
    planes = build_planes(surfaces)
    return planes, torch.from_numpy(style_vector(context.lighting)).expand(len(planes), -1)


def score_scenes(
    references: list[str], *, rig: CameraRig, backbone: NativeBackbone, start_s: float, seconds: float, seed: int
) -> dict[str, Tally]:
    """Paint every scene in every mode and judge it."""
    judge, truth_backbone = load_judge(), load_backbone("preview", steps=1, weights=None)
    tallies = {mode: Tally() for mode in MODES}
    rays = rig_rays_ego(rig)
    other_planes: torch.Tensor | None = None
    for reference in references:
        began = time.monotonic()
        whole = extend_layout(read_layout(reference), duration_s=start_s + seconds, rate_hz=RATE_HZ)
        layout = cut_excerpt(whole, start_step=round(start_s * RATE_HZ), num_steps=round(seconds * RATE_HZ))
        stage = SceneStage(layout, rig=rig, seed=seed)
        native, truth = backbone.open_session(stage.context), truth_backbone.open_session(stage.context)
        for start in range(0, layout.timeline.num_steps, JUDGED_EVERY):
            stop = min(start + JUDGED_EVERY, layout.timeline.num_steps)
            maps = stage.render_conditions(start, stop)
            frames = {
                "native": native.paint(maps, start_step=start)[:, -1],
                "truth": truth.paint(maps, start_step=start)[:, -1],
            }
            planes, style = step_planes(stage, maps, stop - start - 1)
            key = random_key(seed, reference, start) % (1 << 63)
            frames["no_history"] = paint_planes(backbone, planes, style, key=key)
            frames["zeroed"] = paint_planes(backbone, torch.zeros_like(planes), style, key=key)
            if other_planes is not None:
                frames["shuffled"] = paint_planes(backbone, other_planes, style, key=key)
            labels = judge_labels(maps.semantic[:, -1], maps.material[:, -1])
            for mode, rgb in frames.items():
                tallies[mode].control.add(judge_frames(judge, rgb, ray_ego=rays).labels, labels, maps.instance[:, -1])
                tallies[mode].energy.append(laplacian_energy(rgb))
        other_planes = planes.roll(1, dims=0)
        print(f"{reference}: {time.monotonic() - began:.0f} s", flush=True)
    return tallies


def summarise(tallies: dict[str, Tally]) -> dict[str, object]:
    """Turn scores into the figures of the README."""
    truth = tallies["truth"]
    energy = float(np.mean(truth.energy))
    rows = {
        mode: {
            "miou": tally.control.miou,
            "miou_ratio": tally.control.miou / truth.control.miou,
            "pedestrian_recall": tally.control.pedestrian_recall,
            "pedestrian_recall_ratio": tally.control.pedestrian_recall / truth.control.pedestrian_recall,
            "sharpness_ratio": float(np.mean(tally.energy)) / energy,
            "num_pedestrians": tally.control.num_pedestrians,
        }
        for mode, tally in tallies.items()
        if tally.energy
    }
    return {"modes": rows, "class_iou": {m: t.control.class_iou() for m, t in tallies.items() if t.energy}}


def main() -> None:
    """Run the benchmark, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", nargs="+", default=["crossing_pedestrian", "procedural:1-7"])
    parser.add_argument("--start-s", type=float, default=8.0)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", default=None)
    parser.add_argument("--rig", type=Path, default=Path("conf/rig/nuscenes6.yaml"))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rig = build_rig(parse_config(RigConfig, yaml.safe_load(arguments.rig.read_text())))
    backbone = load_backbone("native", steps=arguments.steps, weights=arguments.weights)
    assert isinstance(backbone, NativeBackbone)
    references = expand_references(arguments.layouts)
    tallies = score_scenes(
        references,
        rig=rig,
        backbone=backbone,
        start_s=arguments.start_s,
        seconds=arguments.seconds,
        seed=arguments.seed,
    )
    result = summarise(tallies)
    result |= {"layouts": references, "judge": SHIPPED_JUDGE.name, "video_steps": arguments.steps}
    modes = result["modes"]
    assert isinstance(modes, dict)
    for mode, row in modes.items():
        print(f"{mode:11s}", "  ".join(f"{key} {value:.3f}" for key, value in row.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
