"""Pictures of layouts: both pens draw the same, and what a stranger needs is in them."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from scenegen.cli import main
from scenegen.errors import LayoutError
from scenegen.layout.picture import draw_layout, layout_to_svg, write_gif
from scenegen.layout.sources import read_layout
from scenegen.types.layout import Layout

EGO = "#28c85a"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def town() -> Layout:
    return read_layout("crossing_pedestrian")


def test_svg_says_ids_speeds_scale_and_time(town: Layout) -> None:
    root = ElementTree.fromstring(layout_to_svg(town, step=96, around_m=40.0))
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert {"EGO", "crossing_woman", "crossing_pedestrian (library)", "ego and its way"} <= set(words)
    assert any(word and word.endswith(" m") for word in words)
    assert any("8.00 s of 30.00 s" in (word or "") for word in words)
    hints = [element.text or "" for element in root.iter(f"{SVG}title")]
    woman = next(hint for hint in hints if hint.startswith("crossing_woman"))
    agent = next(agent for agent in town.agents if agent.agent_id == "crossing_woman")
    speed_mps = np.linalg.norm(agent.velocity_world_mps[96])
    assert woman == (
        f"crossing_woman: pedestrian, {speed_mps:.1f} m/s at "
        f"{agent.center_world_m[96, 0]:.1f}, {agent.center_world_m[96, 1]:.1f}"
    )


def test_both_pens_put_the_ego_at_the_same_place(town: Layout) -> None:
    picture = draw_layout(town, step=60, around_m=30.0, width_px=600)
    root = ElementTree.fromstring(layout_to_svg(town, step=60, around_m=30.0, width_px=600))
    box = next(e for e in root.iter(f"{SVG}path") if e.get("fill") == EGO and e.find(f"{SVG}title") is not None)
    corners = [pair.split(",") for pair in box.attrib["d"].strip("MZ").split("L")]
    x, y = np.array(corners, float).mean(axis=0)
    assert tuple(picture[round(y) + 4, round(x)]) == (40, 200, 90)
    assert abs(x - (300 + 1.4 * 10.0)) < 0.1


def test_long_streets_are_wide_pictures_and_views_around_the_ego_are_not(town: Layout) -> None:
    assert draw_layout(town, width_px=700).shape[0] < 500
    assert draw_layout(town, width_px=700, around_m=20.0).shape[0] == 490 + 34 + 58


def test_film_moves_and_lasts_as_long_as_the_scene(tmp_path: Path) -> None:
    from scenegen.layout.extend import extend_layout

    layout = extend_layout(read_layout("crossing_pedestrian"), duration_s=2.0, rate_hz=12.0)
    count = write_gif(layout, tmp_path / "town.gif", around_m=25.0, width_px=200)
    with Image.open(tmp_path / "town.gif") as film:
        assert film.n_frames == count == 12
        durations, pictures = [], []
        for k in range(count):
            film.seek(k)
            durations.append(film.info["duration"])
            pictures.append(np.asarray(film.convert("RGB")))
    assert abs(sum(durations) - 2000) <= 120
    assert (pictures[0] != pictures[-1]).any(axis=-1).mean() > 0.01
    for rgb in ((40, 200, 90), (70, 140, 230), (236, 64, 72)):  # ego, car, pedestrian
        assert (pictures[0] == rgb).all(axis=-1).sum() > 10


def test_what_cannot_be_drawn_is_refused_and_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LayoutError, match="a step from 0"):
        draw_layout(read_layout("cut_in"), step=360)
    for options in (("--at", "31"), ("--step", "-1"), ("--around", "0"), ("--around", "nan")):
        for kind in ("--png", "--svg"):
            assert main(["layout", "show", "cut_in", kind, str(tmp_path / "picture"), *options]) == 2
    assert main(["layout", "show", "cut_in", "--gif", str(tmp_path / "nowhere" / "a.gif")]) == 2
    assert not any(tmp_path.iterdir())
