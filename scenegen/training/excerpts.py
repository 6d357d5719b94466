"""Make training data: short excerpts of many scenes, painted by the preview, as a scenegen data set.

Thirty consecutive seconds teach a network little more than a few steps of them; many worlds teach it a lot.
Every other excerpt is seen by a random rig (`training.rigs`), so that no calibration is learned by heart.

    python -m scenegen.training.excerpts --layouts procedural:1001-1300 --output out/excerpts

What is committed is not made again, and the order of layouts changes nothing: readers see scenes sorted by name.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import yaml
from rich.progress import track

from scenegen import __version__
from scenegen.config import RigConfig, parse_config
from scenegen.rig import build_rig
from scenegen.training.rigs import draw_training_rig
from scenegen.types import CameraRig, EgoTrack, Layout, Provenance, SceneRecord, Timeline, random_generator
from scenegen.video.interface import VideoBackbone

STEPS_PER_EXCERPT = 4


def cut_excerpt(layout: Layout, *, start_step: int, num_steps: int) -> Layout:
    """Return `num_steps` consecutive steps of a layout as a layout of their own."""
    span = slice(start_step, start_step + num_steps)
    agents = tuple(
        replace(
            agent,
            center_world_m=agent.center_world_m[span],
            heading_rad=agent.heading_rad[span],
            velocity_world_mps=agent.velocity_world_mps[span],
            valid=agent.valid[span],
        )
        for agent in layout.agents
    )
    return replace(
        layout,
        layout_id=f"{layout.layout_id}-from{start_step}",
        timeline=Timeline(rate_hz=layout.timeline.rate_hz, num_steps=num_steps),
        agents=agents,
        ego=EgoTrack(
            world_from_ego=layout.ego.world_from_ego[span], velocity_world_mps=layout.ego.velocity_world_mps[span]
        ),
    )


def write_excerpts(reference: str, per_layout: int, rig: CameraRig, output: Path) -> None:
    """Render excerpts of one layout at random moments and commit them; every other one by a random rig."""
    from scenegen.cost import StageClock
    from scenegen.dataset.receipt import find_valid_receipt
    from scenegen.dataset.storage import open_storage
    from scenegen.dataset.write import open_scene_writer
    from scenegen.layout.sources import read_layout
    from scenegen.scene import SceneStage
    from scenegen.video.build import load_backbone

    layout = read_layout(reference)
    seed = int(random_generator(0, layout.layout_id, stage="excerpts").integers(1 << 30))
    moments = random_generator(seed, layout.layout_id, stage="moments").integers(
        layout.timeline.num_steps - STEPS_PER_EXCERPT, size=per_layout
    )
    backbone = load_backbone("preview", steps=1, weights=None)
    rigs = [rig, draw_training_rig(random_generator(seed, layout.layout_id, stage="rig"), size_px=rig.size_px)]
    for index, start in enumerate(moments):
        rig = rigs[index % 2]
        excerpt = cut_excerpt(layout, start_step=int(start), num_steps=STEPS_PER_EXCERPT)
        if find_valid_receipt(open_storage(output), excerpt.layout_id) is not None:
            continue
        stage = SceneStage(excerpt, rig=rig, seed=seed)
        labels = stage.label_chunk(0, STEPS_PER_EXCERPT, clock=StageClock())
        record = record_of(excerpt, rig=rig, seed=seed, backbone=backbone, made_by="excerpts")
        frames = backbone.open_session(stage.context).paint(labels.conditions, start_step=0)
        with open_scene_writer(output, record, image_codec="png", num_steps_per_shard=STEPS_PER_EXCERPT) as writer:
            writer.append(labels.with_frames(frames))
            writer.commit(scores={}, cost={})


def record_of(excerpt: Layout, *, rig: CameraRig, seed: int, backbone: VideoBackbone, made_by: str) -> SceneRecord:
    """Return the header of an excerpt to train on; `made_by` stands where a job has its configuration's hash."""
    return SceneRecord(
        scene_id=excerpt.layout_id,
        layout=excerpt,
        rig=rig,
        seed=seed,
        split="train",
        provenance=Provenance(
            code_version=__version__,
            config_sha256=made_by,
            model_id=backbone.model_id,
            weights_sha256=backbone.weights_sha256,
            model_licence=backbone.licence,
            source_licence=excerpt.licence,
        ),
    )


def main() -> None:
    """Write excerpts of all given layouts, on as many processes as asked for."""
    from scenegen.dataset.fold import fold_receipts
    from scenegen.layout.sources import expand_references

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", nargs="+", required=True, help="layout references; ranges expand")
    parser.add_argument("--rig", type=Path, default=Path("conf/rig/nuscenes6.yaml"), help="a rig file")
    parser.add_argument("--per-layout", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    rig = build_rig(parse_config(RigConfig, yaml.safe_load(arguments.rig.read_text())))
    references = expand_references(arguments.layouts)
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(write_excerpts, r, arguments.per_layout, rig, arguments.output) for r in references]
        for job in track(jobs, description="excerpts"):
            job.result()
    fold_receipts(arguments.output)


if __name__ == "__main__":
    main()
