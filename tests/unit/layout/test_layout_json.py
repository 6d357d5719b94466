"""The JSON of a layout is complete and exact."""

import json
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.types.layout import (
    AgentTrack,
    Area,
    EgoTrack,
    Environment,
    Lane,
    LaneLine,
    Layout,
    Prop,
    RoadMap,
)
from scenegen.types.layout_json import layout_from_dict, layout_sha256, layout_to_dict
from scenegen.types.taxonomy import AgentCategory
from scenegen.types.timeline import Timeline


def random_layout(seed: int) -> Layout:
    """Return a layout that uses every field with awkward numbers."""
    rng = np.random.default_rng(seed)
    steps = 7
    agent = AgentTrack(
        agent_id="a",
        category=AgentCategory.PEDESTRIAN,
        size_lwh_m=rng.random(3) + 0.1,
        center_world_m=rng.standard_normal((steps, 3)) * 1e3,
        heading_rad=rng.standard_normal(steps),
        velocity_world_mps=rng.standard_normal((steps, 2)) / 3.0,
        valid=rng.random(steps) > 0.3,
        attribute="pedestrian.moving",
        source_category="PEDESTRIAN",
        color_rgb=(1, 2, 3),
    )
    return Layout(
        layout_id="random",
        source="file",
        licence="CC0-1.0",
        timeline=Timeline(rate_hz=10.0, num_steps=steps),
        road_map=RoadMap(
            lanes=(Lane(lane_id="l", centerline_world_m=rng.random((4, 3)), width_m=np.pi, speed_limit_mps=0.1),),
            lane_lines=(LaneLine(points_world_m=rng.random((2, 3)), kind="dashed", color="yellow"),),
            areas=(Area(kind="grass", polygon_world_m=rng.random((5, 2)), holes_world_m=(rng.random((3, 2)),)),),
            props=(Prop(kind="tree", position_world_m=rng.random(2), height_m=3.3),),
            num_roads=3,
        ),
        agents=(agent,),
        ego=EgoTrack(world_from_ego=rng.random((steps, 4, 4)), velocity_world_mps=rng.random((steps, 2))),
        environment=Environment(weather="rain", time_of_day="night", prompt="wet", reference_image="a.jpg"),
    )


def assert_same(left: Any, right: Any) -> None:
    """Compare two values of the layout's types bit for bit."""
    assert type(left) is type(right)
    if is_dataclass(left):
        for item in fields(left):
            assert_same(getattr(left, item.name), getattr(right, item.name))
    elif isinstance(left, np.ndarray):
        assert left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    elif isinstance(left, tuple):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    else:
        assert left == right


@pytest.mark.parametrize("seed", range(5))
def test_round_trip_through_json_text_is_exact(seed: int) -> None:
    layout = random_layout(seed)
    again = layout_from_dict(json.loads(json.dumps(layout_to_dict(layout), allow_nan=False)))
    assert_same(layout, again)
    assert layout_sha256(layout) == layout_sha256(again)


def test_hash_changes_with_the_smallest_change_of_any_number() -> None:
    layout = random_layout(0)
    data = layout_to_dict(layout)
    data["road_map"]["lanes"][0]["width_m"] = float(np.nextafter(data["road_map"]["lanes"][0]["width_m"], 9.0))
    assert layout_sha256(layout_from_dict(data)) != layout_sha256(layout)


@pytest.mark.parametrize("key", ["ego", "agents", "road_map", "timeline"])
def test_missing_key_is_a_layout_error(key: str) -> None:
    data = layout_to_dict(random_layout(0))
    del data[key]
    with pytest.raises(LayoutError, match="layout JSON"):
        layout_from_dict(data)


def test_other_version_is_refused() -> None:
    with pytest.raises(LayoutError, match="format_version"):
        layout_from_dict({**layout_to_dict(random_layout(0)), "format_version": 99})
