"""CONVENTIONS.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scenegen.types import (
    OCC3D_GRID,
    RAISED_MATERIALS,
    SEMANTIC_OF_CATEGORY,
    SEMANTIC_OF_GROUND,
    STATIC_INSTANCE_OFFSET,
    AgentCategory,
    Material,
    Semantic,
    ShapeKind,
    parse_category,
)

TEXT = (Path(__file__).resolve().parents[3] / "CONVENTIONS.md").read_text(encoding="utf-8")


def test_semantic_classes_are_listed_with_their_numbers() -> None:
    rows = [re.findall(r"[\w]+", line) for line in TEXT.splitlines() if line.startswith("|")]
    numbers = [row for row in rows if row and all(cell.isdigit() for cell in row)]
    names = [rows[rows.index(row) + 2] for row in numbers]
    listed = {
        int(n): name for row, labels in zip(numbers, names, strict=True) for n, name in zip(row, labels, strict=True)
    }
    assert listed == {semantic.value: semantic.name.lower() for semantic in Semantic}


@pytest.mark.parametrize("category", AgentCategory)
def test_every_category_is_named_parsed_and_has_a_class(category: AgentCategory) -> None:
    assert re.search(rf"\b{category.label}\b", TEXT)
    assert parse_category(category.label) is category
    assert category in SEMANTIC_OF_CATEGORY


@pytest.mark.parametrize("name", ["", "CAR ", "lorry", "car\n", "__class__", "label"])
def test_an_unknown_category_is_none(name: str) -> None:
    assert parse_category(name) is None


def test_shape_codes_are_listed() -> None:
    for name in ("box", "ellipsoid", "cylinder", "wedge"):
        assert f"| {name} | {getattr(ShapeKind, name.upper())} |" in TEXT


def test_instance_offset_and_raised_materials_are_named() -> None:
    assert f"0x{STATIC_INSTANCE_OFFSET:x} + s" in TEXT
    assert all(re.search(rf"\b{material.name}\b", TEXT) for material in RAISED_MATERIALS)


def test_ground_materials_have_flat_classes() -> None:
    flat = {Semantic.DRIVEABLE_SURFACE, Semantic.OTHER_FLAT, Semantic.SIDEWALK, Semantic.TERRAIN}
    assert set(SEMANTIC_OF_GROUND.values()) == flat
    assert set(RAISED_MATERIALS) < set(SEMANTIC_OF_GROUND)


def test_the_occ3d_grid_covers_its_range() -> None:
    ends_m = [
        low + OCC3D_GRID.voxel_m * count for low, count in zip(OCC3D_GRID.origin_m, OCC3D_GRID.shape, strict=True)
    ]
    assert OCC3D_GRID.shape == (200, 200, 16)
    assert OCC3D_GRID.origin_m == (-40.0, -40.0, -1.0)
    assert ends_m == pytest.approx([40.0, 40.0, 5.4])


def test_codes_fit_their_arrays() -> None:
    assert max(Material) < 256
    assert max(Semantic) == Semantic.FREE == 17
    assert STATIC_INSTANCE_OFFSET < 2**16
