"""Which split a scene belongs to: the one that is named, or one that follows from its layout."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from scenegen.errors import ConfigError

SPLITS = ("train", "val", "test")
AUTO_SPLIT = "auto"


@dataclass(frozen=True, kw_only=True)
class SplitSharesConfig:
    """The share of layouts that `split=auto` gives to each split; they add up to one."""

    train: float
    val: float
    test: float

    def __post_init__(self) -> None:
        shares = (self.train, self.val, self.test)
        if min(shares) < 0.0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
            found = ", ".join(f"{name} {share:g}" for name, share in zip(SPLITS, shares, strict=True))
            raise ConfigError("shares of zero or more that add up to 1", found=found)


def split_of_layout(layout_id: str, shares: SplitSharesConfig) -> str:
    """Return the split of a layout, by a hash of its id.

    It depends on nothing else: not on the other layouts, their order, the seed, the weather or the rig. So no layout
    is in two splits, in one sweep or in several into the same data set. Shares of few layouts are approximate.

    >>> shares = SplitSharesConfig(train=0.5, val=0.5, test=0.0)
    >>> [split_of_layout(f"procedural-{seed}", shares) for seed in range(6)]
    ['train', 'train', 'train', 'train', 'val', 'val']
    """
    digest = hashlib.sha256(f"split of {layout_id}".encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2.0**64
    wanted = [(split, share) for split in SPLITS if (share := getattr(shares, split)) > 0.0]
    for split, share in wanted[:-1]:
        if position < share:
            return split
        position -= share
    return wanted[-1][0]
