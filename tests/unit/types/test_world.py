"""Shapes join and split without loss; a world fits its grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenegen.errors import WorldError
from scenegen.types import AppearanceTable, GridSpec, Lighting, ShapeSet, StaticTable, World


def shapes(count: int, first: int) -> ShapeSet:
    pose = np.tile(np.eye(4), (count, 1, 1))
    return ShapeSet(
        kind=np.zeros(count, np.uint8),
        world_from_shape=pose,
        half_extent_m=np.ones((count, 3)),
        taper=np.zeros((count, 2)),
        instance=np.arange(first, first + count).astype(np.uint16),
        semantic=np.full(count, 4, np.uint8),
        material=np.full(count, 16, np.uint8),
        box_from_world=pose,
    )


@given(st.lists(st.integers(0, 4), max_size=5))
def test_joined_shapes_keep_number_order_and_types(counts: list[int]) -> None:
    starts = np.cumsum([0, *counts])
    joined = ShapeSet.concatenate([shapes(count, int(start)) for count, start in zip(counts, starts, strict=False)])
    assert len(joined) == sum(counts)
    assert joined.instance.tolist() == list(range(sum(counts)))
    assert joined.instance.dtype == np.uint16
    assert joined.kind.dtype == np.uint8


def world(**changes: Any) -> World:
    table = AppearanceTable(
        primary_rgb=np.zeros((1, 3), np.float32),
        secondary_rgb=np.zeros((1, 3), np.float32),
        pattern=np.zeros((1, 4), np.float32),
    )
    given_: dict[str, Any] = {
        "grid": GridSpec(origin_m=(0.0, 0.0, 0.0), voxel_m=0.4, shape=(3, 2, 4)),
        "semantics": np.full((3, 2, 4), 17, np.uint8),
        "column_instance": np.zeros((3, 2), np.uint16),
        "ground_origin_m": (0.0, 0.0),
        "ground_cell_m": 0.1,
        "ground": np.zeros((12, 8), np.uint8),
        "kerb_height_m": 0.15,
        "shapes": ShapeSet.empty(),
        "statics": StaticTable(
            material=np.zeros(1, np.uint8),
            world_from_thing=np.eye(4)[None],
            size_lwh_m=np.zeros((1, 3)),
            appearance=table,
        ),
    }
    return World(**given_ | changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"semantics": np.zeros((3, 2, 5), np.uint8)}, "voxels of shape"),
        ({"column_instance": np.zeros((2, 3), np.uint16)}, "column_instance"),
        ({"kerb_height_m": -0.1}, "kerb_height_m"),
        (
            {
                "grid": GridSpec(origin_m=(0.0, 0.0, 0.0), voxel_m=0.4, shape=(3, 2, 65)),
                "semantics": np.zeros((3, 2, 65), np.uint8),
            },
            "at most 64 levels",
        ),
    ],
)
def test_a_world_that_does_not_fit_its_grid_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(WorldError, match=words):
        world(**changes)


def test_a_fitting_world_is_accepted() -> None:
    assert world().grid.shape == (3, 2, 4)


def test_the_lighting_code_is_its_weights_then_its_variation() -> None:
    lighting = Lighting(
        sun_direction_world=np.array([0.0, 0.0, 1.0]),
        sun=0.1, overcast=0.2, fog=0.3, rain=0.4, night=0.5, warmth=0.6, variation=(0.7, 0.8, 0.9, 1.0),
    )  # fmt: skip
    np.testing.assert_allclose(lighting.code(), np.arange(1, 11) / 10, rtol=1e-6)
    assert lighting.code().dtype == np.float32
