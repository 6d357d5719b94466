"""The loader's benchmark at a size that says nothing about speed: it runs, and reports every figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from benchmarks import loader


def test_every_figure_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "SIZES_PX", {"": (64, 48), "small_": (32, 24)})
    monkeypatch.setattr(loader, "QUICK_ROUNDS", 2)
    monkeypatch.setattr(loader, "QUICK_SAMPLES", 2)
    monkeypatch.setattr(loader, "QUICK_STEPS", 3)
    loader.main(["--quick", "--json", str(tmp_path / "figures.json")])
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures) == {prefix + name for prefix in ("", "small_") for name in loader.FLOORS}
    for figure in figures.values():
        assert set(figure) == {"ratio", "min", "max", "floor", "holds"}
        assert 0.0 < figure["min"] <= figure["ratio"] <= figure["max"]
