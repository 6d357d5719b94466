"""Teacher, student and ground truth side by side, with what the two differ by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from benchmarks.distillation.clips import NUM_STEPS, ClipKey, build_pair_clip, overlapping_pair, paint_truth
from benchmarks.distillation.painters import Comparing, Painter

NUM_ROWS = 4
ZOOM = 2
GAIN = 4
"""Differences are shown so many times larger, around grey."""
TITLE_PX = 22
QUALITY = 72


def draw_side_by_side(comparing: Comparing, painters: Sequence[Painter], keys: Sequence[ClipKey], path: Path) -> None:
    """Draw the last step of clips of different layouts: truth, each painter, and the difference of the two painters."""
    chosen = list({key.reference: key for key in keys}.values())
    chosen = chosen[:: max(len(chosen) // NUM_ROWS, 1)][:NUM_ROWS]
    titles = ["ground truth", *(painter.name for painter in painters), f"difference x {GAIN}"]
    rows = []
    for key in chosen:
        clip = build_pair_clip(key, overlapping_pair())
        pictures = [paint_truth(clip), *(comparing.frames(painter, key) for painter in painters)]
        views = [np.concatenate(list(frames[::-1, NUM_STEPS - 1]), axis=1) for frames in pictures]
        views.append(_difference(views[1], views[2]))
        rows.append(np.concatenate(views, axis=1))
    sheet = Image.fromarray(np.concatenate(rows))
    sheet = sheet.resize((sheet.width * ZOOM, sheet.height * ZOOM), Image.Resampling.NEAREST)
    whole = Image.new("RGB", (sheet.width, sheet.height + TITLE_PX), (16, 17, 19))
    whole.paste(sheet, (0, TITLE_PX))
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(size=14)
    for column, title in enumerate(titles):
        draw.text((column * sheet.width // len(titles) + 6, 3), title, font=font, fill="white")
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.save(path, quality=QUALITY)


def _difference(one: UInt8[np.ndarray, "H W 3"], other: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    change = (other.astype(np.float32) - one) * GAIN + 128.0
    return np.asarray(change.clip(0, 255).astype(np.uint8))
