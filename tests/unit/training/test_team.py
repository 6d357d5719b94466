"""Two processes agree on what they must, and a process alone needs nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.multiprocessing.spawn import spawn

from scenegen.config import TrainConfig
from scenegen.errors import ConfigError
from scenegen.training.loader import read_ahead
from scenegen.training.recipes import run_recipe
from scenegen.training.team import Team, choose_device, open_team

MakeConfig = Callable[..., TrainConfig]


def meet(rank: int, store: str, folder: str) -> None:
    """What each of two processes does; the leader writes down what it finds."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    team = Team(rank=rank, size=2, device=torch.device("cpu"))
    shared, one_sided, unused = (nn.Parameter(torch.zeros(2, 3)) for _ in range(3))
    shared.grad = torch.full((2, 3), 1.0 + 2.0 * rank)
    if rank == 1:
        one_sided.grad = torch.full((2, 3), 4.0)
    team.average_gradients([shared, one_sided, unused])
    torch.manual_seed(rank)
    module = nn.BatchNorm1d(3)
    nn.init.normal_(module.weight)
    own = module.weight.detach().clone()
    team.receive_from_leader(module)
    found = {
        "shared": shared.grad,
        "one_sided": one_sided.grad,
        "unused": unused.grad,
        "least": team.agree_on_least(7 + rank),
        "own": own,
        "received": module.weight.detach(),
    }
    torch.save(found, Path(folder) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_average_and_agree(tmp_path: Path) -> None:
    spawn(meet, args=(str(tmp_path / "store"), str(tmp_path)), nprocs=2)
    leader, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in range(2))
    for found in (leader, other):
        assert torch.equal(found["shared"], torch.full((2, 3), 2.0))
        assert torch.equal(found["one_sided"], torch.full((2, 3), 2.0))
        assert found["unused"] is None
        assert found["least"] == 7
        assert torch.equal(found["received"], leader["own"])
    assert not torch.equal(leader["own"], other["own"])


def test_alone_gradients_stay_as_they_are() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    team = Team(rank=0, size=1, device=torch.device("cpu"))
    team.average_gradients([parameter])
    assert parameter.grad.tolist() == [1.0, 1.0]
    assert team.agree_on_least(5) == 5


def test_several_workers_that_nobody_started_are_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(tmp_path)
    with (
        pytest.raises(ConfigError, match="torchrun"),
        open_team(replace(config, run=replace(config.run, num_workers=2))),
    ):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here: this is what a run without one says")
def test_a_missing_cuda_device_is_refused() -> None:
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ConfigError, match="CUDA"):
        choose_device("cuda")


def test_threads_are_pinned(make_config: MakeConfig, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        config = make_config(tmp_path)
        with open_team(replace(config, run=replace(config.run, num_threads=3))) as team:
            assert (torch.get_num_threads(), team.size, team.is_leader) == (3, 1, True)
    finally:
        torch.set_num_threads(before)


def test_recipes_for_one_process_refuse_several(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(tmp_path)
    judge = replace(config, recipe=replace(config.recipe, name="judge"), size=None)
    with pytest.raises(ConfigError, match=r"run\.num_workers"):
        run_recipe(replace(judge, run=replace(config.run, num_workers=2)))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"run\.num_workers"):
        run_recipe(judge)


@pytest.mark.parametrize("num_threads", [0, 1, 3])
def test_reading_ahead_keeps_the_order_and_raises_where_it_fails(num_threads: int) -> None:
    def read(step: int) -> int:
        if step == 7:
            raise ValueError("damaged")
        return step * step

    assert list(read_ahead(read, range(2, 6), num_threads=num_threads)) == [4, 9, 16, 25]
    seen = []
    with pytest.raises(ValueError, match="damaged"):
        for value in read_ahead(read, range(5, 9), num_threads=num_threads):
            seen.append(value)
    assert seen == [25, 36]


def test_reading_ahead_stops_when_nobody_listens() -> None:
    started = []
    batches = read_ahead(lambda step: started.append(step), range(1000), num_threads=2)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert len(started) < 10
