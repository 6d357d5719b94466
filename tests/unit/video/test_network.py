"""What the video network can learn at all, told by small ones that learn what no single pixel says.

The picture to be painted is black or white, and which of the two is shown elsewhere only: in a far corner, in another
view, one step earlier. A network that paints from what lies around each pixel can do no better than grey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from scenegen.video.cross_view import CELL_PX
from scenegen.video.network import NUM_NOISE, SIZES, EncodedConditions, VideoNetwork

SIZE_PX = 32
NUM_CELLS = SIZE_PX // CELL_PX
PAIRS = 8
STEPS, LAST_STEPS = 100, 20
LEARNED = 0.2
"""Mean squared error that counts as learned; grey has 1."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Pictures in pairs (two views of a step, or two steps of a view), and what the network is shown of them.

    Attributes:
        carried: the carried frame with its validity.
        truth: what to paint.
        counts: pictures that the lesson is about.
    """

    carried: Float[Tensor, "B 4 H W"]
    truth: Float[Tensor, "B 3 H W"]
    counts: slice
    partners: Int[Tensor, "B P h w"] | None = None
    num_steps: int = 1


def draw_pictures() -> tuple[Float[Tensor, "B 4 H W"], Float[Tensor, "B 3 H W"]]:
    """Return empty carried frames, and pictures that are black (-1) or white (1)."""
    shade = 2.0 * torch.randint(2, (2 * PAIRS, 1, 1, 1)) - 1.0
    return torch.zeros(2 * PAIRS, 4, SIZE_PX, SIZE_PX), shade.expand(-1, 3, SIZE_PX, SIZE_PX)


def show_in_a_corner() -> Lesson:
    carried, truth = draw_pictures()
    carried[:, :3, :CELL_PX, :CELL_PX] = truth[:, :, :CELL_PX, :CELL_PX]
    return Lesson(carried=carried, truth=truth, counts=slice(None))


def show_in_another_view() -> Lesson:
    """The first of each pair is shown what it is; the second is the same, and only partners tell it so."""
    carried, truth = draw_pictures()
    carried[::2, :3] = truth[::2]
    cells = torch.arange(2 * PAIRS * NUM_CELLS**2).view(-1, 1, NUM_CELLS, NUM_CELLS)
    partners = cells.unflatten(0, (PAIRS, 2)).flip(1).flatten(0, 1)
    truth = truth[::2].repeat_interleave(2, dim=0)
    return Lesson(carried=carried, truth=truth, counts=slice(1, None, 2), partners=partners)


def show_one_step_earlier() -> Lesson:
    """The same without partners: the pairs are steps of one view, and only memory tells."""
    carried, truth = draw_pictures()
    carried[::2, :3] = truth[::2]
    truth = truth[::2].repeat_interleave(2, dim=0)
    return Lesson(carried=carried, truth=truth, counts=slice(1, None, 2), num_steps=2)


def squared_error(network: VideoNetwork, lesson: Lesson) -> Float[Tensor, ""]:
    size, batch = network.size, len(lesson.truth)
    conditions = EncodedConditions(
        base=torch.zeros(batch, 3, SIZE_PX, SIZE_PX),
        detail=torch.zeros(batch, size.detail, SIZE_PX, SIZE_PX),
        patches=torch.zeros(batch, size.middle, SIZE_PX // 4, SIZE_PX // 4),
        style=torch.zeros(batch, size.embedding),
    )
    painted, _ = network(
        torch.randn(batch, 3, SIZE_PX, SIZE_PX),
        torch.ones(batch),
        conditions=conditions,
        carried=lesson.carried,
        noise=torch.randn(batch, NUM_NOISE, SIZE_PX, SIZE_PX),
        partners=lesson.partners,
        num_steps=lesson.num_steps,
    )
    beyond_reach = (slice(None), slice(None), slice(SIZE_PX // 2, None), slice(SIZE_PX // 2, None))
    return functional.mse_loss(painted[lesson.counts][beyond_reach], lesson.truth[lesson.counts][beyond_reach])


@pytest.fixture
def single_thread() -> Iterator[None]:
    """The networks are too small for two, which would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("single_thread")
@pytest.mark.parametrize("show", [show_in_a_corner, show_in_another_view, show_one_step_earlier])
def test_a_network_learns_what_lies_beyond_the_pixel(show: Callable[[], Lesson]) -> None:
    torch.manual_seed(0)
    network = VideoNetwork(SIZES["nano"])
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, betas=(0.9, 0.99))
    errors = []
    for _ in range(STEPS):
        loss = squared_error(network, show())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(float(loss.detach()))
    assert sum(errors[-LAST_STEPS:]) / LAST_STEPS < LEARNED
