"""Batches of samples: tensors of one shape are stacked, ragged labels stay lists, one entry per sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from scenegen.errors import DatasetError

RAGGED_KEYS = frozenset(
    {
        "img_metas",
        "gt_bboxes_3d",
        "gt_labels_3d",
        "gt_bboxes",
        "gt_labels",
        "centers2d",
        "depths",
        "boxes",
        "boxes2d",
        "lidar",
        "meta",
    }
)
"""Entries whose length differs between samples. They stay lists even where the lengths happen to agree."""


def collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Join samples of one preset into a batch; give it to a `DataLoader` as `collate_fn`.

    Raises:
        DatasetError: pictures of different sizes or numbers of cameras.
    """
    return {key: _join(key, [sample[key] for sample in samples]) for key in samples[0]}


def _join(key: str, values: list[Any]) -> Any:
    first = values[0]
    if key in RAGGED_KEYS:
        return values
    if isinstance(first, tuple):
        return tuple(_join(key, [value[place] for value in values]) for place in range(len(first)))
    if not isinstance(first, torch.Tensor):
        return values
    shapes = {tuple(value.shape) for value in values}
    if len(shapes) > 1:
        raise DatasetError(
            f"one shape of {key!r} in a batch",
            found=", ".join(map(str, sorted(shapes))),
            where="collate",
            fix="give image_size= and cameras=, which make the samples of different rigs alike",
        )
    return torch.stack(values)
