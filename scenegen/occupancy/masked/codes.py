"""The words of the masked model: codes of a tokenizer, and three that say why there is none."""

from __future__ import annotations

from dataclasses import dataclass

NUM_SPECIAL = 3
CODES_PER_CELL = 2
"""Codes along each side of a cell, the token that the network mixes."""
COLUMNS_PER_CODE = 4
"""Columns of voxels along each side of a code."""
COLUMNS_PER_CELL = CODES_PER_CELL * COLUMNS_PER_CODE


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The codes of one tokenizer: 0 to num_codes - 1, then the special ones.

    Attributes:
        num_codes: V.
        sha256: hash of the tokenizer's weights. The same number under another tokenizer means something else.

    >>> Vocabulary(num_codes=1024, sha256="").outside_id
    1026
    """

    num_codes: int
    sha256: str

    @property
    def mask_id(self) -> int:
        """The code that says: to be drawn."""
        return self.num_codes

    @property
    def fixed_id(self) -> int:
        """The code of a patch in which the layout fixes every voxel."""
        return self.num_codes + 1

    @property
    def outside_id(self) -> int:
        """The code of a patch beyond the world's edge."""
        return self.num_codes + 2

    @property
    def num_ids(self) -> int:
        """All codes and special ones."""
        return self.num_codes + NUM_SPECIAL
