"""The HTML report: what a page holds, that it loads nothing from outside, and that nothing in it can break out."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scenegen.dataset import fold_receipts, open_dataset
from scenegen.dataset.export import export_dataset
from tests.unit.dataset.export.bare_scene import write_bare
from tests.unit.dataset.export.export_scene import export_record, write_labelled

SCENE_ID = "all-00c0ffee"
KEY_STEPS = [0, 6, 12, 18]
av = pytest.importorskip("av", reason="PyAV, which draws missing previews, is not installed: scenegen[generate]")


class Page(HTMLParser):
    """Collects what tests ask about: links, texts of cells, the data of the script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.cells: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "poster")]
        self._inside = tag
        if tag in ("td", "th"):
            self.cells.append("")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("td", "th"):
            self.cells[-1] += data
        if self._inside == "script":
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def exported(exported_as: Callable[[str], Path]) -> Path:
    return exported_as("html")


@pytest.fixture(scope="module")
def page(exported: Path) -> Page:
    return Page((exported / SCENE_ID / "index.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def data(page: Page) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(page.scripts[0])
    return loaded


def test_a_page_loads_nothing_but_its_preview(exported: Path, page: Page) -> None:
    assert sorted(page.links) == ["preview.jpg", "preview.mp4"]
    text = (exported / SCENE_ID / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest", text)
    assert sorted(path.name for path in (exported / SCENE_ID).iterdir()) == ["index.html", "preview.jpg", "preview.mp4"]


def test_key_frames_hold_the_labels_of_the_scene(data: dict[str, Any], labelled_dataset: Path) -> None:
    scene = open_dataset(labelled_dataset)[SCENE_ID]
    assert [moment["step"] for moment in data["moments"]] == KEY_STEPS
    assert [camera["name"] for camera in data["cameras"]] == list(scene.cameras)
    for moment in data["moments"]:
        boxes = scene.boxes(moment["step"])
        assert [box["track"] for box in moment["boxes"]] == boxes.track_id.tolist()
        centers = np.array([box["center"] for box in moment["boxes"]])
        assert np.abs(centers - boxes.center_world_m).max() <= 0.005 + 1e-9
        assert {box["points"] for box in moment["boxes"]} == {8}
        headings = [scene.layout.agents[box["track"]].heading_rad[moment["step"]] for box in moment["boxes"]]
        turn = np.array([box["yaw"] for box in moment["boxes"]]) - headings
        assert np.abs(np.angle(np.exp(1j * turn))).max() < 1e-4
        for camera, rows in zip(scene.cameras, moment["boxes2d"], strict=True):
            seen = scene.boxes2d(moment["step"], camera)
            assert [row[0] for row in rows] == seen.box.tolist()
            assert np.array_equal(np.array([row[1:5] for row in rows]).reshape(-1, 4), seen.xyxy_px)


def test_pictures_are_those_of_the_cameras(data: dict[str, Any], labelled_dataset: Path) -> None:
    scene = open_dataset(labelled_dataset)[SCENE_ID]
    for moment in data["moments"][1:3]:
        for camera, url in zip(scene.cameras, moment["pictures"], strict=True):
            kind, content = url.split(",", 1)
            assert kind == "data:image/jpeg;base64"
            shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(content)))).astype(float)
            assert np.abs(shown - scene.rgb(camera)[moment["step"]]).mean() < 4.0, "up to the losses of JPEG"


def test_tables_count_the_labels_and_say_where_the_scene_comes_from(page: Page, labelled_dataset: Path) -> None:
    scene = open_dataset(labelled_dataset)[SCENE_ID]
    row = page.cells.index("car")
    num_2d = sum(
        int((scene.boxes(step).category[scene.boxes2d(step, camera).box] == 0).sum())
        for step in range(scene.num_steps)
        for camera in scene.cameras
    )
    assert page.cells[row + 1 : row + 6] == ["1", "19", "19", str(num_2d), str(8 * 19)]
    facts = dict(zip(page.cells, page.cells[1:], strict=False))
    assert facts["prompt"] == "a quiet street"
    assert (facts["seed"], facts["model"], facts["licence of the model"]) == ("7", "preview", "Apache-2.0")
    assert facts["weights (SHA-256)"] == "none: nothing is learned"
    assert facts["content (SHA-256)"] == scene.receipt.content_sha256


def test_the_index_links_every_scene(exported: Path) -> None:
    index = Page((exported / "index.html").read_text(encoding="utf-8"))
    for scene_id in (SCENE_ID, "all-5ca1ab1e"):
        assert f"{scene_id}/index.html" in index.links
    assert all((exported / link).is_file() for link in index.links)
    row = index.cells.index("pedestrian")
    assert index.cells[row + 1] == "2", "one in each scene"


def test_a_prompt_cannot_end_an_element_or_start_one(tmp_path: Path) -> None:
    record = export_record(scene_id=SCENE_ID)
    prompt = "</script><script>alert(1)</script><img src=x onerror=alert(2)> {{data}} &amp;"
    environment = dataclasses.replace(record.layout.environment, prompt=prompt)
    agents = (dataclasses.replace(record.layout.agents[0], agent_id="</script><b>"), *record.layout.agents[1:])
    layout = dataclasses.replace(record.layout, environment=environment, agents=agents)
    write_labelled(tmp_path / "ds", dataclasses.replace(record, layout=layout))
    fold_receipts(tmp_path / "ds")
    export_dataset(tmp_path / "ds", format="html", out=tmp_path / "out")
    page = Page((tmp_path / "out" / SCENE_ID / "index.html").read_text(encoding="utf-8"))
    assert page.tags.count("script") == 2 and "img" not in page.tags and "b" not in page.tags
    assert prompt in page.cells
    assert json.loads(page.scripts[0])["agents"][0] == "</script><b>"
    index = Page((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
    assert index.tags.count("script") == 0 and index.tags.count("img") == 1


def test_a_scene_without_2d_boxes_and_scores_says_so(tmp_path: Path) -> None:
    write_bare(tmp_path / "ds")
    export_dataset(tmp_path / "ds", format="html", out=tmp_path / "out")
    text = (tmp_path / "out" / "tiny-00c0ffee" / "index.html").read_text(encoding="utf-8")
    moment = json.loads(Page(text).scripts[0])["moments"][0]
    assert moment["boxes2d"] == [None] * 6
    assert {box["points"] for box in moment["boxes"]} == {None}
    assert "<h2>Scores</h2><p>none</p>" in text


def test_the_preview_has_every_step(exported: Path) -> None:
    with av.open(str(exported / SCENE_ID / "preview.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    still = np.asarray(Image.open(exported / SCENE_ID / "preview.jpg"))
    assert len(frames) == 19 and frames[0].shape == still.shape


@pytest.mark.skipif(shutil.which("node") is None, reason="node, which checks the script's syntax, is not installed")
def test_the_script_parses(page: Page, tmp_path: Path) -> None:
    (tmp_path / "viewer.js").write_text(page.scripts[1])
    subprocess.run(["node", "--check", str(tmp_path / "viewer.js")], check=True)
