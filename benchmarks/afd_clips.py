"""Make the clips of `benchmarks.afd`: short scenes of two small cameras, by the preview and by a stand-in of a teacher.

    python -m benchmarks.afd_clips --layouts procedural:1401-1448 --output out/afd/train
    python -m benchmarks.afd_clips --layouts procedural:1301-1330 --output out/afd/held_out

The teacher is a stand-in: preview frames with a tone curve of their own baked into the stored pixels (`film_look`), a
look the student has not been trained on. A student is told nothing of it but the finished clips.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import yaml
from jaxtyping import UInt8

from scenegen.config import RigConfig, parse_config
from scenegen.rig import build_rig
from scenegen.training.excerpts import cut_excerpt, record_of
from scenegen.types import CameraRig, random_generator

CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT")
WIDTH_PX, HEIGHT_PX = 128, 72
NUM_STEPS = 6
EXPOSURE = 0.62
WHITE_BALANCE = (1.18, 1.0, 0.74)
SATURATION = 1.35
LUMA = (0.299, 0.587, 0.114)


def film_look(rgb: UInt8[np.ndarray, "*N H W 3"]) -> UInt8[np.ndarray, "*N H W 3"]:
    """Return frames under-exposed by 0.7 stops in linear light, warm, and with stronger colours: the teacher's look."""
    linear = (rgb.astype(np.float32) / 255.0) ** 2.2
    linear = linear * (EXPOSURE * np.array(WHITE_BALANCE, np.float32))
    luma = (linear @ np.array(LUMA, np.float32))[..., None]
    linear = np.clip(luma + SATURATION * (linear - luma), 0.0, 1.0)
    return np.round(255.0 * linear ** (1.0 / 2.2)).astype(np.uint8)


def plain_look(rgb: UInt8[np.ndarray, "*N H W 3"]) -> UInt8[np.ndarray, "*N H W 3"]:
    """Return frames as the preview paints them."""
    return rgb


LOOKS = {"plain": plain_look, "film": film_look}


def small_rig(path: Path) -> CameraRig:
    """Read a rig file and keep two neighbouring cameras, at a small size."""
    values = yaml.safe_load(path.read_text())
    values["name"] = "afd2"
    values["image"] = {"width_px": WIDTH_PX, "height_px": HEIGHT_PX}
    values["cameras"] = [camera for camera in values["cameras"] if camera["name"] in CAMERAS]
    return build_rig(parse_config(RigConfig, values))


def write_clips(reference: str, looks: dict[str, Path], rig: CameraRig) -> None:
    """Render one moment of a layout and commit it to the data set of each look."""
    from scenegen.cost import StageClock
    from scenegen.dataset.receipt import find_valid_receipt
    from scenegen.dataset.storage import open_storage
    from scenegen.dataset.write import open_scene_writer
    from scenegen.layout.sources import read_layout
    from scenegen.scene import SceneStage
    from scenegen.video.build import load_backbone

    layout = read_layout(reference)
    generator = random_generator(0, layout.layout_id, stage="afd-clips")
    seed, start = int(generator.integers(1 << 30)), int(generator.integers(layout.timeline.num_steps - NUM_STEPS))
    excerpt = cut_excerpt(layout, start_step=start, num_steps=NUM_STEPS)
    missing = {
        look: folder
        for look, folder in looks.items()
        if find_valid_receipt(open_storage(folder), excerpt.layout_id) is None
    }
    if not missing:
        return
    backbone = load_backbone("preview", steps=1, weights=None)
    stage = SceneStage(excerpt, rig=rig, seed=seed)
    labels = stage.label_chunk(0, NUM_STEPS, clock=StageClock())
    frames = backbone.open_session(stage.context).paint(labels.conditions, start_step=0)
    record = record_of(excerpt, rig=rig, seed=seed, backbone=backbone, made_by="afd-clips")
    for look, folder in missing.items():
        own = record
        if look != "plain":
            changed = replace(record.provenance, model_id=f"{backbone.model_id}-{look}")
            own = replace(record, provenance=changed)
        with open_scene_writer(folder, own, num_steps_per_shard=NUM_STEPS) as writer:
            writer.append(labels.with_frames(LOOKS[look](frames)))
            writer.commit(scores={}, cost={})


def main() -> None:
    """Write the clips of all given layouts."""
    from scenegen.dataset.fold import fold_receipts
    from scenegen.layout.sources import expand_references

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", nargs="+", required=True, help="layout references; ranges expand")
    parser.add_argument("--looks", nargs="+", choices=tuple(LOOKS), default=list(LOOKS))
    parser.add_argument("--rig", type=Path, default=Path("conf/rig/nuscenes6.yaml"), help="a rig file")
    parser.add_argument("--output", type=Path, required=True, help="each look gets a data set below it")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    rig, looks = small_rig(arguments.rig), {look: arguments.output / look for look in arguments.looks}
    references = expand_references(arguments.layouts)
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        for done, job in enumerate([pool.submit(write_clips, r, looks, rig) for r in references], start=1):
            job.result()
            print(f"{done} of {len(references)} scenes", flush=True)
    for folder in looks.values():
        fold_receipts(folder)


if __name__ == "__main__":
    main()
