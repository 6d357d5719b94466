"""Whatever is wrong with a layout, the user reads one sentence with file, line and key, and no traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scenegen.errors import LayoutError
from scenegen.layout.sources import expand_references, read_layout

pytestmark = pytest.mark.battery("F8 bad layouts")

GOOD = """\
version: 1
id: small
duration_s: 4
environment: {weather: clear, time_of_day: day}
roads:
  - {id: main, template: straight, position: [0, 0], length_m: 200}
areas:
  - kind: building
    polygon: [[40, 12], [60, 12], [60, 30], [40, 30]]
    height_m: 9
agents:
  - id: walker
    category: pedestrian
    waypoints:
      - {t_s: 0, x_m: 30, y_m: 5}
      - {t_s: 4, x_m: 35, y_m: 5}
  - id: parked
    category: car
    pose: {x_m: 70, y_m: -1.8}
ego:
  waypoints:
    - {t_s: 0, x_m: 5, y_m: -1.8}
    - {t_s: 4, x_m: 25, y_m: -1.8}
"""

BAD_EDITS = {
    # what: (text, its replacement, start of the line that is blamed, words of the message)
    "malformed YAML": ("duration_s: 4", "duration_s: [4", "environment", ("YAML",)),
    "tab as indentation": ("  - id: parked", "\t- id: parked", "\t- id: parked", ("YAML",)),
    "key said twice": ("duration_s: 4", "id: again", "id: again", ("id", "once")),
    "unknown key at the top": ("duration_s: 4", "lenght_s: 4", "lenght_s", ("lenght_s", "known key")),
    "unknown key of an agent": (
        "category: car", "category: car\n    size_lhw_m: [4, 2, 2]", "    size_lhw_m", ("size_lhw_m", "size_lwh_m"),
    ),
    "mistyped required key": ("    category: car", "    categorie: car", "  - id: parked", ("agents[1]", "category")),
    "missing key": ("    category: car\n", "", "  - id: parked", ("agents[1]", "category")),
    "missing ego": ("ego:", "agent_rows: []\nnot_ego:", "version", ("ego",)),
    "unknown category": ("category: car", "category: cra", "    category: cra", ("agents[1].category", "'cra'", "car")),
    "unknown weather": ("weather: clear", "weather: hail", "environment", ("environment.weather", "'hail'", "rain")),
    "text for a number": ("duration_s: 4", "duration_s: long", "duration_s", ("duration_s", "'long'")),
    "negative duration": ("duration_s: 4", "duration_s: -4", "duration_s", ("duration_s", "-4")),
    "NaN position": ("x_m: 70", "x_m: .nan", "    pose", ("agents[1].pose.x_m", "nan")),
    "infinite ego": ("x_m: 25", "x_m: .inf", "    - {t_s: 4, x_m: .inf", ("ego.waypoints[1].x_m", "inf")),
    "NaN in a polygon": ("[60, 30]", "[60, .nan]", "    polygon", ("areas[0].polygon", "nan")),
    "polygon of two corners": (
        "[[40, 12], [60, 12], [60, 30], [40, 30]]", "[[40, 12], [60, 12]]", "    polygon", ("areas[0].polygon", "3"),
    ),
    "size of nothing": (
        "category: car", "size_lwh_m: [4, 0, 2]\n    category: car", "    size_lwh_m", ("agents[1].size_lwh_m[1]", "0"),
    ),
    "duplicate agent id": ("id: parked", "id: walker", "  - id: walker", ("agents[1].id", "'walker'")),
    "agent inside a building": ("x_m: 70, y_m: -1.8", "x_m: 50, y_m: 20", "  - id: parked", ("agents[1]", "building")),
    "impossible speed": ("x_m: 35, y_m: 5", "x_m: 135, y_m: 5", "  - id: walker", ("agents[0]", "m/s", "pedestrian")),
    "impossible ego speed": ("x_m: 25, y_m: -1.8", "x_m: 999, y_m: -1.8", "ego:", ("ego", "m/s")),
    "ego off the road": ("y_m: -1.8}\n    - {t_s: 4, x_m: 25, y_m: -1.8", "y_m: 40}\n    - {t_s: 4, x_m: 25, y_m: 40",
                         "ego:", ("ego", "drivable")),
    "two motions for an agent": (
        "    pose:", "    parked: {road: main, side: left, at_m: 70}\n    pose:", "  - id: parked", ("one of",),
    ),
    "lane that does not exist": (
        "pose: {x_m: 70, y_m: -1.8}", "follow: {lane: main.f9, speed_mps: 5}", "    follow", ("agents[1]", "main.f9"),
    ),
    "unknown road template": ("template: straight", "template: loop", "  - {id: main", ("roads[0]", "roundabout")),
    "other format version": ("version: 1", "version: 2", "version", ("version", "1")),
    "id that is a path": ("id: small", "id: ../small", "id:", ("id", "../small")),
    "time that runs backwards": ("t_s: 4, x_m: 35", "t_s: 0, x_m: 35", "  - id: walker", ("agents[0]",)),
    "code instead of data": (
        "duration_s: 4", 'duration_s: !!python/object/apply:os.system ["true"]', "duration_s", ("python/object",),
    ),
}  # fmt: skip


START = "import sys; from scenegen.cli import main; sys.exit(main())"


def write(folder: Path, text: str) -> Path:
    path = folder / "my_layout.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_layout_before_the_edits_is_good(tmp_path: Path) -> None:
    layout = read_layout(str(write(tmp_path, GOOD)))
    assert [agent.agent_id for agent in layout.agents] == ["walker", "parked"]


@pytest.mark.parametrize("what", BAD_EDITS)
def test_bad_layout_is_named_with_file_line_and_key(tmp_path: Path, what: str) -> None:
    old, new, blamed, words = BAD_EDITS[what]
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    path = write(tmp_path, text)
    with pytest.raises(LayoutError) as caught:
        read_layout(str(path))
    message = str(caught.value)
    lines = [number for number, line in enumerate(text.splitlines(), start=1) if line.startswith(blamed)]
    match = re.match(re.escape(str(path)) + r":(\d+)", message)
    assert match, message
    last_of_agent = max(lines) + 6 if blamed.startswith("  - id") or blamed == "ego:" else max(lines)
    assert min(lines) <= int(match[1]) <= last_of_agent, f"line {match[1]}, expected {lines}: {message}"
    for word in words:
        assert word in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("nowhere.yaml", ("nowhere.yaml",)),
        ("crossing_pedestrain", ("crossing_pedestrain", "did you mean", "crossing_pedestrian")),
        ("library:", ("location",)),
        ("openscenario2:x", ("openscenario2", "library")),
        ("procedural:many", ("many", "7")),
        ("av2:nowhere", ("nowhere",)),
        ("scenarionet:nowhere.pkl", ("nowhere.pkl",)),
        ("", ("layout reference",)),
    ],
)
def test_a_reference_to_nothing_is_named(reference: str, words: tuple[str, ...]) -> None:
    with pytest.raises(LayoutError) as caught:
        read_layout(reference)
    for word in words:
        assert word in str(caught.value).lower()


@pytest.mark.parametrize("reference", ["nowhere/*.yaml", "procedural:9-3", "procedural:1-99999999", "nonsense:*"])
def test_a_pattern_that_expands_to_nothing_is_named(reference: str) -> None:
    with pytest.raises(LayoutError, match=re.escape(reference)):
        expand_references([reference])


@pytest.mark.parametrize(
    "content", [b"", b"# only a comment\n", b"just text", b"- a\n- list\n", b"\xff\xfe\x00bad", b"a: &x [*x]"]
)
def test_a_file_that_is_no_layout_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    with pytest.raises(LayoutError, match=r"odd\.yaml"):
        read_layout(str(path))


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(LayoutError, match=r"folder\.yaml"):
        read_layout(str(tmp_path / "folder.yaml"))


def test_a_file_for_a_log_folder_and_the_other_way_round_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    with pytest.raises(LayoutError, match=r"my_layout\.yaml"):
        read_layout(f"av2:{path}")
    with pytest.raises(LayoutError, match=re.escape(str(tmp_path))):
        read_layout(f"scenarionet:{tmp_path}")


def run_validate(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START, "layout", "validate", str(path)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        check=False,
    )


def test_the_command_line_prints_one_line_and_exits_with_2(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("category: car", "category: cra"))
    done = run_validate(path)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert len([line for line in done.stderr.splitlines() if "my_layout.yaml:" in line]) == 1
    assert run_validate(write(tmp_path, GOOD)).returncode == 0
