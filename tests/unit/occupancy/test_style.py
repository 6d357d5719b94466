"""Styles of places: each looks like itself, and no style is what there was before styles."""

from dataclasses import replace

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.layout.procedural import build_procedural_layout
from scenegen.layout.sources import read_layout
from scenegen.occupancy.build import build_world
from scenegen.occupancy.style import PLACE_STYLES
from scenegen.occupancy.voxels import SolidClass, WorldVoxels, voxelise_world
from scenegen.types import Environment, Layout
from scenegen.types.layout import STYLES


def in_style(layout: Layout, style: str | None) -> Layout:
    return replace(layout, environment=replace(layout.environment, style=style))


@pytest.fixture(scope="module")
def places() -> dict[str, WorldVoxels]:
    layout = build_procedural_layout(4, duration_s=4.0, road_kind="straight")
    return {style: voxelise_world(build_world(in_style(layout, style), seed=0)) for style in STYLES}


def share_of(voxels: WorldVoxels, solid: int) -> float:
    return float((voxels.solid == solid).any(axis=2).mean())


def mean_height(voxels: WorldVoxels) -> float:
    is_built = voxels.solid == SolidClass.MANMADE
    return float(is_built.sum(axis=2)[is_built.any(axis=2)].mean() * voxels.voxel_m)


def test_every_style_that_a_layout_can_name_has_its_rules() -> None:
    assert tuple(PLACE_STYLES) == STYLES


def test_cities_are_built_high_and_the_country_hardly_at_all(places: dict[str, WorldVoxels]) -> None:
    built = {style: share_of(voxels, SolidClass.MANMADE) for style, voxels in places.items()}
    assert built["rural"] < 0.5 * built["suburb"]
    assert built["highway"] < 0.5 * built["suburb"]
    assert built["suburb"] < built["dense_city"]
    assert mean_height(places["dense_city"]) > 1.5 * mean_height(places["suburb"])


def test_works_are_paved_and_the_country_is_green(places: dict[str, WorldVoxels]) -> None:
    paved = {style: float(voxels.ground.mean()) for style, voxels in places.items()}
    assert max(paved, key=lambda style: paved[style]) == "industrial"
    green = {style: share_of(voxels, SolidClass.VEGETATION) for style, voxels in places.items()}
    assert green["rural"] > 2 * green["industrial"]


def test_the_same_style_and_seed_give_the_same_place(places: dict[str, WorldVoxels]) -> None:
    layout = in_style(build_procedural_layout(4, duration_s=4.0, road_kind="straight"), "suburb")
    np.testing.assert_array_equal(voxelise_world(build_world(layout, seed=0)).solid, places["suburb"].solid)


def test_a_style_is_refused_by_name() -> None:
    with pytest.raises(LayoutError, match="dense_city"):
        Environment(style="downtown")
    with pytest.raises(LayoutError, match=r"Did you mean 'suburb'"):
        read_layout("procedural:suburbs/3")
