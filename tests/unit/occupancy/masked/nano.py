"""A masked network of a few thousand weights, and tiles for it."""

from __future__ import annotations

from typing import Any

import torch

from scenegen.diffusion.mixers import MixerName
from scenegen.occupancy.masked.codes import Vocabulary
from scenegen.occupancy.masked.network import MaskedNetwork, build_network

VOCABULARY = Vocabulary(num_codes=20, sha256="ab")
HEIGHT, WIDTH = 8, 12


def build(mixer: MixerName = "attention", *, size: str = "nano") -> MaskedNetwork:
    torch.manual_seed(0)
    return build_network(size, vocabulary=VOCABULARY, num_channels=3, num_style=4, mixer=mixer)


def awake(mixer: MixerName = "attention") -> MaskedNetwork:
    """A network whose every parameter matters: some start at zero."""
    network = build(mixer)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def tile(num: int = 2, *, height: int = HEIGHT, seed: int = 0) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, VOCABULARY.num_ids, (num, height, WIDTH), generator=generator)
    return {
        "codes": codes,
        "channels": torch.randn(num, 3, 4 * height, 4 * WIDTH, generator=generator),
        "style": torch.randn(num, 4, generator=generator),
        "t": torch.rand(num, generator=generator),
        "clean": torch.randint(0, VOCABULARY.num_codes, codes.shape, generator=generator),
    }
