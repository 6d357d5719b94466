"""Edits that make no sense: one typed message that names the edit, exit code 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenegen.cli import main
from scenegen.errors import LayoutError
from scenegen.layout.edits import apply_edits, insert_agent, move_agent, retime_agent
from scenegen.layout.edits.grammar import LONGEST_TEXT, parse_edit
from scenegen.layout.sources import expand_references, read_layout
from scenegen.types.layout import Layout

TOWN = "crossing_pedestrian"
REFUSED = {
    # who
    "remove(nobody)": "id of an agent",
    "remove(parked_up_*)": "id of an agent",
    "move(cyclst, forward_m=2)": "Did you mean 'cyclist'",
    "view_from(walker_1)": "a vehicle",
    "insert(unicorn, x_m=70, y_m=-9)": "a category",
    "insert(car, x_m=70, y_m=-9, agent=cyclist)": "id that is free",
    "insert(car, x_m=70, y_m=1.75, agent=ego)": "id that is free",
    "category(ahead, to=barrier)": "m/s for a barrier",
    # where
    "insert(car, x_m=150, y_m=60)": "on the road",
    "insert(car, x_m=95, y_m=-1.75)": "runs into",
    "insert(pedestrian, x_m=50, y_m=-1.75)": "runs into the ego",
    "move(window_shopper, x_m=99999)": "of the ego's way",
    "move(oncoming_1, x_m=120, y_m=40)": "on the road",
    "move(cyclist, left_m=3000)": "of the ego's way",
    "move(ahead, forward_m=-46)": "runs into",
    "move(ahead, x_m=3, forward_m=3)": "either",
    "move(ahead)": "either",
    # when
    "retime(ahead, later_s=99)": "later_s from",
    "retime(ahead, speed_factor=0)": "speed_factor from",
    "retime(ahead)": "later_s or speed_factor",
    "retime(crossing_woman, later_s=8)": "runs into",
    "insert(pedestrian, x_m=70, y_m=-9, from_s=31)": "from_s from 0 to 29",
    "insert(pedestrian, x_m=70, y_m=-9, from_s=9, to_s=3)": "to_s after from_s",
    "occlude(crossing_woman, at_s=45)": "at_s from",
    "occlude(crossing_woman, at_s=5, category=bicycle)": "higher than",
    "occlude(crossing_woman, at_s=5)": "in the way",
    "cut_in(at_s=2, gap_m=5)": "at_s minus over_s",
    "cut_in(at_s=9, gap_m=-5)": "gap_m",
    "cut_in(window_shopper, at_s=20, gap_m=5)": "beside the ego's",
    # words
    "environment(snow)": "weather in",
    "environment(rain, prompt='a foggy night')": "a prompt of rain",
    "environment()": "at least one",
    # form
    "": "name of an edit",
    "remove": "key 'agent'",
    "remove()": "key 'agent'",
    "remov(ahead)": "Did you mean 'remove'",
    "remove(ahead": "parentheses",
    "remove(ahead))": "key=value",
    "remove(ahead) remove(cyclist)": "key=value",
    "remove(ahead, ahead)": "key=value",
    "remove(ahead, agent=cyclist)": "agent once",
    "move(ahead, forwrd_m=2)": "Did you mean 'forward_m'",
    "move(ahead, forward_m=2, forward_m=3)": "every key once",
    "move(ahead, forward_m=nan)": "a number",
    "move(ahead, forward_m=inf)": "a number",
    "move(ahead, forward_m=1e300)": "a number",
    "move(ahead, forward_m=two)": "a number",
    "move(ahead, forward_m=__import__)": "a number",
    "mirror(ahead)": "no arguments",
    "environment(prompt='night)": "quoted",
    "__import__('os')": "name of an edit",
    "remove(" + "a" * LONGEST_TEXT + ")": "at most",
}


@pytest.fixture(scope="module")
def town() -> Layout:
    return read_layout(TOWN)


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:40] or "nothing")
def test_refused_with_what_was_expected(town: Layout, text: str) -> None:
    with pytest.raises(LayoutError, match=REFUSED[text]) as caught:
        apply_edits(town, [text])
    assert caught.value.expected and caught.value.where


@pytest.mark.parametrize("text", ["remove(nobody)", "move(ahead, forward_m=nan)", "environment(snow)"])
def test_refused_on_the_command_line_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    files = [tmp_path / "out" / "edited.yaml", tmp_path / "both.png"]
    code = main(["layout", "edit", TOWN, "remove(cyclist)", text, "-o", str(files[0]), "--png", str(files[1])])
    printed = capsys.readouterr()
    assert code == 2
    assert printed.err.startswith("scenegen: ") and printed.err.count("\n") == 1 and text[:6] in printed.err
    assert not any(tmp_path.iterdir())


def test_refused_behind_a_reference_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = f"{TOWN} | remove(cyclist) | remove(cyclist)"
    assert main(["generate", f"layouts=['{reference}']", "video=preview", f"output={tmp_path}/ds"]) == 2
    assert "edit 2, remove(cyclist)" in capsys.readouterr().err
    assert not (tmp_path / "ds").exists()


def test_too_many_edits_are_refused(town: Layout) -> None:
    with pytest.raises(LayoutError, match="at most 200 edits"):
        apply_edits(town, ["mirror"] * 201)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused_by_the_functions_too(town: Layout, number: float) -> None:
    with pytest.raises(LayoutError):
        move_agent(town, "ahead", forward_m=number)
    with pytest.raises(LayoutError):
        move_agent(town, "ahead", x_m=number)
    with pytest.raises(LayoutError):
        retime_agent(town, "ahead", later_s=number)
    with pytest.raises(LayoutError):
        insert_agent(town, "car", x_m=number, y_m=0.0)


def test_text_comes_back_as_it_means() -> None:
    for text in ("remove(a*)", 'environment(prompt="rain, and (dark) night")', "cut_in(at_s=4, gap_m=6.5)", "mirror()"):
        assert parse_edit(text).text == text
        assert parse_edit(parse_edit(text).text) == parse_edit(text)


def test_edits_stay_with_every_layout_of_a_range() -> None:
    assert expand_references(["procedural:7-8 | remove(x) | mirror"]) == [
        "procedural:7 | remove(x) | mirror",
        "procedural:8 | remove(x) | mirror",
    ]
