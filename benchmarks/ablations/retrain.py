"""Each ingredient left out of training, and pixels against latents, at equal processor time.

    python -m benchmarks.ablations.retrain --data DATASET --windows FOLDER --output DIR

Every arm is a JSON file in the output folder; arms that are there are not trained again, so the command resumes.
One thread: `OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1`. `report` makes the tables.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from benchmarks.ablations.arms import ARMS, PLAIN_AUTOENCODERS, SMALL, Arm
from benchmarks.ablations.clips import Clip, build_clip, read_rig, roll_out, to_signed
from benchmarks.ablations.latent_flow import LatentSampler, decode_on
from benchmarks.ablations.scores import Unit, score_clip
from benchmarks.ablations.training import train_arm, train_pixel_encoder, train_plain_autoencoder
from scenegen.checks.judge import Judge, load_judge
from scenegen.layout.sources import expand_references
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.video.backbones.native import to_uint8
from scenegen.video.latent import PictureAutoencoder
from scenegen.video.network import PixelEncoder
from scenegen.video.planes import build_planes, join_appearance, style_vector, surface_maps
from scenegen.video.traits import trait_salt

UNSEEN_RIG_ARMS = ("full", "full_other_seed", "nuscenes6_only")
LAYOUTS = [
    "crossing_pedestrian",
    "school_zone",
    "night_rain",
    "unprotected_left",
    "parked_cars_residential",
    "truck_occlusion",
    "procedural:1-8",
]


def read_encoder(path: Path, cache: WindowCache, *, seconds: float) -> PixelEncoder:
    """Return the pointwise encoder that all arms start from, training it on the first call."""
    if not path.is_file():
        save_file(train_pixel_encoder(cache, seconds=seconds, seed=0).state_dict(), str(path))
    encoder = PixelEncoder(SMALL.pixel, SMALL.detail)
    encoder.load_state_dict(load_file(str(path)))
    return encoder


def run_arm(
    name: str,
    arm: Arm,
    clips: dict[str, list[Clip]],
    *,
    cache: WindowCache,
    encoder: PixelEncoder,
    seconds: float,
    judge: Judge,
    pictures: Path,
) -> dict[str, object]:
    """Train an arm and score it on clips of seen rigs and, where that is the question, of an unseen one."""
    K = np.stack([camera.K for camera in clips["seen"][0].rig.cameras])
    trained = train_arm(arm, cache, encoder, seconds=seconds, rig_K=K)
    result: dict[str, object] = {
        "arm": name,
        "steps": trained.steps,
        "autoencoder_steps": trained.autoencoder_steps,
        "parameters": trained.num_parameters,
        "seconds": seconds,
    }
    for kind, some in clips.items():
        if kind == "unseen" and name not in UNSEEN_RIG_ARMS:
            continue
        units: list[Unit] = []
        for clip in some:
            frames = roll_out(clip, trained.sampler, arm.use)
            units += score_clip(judge, clip, frames)
            if kind == "seen":
                write_picture(pictures / f"{name}-{clip.name.replace(':', '-')}.png", frames)
        result[f"units_{kind}"] = units
    if isinstance(trained.sampler, LatentSampler):
        result["units_reconstruction"] = [
            unit for clip in clips["seen"] for unit in score_clip(judge, clip, reconstruct(clip, trained.sampler))
        ]
    return result


def run_autoencoder(
    name: str, clips: list[Clip], *, cache: WindowCache, seconds: float, judge: Judge
) -> dict[str, object]:
    """Train an autoencoder without a guide and score its pictures of the true frames."""
    model, steps = train_plain_autoencoder(PLAIN_AUTOENCODERS[name], cache, seconds=seconds)
    units = [unit for clip in clips for unit in score_clip(judge, clip, recode(clip, model))]
    return {"arm": f"plain_{name}", "autoencoder_steps": steps, "seconds": seconds, "units_reconstruction": units}


@torch.no_grad()
def recode(clip: Clip, model: PictureAutoencoder) -> np.ndarray:
    """Code and decode the true frames."""
    frames = [to_uint8(model.decode(model.encode(to_signed(clip.truth[:, k])))) for k in range(clip.truth.shape[1])]
    return np.stack(frames, axis=1)


@torch.no_grad()
def reconstruct(clip: Clip, sampler: LatentSampler) -> np.ndarray:
    """Code and decode the true frames with a guided autoencoder."""
    context, network = clip.context, sampler.network
    salt = trait_salt(context.seed, context.scene_id)
    appearance = torch.from_numpy(join_appearance(context.agents, context.statics, salt=salt))
    style = torch.from_numpy(style_vector(context.lighting))
    frames = []
    for step in range(clip.truth.shape[1]):
        maps = surface_maps(
            clip.maps,
            step=step,
            appearance=appearance,
            num_agents=len(context.agents.primary_rgb),
            lighting=context.lighting,
        )
        encoded = network.encode(build_planes(maps), style.expand(len(maps.material), -1))
        latent = network.autoencoder.encode(to_signed(clip.truth[:, step]) - encoded.base)
        frames.append(to_uint8(decode_on(network, latent, encoded)))
    return np.stack(frames, axis=1)


def write_picture(path: Path, frames: np.ndarray) -> None:
    """Write the last step of all views side by side, to look at."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(list(frames[:, -1]), axis=1)).save(path)


def score_truth(clips: dict[str, list[Clip]], *, judge: Judge, pictures: Path) -> dict[str, object]:
    """Score the ground-truth frames."""
    for clip in clips["seen"]:
        write_picture(pictures / f"truth-{clip.name.replace(':', '-')}.png", clip.truth)
    return {
        f"units_{kind}": [unit for clip in some for unit in score_clip(judge, clip, clip.truth)]
        for kind, some in clips.items()
    }


def main() -> None:
    """Run the arms that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data set of training excerpts")
    parser.add_argument("--windows", type=Path, required=True, help="where its windows are, or will be, unpacked")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=150.0, help="processor seconds of training per arm")
    parser.add_argument("--pixel-seconds", type=float, default=120.0, help="of the encoder that all arms share")
    parser.add_argument("--layouts", nargs="+", default=LAYOUTS)
    parser.add_argument("--start-s", type=float, default=8.0)
    parser.add_argument("--num-steps", type=int, default=8)
    parser.add_argument("--judged-every", type=int, default=4)
    parser.add_argument("--rig", type=Path, default=Path("conf/rig/nuscenes6.yaml"))
    parser.add_argument("--unseen-rig", type=Path, default=Path(__file__).parent / "ring5.yaml")
    parser.add_argument("--arms", nargs="+", default=[*ARMS, *(f"plain_{name}" for name in PLAIN_AUTOENCODERS)])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    cache = open_window_cache(arguments.data, arguments.windows)
    encoder = read_encoder(arguments.output / "pixel_encoder.safetensors", cache, seconds=arguments.pixel_seconds)
    references = expand_references(arguments.layouts)
    clips = {
        kind: [
            build_clip(
                reference,
                rig=read_rig(path),
                start_s=arguments.start_s,
                num_steps=arguments.num_steps,
                judged_every=arguments.judged_every,
                seed=0,
            )
            for reference in (references if kind == "seen" else references[::2])
        ]
        for kind, path in (("seen", arguments.rig), ("unseen", arguments.unseen_rig))
    }
    judge, pictures = load_judge(), arguments.output / "pictures"
    for name in ["truth", *arguments.arms]:
        path = arguments.output / f"{name}.json"
        if path.is_file():
            continue
        if name == "truth":
            result = score_truth(clips, judge=judge, pictures=pictures)
        elif name in ARMS:
            result = run_arm(
                name,
                ARMS[name],
                clips,
                cache=cache,
                encoder=encoder,
                seconds=arguments.seconds,
                judge=judge,
                pictures=pictures,
            )
        else:
            result = run_autoencoder(
                name.removeprefix("plain_"), clips["seen"], cache=cache, seconds=arguments.seconds / 2, judge=judge
            )
        path.write_text(json.dumps(result))
        print(f"{name}: {result.get('steps', '')} steps", flush=True)


if __name__ == "__main__":
    main()
