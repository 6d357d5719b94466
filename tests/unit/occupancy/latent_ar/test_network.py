"""The transformer of the reference design: causal history, FLOPs of the formula, a flow that learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from scenegen.diffusion.flow import mix_with_noise
from scenegen.occupancy.latent_ar.memory import join_past, move_cells, recall_past
from scenegen.occupancy.latent_ar.network import (
    CELLS,
    LAYOUT_TOKENS,
    TOKENS,
    LatentArNetwork,
    NetworkSize,
    PastFrames,
    forward_flops,
)

SMALL = NetworkSize(latent=4, width=32, depth=2, reach=2, surface=8)


@pytest.fixture
def network() -> LatentArNetwork:
    """A small network whose gates are open: fresh ones hide the past and the layout."""
    torch.manual_seed(0)
    network = LatentArNetwork(SMALL)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def drive(count: int, *, step_m: float = 3.2, turn_rad: float = 0.0) -> np.ndarray:
    poses = np.tile(np.eye(4), (count, 1, 1))
    for k in range(1, count):
        cos, sin = np.cos(turn_rad), np.sin(turn_rad)
        move = np.array([[cos, -sin, 0, step_m], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        poses[k] = poses[k - 1] @ move
    return poses


def predict(network: LatentArNetwork, latents: torch.Tensor, noisy: torch.Tensor, *, step: int) -> torch.Tensor:
    past = recall_past(latents, drive(len(latents)), step=step, reach=SMALL.reach)
    plain = torch.zeros(1, 4 * CELLS, 4 * CELLS, dtype=torch.uint8)
    layout = network.read_layout(plain, plain, torch.zeros(1, dtype=torch.int64))
    return network(noisy, torch.full((1,), 0.5), layout=layout, past=past)


def test_a_step_sees_clean_frames_strictly_before_it_and_no_others(network: LatentArNetwork) -> None:
    latents = torch.randn(6, 4, CELLS, CELLS, requires_grad=True)
    out = predict(network, latents, torch.randn(1, 4, CELLS, CELLS), step=3)
    (gradient,) = torch.autograd.grad(out.square().sum(), latents)
    reached = gradient.abs().amax(dim=(1, 2, 3))
    assert (reached[[1, 2]] > 0).all()
    assert (reached[[0, 3, 4, 5]] == 0).all()


def test_the_first_step_has_no_past(network: LatentArNetwork) -> None:
    noisy = torch.randn(1, 4, CELLS, CELLS)
    one, other = (predict(network, torch.randn(3, 4, CELLS, CELLS), noisy, step=0) for _ in range(2))
    assert torch.equal(one, other)


def test_layout_and_style_and_motion_matter(network: LatentArNetwork) -> None:
    noisy, t = torch.randn(1, 4, CELLS, CELLS), torch.full((1,), 0.3)
    latents, plain = torch.randn(2, 4, CELLS, CELLS), torch.zeros(1, 4 * CELLS, 4 * CELLS, dtype=torch.uint8)
    road = plain.clone()
    road[:, :, 80:120] = 1
    car = plain.clone()
    car[:, 90:100, 100:105] = 7
    past = recall_past(latents, drive(2), step=1, reach=2)
    still = recall_past(latents, drive(2, step_m=0.0), step=1, reach=2)
    seen = [
        network(noisy, t, layout=network.read_layout(s, a, torch.tensor([style])), past=own)
        for s, a, style, own in ((plain, plain, 0, past), (road, plain, 0, past), (plain, car, 0, past),
                                 (plain, plain, 2, past), (plain, plain, 0, still))
    ]  # fmt: skip
    assert all(not torch.allclose(seen[0], other, atol=1e-5) for other in seen[1:])


def test_flops_are_those_of_the_formula() -> None:
    size = NetworkSize()
    network = LatentArNetwork(size)
    plain = torch.zeros(1, 4 * CELLS, 4 * CELLS, dtype=torch.uint8)
    layout = network.read_layout(plain, plain, torch.zeros(1, dtype=torch.int64))
    latents = torch.randn(4, size.latent, CELLS, CELLS)
    past = recall_past(latents, drive(4), step=3, reach=size.reach)
    with FlopCounterMode(display=False) as counter:
        network(latents[:1], torch.full((1,), 0.5), layout=layout, past=past)
    tokens = TOKENS**2 + LAYOUT_TOKENS**2
    not_counted = 4 * size.depth * tokens**2 * size.width  # attention on a CPU
    assert counter.get_total_flops() + not_counted == pytest.approx(forward_flops(size), rel=0.01)
    assert 2.0e6 < sum(p.numel() for p in network.parameters()) < 2.5e6


def test_cells_move_against_the_ego() -> None:
    cells = torch.zeros(1, 2, 50, 50)
    cells[0, :, 30, 20] = 1.0
    moved, seen = move_cells(cells, drive(2, step_m=3.2)[1:])  # two cells forward: everything comes two rows nearer
    assert moved[0, 0, 28, 20] == pytest.approx(1.0, abs=1e-4)
    assert moved.sum() == pytest.approx(2.0, abs=1e-3)
    assert (seen[0, 0, 48:] < 0.01).all()
    assert (seen[0, 0, :47] > 0.99).all()
    quarter = drive(2, step_m=0.0, turn_rad=np.pi / 2)[1:]  # turning left, what was left is ahead
    turned, _ = move_cells(cells, quarter)
    assert turned[0, 0, 20, 49 - 30] == pytest.approx(1.0, abs=1e-4)


def test_flow_learns_two_pictures() -> None:
    torch.manual_seed(0)
    network = LatentArNetwork(SMALL)
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    plain = torch.zeros(2, 4 * CELLS, 4 * CELLS, dtype=torch.uint8)
    plain[1] = 1
    clean = torch.ones(2, 4, CELLS, CELLS)
    clean[1] = -1.0
    nothing = recall_past(clean, drive(2), step=0, reach=2)
    past: PastFrames = join_past([nothing, nothing])
    losses = []
    for _ in range(15):
        t, noise = torch.rand(2), torch.randn_like(clean)
        layout = network.read_layout(plain, torch.zeros_like(plain), torch.zeros(2, dtype=torch.int64))
        velocity = network(mix_with_noise(clean, noise, t), t, layout=layout, past=past)
        loss = (velocity - (noise - clean)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 1.5
    assert losses[-1] < 0.65 * losses[0]
