"""Figures hold on the right side of their bound, and works take turns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.figure import figure_of, print_figures, ratios_of, take_turns


def test_a_bound_has_a_side() -> None:
    assert figure_of([1.3, 1.2, 1.5], most=1.4).holds
    assert not figure_of([1.5], most=1.4).holds
    assert figure_of([0.9], least=0.8).holds
    assert not figure_of([0.7], least=0.8).holds
    assert figure_of([9.0]).holds and figure_of([9.0]).floor is None


def test_works_take_turns_and_the_warm_up_does_not_count() -> None:
    done: list[str] = []
    seconds = take_turns({"a": lambda: done.append("a"), "b": lambda: done.append("b")}, rounds=2)
    assert done == ["b", "a", "a", "b", "b", "a"]
    assert {name: len(costs) for name, costs in seconds.items()} == {"a": 2, "b": 2}
    assert ratios_of({"a": [2.0, 9.0], "b": [1.0, 3.0]}, "a", "b") == [2.0, 3.0]


def test_a_missed_bound_is_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"fast": figure_of([2.0], least=1.0), "slow": figure_of([2.0], most=1.0)}
    assert print_figures({"fast": figures["fast"]}, None) == 0
    assert print_figures(figures, str(tmp_path / "f.json")) == 1
    assert "FAILS" in capsys.readouterr().out
    assert json.loads((tmp_path / "f.json").read_text())["slow"]["floor"] == 1.0
    assert print_figures(figures, "-") == 1
    assert set(json.loads(capsys.readouterr().out)) == {"fast", "slow"}
