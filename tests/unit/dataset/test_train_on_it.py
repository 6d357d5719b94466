"""Runs the python of docs/train-on-it.md on a tiny data set, with stand-ins for what other code bases bring along."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tests.unit.dataset.turning_scene import write_turning_dataset  # noqa: E402

PAGE = Path(__file__).parents[3] / "docs" / "train-on-it.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
IMPORTS, LOOPS, REST = BLOCKS[0], BLOCKS[1:6], BLOCKS[6:]


class StandInBoxes:
    """Takes what mmdet3d's `LiDARInstance3DBoxes` takes, and checks it."""

    def __init__(self, tensor: Any, box_dim: int) -> None:
        assert tensor.dtype == torch.float32
        assert tensor.shape[1] == box_dim == 9


class StandInModel(torch.nn.Module):
    """Takes a batch as the models of mmdet3d take it, and learns one number from its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.calls: list[set[str]] = []

    def forward(self, **batch: Any) -> dict[str, Any]:
        self.calls.append(set(batch))
        pictures = batch["img"] if "img" in batch else batch["img_inputs"][0]
        assert pictures.dtype == torch.float32
        assert len(batch["img_metas"]) == len(pictures)
        if "voxel_semantics" in batch:
            assert batch["voxel_semantics"].shape[1:] == (200, 200, 16)
        else:
            boxes = batch["gt_bboxes_3d"][0]
            assert isinstance(boxes[0] if isinstance(boxes, list) else boxes, StandInBoxes)
        return {"loss_bbox": (self.scale * pictures.mean()).square(), "num_pos": torch.zeros(())}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `out/demo` in it."""
    folder = tmp_path_factory.mktemp("workplace")
    write_turning_dataset(folder / "out" / "demo")
    return folder


@pytest.fixture
def names(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(workplace)
    known: dict[str, Any] = {"model": StandInModel(), "LiDARInstance3DBoxes": StandInBoxes}
    exec(IMPORTS, known)
    return known


@pytest.mark.parametrize("block", LOOPS, ids=["raw", "bevformer", "streampetr", "bevdet", "flashocc"])
def test_a_training_loop_runs_and_learns(names: dict[str, Any], block: str) -> None:
    assert len(block.strip().splitlines()) <= 10
    shrunk = re.sub(r"image_size=\(\d+, \d+\)", "image_size=(24, 40)", block)  # the tiny pictures are no larger
    exec(shrunk, names)
    assert torch.isfinite(names["loss"])
    if "model" in block:
        assert names["model"].calls
        assert names["model"].scale.item() != 1.0


def test_choosing_resuming_and_mixing_run(names: dict[str, Any]) -> None:
    assert len(REST) == 3
    for block in REST:
        exec(block, names)
