import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scenegen.dataset import Receipt, committed_scene_ids, fold_receipts, open_dataset, read_manifest
from scenegen.dataset.verify import verify_dataset
from scenegen.errors import DatasetError
from tests.unit.dataset.tiny_scene import tiny_record

Write = Callable[..., Receipt]
SCENE_ID = tiny_record().scene_id


def test_folding_sorts_counts_and_is_idempotent(tmp_path: Path, write: Write) -> None:
    for scene_id in ("b-2", "a-1"):
        write(tmp_path, tiny_record(scene_id=scene_id, num_steps=2))
    manifest = fold_receipts(tmp_path)
    assert [scene.scene_id for scene in manifest.scenes] == ["a-1", "b-2"]
    assert manifest.counts["scenes"] == 2
    assert manifest.counts["images"] == 2 * 2 * 6
    content = (tmp_path / "manifest.json").read_bytes()
    assert fold_receipts(tmp_path) == manifest == read_manifest(tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == content
    write(tmp_path, tiny_record(scene_id="c-3", num_steps=2))
    assert fold_receipts(tmp_path).version == manifest.version + 1


def test_an_empty_data_set_opens(tmp_path: Path) -> None:
    assert fold_receipts(tmp_path).scenes == ()
    assert open_dataset(tmp_path).scene_ids == ()
    assert committed_scene_ids(tmp_path) == frozenset()
    assert committed_scene_ids(tmp_path / "nowhere") == frozenset()


def test_many_committers_agree(tmp_path: Path, write: Write) -> None:
    def commit(number: int) -> int:
        write(tmp_path, tiny_record(scene_id=f"s-{number}", num_steps=1))
        return fold_receipts(tmp_path).version

    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(commit, range(6)))
    manifest = read_manifest(tmp_path)
    assert [scene.scene_id for scene in manifest.scenes] == [f"s-{number}" for number in range(6)]
    assert manifest.version == max(versions)


def test_card_says_what_and_on_which_terms(shared_dataset: Path) -> None:
    card = (shared_dataset / "README.md").read_text()
    assert "synthetic" in card
    assert "| preview | Apache-2.0 | 1 |" in card
    assert "| file | CC0-1.0 | 1 |" in card
    assert "42, 40 x 24 pixels" in card
    assert "$" not in card


def test_a_sound_data_set_has_no_damage(shared_dataset: Path) -> None:
    for deep in (False, True):
        report = verify_dataset(shared_dataset, deep=deep)
        assert report.damages == ()
        assert report.num_scenes == 1
        report.raise_on_damage()


@pytest.mark.parametrize("kind", ["flip", "truncate", "delete", "swap", "extra", "receipt"])
def test_every_damage_is_found(shared_dataset: Path, tmp_path: Path, kind: str) -> None:
    copy = shutil.copytree(shared_dataset, tmp_path / "copy")
    (folder,) = copy.glob("scenes/*/*.zarr")
    front, back = (folder / f"cameras/{name}/rgb/c.0.0.0.0" for name in ("CAM_FRONT", "CAM_BACK"))
    content = front.read_bytes()
    if kind == "flip":
        front.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    elif kind == "truncate":
        front.write_bytes(content[:-1])
    elif kind == "delete":
        front.unlink()
    elif kind == "swap":
        front.write_bytes(back.read_bytes())
        back.write_bytes(content)
    elif kind == "extra":
        (folder / "notes.txt").write_text("mine")
    else:
        (copy / "receipts" / f"{SCENE_ID}.json").unlink()
    report = verify_dataset(copy, deep=False)
    assert {damage.scene_id for damage in report.damages} == {SCENE_ID}
    with pytest.raises(DatasetError, match=SCENE_ID):
        report.raise_on_damage()


def test_deep_verification_finds_a_box_that_no_camera_can_see(tmp_path: Path, write: Write) -> None:
    from dataclasses import replace

    import numpy as np

    record = tiny_record(num_steps=2)
    car, walker = record.layout.agents
    behind = replace(car, center_world_m=car.center_world_m + np.array([0.0, 0.0, 200.0]))
    write(tmp_path, replace(record, layout=replace(record.layout, agents=(behind, walker))))
    fold_receipts(tmp_path)
    assert verify_dataset(tmp_path, deep=False).damages == ()
    findings = [damage.finding for damage in verify_dataset(tmp_path, deep=True).damages]
    assert any(
        "objects/visible_fraction, step 0, box 0: expected 0 for a box that projects into no camera" in finding
        for finding in findings
    )


def test_manifest_is_plain_json_with_what_a_reader_needs(shared_dataset: Path) -> None:
    manifest = json.loads((shared_dataset / "manifest.json").read_text())
    (scene,) = manifest["scenes"]
    assert manifest["schema_version"] == "1.0"
    assert manifest["counts"]["scenes"] == 1
    assert (shared_dataset / "receipts" / f"{scene['scene_id']}.json").is_file()
