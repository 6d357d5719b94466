"""Random scenes: the same for ever, valid, lively, varied."""

import numpy as np
import pytest

from scenegen.layout.overlap import find_overlaps
from scenegen.layout.procedural import build_procedural_layout
from scenegen.layout.road_style import ROAD_KINDS
from scenegen.layout.sources import expand_references, read_layout
from scenegen.layout.validate import validate_layout
from scenegen.types.layout import STYLES
from scenegen.types.layout_json import layout_from_dict, layout_sha256, layout_to_dict
from scenegen.types.taxonomy import AgentCategory


def test_same_seed_same_layout_other_seed_other_layout() -> None:
    assert layout_sha256(build_procedural_layout(5)) == layout_sha256(build_procedural_layout(5))
    assert layout_sha256(build_procedural_layout(5)) != layout_sha256(build_procedural_layout(6))


@pytest.mark.parametrize("kind", sorted(ROAD_KINDS))
def test_every_kind_of_road_is_valid_and_free_of_overlaps(kind: str) -> None:
    for seed in (101,):
        layout = build_procedural_layout(seed, road_kind=kind)
        validate_layout(layout)
        assert layout.timeline.num_steps == 360
        assert find_overlaps(layout) == []


def test_people_are_usually_near_and_scenes_differ() -> None:
    layouts = [build_procedural_layout(seed) for seed in range(200, 206)]
    shares = []
    for layout in layouts:
        ego_m = layout.ego.position_world_m[:, :2]
        near = np.zeros(layout.timeline.num_steps, bool)
        for agent in layout.agents:
            if agent.category is AgentCategory.PEDESTRIAN:
                near |= agent.valid & (np.linalg.norm(agent.center_world_m[:, :2] - ego_m, axis=1) < 20.0)
        shares.append(near.mean())
    assert np.mean(shares) > 0.85
    assert len({(layout.environment.weather, layout.environment.time_of_day) for layout in layouts}) >= 3
    assert len({layout.environment.prompt.split(" by ")[0] for layout in layouts}) >= 3


def test_other_rate_and_length_are_obeyed() -> None:
    layout = build_procedural_layout(3, duration_s=5.0, rate_hz=10.0)
    assert (layout.timeline.num_steps, layout.timeline.rate_hz) == (50, 10.0)


@pytest.mark.parametrize("style", STYLES)
def test_a_style_has_its_own_roads(style: str) -> None:
    layout = build_procedural_layout(2, duration_s=8.0, style=style)
    validate_layout(layout)
    assert find_overlaps(layout) == []
    assert layout.environment.style == style
    assert layout.layout_id == f"procedural_{style}_2"
    assert any(area.kind == "sidewalk" for area in layout.road_map.areas) == (style not in ("rural", "highway"))
    assert layout_from_dict(layout_to_dict(layout)).environment == layout.environment


def test_a_layout_without_a_style_says_nothing_of_styles() -> None:
    assert "style" not in layout_to_dict(build_procedural_layout(3, duration_s=2.0))["environment"]


def test_styles_are_named_before_seeds() -> None:
    assert expand_references(["procedural:rural/3-4"]) == ["procedural:rural/3", "procedural:rural/4"]
    assert read_layout("procedural:rural/3").layout_id == "procedural_rural_3"
