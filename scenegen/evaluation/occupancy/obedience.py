"""Does ego-frame occupancy hold what the layout fixes? Accuracy, and IoU by class as occupancy papers count it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from scenegen.occupancy.latent_ar.codes import Group
from scenegen.occupancy.latent_ar.frames import NOT_FIXED


@dataclass(frozen=True, kw_only=True)
class FrameObedience:
    """How well frames agree with what the layout fixes, over fixed voxels only.

    Attributes:
        accuracy: share of fixed voxels with the right class.
        iou: of occupied against free.
        miou: mean over the classes that the layout fixes somewhere, free left out.
        by_class: IoU of each of them.
    """

    accuracy: float
    iou: float
    miou: float
    by_class: dict[str, float]


def frame_obedience(frames: UInt8[np.ndarray, "T X Y Z"], fixed: UInt8[np.ndarray, "T X Y Z"]) -> FrameObedience:
    """Compare frames of `Group`s with `cut_fixed`; NaN where nothing is fixed."""
    is_fixed = fixed != NOT_FIXED
    own, true = frames[is_fixed], fixed[is_fixed]
    counts = np.bincount(true.astype(np.int64) * len(Group) + own, minlength=len(Group) ** 2)
    table = counts.reshape(len(Group), len(Group)).astype(np.float64)
    hits = np.diag(table)
    union = table.sum(axis=0) + table.sum(axis=1) - hits
    asked = [group for group in Group if group != Group.FREE and table[group].sum() > 0]
    by_class = {group.name.lower(): float(hits[group] / union[group]) for group in asked}
    both = float(table[1:, 1:].sum())
    either = float(table.sum() - table[0, 0])
    return FrameObedience(
        accuracy=float(hits.sum() / table.sum()) if table.sum() else float("nan"),
        iou=both / either if either else float("nan"),
        miou=float(np.mean(list(by_class.values()))) if by_class else float("nan"),
        by_class=by_class,
    )
