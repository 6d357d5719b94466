"""Triplets of blocks: what leaks into a prediction and what must, and a stream that computes what training does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from scenegen.diffusion.flow import noise_levels
from scenegen.diffusion.masked_path import sample_codes
from scenegen.occupancy.masked.network import MaskedNetwork
from scenegen.occupancy.masked.stream import NetworkStream, open_stream
from tests.unit.occupancy.masked.nano import HEIGHT, VOCABULARY, WIDTH, awake, build, tile

BLOCK = 4
"""Rows of codes per block: two rows of cells."""
LOOPS = 2


@pytest.fixture
def network() -> MaskedNetwork:
    return awake("triplet_rwkv7").double()


def masked_tile() -> dict[str, Any]:
    """Two blocks; the first row of each is known, and every second code of the others is masked."""
    inputs = tile()
    for name in ("channels", "style", "t"):
        inputs[name] = inputs[name].double()
    codes = inputs["clean"].clone()
    codes[:, 1::BLOCK, ::2] = VOCABULARY.mask_id
    codes[:, 2::BLOCK] = VOCABULARY.mask_id
    inputs["codes"] = codes
    return inputs


def moved(network: MaskedNetwork, inputs: dict[str, Any], row: int, column: int, *, name: str) -> Tensor:
    """How much every code's logits move when one code of `name` changes."""
    changed = inputs[name].clone()
    changed[:, row, column] = (changed[:, row, column] + 1) % VOCABULARY.num_codes
    before = network(**inputs, loops=LOOPS)
    return (before - network(**{**inputs, name: changed}, loops=LOOPS)).abs().amax(dim=(0, 3)).detach()


@pytest.mark.parametrize("row", [1, 2, 3])
def test_the_truth_under_a_mask_does_not_leak(network: MaskedNetwork, row: int) -> None:
    """Own block 0: not into the block itself; later blocks must see it."""
    change = moved(network, masked_tile(), row, 4, name="clean")
    assert (change[:BLOCK] == 0).all()
    assert (change[BLOCK:] > 0).all()


@pytest.mark.parametrize("name", ["codes", "clean"])
def test_the_future_does_not_leak(network: MaskedNetwork, name: str) -> None:
    change = moved(network, masked_tile(), BLOCK, 3, name=name)
    assert (change[:BLOCK] == 0).all()
    assert name == "clean" or (change[BLOCK:] > 0).all()


def test_visible_codes_to_the_right_are_known(network: MaskedNetwork) -> None:
    """The first copy tells the second what comes later in the block."""
    change = moved(network, masked_tile(), 1, WIDTH - 1, name="codes")
    assert (change[:BLOCK] > 0).all()


def test_masked_copies_of_earlier_blocks_are_not_read(network: MaskedNetwork) -> None:
    change = moved(network, masked_tile(), 0, 3, name="codes")
    assert (change[BLOCK:] == 0).all()


@torch.no_grad()
def test_stream_computes_what_the_whole_tile_does(network: MaskedNetwork) -> None:
    inputs = masked_tile()
    whole = network(**inputs, loops=LOOPS)
    stream = open_stream(network, inputs["style"], loops=LOOPS)
    for start in range(0, HEIGHT, BLOCK):
        rows = slice(start, start + BLOCK)
        channels = inputs["channels"][:, :, 4 * start : 4 * (start + BLOCK)]
        noise = torch.randint(0, VOCABULARY.num_ids, inputs["codes"][:, rows].shape)
        stream.predict(noise, channels, inputs["t"])  # leaves no trace
        logits = stream.predict(inputs["codes"][:, rows], channels, inputs["t"])
        torch.testing.assert_close(logits, whole[:, rows], rtol=1e-6, atol=1e-9)
        stream.absorb(inputs["clean"][:, rows], channels)


@torch.no_grad()
def test_blocks_are_drawn_one_after_the_other(network: MaskedNetwork) -> None:
    """Known codes stay, the same chance gives the same codes, and a block is predicted from those drawn before it."""
    inputs = masked_tile()

    def draw(first_uniform: float) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(5)
        stream = open_stream(network, inputs["style"], loops=LOOPS)
        blocks, logits = [], []
        for start in range(0, HEIGHT, BLOCK):
            channels = inputs["channels"][:, :, 4 * start : 4 * (start + BLOCK)]
            codes = inputs["codes"][:, start : start + BLOCK]
            uniforms = torch.rand(3, 2, 2, BLOCK, WIDTH, generator=generator)
            if start == 0:
                uniforms[:, 1] = first_uniform
            logits.append(stream.predict(codes, channels, inputs["t"]))

            def predict(
                noisy: Tensor, t: Tensor, _: int, stream: NetworkStream = stream, channels: Tensor = channels
            ) -> Tensor:
                return stream.predict(noisy, channels, t.double())

            blocks.append(
                sample_codes(predict, codes, levels=noise_levels(3), uniforms=uniforms, mask_id=VOCABULARY.mask_id)
            )
            stream.absorb(blocks[-1], channels)
        return torch.cat(blocks, dim=1), logits[1]

    drawn, predicted = draw(0.1)
    is_known = inputs["codes"] != VOCABULARY.mask_id
    assert torch.equal(drawn[is_known], inputs["codes"][is_known])
    assert (drawn < VOCABULARY.num_codes).all()
    assert torch.equal(drawn, draw(0.1)[0])
    other, predicted_after_other = draw(0.9)
    assert not torch.equal(drawn[:, :BLOCK], other[:, :BLOCK])
    assert float((predicted - predicted_after_other).abs().max()) > 1e-6


def test_other_mixers_cannot_be_streamed() -> None:
    with pytest.raises(ValueError, match="bi_rwkv7"):
        open_stream(build("bi_rwkv7"), torch.zeros(1, 4))
