"""Layouts in numbers."""

from pathlib import Path

import numpy as np
import pytest

from scenegen.layout.sources import read_layout
from scenegen.layout.summary import summarise_layout
from tests.conftest import need_recorded


def test_summary_has_the_contract_keys_and_counts_steps() -> None:
    layout = read_layout("crossing_pedestrian")
    summary = summarise_layout(layout)
    assert set(summary) == {
        "layout_id", "source", "duration_s", "rate_hz", "num_steps", "num_agents", "agents", "num_boxes", "speed_mps",
        "ego", "map",
    }  # fmt: skip
    assert set(summary["map"]) == {"lanes", "lane_lines", "crossings", "drivable_areas", "roads", "length_m"}
    assert summary["num_boxes"] == sum(int(agent.valid.sum()) for agent in layout.agents)
    assert (summary["duration_s"], summary["num_steps"]) == (30.0, 360)
    assert summary["map"]["crossings"] == 2 and summary["map"]["roads"] == 1
    assert summary["ego"]["distance_m"] == pytest.approx(
        np.linalg.norm(np.diff(layout.ego.position_world_m, axis=0), axis=1).sum(), abs=1e-3
    )


def test_argoverse_log_has_the_speeds_of_its_readme(shared_data: Path) -> None:
    log = need_recorded(shared_data / "argoverse2" / "adcf7d18-0510-35b0-a2fa-b4cea13a6d76")
    summary = summarise_layout(read_layout(f"av2:{log}"))
    assert summary["num_boxes"] == 12_078 and summary["num_agents"] == 146
    assert summary["speed_mps"]["pedestrian"]["mean"] == pytest.approx(0.80, abs=0.006)
    assert summary["speed_mps"]["pedestrian"]["p95"] == pytest.approx(1.70, abs=0.01)
    assert summary["ego"]["distance_m"] == pytest.approx(38.2, abs=0.05)
