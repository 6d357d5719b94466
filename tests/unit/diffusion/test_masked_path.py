"""The masked path against closed forms: its loss, and samplers of a network that knows the law."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from scenegen.diffusion.flow import noise_levels
from scenegen.diffusion.masked_path import (
    Reveal,
    corrupt,
    draw_values,
    nelbo_per_code,
    reveal_by_chance,
    reveal_by_confidence,
    sample_codes,
    stratified_times,
)

NUM_CODES = 5
MASK = NUM_CODES


def even_uniforms(num: int) -> Tensor:
    """Uniforms of a picture of 1 x num codes, one in the middle of every interval of 1 / num."""
    return ((torch.arange(num) + 0.5) / num)[None, None]


def draw_uniforms(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_times_fill_their_strata() -> None:
    times = stratified_times(torch.tensor(0.3), num=8, earliest=0.1)
    assert ((times - 0.1) / 0.9 * 8).floor().tolist() == list(range(8))


def test_only_free_codes_are_masked_and_by_their_chance() -> None:
    codes = torch.randint(0, NUM_CODES, (1, 1, 1000), generator=torch.Generator().manual_seed(0))
    is_free = torch.arange(1000).view(1, 1, -1) < 800
    noisy = corrupt(codes, is_free=is_free, t=torch.tensor([0.25]), uniforms=even_uniforms(1000), mask_id=MASK)
    assert (noisy == MASK).sum() == 250
    all_masked = corrupt(codes, is_free=is_free, t=torch.ones(1), uniforms=even_uniforms(1000), mask_id=MASK)
    assert torch.equal(all_masked == MASK, is_free)
    assert torch.equal(all_masked[~is_free], codes[~is_free])


def test_uniform_predictor_has_the_entropy_of_the_alphabet() -> None:
    """Masked share t, weight 1 / t, cross-entropy log V: exactly log V at every t."""
    codes = torch.randint(0, NUM_CODES, (3, 1, 1000), generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0.05, 0.5, 1.0])
    is_free = torch.ones_like(codes, dtype=torch.bool)
    noisy = corrupt(codes, is_free=is_free, t=t, uniforms=even_uniforms(1000).expand(3, 1, -1), mask_id=MASK)
    logits = torch.zeros(3, 1, 1000, NUM_CODES)
    nelbo = nelbo_per_code(logits, codes, noisy=noisy, is_free=is_free, t=t, mask_id=MASK)
    torch.testing.assert_close(nelbo, torch.full((3,), math.log(NUM_CODES)), rtol=1e-4, atol=0)


def test_sample_without_free_codes_costs_nothing() -> None:
    codes = torch.zeros(1, 2, 2, dtype=torch.long)
    nelbo = nelbo_per_code(
        torch.zeros(1, 2, 2, NUM_CODES), codes, noisy=codes, is_free=codes > 0, t=torch.ones(1), mask_id=MASK
    )
    assert nelbo.tolist() == [0.0]


def test_nelbo_of_a_known_law_is_its_entropy() -> None:
    """Two equal bits: log 2 in all, so log 2 / 2 per code, over all four maskings and their chances at many t."""
    t = stratified_times(torch.tensor(0.5), num=4000, earliest=0.0)
    codes = torch.ones(len(t), 1, 2, dtype=torch.long)
    is_free = torch.ones_like(codes, dtype=torch.bool)
    total = torch.zeros(())
    for pattern in ((0, 0), (0, 1), (1, 0), (1, 1)):
        hidden = torch.tensor(pattern, dtype=torch.bool).expand(len(t), 1, 2)
        noisy = torch.where(hidden, 2, codes)
        chance = torch.where(hidden, t.view(-1, 1, 1), 1 - t.view(-1, 1, 1)).prod(dim=2)[:, 0]
        nelbo = nelbo_per_code(equal_bits(noisy, t, 0), codes, noisy=noisy, is_free=is_free, t=t, mask_id=2)
        total = total + (chance * nelbo).mean()
    assert total.item() == pytest.approx(math.log(2) / 2, rel=1e-3)


def equal_bits(noisy: Tensor, _t: Tensor, _k: int) -> Tensor:
    """What is known of two codes, always equal, 0 or 1 with equal chance, from those that are not masked (2)."""
    other = noisy.flip(2)
    known = torch.nn.functional.one_hot(other.clamp(max=1), 2).double() * 100.0
    return torch.where((other == 2)[..., None], torch.zeros_like(known), known)


def test_values_are_drawn_by_their_chance() -> None:
    logits = torch.tensor([0.1, 0.0, 0.6, 0.3]).log()
    values = draw_values(logits.expand(1000, 4), even_uniforms(1000)[0, 0])
    assert values.bincount(minlength=4).tolist() == [100, 0, 600, 300]
    assert draw_values(logits, torch.tensor(1.0 - 2**-24)).item() == 3


def test_ancestral_step_reveals_its_share() -> None:
    noisy = torch.full((1, 1, 1000), MASK)
    uniforms = torch.stack([even_uniforms(1000), even_uniforms(1000).flip(2)])
    logits = torch.zeros(1, 1, 1000, NUM_CODES)
    out = reveal_by_chance(noisy, logits, t=0.8, s=0.6, uniforms=uniforms, mask_id=MASK)
    assert (out == MASK).sum() == 750


def test_ancestral_sampler_draws_the_joint_law() -> None:
    """Codes that must agree: with steps so small that they are revealed one by one, they do, and evenly."""
    num = 4000
    start = torch.full((num, 1, 2), 2)
    uniforms = draw_uniforms(200, 2, num, 1, 2)
    codes = sample_codes(equal_bits, start, levels=noise_levels(200), uniforms=uniforms, mask_id=2)
    disagree = (codes[:, 0, 0] != codes[:, 0, 1]).float().mean().item()
    assert disagree < 0.01  # both at once: 1 / 400 of all, half of them unequal
    assert codes[:, 0, 0].float().mean().item() == pytest.approx(0.5, abs=0.03)
    at_once = sample_codes(equal_bits, start, levels=[1.0, 0.0], uniforms=uniforms[:1], mask_id=2)
    assert (at_once[:, 0, 0] != at_once[:, 0, 1]).float().mean().item() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("reveal", ["chance", "confidence"])
def test_known_codes_are_carried_over_and_no_mask_is_left(reveal: Reveal) -> None:
    known, outside = 3, NUM_CODES + 2
    start = torch.full((2, 6, 6), MASK)
    start[:, 0] = known
    start[:, :, 5] = outside
    seen = []

    def predict(codes: Tensor, t: Tensor, k: int) -> Tensor:
        seen.append((float(t[0]), k))
        assert torch.equal(codes[start != MASK], start[start != MASK])
        return draw_uniforms(2, 6, 6, NUM_CODES, seed=k)

    uniforms = draw_uniforms(4, 2, 2, 6, 6)
    codes = sample_codes(predict, start, levels=noise_levels(4), uniforms=uniforms, mask_id=MASK, reveal=reveal)
    assert torch.equal(codes[start != MASK], start[start != MASK])
    assert (codes[start == MASK] < NUM_CODES).all()
    assert seen == [(1.0, 0), (0.75, 1), (0.5, 2), (0.25, 3)]
    again = sample_codes(predict, start, levels=noise_levels(4), uniforms=uniforms, mask_id=MASK, reveal=reveal)
    assert torch.equal(codes, again)


@pytest.mark.parametrize("reveal", [reveal_by_chance, reveal_by_confidence])
def test_revealed_codes_are_frozen(reveal: Callable[..., Tensor]) -> None:
    noisy = torch.full((1, 8, 8), MASK)
    logits = torch.zeros(1, 8, 8, NUM_CODES)
    first = reveal(noisy, logits, t=1.0, s=0.5, uniforms=draw_uniforms(2, 1, 8, 8), mask_id=MASK)
    then = reveal(first, logits, t=0.5, s=0.0, uniforms=draw_uniforms(2, 1, 8, 8, seed=1), mask_id=MASK)
    assert torch.equal(then[first != MASK], first[first != MASK])
    assert (then != MASK).all()


def test_confidence_reveals_the_surest_first() -> None:
    noisy = torch.full((1, 1, 10), MASK)
    logits = torch.zeros(1, 1, 10, NUM_CODES)
    logits[0, 0, [2, 7], 4] = 50.0
    uniforms = draw_uniforms(2, 1, 1, 10)
    out = reveal_by_confidence(noisy, logits, t=1.0, s=0.8, uniforms=uniforms, mask_id=MASK, randomness=0.0)
    assert (out != MASK)[0, 0].nonzero()[:, 0].tolist() == [2, 7]
    assert out[0, 0, [2, 7]].tolist() == [4, 4]


def test_network_is_not_asked_when_nothing_is_masked() -> None:
    def refuse(_codes: Tensor, _t: Tensor, _k: int) -> Tensor:
        raise AssertionError

    start = torch.zeros(1, 2, 2, dtype=torch.long)
    uniforms = draw_uniforms(1, 2, 1, 2, 2)
    assert torch.equal(sample_codes(refuse, start, levels=[1.0, 0.0], uniforms=uniforms, mask_id=MASK), start)


def test_levels_that_leave_masks_are_refused() -> None:
    start = torch.full((1, 2, 2), MASK)
    with pytest.raises(ValueError, match="ending at 0"):
        sample_codes(equal_bits, start, levels=[1.0, 0.5], uniforms=draw_uniforms(1, 2, 1, 2, 2), mask_id=MASK)
