"""The chunked recurrence against its token loop, and the layer around it."""

from __future__ import annotations

import pytest
import torch

from scenegen.diffusion.rwkv7 import CHUNK, DECAY, Rwkv7Mixer, Rwkv7Tokens, scan_chunks, scan_tokens


def draw_tokens(num_tokens: int, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> Rwkv7Tokens:
    generator = torch.Generator().manual_seed(seed)

    def draw() -> torch.Tensor:
        return torch.randn(2, 3, num_tokens, 8, generator=generator, dtype=dtype)

    removal = torch.nn.functional.normalize(draw(), dim=-1)
    return Rwkv7Tokens(
        r=draw(),
        w=torch.exp(-DECAY * torch.sigmoid(3.0 * draw())),
        k=draw(),
        v=draw(),
        a=-removal,
        b=removal * torch.sigmoid(draw()),
    )


def part(tokens: Rwkv7Tokens, span: slice) -> Rwkv7Tokens:
    return Rwkv7Tokens(**{name: getattr(tokens, name)[:, :, span] for name in "rwkvab"})


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).detach().abs().max() / wanted.detach().abs().max())


def awake_mixer() -> Rwkv7Mixer:
    """A layer whose every parameter matters: some start at zero."""
    torch.manual_seed(1)
    mixer = Rwkv7Mixer(64)
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return mixer


@pytest.mark.parametrize("num_tokens", [1, CHUNK, 5 * CHUNK + 3])
def test_chunks_equal_the_token_loop(num_tokens: int) -> None:
    tokens = draw_tokens(num_tokens)
    memory = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(9))
    looped, end = scan_tokens(tokens, memory)
    chunked, chunked_end = scan_chunks(tokens, memory)
    assert relative_error(chunked, looped) < 1e-5
    assert relative_error(chunked_end, end) < 1e-5


def test_memory_carried_across_calls_changes_nothing() -> None:
    tokens = draw_tokens(40)
    memory = torch.zeros(2, 3, 8, 8)
    whole, end = scan_tokens(tokens, memory)
    first, middle = scan_chunks(part(tokens, slice(0, 13)), memory)
    rest, parted_end = scan_chunks(part(tokens, slice(13, None)), middle)
    assert relative_error(torch.cat([first, rest], dim=2), whole) < 1e-5
    assert relative_error(parted_end, end) < 1e-5


def test_one_step_by_hand() -> None:
    """S = 2, w = 0.5, a = -1, b = 0.5, v = 3, k = 1, r = 1: S' = 2 * 0.5 - 2 * 0.5 + 3 = 3."""
    number = torch.ones(1, 1, 1, 1)
    tokens = Rwkv7Tokens(r=number, w=0.5 * number, k=number, v=3 * number, a=-number, b=0.5 * number)
    for scan in (scan_tokens, scan_chunks):
        out, memory = scan(tokens, 2 * number)
        assert out.item() == pytest.approx(3.0)
        assert memory.item() == pytest.approx(3.0)


def test_chunks_have_the_gradient_of_the_token_loop() -> None:
    gradients = []
    for scan in (scan_tokens, scan_chunks):
        tokens = draw_tokens(2 * CHUNK + 5, dtype=torch.float64)
        leaves = {name: getattr(tokens, name).requires_grad_() for name in "rwkvab"}
        out, memory = scan(Rwkv7Tokens(**leaves), torch.zeros(2, 3, 8, 8, dtype=torch.float64))
        (out.square().sum() + memory.sum()).backward()
        gradients.append([leaf.grad for leaf in leaves.values()])
    for looped, chunked in zip(*gradients, strict=True):
        assert relative_error(chunked, looped) < 1e-8


def test_layer_is_causal_and_remembers() -> None:
    mixer = awake_mixer()
    x = torch.randn(2, 20, 64, generator=torch.Generator().manual_seed(2))
    changed = x.clone()
    changed[:, 12] += torch.linspace(-1.0, 1.0, 64)  # the layer norm hides a constant
    out, other = mixer(x, None)[0], mixer(changed, None)[0]
    assert torch.equal(out[:, :12], other[:, :12])
    assert ((out - other)[:, 12:].abs().amax(dim=(0, 2)) > 1e-6).all()


def test_layer_split_anywhere_gives_the_same() -> None:
    mixer = awake_mixer()
    x = torch.randn(2, 20, 64, generator=torch.Generator().manual_seed(2))
    whole, end = mixer(x, None)
    state, parts = None, []
    for piece in x.split([1, 7, 12], dim=1):
        out, state = mixer(piece, state)
        parts.append(out)
    assert state is not None
    assert relative_error(torch.cat(parts, dim=1), whole) < 1e-5
    assert relative_error(state.memory, end.memory) < 1e-5


def test_layer_keeps_its_recurrence_in_float32_under_autocast() -> None:
    mixer = awake_mixer()
    x = torch.randn(1, 20, 64, generator=torch.Generator().manual_seed(2))
    with torch.autocast("cpu", torch.bfloat16):
        out, state = mixer(x, None)
    assert state.memory.dtype == torch.float32
    assert relative_error(out.float(), mixer(x, None)[0]) < 0.05


def test_channels_that_no_head_divides_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        Rwkv7Mixer(40)
