"""Writing a layout as YAML and reading it back."""

from pathlib import Path

import numpy as np
import pytest

from scenegen.errors import OutputError
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import read_layout
from scenegen.layout.summary import summarise_layout
from scenegen.layout.write_yaml import write_yaml_layout


@pytest.mark.parametrize("reference", ["roundabout", "procedural:4"])
def test_written_layout_reads_back_exactly(reference: str, tmp_path: Path) -> None:
    layout = extend_layout(read_layout(reference), duration_s=3.0, rate_hz=12.0)
    path = tmp_path / "new" / "scene.yaml"
    write_yaml_layout(layout, path)
    again = read_layout(str(path))
    present = [agent for agent in layout.agents if agent.valid.any()]
    assert [agent.agent_id for agent in again.agents] == [agent.agent_id for agent in present]
    for before, after in zip(present, again.agents, strict=True):
        seen = before.valid
        assert np.array_equal(seen, after.valid)
        assert np.array_equal(before.center_world_m[seen], after.center_world_m[seen])
        assert np.array_equal(before.heading_rad[seen], after.heading_rad[seen])
        assert np.array_equal(before.velocity_world_mps[seen], after.velocity_world_mps[seen])
        assert (before.category, before.attribute, before.color_rgb) == (
            after.category,
            after.attribute,
            after.color_rgb,
        )
    assert np.array_equal(layout.ego.world_from_ego, again.ego.world_from_ego)
    before_summary, after_summary = summarise_layout(layout), summarise_layout(again)
    assert before_summary["map"] == after_summary["map"]
    assert before_summary["num_boxes"] == after_summary["num_boxes"]
    assert layout.environment == again.environment


def test_unwritable_place_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_yaml_layout(read_layout("cut_in"), tmp_path / "file" / "scene.yaml")
