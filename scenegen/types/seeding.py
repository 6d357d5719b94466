"""Randomness: one counter-based generator per (seed, scene, stage, chunk, view).

Same key, same numbers, whatever ran before, elsewhere or never. Nothing in scenegen seeds globally.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


def random_generator(seed: int, scene_id: str, *, stage: str, chunk: int = 0, view: int = 0) -> np.random.Generator:
    """Return the generator that belongs to one unit of work.

    >>> a = random_generator(7, "crossing", stage="world").random()
    >>> b = random_generator(7, "crossing", stage="world").random()
    >>> a == b
    True
    """
    return np.random.Generator(np.random.Philox(key=random_key(seed, scene_id, stage, chunk, view)))


@dataclass(frozen=True)
class RandomKey:
    """A place in a tree of generators: what is drawn at one place is the same whatever is drawn at any other.

    >>> street = RandomKey(7, "crossing", "world")
    >>> street.at("lot", 3).generator().random() == random_generator(7, "crossing", stage="world/lot/3").random()
    True
    """

    seed: int
    scene_id: str
    stage: str

    def at(self, *parts: object) -> RandomKey:
        """Return the place that any printable parts lead to from here."""
        return RandomKey(self.seed, self.scene_id, "/".join((self.stage, *map(str, parts))))

    def generator(self) -> np.random.Generator:
        """Return the generator of this place, at its start."""
        return random_generator(self.seed, self.scene_id, stage=self.stage)


def random_key(*parts: object) -> int:
    """Hash any printable parts into a 128-bit key."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
