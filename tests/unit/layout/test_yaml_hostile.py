"""YAML that means harm, or means nothing: a typed error in under two seconds, exit code 2, nothing written."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scenegen.cli import main

ROAD = "roads: [{id: main, template: straight, length_m: 300}]\n"
EGO = "ego: {route: [main.f1], drive: {start_m: 20, speed_mps: 8}}\n"
HEAD = "version: 1\nid: hostile\nduration_s: 2\n"
WHOLE = HEAD + ROAD + EGO


def bomb(levels: int, *, width: int = 10) -> str:
    """Return anchors of which each repeats the one before `width` times."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def agent(body: str) -> str:
    return f"{WHOLE}agents: [{{id: a, category: car, {body}}}]\n"


def track(**numbers: str) -> str:
    columns = {"x_m": "1", "y_m": "1", "z_m": "1", "heading_rad": "0", "vx_mps": "0", "vy_mps": "0", **numbers}
    said = ", ".join(f"{name}: {value}" for name, value in columns.items())
    return agent(f"track: [{{first_step: 0, num_steps: 2, {said}}}]")


RING = "[" + ", ".join(["&p [1, 2]", *["*p"] * 999]) + "]"
HOSTILE = {
    "alias bomb at an unknown key": WHOLE + bomb(9),
    "alias bomb in a text": f"{HEAD}environment: {{prompt: *a8}}\n{ROAD}{EGO}".replace("version", bomb(9) + "version"),
    "alias bomb of valid areas": (
        f"{WHOLE}areas:\n  - {{kind: grass, polygon: [[0, 0], [1, 0], [1, 1]], holes: [&r {RING}"
        + ", *r" * 2000
        + "]}\n"
    ),
    "alias within itself": f"{WHOLE}agents: &a [*a]\n",
    "merge keys without end": f"{WHOLE}x: &x {{<<: *x}}\n",
    "brackets without end": "[" * 100_000,
    "dashes without end": "- " * 50_000 + "x",
    "mappings without end": "".join(f"{' ' * n}a:\n" for n in range(2000)),
    "a python object": f"{WHOLE}x: !!python/object/apply:os.system [echo]\n",
    "two documents": f"{WHOLE}---\n{WHOLE}",
    "a key twice": WHOLE + EGO,
    "NaN place": track(x_m=".nan"),
    "NaN in a column": track(x_m="[1, .nan]"),
    "infinite velocity": track(vx_mps=".inf"),
    "huge number": track(x_m="1e308"),
    "overflowing number": track(y_m="1e999"),
    "span beyond the end": agent(
        "track: [{first_step: 23, num_steps: 2, x_m: 1, y_m: 1, z_m: 1, heading_rad: 0, vx_mps: 0, vy_mps: 0}]"
    ),
    "span of a billion steps": agent(
        "track: [{first_step: 0, num_steps: 1000000000, x_m: 1, y_m: 1, z_m: 1, heading_rad: 0, vx_mps: 0, vy_mps: 0}]"
    ),
    "span that begins at 1e30": agent(
        "track: [{first_step: 1000000000000000000000000000000, num_steps: 2, x_m: 1, y_m: 1, z_m: 1, heading_rad: 0, "
        "vx_mps: 0, vy_mps: 0}]"
    ),
    "huge agent": agent("size_lwh_m: [1e9, 2, 2], pose: {x_m: 1, y_m: 1}"),
    "pose at the end of numbers": agent("pose: {x_m: 1e308, y_m: 1e308}"),
    "agent row without end": f"{WHOLE}agent_rows: [{{id: r, road: main, side: left, from_m: 0, to_m: 1e12}}]\n",
    "prop row without end": (
        f"{WHOLE}props: [{{kind: tree, row: {{road: main, from_m: 0, to_m: 1e12, every_m: 0.2, left_m: 9}}}}]\n"
    ),
    "road without end": f"{HEAD}roads: [{{id: main, centerline: [[0, 0], [1e12, 0]]}}]\n{EGO}",
    "sidewalk without end": f"{WHOLE}sidewalks: [{{centerline: [[0, 0], [1e300, 1e300]]}}]\n",
    "road wider than a town": f"{HEAD}roads: [{{id: main, template: straight, sidewalk_m: 1e9}}]\n{EGO}",
    "crossing at infinity": f"{WHOLE}crosswalks: [{{road: main, at_m: 1e300}}]\n",
    "area of the whole earth": f"{WHOLE}areas: [{{kind: grass, box: {{center: [0, 0], size: [1e9, 1e9]}}}}]\n",
    "half a million parked cars": (
        f"{WHOLE}agent_rows: [{{id: r, road: main, left_m: 9, from_m: 0, to_m: 99999, every_m: 0.2}}]\n"
    ),
    "more boxes than memory": (
        WHOLE.replace("duration_s: 2", "duration_s: 3600\nrate_hz: 200")
        + "agents:\n"
        + "".join(f"  - {{id: a{n}, category: car, pose: {{x_m: {n}, y_m: 9}}}}\n" for n in range(100))
    ),
    "faster than light": f"{HEAD}{ROAD}ego: {{route: [main.f1], drive: {{speed_mps: 3e8}}}}\n",
    "drive from infinity": f"{HEAD}{ROAD}ego: {{route: [main.f1], drive: {{start_m: 1e300, speed_mps: 8}}}}\n",
    "waypoints at the end of time": (
        f"{HEAD}{ROAD}ego: {{waypoints: [{{t_s: 0, x_m: 0, y_m: 0}}, {{t_s: 1e300, x_m: 9, y_m: 0}}]}}\n"
        "agents: [{id: a, category: car, waypoints: [{t_s: 1e300, x_m: 1e300, y_m: 0}]}]\n"
    ),
    "a scene of years": WHOLE.replace("duration_s: 2", "duration_s: 1e9"),
    "lane of one point": f"{WHOLE}lanes: [{{id: l, centerline: [[1, 1]]}}]\n",
    "lane of one place": f"{WHOLE}lanes: [{{id: l, centerline: [[1, 1], [1, 1]]}}]\nagents: [{{id: a, category: car, "
    "follow: {lane: l, speed_mps: 3}}]\n",
    "edits that are none": f"{WHOLE}edits: {{a: 1}}\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_is_refused_soon(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(HOSTILE[name], encoding="utf-8")
    begin_s = time.process_time()
    code = main(["layout", "import", str(path), "-o", str(tmp_path / "out" / "copy.yaml")])
    printed = capsys.readouterr()
    assert code == 2, printed.out
    assert printed.err.startswith("scenegen: ") and printed.err.count("\n") == 1 and len(printed.err) < 2000
    assert "hostile" in printed.err and "expected" in printed.err
    assert time.process_time() - begin_s < 2.0
    assert [item.name for item in tmp_path.iterdir()] == ["hostile.yaml"]


def test_bombs_and_endless_rows_take_no_memory(tmp_path: Path) -> None:
    """In one process whose address space is bounded: a bomb that went off would end it."""
    names = [name for name in HOSTILE if "bomb" in name or "without end" in name or "billion" in name]
    for name in names:
        (tmp_path / f"{name.replace(' ', '_')}.yaml").write_text(HOSTILE[name], encoding="utf-8")
    code = (
        "import sys; from scenegen.cli import main; "
        "sys.exit(sum(main(['layout', 'validate', p]) != 2 for p in sys.argv[1:]))"
    )
    limit = 2 * 2**30
    finished = subprocess.run(
        [sys.executable, "-c", code, *map(str, sorted(tmp_path.glob("*.yaml")))],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert finished.returncode == 0, finished.stderr


def test_anchors_that_save_a_few_lines_are_welcome(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text(
        f"{WHOLE}agents:\n"
        "  - {id: a, category: car, size_lwh_m: &size [4.4, 1.8, 1.5], parked: {road: main, side: right, at_m: 90}}\n"
        "  - {id: b, category: car, size_lwh_m: *size, parked: {road: main, side: right, at_m: 98}}\n"
    )
    assert main(["layout", "validate", str(path)]) == 0
