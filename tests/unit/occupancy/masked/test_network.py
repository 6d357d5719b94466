"""The masked network: shapes, its FLOP formula, loops, what may depend on what, and learning."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from scenegen.diffusion.masked_path import corrupt, nelbo_per_code
from scenegen.diffusion.mixers import MIXERS, MixerName, TokenPlace
from scenegen.occupancy.masked.network import BlockContext, build_network
from tests.unit.occupancy.masked.nano import HEIGHT, VOCABULARY, WIDTH, awake, build, tile


@pytest.mark.parametrize("mixer", MIXERS)
def test_logits_for_every_code(mixer: MixerName) -> None:
    logits = awake(mixer)(**tile(), loops=2)
    assert logits.shape == (2, HEIGHT, WIDTH, VOCABULARY.num_codes)
    assert logits.isfinite().all()


@pytest.mark.parametrize("mixer", MIXERS)
def test_new_network_says_nothing_yet(mixer: MixerName) -> None:
    assert not build(mixer)(**tile()).any()


@pytest.mark.parametrize("mixer", MIXERS)
@pytest.mark.parametrize("loops", [1, 3])
def test_flops_are_those_of_the_formula(mixer: MixerName, loops: int) -> None:
    network = build(mixer)
    counter = FlopCounterMode(display=False, custom_mapping=UNCOUNTED)
    with counter, torch.no_grad():
        network(**tile(1), loops=loops)
    assert counter.get_total_flops() == network.flops(height=HEIGHT, width=WIDTH, loops=loops)


def count_solve(a: Any, b: Any, *_args: Any, **_kwargs: Any) -> int:
    """A triangular solve multiplies half as much as the matrix would."""
    numbers = 1
    for length in (*b, a[-1]):
        numbers *= length
    return numbers


def count_attention(query: Any, key: Any, value: Any, *_args: Any, **_kwargs: Any) -> int:
    batch, heads, length, size = query
    return 2 * batch * heads * length * key[2] * (size + value[3])


UNCOUNTED = {
    torch.ops.aten.linalg_solve_triangular: count_solve,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: count_attention,
}


def test_parameters_do_not_grow_with_loops_and_tiny_has_about_two_million() -> None:
    vocabulary = replace(VOCABULARY, num_codes=1024)
    network = build_network("tiny", vocabulary=vocabulary, num_channels=14, num_style=16)
    assert 2.0e6 < sum(parameter.numel() for parameter in network.parameters()) < 2.5e6


def test_new_network_can_know_frequencies() -> None:
    network, inputs = build(), tile()
    counts = torch.arange(VOCABULARY.num_codes)
    network.start_from_counts(counts)
    chance = network(**inputs).softmax(dim=3)[0, 0, 0].detach()
    torch.testing.assert_close(chance, (counts + 0.5) / (counts + 0.5).sum())


def test_one_loop_is_the_plain_network_bit_for_bit() -> None:
    network, inputs = awake(), tile()
    tokens = network.read_cells(inputs["codes"], inputs["channels"])
    context = BlockContext(
        embedding=network.embed(inputs["style"], inputs["t"])[:, None],
        kind=None,
        place=TokenPlace(rows=HEIGHT // 2, columns=WIDTH // 2),
    )
    for block in (*network.stack.head, *network.stack.mid, *network.stack.tail):
        tokens = block(tokens, context)
    plain = network.predict_codes(tokens, rows=HEIGHT // 2, columns=WIDTH // 2)
    assert torch.equal(network(**inputs, loops=1), plain)


@pytest.mark.parametrize("mixer", MIXERS)
def test_half_precision_trains(mixer: MixerName) -> None:
    network, inputs = awake(mixer), tile()
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(**inputs, loops=2)
    wanted = network(**inputs, loops=2).detach()
    assert float((logits.detach() - wanted).abs().mean() / wanted.abs().mean()) < 0.1
    logits.float().square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("mixer", ["attention", "bi_rwkv7"])
def test_every_code_can_depend_on_every_other(mixer: MixerName) -> None:
    network, inputs = awake(mixer), tile(1)
    changed = {**inputs, "codes": inputs["codes"].clone()}
    changed["codes"][0, 0, 0] = (changed["codes"][0, 0, 0] + 1) % VOCABULARY.num_ids
    moved = (network(**inputs) - network(**changed)).abs().amax(dim=3)[0]
    assert (moved > 0).all()


def test_tolerance_stops_early_and_states_tell() -> None:
    network, inputs = awake(), tile()
    states: list[Tensor] = []
    network(**inputs, loops=6, tolerance=1e9, states=states)
    assert len(states) == 1
    states.clear()
    network(**inputs, loops=6, states=states)
    assert len(states) == 6


def test_cells_keep_their_place() -> None:
    """Without mixing, a code's logits come from its own cell: changing one moves its four codes alone."""
    network, inputs = build(), tile(1)
    for name, parameter in network.named_parameters():
        if "mixer" not in name:
            torch.nn.init.normal_(parameter, std=0.2)
    changed = {**inputs, "codes": inputs["codes"].clone()}
    changed["codes"][0, 5, 6] = (changed["codes"][0, 5, 6] + 1) % VOCABULARY.num_ids
    moved = (network(**inputs) - network(**changed)).abs().amax(dim=3)[0] > 0
    assert moved.nonzero().tolist() == [[4, 6], [4, 7], [5, 6], [5, 7]]
    brighter = {**inputs, "channels": inputs["channels"].clone()}
    brighter["channels"][0, 1, 4 * 5, 4 * 6] += 1.0
    assert torch.equal((network(**inputs) - network(**brighter)).abs().amax(dim=3)[0] > 0, moved)


@pytest.mark.parametrize("mixer", MIXERS)
def test_learns_a_rule_of_its_channels(mixer: MixerName) -> None:
    """The code is the sign of the first channel over its patch, which is worth log 2 = 0.69."""
    network = build(mixer)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.005)
    generator = torch.Generator().manual_seed(3)
    is_free = torch.ones(4, 4, WIDTH, dtype=torch.bool)
    losses = [1.0]
    while losses[-1] > 0.2 and len(losses) < 200:
        codes = torch.randint(0, 2, is_free.shape, generator=generator)
        sign = (2.0 * codes - 1.0).repeat_interleave(4, 1).repeat_interleave(4, 2)
        channels = torch.stack([sign, 0 * sign, 0 * sign], dim=1)
        t = 0.2 + 0.8 * torch.rand(4, generator=generator)
        uniforms = torch.rand(is_free.shape, generator=generator)
        noisy = corrupt(codes, is_free=is_free, t=t, uniforms=uniforms, mask_id=VOCABULARY.mask_id)
        logits = network(noisy, channels, torch.zeros(4, 4), t, loops=2, clean=codes)
        loss = nelbo_per_code(logits, codes, noisy=noisy, is_free=is_free, t=t, mask_id=VOCABULARY.mask_id).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2


def test_triplets_without_their_past_are_refused() -> None:
    inputs = tile()
    del inputs["clean"]
    with pytest.raises(ValueError, match="open_stream"):
        build("triplet_rwkv7")(**inputs)
