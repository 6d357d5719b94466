"""2-D boxes that annotators of a real log drew into its pictures: type, columns, and reading them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32

from scenegen.dataset.columns import Column, pointers

NO_TRACK = -1


@dataclass(frozen=True, kw_only=True)
class Annotated2d:
    """The annotated 2-D boxes of one picture.

    Attributes:
        xyxy_px: x1 y1 x2 y2 in pixel edges of the stored picture.
        track_id: as `Boxes.track_id`; NO_TRACK where no 3-D box belongs to it, or the source does not say.
        word: the annotators' class.
    """

    xyxy_px: Float32[np.ndarray, "N 4"]
    track_id: Int32[np.ndarray, " N"]
    word: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.word)


def annotated2d_columns(pictures: Sequence[Annotated2d]) -> list[Column]:
    """Join the boxes of all pictures, which come by step, then camera."""
    words = sorted({word for picture in pictures for word in picture.word})
    codes = [words.index(word) for picture in pictures for word in picture.word]
    return [
        Column("annotated2d/ptr", pointers(len(picture) for picture in pictures)),
        Column("annotated2d/xyxy", np.concatenate([np.zeros((0, 4), np.float32), *(p.xyxy_px for p in pictures)])),
        Column("annotated2d/track_id", np.concatenate([np.zeros(0, np.int32), *(p.track_id for p in pictures)])),
        Column("annotated2d/word", np.array(codes, np.uint8), {"labels": words}),
    ]
