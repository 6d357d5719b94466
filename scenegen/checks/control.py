"""Does a picture show what the layout says? Scores of judged frames against condition maps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64, UInt8, UInt16

from scenegen.checks.classes import JudgeClass
from scenegen.types import STATIC_INSTANCE_OFFSET

MIN_CLASS_PX = 200
"""A class counts as present from this many pixels of truth on."""


@dataclass(kw_only=True)
class ControlScore:
    """Adds up judged frames; the figures are over everything added.

    Attributes:
        confusion: pixels by (true class, judged class).
        num_pedestrians, num_found: pedestrians of at least the wanted visible height, and those found.
    """

    confusion: Int64[np.ndarray, "K K"] = field(
        default_factory=lambda: np.zeros((len(JudgeClass), len(JudgeClass)), np.int64)
    )
    num_pedestrians: int = 0
    num_found: int = 0

    def add(
        self,
        judged: UInt8[np.ndarray, "N H W"],
        truth: UInt8[np.ndarray, "N H W"],
        instance: UInt16[np.ndarray, "N H W"],
        *,
        min_height_px: int = 12,
    ) -> None:
        """Add N frames. A pedestrian is found when most of its visible pixels are judged pedestrian."""
        num = len(JudgeClass)
        pairs = truth.astype(np.int64) * num + judged
        self.confusion += np.bincount(pairs.ravel(), minlength=num * num).reshape(num, num)
        is_person = (truth == JudgeClass.PEDESTRIAN) & (instance < STATIC_INSTANCE_OFFSET)
        for image in range(len(judged)):
            for agent in np.unique(instance[image][is_person[image]]):
                own = is_person[image] & (instance[image] == agent)
                rows = np.nonzero(own.any(axis=1))[0]
                if rows[-1] - rows[0] + 1 < min_height_px:
                    continue
                self.num_pedestrians += 1
                self.num_found += int((judged[image][own] == JudgeClass.PEDESTRIAN).mean() >= 0.5)

    def class_iou(self) -> dict[str, float]:
        """Return the intersection over union of every class that is present in the truth."""
        overlap = np.diag(self.confusion).astype(float)
        union = self.confusion.sum(0) + self.confusion.sum(1) - overlap
        present = self.confusion.sum(1) >= MIN_CLASS_PX
        return {kind.name.lower(): float(overlap[kind] / union[kind]) for kind in JudgeClass if present[kind]}

    @property
    def miou(self) -> float:
        """Mean over the classes present."""
        return float(np.mean(list(self.class_iou().values())))

    @property
    def pedestrian_recall(self) -> float:
        """Share of pedestrians found; NaN where there were none."""
        return self.num_found / self.num_pedestrians if self.num_pedestrians else float("nan")


def laplacian_energy(frames: UInt8[np.ndarray, "*N H W 3"]) -> float:
    """Mean squared 3x3 Laplacian of the luma: high-frequency energy, which a blur does not have."""
    luma = frames.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    middle = luma[..., 1:-1, 1:-1]
    around = luma[..., :-2, 1:-1] + luma[..., 2:, 1:-1] + luma[..., 1:-1, :-2] + luma[..., 1:-1, 2:]
    return float(((4.0 * middle - around) ** 2).mean())
