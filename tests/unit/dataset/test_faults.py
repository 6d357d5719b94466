"""What crashes, full disks and damage do: a reader sees a whole scene, nothing, or a loud error."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scenegen.dataset import (
    DatasetPaths,
    Receipt,
    committed_scene_ids,
    fold_receipts,
    open_dataset,
    open_scene_writer,
    read_manifest,
)
from scenegen.dataset.durable import canonical_json, sha256_of_text
from scenegen.dataset.verify import verify_dataset
from scenegen.errors import DatasetError, OutputError, SceneGenError
from tests.unit.dataset.tiny_scene import tiny_chunks, tiny_record

Write = Callable[..., Receipt]
REPOSITORY = Path(__file__).parents[3]
SCENE_ID = tiny_record().scene_id

KILL_AT = {
    "open": "scenegen.dataset.write.header_columns",
    "append": "scenegen.dataset.store.SceneStore.write_steps",
    "finish": "scenegen.dataset.store.SceneStore.finish",
    "seal": "scenegen.dataset.write.seal_files",
    "previews": "scenegen.dataset.publish.place_previews",
    "rename": "scenegen.dataset.publish.place_store",
    "receipt": "scenegen.dataset.publish.write_receipt",
    "fold": "scenegen.dataset.fold.card_text",
    "manifest": "scenegen.dataset.fold.manifest_text",
}

KILL_SCRIPT = """
import os, signal, sys
from pathlib import Path
from unittest import mock
os.fsync = lambda descriptor: None
import scenegen.dataset.write, scenegen.dataset.fold, scenegen.dataset.publish, scenegen.dataset.store
from tests.unit.dataset.conftest import write_scene
from tests.unit.dataset.tiny_scene import tiny_record
with mock.patch(sys.argv[1], side_effect=lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)):
    write_scene(Path(sys.argv[2]), tiny_record())
    scenegen.dataset.fold.fold_receipts(Path(sys.argv[2]))
"""


def damage_tree(dataset_dir: Path, tmp_path: Path) -> Path:
    return shutil.copytree(dataset_dir, tmp_path / "copy")


def one_file(dataset_dir: Path, pattern: str) -> Path:
    return sorted(dataset_dir.glob(f"scenes/*/*.zarr/{pattern}"))[0]


@pytest.mark.parametrize("stage", KILL_AT)
def test_kill_at_any_stage_leaves_nothing_half_and_the_next_run_finishes(
    shared_dataset: Path, tmp_path: Path, write: Write, stage: str
) -> None:
    command = [sys.executable, "-c", KILL_SCRIPT, KILL_AT[stage], str(tmp_path)]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == -9, result.stderr
    is_committed = stage in ("fold", "manifest")
    assert committed_scene_ids(tmp_path) == ({SCENE_ID} if is_committed else set())
    with pytest.raises(DatasetError):
        open_dataset(tmp_path)
    write(tmp_path, tiny_record())
    manifest = fold_receipts(tmp_path)
    assert [scene.content_sha256 for scene in manifest.scenes] == [
        scene.content_sha256 for scene in read_manifest(shared_dataset).scenes
    ]
    assert open_dataset(tmp_path)[SCENE_ID].rgb("CAM_FRONT")[:].any()
    assert [path.name for path in DatasetPaths(tmp_path).staging.iterdir()] == ["commit.lock"]


def test_an_error_in_the_block_leaves_no_trace(tmp_path: Path) -> None:
    record = tiny_record()
    with pytest.raises(RuntimeError), open_scene_writer(tmp_path, record) as writer:
        writer.append(tiny_chunks(record)[0])
        raise RuntimeError("the model broke")
    assert [path.name for path in DatasetPaths(tmp_path).staging.iterdir()] == ["commit.lock"]
    assert committed_scene_ids(tmp_path) == set()


def test_a_living_writer_of_the_same_scene_is_left_alone(tmp_path: Path, write: Write) -> None:
    record = tiny_record()
    with open_scene_writer(tmp_path, record, num_steps_per_shard=4) as slow:
        slow.append(tiny_chunks(record)[0])
        first = write(tmp_path, record)
        for chunk in tiny_chunks(record)[1:]:
            slow.append(chunk)
        second = slow.commit(scores={"control": 0.9}, cost={})
    assert second == first  # the first one committed is kept


def test_a_second_commit_keeps_the_first(tmp_path: Path, write: Write) -> None:
    first = write(tmp_path, tiny_record())
    shard = one_file(tmp_path, "cameras/CAM_FRONT/rgb/c.0.0.0.0")
    written_ns = shard.stat().st_mtime_ns
    assert write(tmp_path, tiny_record()) == first
    assert shard.stat().st_mtime_ns == written_ns


def test_a_scene_without_receipt_is_replaced(tmp_path: Path, write: Write) -> None:
    first = write(tmp_path, tiny_record())
    DatasetPaths(tmp_path).receipt(SCENE_ID).unlink()
    one_file(tmp_path, "cameras/CAM_FRONT/rgb/c.0.0.0.0").write_bytes(b"torn")
    assert committed_scene_ids(tmp_path) == set()
    assert write(tmp_path, tiny_record()).content_sha256 == first.content_sha256
    fold_receipts(tmp_path)
    assert open_dataset(tmp_path)[SCENE_ID].rgb("CAM_FRONT")[:].any()


def test_a_damaged_scene_counts_as_not_committed_and_is_replaced(tmp_path: Path, write: Write) -> None:
    write(tmp_path, tiny_record())
    fold_receipts(tmp_path)
    one_file(tmp_path, "occupancy/semantics/c.0.0.0.0").unlink()
    assert committed_scene_ids(tmp_path) == set()
    assert fold_receipts(tmp_path).counts["scenes"] == 1  # it stays listed, so that reading it fails loudly
    with pytest.raises(DatasetError, match="occupancy/semantics"):
        open_dataset(tmp_path)[SCENE_ID]
    write(tmp_path, tiny_record())
    fold_receipts(tmp_path)
    assert open_dataset(tmp_path)[SCENE_ID].occupancy(0).semantics.any()


@pytest.mark.parametrize("stage", ["append", "commit"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_is_one_typed_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, code: int) -> None:
    import zarr.storage._local

    record = tiny_record()

    def fail(*args: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    with pytest.raises(OutputError, match=os.strerror(code)) as caught:  # noqa: SIM117
        with open_scene_writer(tmp_path, record, num_steps_per_shard=4) as writer:
            chunks = tiny_chunks(record)
            if stage == "append":
                monkeypatch.setattr(zarr.storage._local, "_put", fail)
            for chunk in chunks:
                writer.append(chunk)
            monkeypatch.setattr("scenegen.dataset.receipt.fsync_tree", fail)
            writer.commit(scores={}, cost={})
    assert "again" in str(caught.value)
    assert committed_scene_ids(tmp_path) == set()
    assert [path.name for path in DatasetPaths(tmp_path).staging.iterdir()] == ["commit.lock"]


def test_a_file_where_the_folder_should_be_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "ds").write_text("not a folder")
    with pytest.raises(OutputError, match="ds"):
        open_scene_writer(tmp_path / "ds", tiny_record())
    with pytest.raises(OutputError):
        fold_receipts(tmp_path / "ds")


def test_a_folder_that_may_not_be_written_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(self: Path, *args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "mkdir", deny)
    with pytest.raises(OutputError, match="may write"):
        open_scene_writer(tmp_path / "ds", tiny_record())


@pytest.mark.parametrize(
    "pattern",
    ["cameras/CAM_BACK/rgb/c.0.0.0.0", "occupancy/mask_camera/c.1.0.0.0", "objects/center/c.0.0", "zarr.json"],
)
def test_a_missing_file_is_named_when_the_scene_is_opened(shared_dataset: Path, tmp_path: Path, pattern: str) -> None:
    copy = damage_tree(shared_dataset, tmp_path)
    one_file(copy, pattern).unlink()
    with pytest.raises(DatasetError, match=pattern.rpartition("/")[2]) as caught:
        open_dataset(copy)[SCENE_ID]
    assert SCENE_ID in str(caught.value)


def test_a_file_that_goes_missing_later_is_an_error_and_never_zeros(shared_dataset: Path, tmp_path: Path) -> None:
    copy = damage_tree(shared_dataset, tmp_path)
    scene = open_dataset(copy)[SCENE_ID]
    one_file(copy, "cameras/CAM_BACK/rgb/c.1.0.0.0").unlink()
    assert scene.rgb("CAM_BACK")[0:4].any()
    for selection in (slice(4, 7), slice(None), 5):
        with pytest.raises(DatasetError, match=r"array cameras/CAM_BACK/rgb.*no such file.*c\.1\.0\.0\.0"):
            scene.rgb("CAM_BACK")[selection]


@pytest.mark.parametrize(
    "path",
    [
        "cameras/CAM_BACK/rgb/c.0.0.0.0",
        "occupancy/semantics/c.0.0.0.0",
        "occupancy/instance/c.0.0.0.0",
        "ego/ego2global/c.0.0.0",
        "objects/num_lidar_pts/c.0",
        "objects2d/center/c.0.0",
        "lidar/points/c.0.0",
    ],
)
@pytest.mark.parametrize("share", [0.2, 0.6, 0.999])
def test_a_flipped_bit_is_never_returned_as_data(shared_dataset: Path, tmp_path: Path, path: str, share: float) -> None:
    copy = damage_tree(shared_dataset, tmp_path)
    file = one_file(copy, path)
    content = bytearray(file.read_bytes())
    content[int(share * len(content))] ^= 0x10
    file.write_bytes(content)
    scene = open_dataset(copy)[SCENE_ID]
    with pytest.raises(DatasetError, match=f"{SCENE_ID}.*{path.rpartition('/')[0]}.*other content"):
        scene.array(path.rpartition("/")[0])[:]


def test_a_digit_flipped_in_the_attributes_is_never_returned(shared_dataset: Path, tmp_path: Path) -> None:
    copy = damage_tree(shared_dataset, tmp_path)
    file = one_file(copy, "zarr.json")
    text = file.read_text()
    file.write_text(
        text.replace('"seed":7', '"seed":6') if '"seed":7' in text else text.replace('"seed": 7', '"seed": 6')
    )
    assert file.read_text() != text
    with pytest.raises(DatasetError, match=rf"{SCENE_ID}, attributes.*other content in .*zarr\.json"):
        open_dataset(copy)[SCENE_ID]


@pytest.mark.parametrize("name", ["manifest.json", f"receipts/{SCENE_ID}.json"])
def test_a_newer_schema_version_is_named_whatever_else_is_new(shared_dataset: Path, tmp_path: Path, name: str) -> None:
    copy = damage_tree(shared_dataset, tmp_path)
    (copy / name).write_text('{"schema_version": "2.0", "what_is_new": []}')
    with pytest.raises(DatasetError, match=r"schema version 1\.0, found '2\.0'.*newer one") as caught:
        open_dataset(copy)[SCENE_ID]
    assert Path(name).name in str(caught.value)
    with pytest.raises(DatasetError, match=r"'2\.0'"):
        verify_dataset(copy, deep=True).raise_on_damage()


def test_an_edited_manifest_with_a_matching_hash_is_still_found(shared_dataset: Path, tmp_path: Path) -> None:
    copy = damage_tree(shared_dataset, tmp_path)
    document = json.loads((copy / "manifest.json").read_text())
    document["scenes"][0]["receipt_sha256"] = "0" * 64
    del document["manifest_sha256"]
    document["manifest_sha256"] = sha256_of_text(canonical_json(document))
    (copy / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(DatasetError, match="the receipt that the manifest names"):
        open_dataset(copy)[SCENE_ID]
    with pytest.raises(DatasetError, match="the manifest names"):
        verify_dataset(copy, deep=False).raise_on_damage()


@pytest.mark.parametrize("name", ["manifest.json", f"receipts/{SCENE_ID}.json"])
@pytest.mark.parametrize("change", ["torn", "edited", "other version", "empty", "binary"])
def test_damaged_bookkeeping_is_a_typed_error(shared_dataset: Path, tmp_path: Path, name: str, change: str) -> None:
    copy = damage_tree(shared_dataset, tmp_path)
    text = (copy / name).read_text()
    changed = {
        "torn": text[: len(text) // 2].encode(),
        "edited": text.replace('"train"', '"val"').encode(),
        "other version": text.replace('"schema_version": "1.0"', '"schema_version": "9.9"').encode(),
        "empty": b"{}",
        "binary": bytes(range(256)),
    }[change]
    (copy / name).write_bytes(changed)
    with pytest.raises(DatasetError, match=Path(name).name.replace(".", r"\.")):
        open_dataset(copy)[SCENE_ID]


def test_there_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"manifest\.json"):
        open_dataset(tmp_path / "nowhere")


def test_errors_say_what_to_do() -> None:
    with pytest.raises(SceneGenError, match="Give the folder"):
        open_dataset("nowhere")


def test_every_file_and_folder_is_durable_before_the_scene_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    synced: list[str] = []
    renamed: list[tuple[str, set[str]]] = []
    rename = Path.rename
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())))

    def record_rename(self: Path, target: Path) -> Path:
        renamed.append((str(self), {path for path in synced if path.startswith(str(self))}))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", record_rename)
    receipt = write(tmp_path, tiny_record())
    (staged, durable), *others = renamed
    assert not others
    assert {f"{staged}/{name}" for name in receipt.files} <= durable
    assert {str(Path(f"{staged}/{name}").parent) for name in receipt.files} <= durable
    scene = DatasetPaths(tmp_path).scene(SCENE_ID)
    after = synced[synced.index(str(scene.parent)) :]
    assert after[-1] == str(DatasetPaths(tmp_path).receipts)
