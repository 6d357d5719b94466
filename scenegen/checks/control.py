"""Does a picture show what the layout says, pixel by pixel? Judged classes against those of the condition maps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64, UInt8

from scenegen.checks.classes import JudgeClass

MIN_CLASS_PX = 200
"""A class counts as present from this many pixels of truth on, over everything added."""
MIN_FRAME_CLASS_PX = 50
"""The same within one frame."""


@dataclass(kw_only=True)
class ControlScore:
    """Adds up judged frames; the figures are over everything added.

    Attributes:
        confusion: pixels by (true class, judged class).
    """

    confusion: Int64[np.ndarray, "K K"] = field(
        default_factory=lambda: np.zeros((len(JudgeClass), len(JudgeClass)), np.int64)
    )

    def add(self, judged: UInt8[np.ndarray, "*N"], truth: UInt8[np.ndarray, "*N"]) -> None:
        """Add pixels."""
        num = len(JudgeClass)
        pairs = truth.astype(np.int64) * num + judged
        self.confusion += np.bincount(pairs.ravel(), minlength=num * num).reshape(num, num)

    def join(self, other: ControlScore) -> None:
        """Add what another score has seen."""
        self.confusion += other.confusion

    def class_iou(self, *, min_class_px: int = MIN_CLASS_PX) -> dict[str, float]:
        """Return the intersection over union of every class that is present in the truth."""
        overlap = np.diag(self.confusion).astype(float)
        union = self.confusion.sum(0) + self.confusion.sum(1) - overlap
        present = self.confusion.sum(1) >= min_class_px
        return {kind.name.lower(): float(overlap[kind] / union[kind]) for kind in JudgeClass if present[kind]}

    @property
    def miou(self) -> float:
        """Mean over the classes present; NaN where there are none."""
        return mean_or_nan(list(self.class_iou().values()))


def frame_miou(judged: UInt8[np.ndarray, "*N"], truth: UInt8[np.ndarray, "*N"]) -> float:
    """Return the mean intersection over union of one frame, over the classes it has enough pixels of."""
    score = ControlScore()
    score.add(judged, truth)
    return mean_or_nan(list(score.class_iou(min_class_px=MIN_FRAME_CLASS_PX).values()))


def mean_or_nan(values: list[float]) -> float:
    """Return the mean, NaN of nothing.

    >>> mean_or_nan([1.0, 2.0])
    1.5
    """
    return float(np.mean(values)) if values else float("nan")
