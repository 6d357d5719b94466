"""What `recipe=afd` tells a teacher's clips from a student's with: a small scorer of clips beside their conditions.

It sees each frame, how it differs from the frame before carried along the exact motion (flicker and drift show there),
and the condition planes of both streams alike. Both streams take the same road to it (`recompress`), so that it cannot
live on the teacher's codec. Ours, in place of AFD's reward model.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from scenegen.dataset.jpeg_codec import JpegCodec
from scenegen.training.windows import Windows
from scenegen.video.history import carry_forward
from scenegen.video.planes import NUM_PLANES

CELL_PX = 8
"""Edge of the square of pixels that each score belongs to."""
NUM_SEEN = 7
WIDTH = 24
PLANE_FEATURES = 16
JPEG_QUALITIES = (70, 92)
JPEG_BLOCK_PX = 8
MOST_NOISE = 2.0
"""Largest standard deviation of the noise added to both streams, in levels of 255."""


class ClipDiscriminator(nn.Module):
    """Scores every cell of every step and view of clips; higher is more like the teacher's."""

    def __init__(self) -> None:
        super().__init__()
        self.planes = nn.Conv2d(NUM_PLANES, PLANE_FEATURES, 1)
        self.enter = nn.Conv2d(4 * (NUM_SEEN + PLANE_FEATURES), WIDTH, 3, padding=1)
        self.quarter = nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=2, padding=1)
        self.eighth = nn.Conv2d(2 * WIDTH, 2 * WIDTH, 3, stride=2, padding=1)
        self.time = nn.Conv3d(2 * WIDTH, 2 * WIDTH, (3, 1, 1), padding=(1, 0, 0))
        self.whole = nn.Linear(2 * WIDTH, 2 * WIDTH)
        self.score = nn.Conv2d(2 * WIDTH, 1, 1)
        nn.init.zeros_(self.score.weight)

    def forward(
        self, seen: Float[Tensor, "M 7 H W"], planes: Float[Tensor, "B C H W"], *, num_views: int, num_steps: int
    ) -> Float[Tensor, "N K"]:
        """Return the scores of N clips in K parts: views, steps and cells.

        Args:
            seen: from `see_clips`. M stacks clips, then their views, then steps; M / B copies of all clips, outermost.
            planes: condition planes.
            num_views: of each clip.
            num_steps: of each view.
        """
        read = functional.silu(self.planes(planes)).repeat(len(seen) // len(planes), 1, 1, 1)
        hidden = torch.cat([seen, read], dim=1)
        hidden = functional.silu(self.enter(functional.pixel_unshuffle(hidden, 2)))
        hidden = functional.silu(self.eighth(functional.silu(self.quarter(hidden))))
        in_time = hidden.unflatten(0, (-1, num_steps)).transpose(1, 2)
        hidden = hidden + functional.silu(self.time(in_time)).transpose(1, 2).flatten(0, 1)
        frames = num_views * num_steps
        whole = hidden.mean(dim=(2, 3)).unflatten(0, (-1, frames)).mean(dim=1)
        whole = self.whole(whole).repeat_interleave(frames, dim=0)[:, :, None, None]
        return self.score(functional.silu(hidden + whole)).unflatten(0, (-1, frames)).flatten(1)


def score_grid(height: int, width: int) -> tuple[int, int]:
    """Return rows and columns of the cells of a picture.

    >>> score_grid(72, 64)
    (9, 8)
    """
    rows, columns = height // 2, width // 2
    for _ in range(2):
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    return rows, columns


def see_clips(frames: Float[Tensor, "B 3 H W"], conditions: Windows, *, num_steps: int) -> Float[Tensor, "B 7 H W"]:
    """Join each frame with its difference from the one before, carried along the exact motion, and where there is."""
    change = torch.zeros(len(frames), 4, *frames.shape[-2:], device=frames.device)
    later = torch.arange(len(frames), device=frames.device)
    later = later[later % num_steps > 0]
    if len(later):
        carried = carry_forward(
            frames[later - 1],
            motion_px=conditions.motion_px[later],
            code=conditions.code[later],
            previous_code=conditions.code[later - 1],
        )
        change[later] = torch.cat([carried.valid * (frames[later] - carried.rgb), carried.valid], dim=1)
    return torch.cat([frames, change], dim=1)


def recompress(frames: UInt8[Tensor, "B 3 H W"], generator: np.random.Generator) -> Float[Tensor, "B 3 H W"]:
    """Send frames through JPEG on a shifted grid of blocks and add faint noise; -1..1.

    Teacher's and student's clips both come as bytes and take this road, each frame with a draw of its own.
    """
    _, _, height, width = frames.shape
    out = np.empty((len(frames), height, width, 3), np.float32)
    for index, frame in enumerate(frames.permute(0, 2, 3, 1).numpy()):
        quality = int(generator.integers(*JPEG_QUALITIES, endpoint=True))
        top, left = generator.integers(JPEG_BLOCK_PX, size=2).tolist()
        codec = JpegCodec(quality=quality)
        shifted = np.pad(frame, ((top, 0), (left, 0), (0, 0)), mode="edge")
        back = codec.decode_picture(codec.encode_picture(shifted), size_hw=shifted.shape[:2])
        noise = generator.uniform(0.0, MOST_NOISE) * generator.standard_normal((height, width, 3))
        out[index] = back[top:, left:] + noise
    return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous() / 127.5 - 1.0


def as_bytes(frames: Float[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
    """Turn frames in -1..1 into sRGB bytes, as a data set would store them."""
    return ((frames.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
