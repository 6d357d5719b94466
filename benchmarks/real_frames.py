"""Do the conditions of real pictures say what the pictures show? Overfit a few, and look at a camera that was left out.

    scenegen import-log nuscenes_keyframe:DIR width_px=104 output=out/real/nuscenes
    scenegen import-log dgp:SCENE_DIR width_px=104 output=out/real/dgp
    python -m benchmarks.real_frames out/real/nuscenes out/real/dgp [--steps 300] [--left-out CAM_BACK]

For every data set and every camera to leave out, the nano video network is trained twice on the pictures of the other
cameras: from their own conditions, and with the pictures dealt at random to conditions of other cameras. Then both
paint the camera left out, from its own conditions. By default only the network's first stage is trained, the pointwise
encoder's expected colour: it sees single pixels, so it cannot learn pictures by heart. With `--steps` the whole network
follows, and paints the mean of a few draws from pure noise.

Figures are correlations of painted and true pixels, mean of the three colours and of the pictures: every real camera
has an exposure and a white balance of its own, which conditions do not say and correlation does not ask. `whole`
compares pictures as they are; there the shuffled network scores, too, for every picture has sky above and road below.
`within rows` takes the mean of each row of pixels from both before: what is left is what conditions alone can say.

Weights are thrown away: the recordings forbid more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
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
KINDS = ("own", "shuffled")


Painter = Callable[[VideoNetwork, Windows], Tensor]


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Of painted and true pixels, and of what differs within rows of pixels."""

    whole: float
    within_rows: float


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One data set with one camera left out: correlations after training on own conditions, and on shuffled ones."""

    data: str
    left_out: str
    num_pictures: int
    seen_own: Correlation
    seen_shuffled: Correlation
    left_out_own: Correlation
    left_out_shuffled: Correlation
    seconds: float


def measure_fit(data: Path, left_out: str, *, pixel_steps: int, steps: int, seed: int, folder: Path) -> Fit:
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
    steps_of = {"pixel_steps": pixel_steps, "steps": steps, "seed": seed}
    own = train(seen, **steps_of)
    shuffled = train(replace(seen, rgb=seen.rgb[dealt], carried=torch.zeros_like(seen.carried)), **steps_of)
    paint = paint_whole if steps else paint_pixels
    return Fit(
        data=data.name,
        left_out=left_out,
        num_pictures=len(seen.rgb),
        seen_own=correlate(own, seen, paint=paint),
        seen_shuffled=correlate(shuffled, seen, paint=paint),
        left_out_own=correlate(own, unseen, paint=paint),
        left_out_shuffled=correlate(shuffled, unseen, paint=paint),
        seconds=time.monotonic() - began_s,
    )


def train(windows: Windows, *, pixel_steps: int, steps: int, seed: int) -> VideoNetwork:
    """Train a nano network on pictures without history; the last two fifths of the steps with a falling rate."""
    torch.manual_seed(seed)
    network = channels_last(VideoNetwork(SIZES["nano"]))
    train_pixels(network.pixel, windows, steps=pixel_steps)
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
def correlate(network: VideoNetwork, windows: Windows, *, paint: Painter) -> Correlation:
    """Compare painted and true pixels, mean of colours and pictures."""
    found = []
    for idx in range(len(windows.rgb)):
        window = windows.part(slice(idx, idx + 1))
        found.append(pixel_correlation(paint(network, window)[0].numpy(), window.rgb[0].numpy()))
    return Correlation(
        whole=float(np.mean([part.whole for part in found])),
        within_rows=float(np.mean([part.within_rows for part in found])),
    )


def pixel_correlation(painted: Float[np.ndarray, "C H W"], true: Float[np.ndarray, "C H W"]) -> Correlation:
    """Return the correlations of one picture, mean of its colours."""
    whole, within = [], []
    for a, b in zip(painted, true, strict=True):
        whole.append(float(np.corrcoef(a.ravel(), b.ravel())[0, 1]))
        a_row, b_row = (part - part.mean(axis=1, keepdims=True) for part in (a, b))
        within.append(float(np.corrcoef(a_row.ravel(), b_row.ravel())[0, 1]))
    return Correlation(whole=float(np.mean(whole)), within_rows=float(np.mean(within)))


def paint_pixels(network: VideoNetwork, window: Windows) -> Float[Tensor, "1 3 H W"]:
    """Return the pointwise encoder's expected colours."""
    return network.pixel.expected_color(window.planes, window.style)


def paint_whole(network: VideoNetwork, window: Windows) -> Float[Tensor, "1 3 H W"]:
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


def write_rows(fits: list[Fit], name: str) -> None:
    """Print the means of some fits, one row for each kind of correlation."""
    for pixels in ("whole", "within_rows"):
        pairs = [
            ", ".join(
                f"{np.mean([getattr(getattr(fit, f'{part}_{kind}'), pixels) for fit in fits]):.2f}" for kind in KINDS
            )
            for part in ("seen", "left_out")
        ]
        row = (fits[0].data, name, pixels.replace("_", " "), *pairs, f"{sum(fit.seconds for fit in fits):.0f}")
        sys.stdout.write(f"| {' | '.join(row)} |\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path, metavar="DATASET")
    parser.add_argument(
        "--left-out", nargs="+", metavar="CAMERA", help="all cameras of a data set, one after the other"
    )
    parser.add_argument("--pixel-steps", type=int, default=100, help="of the first stage")
    parser.add_argument("--steps", type=int, default=0, help="of the whole network; 0 keeps the first stage alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    fits = []
    sys.stdout.write(
        "| data | left out | pixels | seen: own, shuffled | left out: own, shuffled | s |\n|---|---|---|---|---|---|\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        for data in options.datasets:
            dataset = open_dataset(data)
            for camera in dataset[dataset.scene_ids[0]].cameras:
                if options.left_out and camera not in options.left_out:
                    continue
                windows = Path(folder) / data.name
                fit = measure_fit(
                    data,
                    camera,
                    pixel_steps=options.pixel_steps,
                    steps=options.steps,
                    seed=options.seed,
                    folder=windows,
                )
                fits.append(fit)
                write_rows([fit], camera)
            write_rows([fit for fit in fits if fit.data == data.name], "mean")
    if options.json:
        options.json.write_text(json.dumps([asdict(fit) for fit in fits], indent=2) + "\n")


if __name__ == "__main__":
    main()
