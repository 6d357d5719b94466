"""What a preset is told beside scene and steps."""

from __future__ import annotations

from dataclasses import dataclass

from scenegen.dataset.torch_view.normalization import Normalization


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Options of a sample.

    Attributes:
        classes: label n is the category `classes[n]`; boxes of other categories are left out, in `raw` labelled -1.
        normalization: of pictures; None leaves them uint8.
        labels: names of the labels wanted, where a preset leaves the choice.
        box_range_m: boxes whose centre is further away along x or y are left out, except in `raw`.
    """

    classes: tuple[str, ...]
    normalization: Normalization | None
    labels: tuple[str, ...]
    box_range_m: float
