"""The cost table of mixers: all lines, and a slice of queries that stands for all of them."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import mixers
from benchmarks.mixers import WIDTH, Cost, attend_slice, cheaper_than_attention, measure_costs, print_table, project
from scenegen.diffusion.mixers import MIXERS, TokenPlace
from scenegen.diffusion.mixers.attention import GridAttention


def test_every_mixer_is_timed_at_every_length(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixers, "SLICE", 64)
    costs = measure_costs((128, 256), rounds=1, with_training=True, device=torch.device("cpu"), whole=128)
    assert [(cost.mixer, cost.tokens) for cost in costs] == [(name, length) for length in (128, 256) for name in MIXERS]
    assert [cost.extrapolated for cost in costs] == [False, False, False, True, False, False]
    assert all(cost.forward_s > 0 and cost.training_s for cost in costs)
    print_table(costs)
    assert "| `attention` | 256 | ~" in capsys.readouterr().out


def test_slices_and_linear_maps_do_the_work_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixers, "SLICE", 64)
    mixer, place = GridAttention(WIDTH), TokenPlace(rows=4, columns=64)
    x = torch.zeros(1, 256, WIDTH)
    work = []
    for run in (project, attend_slice):
        # Attention on a processor is one operation that the counter does not know.
        attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        mapping = {attention: lambda q, k, *_, **__: 4 * q[1] * q[2] * k[2] * q[3]}
        with FlopCounterMode(display=False, custom_mapping=mapping) as counter, torch.no_grad():
            run(mixer, x)
        work.append(counter.get_total_flops())
    assert work[0] + 256 / 64 * work[1] == mixer.flops(place)


def test_factors_are_those_of_the_largest_length() -> None:
    costs = [
        Cost(mixer=mixer, tokens=tokens, forward_s=forward_s, training_s=None, gflop=1.0, extrapolated=False)
        for mixer, tokens, forward_s in (("attention", 8, 1.0), ("attention", 64, 50.0), ("bi_rwkv7", 64, 5.0))
    ]
    assert cheaper_than_attention(costs) == {"bi_rwkv7": 10.0}
