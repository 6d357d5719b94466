"""Do the conditions of real pictures say what the pictures show? Overfit a few, and look at a camera that was left out.

    scenegen import-log nuscenes_keyframe:DIR width_px=200 output=out/real/nuscenes
    scenegen import-log dgp:SCENE_DIR width_px=200 output=out/real/dgp
    python -m benchmarks.real_frames out/real/nuscenes out/real/dgp [--left-out CAM_BACK CAMERA_05] [--steps 300]

For every data set and camera to leave out, the nano video network is trained twice on the pictures of the other
cameras: from their own conditions, and with the pictures dealt at random to conditions of other cameras. Then both
paint the camera left out, from its own conditions. Figures are correlations of painted and true pixels, mean of the
three colours and of the pictures: every real camera has an exposure and a white balance of its own, which conditions do
not say and correlation does not ask. What is painted is the mean of a few draws from pure noise. Weights are thrown
away: the recordings forbid more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from scenegen.dataset import open_dataset
from scenegen.diffusion.flow import mix_with_noise
from scenegen.diffusion.memory import channels_last
from scenegen.training.video import draw_loss
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.training.windows import Windows, read_windows
from scenegen.types import random_generator
from scenegen.video.network import SIZES, PixelEncoder, VideoNetwork

NUM_DRAWS = 4
BATCH_SIZE = 3
RATE, PIXEL_RATE = 3e-3, 5e-3
PIXELS_PER_STEP = 480


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One data set with one camera left out: correlations after training on own conditions, and on shuffled ones."""

    data: str
    left_out: str
    num_pictures: int
    seen_own: float
    seen_shuffled: float
    left_out_own: float
    left_out_shuffled: float
    seconds: float


def measure_fit(data: Path, left_out: str, *, steps: int, seed: int, folder: Path) -> Fit:
    """Train on the other cameras, twice, and paint the one left out."""
    began_s = time.monotonic()
    dataset = open_dataset(data)
    cameras = dataset[dataset.scene_ids[0]].cameras
    cache = open_window_cache(data, folder)
    view = cameras.index(left_out)
    seen = _windows_of(cache, [v for v in range(len(cameras)) if v != view])
    unseen = _windows_of(cache, [view])
    camera_of = np.tile([v for v in range(len(cameras)) if v != view], len(cache.scene))
    dealt = _deal(camera_of, seed=seed)
    own = train(seen, steps=steps, seed=seed)
    shuffled = train(replace(seen, rgb=seen.rgb[dealt], carried=torch.zeros_like(seen.carried)), steps=steps, seed=seed)
    return Fit(
        data=data.name,
        left_out=left_out,
        num_pictures=len(seen.rgb),
        seen_own=correlation(own, seen),
        seen_shuffled=correlation(shuffled, seen),
        left_out_own=correlation(own, unseen),
        left_out_shuffled=correlation(shuffled, unseen),
        seconds=time.monotonic() - began_s,
    )


def train(windows: Windows, *, steps: int, seed: int) -> VideoNetwork:
    """Train a nano network on pictures without history; the last two fifths of the steps with a falling rate."""
    torch.manual_seed(seed)
    network = channels_last(VideoNetwork(SIZES["nano"]))
    train_pixels(network.pixel, windows, steps=4 * steps)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 30, max(0.05, 2.5 * (1.0 - step / steps)))
        batch = windows.pick(torch.randint(len(windows.rgb), (BATCH_SIZE,)))
        loss, _ = draw_loss(network, batch, torch.zeros_like(batch.carried), num_steps=1, keep_range=(0.4, 0.8))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return network.eval()


def train_pixels(encoder: PixelEncoder, windows: Windows, *, steps: int) -> None:
    """Teach the pointwise encoder the expected colour at shuffled pixels, as the recipe's first stage does."""
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=PIXEL_RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    planes, rgb = windows.planes.flatten(2), windows.rgb.flatten(2)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = PIXEL_RATE * max(0.02, 1.0 - step / steps)
        pixels = torch.randint(planes.shape[2], (PIXELS_PER_STEP,))
        expected = encoder.expected_color(planes[:, :, pixels][..., None], windows.style)
        loss = ((expected - rgb[:, :, pixels][..., None]).square().sum(1) + 0.05**2).sqrt().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


@torch.no_grad()
def correlation(network: VideoNetwork, windows: Windows) -> float:
    """Return the correlation of painted and true pixels, mean of colours and pictures."""
    found = []
    for idx in range(len(windows.rgb)):
        window = windows.part(slice(idx, idx + 1))
        painted, true = (rgb[0].flatten(1).numpy() for rgb in (paint(network, window), window.rgb))
        found += [float(np.corrcoef(painted[channel], true[channel])[0, 1]) for channel in range(3)]
    return float(np.mean(found))


def paint(network: VideoNetwork, window: Windows) -> Float[Tensor, "1 3 H W"]:
    """Return the mean of a few draws from pure noise, without history."""
    generator = torch.Generator().manual_seed(0)
    encoded = network.encode(window.planes.contiguous(memory_format=torch.channels_last), window.style)
    draws = []
    for _ in range(NUM_DRAWS):
        noise, more = torch.randn(2, *window.rgb.shape, generator=generator)
        t = torch.ones(1)
        draw, _ = network(
            mix_with_noise(window.rgb, noise, t).contiguous(memory_format=torch.channels_last),
            t,
            conditions=encoded,
            carried=torch.zeros_like(window.carried).contiguous(memory_format=torch.channels_last),
            noise=more,
            partners=None,
            num_steps=1,
        )
        draws.append(draw.float())
    return torch.stack(draws).mean(dim=0).clamp(-1.0, 1.0)


def _windows_of(cache: WindowCache, views: list[int]) -> Windows:
    """Read whole pictures of some cameras, at every step."""
    width = cache.pixels["material"].shape[3] // 8 * 8
    return read_windows(cache, [(n, v, 0) for n in range(len(cache.scene)) for v in views], crop_width=width)


def _deal(camera_of: np.ndarray, *, seed: int) -> Int[Tensor, " N"]:
    """Return a random order in which nothing comes to a place of its own camera."""
    generator = random_generator(seed, "real-frames", stage="shuffle")
    while True:
        order = generator.permutation(len(camera_of))
        if (camera_of[order] != camera_of).all():
            return torch.from_numpy(order)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path, metavar="DATASET")
    parser.add_argument(
        "--left-out", nargs="+", metavar="CAMERA", help="all cameras of a data set, one after the other"
    )
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    fits = []
    sys.stdout.write(
        "| data | left out | pictures | seen: own, shuffled | left out: own, shuffled | s |\n"
        "|---|---|---|---|---|---|\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        for data in options.datasets:
            dataset = open_dataset(data)
            for camera in dataset[dataset.scene_ids[0]].cameras:
                if options.left_out and camera not in options.left_out:
                    continue
                windows = Path(folder) / data.name
                fit = measure_fit(data, camera, steps=options.steps, seed=options.seed, folder=windows)
                fits.append(fit)
                sys.stdout.write(
                    f"| {fit.data} | {camera} | {fit.num_pictures} | {fit.seen_own:.2f}, {fit.seen_shuffled:.2f} "
                    f"| {fit.left_out_own:.2f}, {fit.left_out_shuffled:.2f} | {fit.seconds:.0f} |\n"
                )
                sys.stdout.flush()
    if options.json:
        options.json.write_text(json.dumps([asdict(fit) for fit in fits], indent=2) + "\n")


if __name__ == "__main__":
    main()
