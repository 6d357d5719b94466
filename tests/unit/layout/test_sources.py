"""References to layouts."""

from pathlib import Path

import pytest

from scenegen.errors import LayoutError
from scenegen.layout.sources import expand_references, library_names, read_layout


def test_ranges_and_globs_expand_in_order(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml"):
        (tmp_path / name).write_text("")
    assert expand_references(["procedural:8-10", "cut_in", f"{tmp_path}/*.yaml", "library:cut*"]) == [
        "procedural:8", "procedural:9", "procedural:10", "library:cut_in", f"file:{tmp_path}/a.yaml",
        f"file:{tmp_path}/b.yaml", "library:cut_in",
    ]  # fmt: skip


def test_whole_library_expands() -> None:
    assert expand_references(["library:*"]) == [f"library:{name}" for name in library_names()]


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("crossing_pedestrain", "crossing_pedestrian"),
        ("procedurel:3", "procedural"),
        ("nowhere/at_all.yaml", "nowhere"),
        ("procedural:a", "range"),
        ("procedural:9-3", "range"),
        ("library:zzz*", "library has"),
        ("nothing_here_*.yaml", "matching"),
        ("av2:nowhere", "existing path"),
        ("scenarionet:nowhere.pkl", "existing path"),
        ("av2:", "location"),
        ("", "reference"),
    ],
)
def test_bad_reference_says_what_exists(reference: str, hint: str) -> None:
    with pytest.raises(LayoutError, match=hint):
        read_layout(expand_references([reference])[0])


def test_misspelt_file_is_told_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "scene.yaml").write_text("")
    with pytest.raises(LayoutError, match=r"Did you mean 'scene\.yaml'"):
        read_layout(f"{tmp_path}/scnee.yaml")
