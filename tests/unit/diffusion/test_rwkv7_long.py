"""The scan for long sequences, and fla's kernels where there are any, against the token loop."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch

from scenegen.diffusion.rwkv7 import CHUNK, DECAY, Rwkv7Tokens, scan_tokens
from scenegen.diffusion.rwkv7_fused import can_fuse, scan_fused, scan_tokens_fast
from scenegen.diffusion.rwkv7_long import reverse_tokens, scan_long


def draw_tokens(num_tokens: int, *, size: int = 8, dtype: torch.dtype = torch.float64) -> Rwkv7Tokens:
    generator = torch.Generator().manual_seed(0)

    def draw() -> torch.Tensor:
        return torch.randn(2, 3, num_tokens, size, generator=generator, dtype=dtype)

    removal = torch.nn.functional.normalize(draw(), dim=-1)
    decay = torch.exp(-DECAY * torch.sigmoid(3.0 * draw()))
    return Rwkv7Tokens(r=draw(), w=decay, k=draw(), v=draw(), a=-removal, b=removal * torch.sigmoid(draw()))


def draw_memory(*, size: int = 8, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(9), dtype=dtype)


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).detach().abs().max() / wanted.detach().abs().max())


@pytest.mark.parametrize("num_tokens", [1, CHUNK, 5 * CHUNK + 3])
@pytest.mark.parametrize("chunk", [1, 7, CHUNK])
def test_long_scan_equals_the_token_loop(num_tokens: int, chunk: int) -> None:
    tokens, memory = draw_tokens(num_tokens), draw_memory()
    looped, end = scan_tokens(tokens, memory)
    scan = scan_long(tokens, memory, chunk=chunk)
    assert relative_error(scan.y, looped) < 1e-10
    assert relative_error(scan.starts[:, :, -1], end) < 1e-10


def test_long_scan_in_single_precision_is_close() -> None:
    tokens = draw_tokens(500, dtype=torch.float32)
    memory = draw_memory(dtype=torch.float32)
    assert relative_error(scan_long(tokens, memory).y, scan_tokens(tokens, memory)[0]) < 1e-5


def test_starts_are_the_memory_before_each_chunk() -> None:
    tokens, memory = draw_tokens(40), draw_memory()
    starts = scan_long(tokens, memory, chunk=10).starts
    assert starts.shape[2] == 5
    for index in range(1, 5):
        part = Rwkv7Tokens(**{name: getattr(tokens, name)[:, :, : 10 * index] for name in "rwkvab"})
        assert relative_error(starts[:, :, index], scan_tokens(part, memory)[1]) < 1e-10
    assert torch.equal(starts[:, :, 0], memory)


def test_no_memory_is_an_empty_one() -> None:
    tokens = draw_tokens(20)
    assert torch.equal(scan_long(tokens).y, scan_long(tokens, torch.zeros(2, 3, 8, 8, dtype=torch.float64)).y)


def test_long_scan_has_the_gradient_of_the_token_loop() -> None:
    gradients = []
    for is_long in (True, False):
        leaves = {name: getattr(draw_tokens(2 * CHUNK + 5), name).requires_grad_() for name in "rwkvab"}
        memory = draw_memory().requires_grad_()
        tokens = Rwkv7Tokens(**leaves)
        y = scan_long(tokens, memory).y if is_long else scan_tokens(tokens, memory)[0]
        y.square().sum().backward()
        gradients.append([leaf.grad for leaf in (*leaves.values(), memory)])
    for found, wanted in zip(*gradients, strict=True):
        assert found is not None and wanted is not None
        assert relative_error(found, wanted) < 1e-8


def test_reversed_twice_is_the_same() -> None:
    tokens = draw_tokens(5)
    assert torch.equal(reverse_tokens(tokens).k[:, :, 0], tokens.k[:, :, -1])
    assert torch.equal(reverse_tokens(reverse_tokens(tokens)).w, tokens.w)


def test_processors_without_kernels_take_the_plain_scan() -> None:
    tokens = draw_tokens(20, dtype=torch.float32)
    assert not can_fuse(tokens.r)
    assert torch.equal(scan_tokens_fast(tokens), scan_long(tokens).y)


def test_kernels_are_handed_what_their_interface_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token loop with fla's shapes: tokens before heads, keys in the rows of the memory, the log of the decay."""

    def chunk_dplr_delta_rule(
        *,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        gk: torch.Tensor,
        scale: float,
        initial_state: torch.Tensor,
        output_final_state: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        assert output_final_state
        memory, out = initial_state, []
        for t in range(q.shape[1]):
            removed = torch.einsum("nhk,nhkv->nhv", a[:, t], memory)
            memory = gk[:, t].exp()[..., None] * memory + b[:, t, ..., None] * removed[:, :, None]
            memory = memory + k[:, t, ..., None] * v[:, t, :, None]
            out.append(scale * torch.einsum("nhk,nhkv->nhv", q[:, t], memory))
        return torch.stack(out, dim=1), memory

    kernels = ModuleType("fla.ops.generalized_delta_rule")
    kernels.chunk_dplr_delta_rule = chunk_dplr_delta_rule  # type: ignore[attr-defined]
    for name in ("fla", "fla.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "fla.ops.generalized_delta_rule", kernels)
    tokens, memory = draw_tokens(20), draw_memory()
    looped, end = scan_tokens(tokens, memory)
    y, fused_end = scan_fused(tokens, memory, dtype=torch.float64)
    assert relative_error(y, looped) < 1e-10
    assert relative_error(fused_end, end) < 1e-10


@pytest.mark.gpu
def test_fused_scan_equals_the_token_loop() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here: the fused kernels run on CUDA alone")
    pytest.importorskip("fla", reason="needs flash-linear-attention")
    tokens = draw_tokens(200, size=32, dtype=torch.float32)
    tokens = Rwkv7Tokens(**{name: getattr(tokens, name).cuda() for name in "rwkvab"})
    memory = draw_memory(size=32, dtype=torch.float32).cuda()
    looped, end = scan_tokens(tokens, memory)
    assert can_fuse(tokens.r)
    y, fused_end = scan_fused(tokens, memory)
    assert relative_error(y, looped) < 0.03  # bfloat16 has eight bits
    assert relative_error(fused_end, end) < 0.03
