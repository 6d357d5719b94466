"""A data set is the same wherever it lies, and a URL that cannot be one is refused in words."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from scenegen.cli import main
from scenegen.dataset import fold_receipts, open_dataset, open_xarray
from scenegen.dataset.export import export_dataset
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.schema import ARRAYS
from scenegen.dataset.storage import LocalStorage, open_storage
from scenegen.dataset.storage.keys import check_key
from scenegen.dataset.storage.read_ahead import ReadAhead
from scenegen.dataset.torch_view import SceneDataset
from scenegen.errors import ConfigError, DatasetError, DependencyError, StorageError
from tests.object_store import S3Emulator
from tests.unit.dataset.conftest import write_chunks, write_scene
from tests.unit.dataset.tiny_scene import bare_chunks, tiny_record

SCENE_ID = tiny_record().scene_id


@pytest.fixture(scope="module")
def url(s3: S3Emulator) -> str:
    """The scene of `shared_dataset` on S3."""
    location = s3.url("read")
    write_scene(location, tiny_record())
    fold_receipts(location)
    return location


def test_every_array_is_the_same_from_a_url(url: str, shared_dataset: Path) -> None:
    there, here = open_dataset(url)[SCENE_ID], open_dataset(shared_dataset)[SCENE_ID]
    assert there.receipt.content_sha256 == here.receipt.content_sha256
    assert there.location.startswith(url)
    for spec in ARRAYS:
        for camera in here.cameras if "<CAM>" in spec.path else ("",):
            path = spec.for_camera(camera)
            assert here.has_array(path) == there.has_array(path)
            if here.has_array(path):
                np.testing.assert_array_equal(there.array(path)[...], here.array(path)[...])


def test_pictures_in_order_come_several_per_request(url: str, shared_dataset: Path, s3: S3Emulator) -> None:
    scene, local = open_dataset(url)[SCENE_ID], open_dataset(shared_dataset)[SCENE_ID]
    there, here = PictureFiles(scene, "CAM_FRONT"), PictureFiles(local, "CAM_FRONT")
    before = s3.faults.num_requests["GET"]
    assert [there[step].content for step in range(len(there))] == [here[step].content for step in range(len(here))]
    assert s3.faults.num_requests["GET"] - before == 6  # two shards: index, first picture, all others


def test_samples_from_a_url_are_those_of_the_folder_also_after_pickling(url: str, shared_dataset: Path) -> None:
    there = pickle.loads(pickle.dumps(SceneDataset(url, preset="bevformer", window=[-1, 0], key_frames_only=False)))
    here = SceneDataset(shared_dataset, preset="bevformer", window=[-1, 0], key_frames_only=False)
    assert len(there) == len(here)
    np.testing.assert_array_equal(there[0]["img"], here[0]["img"])


def test_xarray_opens_a_url(url: str, shared_dataset: Path) -> None:
    there, here = open_xarray(url, SCENE_ID), open_xarray(shared_dataset, SCENE_ID)
    assert there.groups == here.groups
    assert there["cameras/CAM_FRONT"]["rgb"].equals(here["cameras/CAM_FRONT"]["rgb"])


def test_an_export_from_a_url_is_that_of_the_folder(url: str, shared_dataset: Path, tmp_path: Path) -> None:
    for location, name in ((url, "there"), (shared_dataset, "here")):
        export_dataset(location, format="coco", out=tmp_path / name)
    files = [path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*") if path.is_file()]
    assert len(files) > 7
    for file in files:
        assert (tmp_path / "there" / file).read_bytes() == (tmp_path / "here" / file).read_bytes()


def test_the_command_line_takes_urls(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", url]) == 0
    assert capsys.readouterr().out.endswith("sound\n")
    assert main(["inspect", url, SCENE_ID, "--json"]) == 0
    assert '"scene_id": "tiny-00c0ffee"' in capsys.readouterr().out


def test_a_data_set_that_was_copied_reads_and_verifies_on_the_other_side(url: str, tmp_path: Path) -> None:
    there, here = open_storage(url), open_storage(tmp_path)
    for file in there.list_files(""):
        here.put(file.key, there.read(file.key))
    assert open_dataset(tmp_path)[SCENE_ID].rgb("CAM_FRONT")[0].any()
    assert main(["verify", str(tmp_path)]) == 0


def test_an_object_that_goes_missing_is_an_error_and_never_zeros(place: Path | str) -> None:
    record = tiny_record(num_steps=2)
    write_chunks(place, record, bare_chunks(record))
    fold_receipts(place)
    scene = open_dataset(place)[SCENE_ID]
    scene.files.storage.delete([scene.files.key("cameras/CAM_BACK/rgb/c.0.0.0.0")])
    with pytest.raises(DatasetError, match=r"array cameras/CAM_BACK/rgb.*no such file.*c\.0\.0\.0\.0"):
        scene.rgb("CAM_BACK")[0]
    with pytest.raises(DatasetError, match=r"CAM_BACK/rgb/c\.0\.0\.0\.0"):
        open_dataset(place)[SCENE_ID]


def test_nothing_is_asked_of_an_object_store_in_a_forked_process(url: str) -> None:
    storage = open_storage(url)
    storage.read("manifest.json")
    child = os.fork()
    if child == 0:
        try:
            storage.read("manifest.json")
        except StorageError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_an_object_store_that_does_not_answer_is_one_error_without_secrets(
    monkeypatch: pytest.MonkeyPatch, s3: S3Emulator
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("scenegen.dataset.storage.obstore_client.RETRIES", {"max_retries": 0})
    with pytest.raises(StorageError, match=r"s3://bucket/x/manifest\.json") as caught:
        open_dataset("s3://bucket/x")
    assert "canary-secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_no_data_set_and_no_bucket_are_told_apart(s3: S3Emulator) -> None:
    with pytest.raises(DatasetError, match=r"manifest\.json, found no such object"):
        open_dataset(s3.url("nothing-here"))
    with pytest.raises(StorageError, match="expected a bucket"):
        open_dataset("s3://no-such-bucket/ds")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("ftp://host/ds", "s3://, gs://, az://, memory://"),
        ("s3:///ds", "s3://bucket/prefix"),
        ("s3://key:canary@bucket/ds", "credentials"),
        ("s3://bucket/ds?token=canary", "a query"),
        ("s3://bucket/../other", r"without '\.\.'"),
        ("s3://bucket/a//b", r"without '\.\.' and '//'"),
        (Path("s3://bucket/ds"), "object store as a text"),
    ],
)
def test_a_url_that_cannot_be_a_data_set_is_refused(location: Path | str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        open_dataset(location)
    assert "canary" not in str(caught.value)


def test_without_obstore_a_url_says_what_to_install_and_folders_are_read(
    monkeypatch: pytest.MonkeyPatch, shared_dataset: Path
) -> None:
    for name in ("obstore", "obstore.store", "obstore.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match=r"scenegen\[cloud\]"):
        open_dataset("s3://bucket/ds")
    assert open_dataset(shared_dataset)[SCENE_ID].rgb("CAM_FRONT")[0].any()


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../x", "a\\..\\x", "", "a//b", "./a", "a\0b", "a\nb"])
def test_a_key_that_leaves_the_root_is_refused_by_every_method(key: str, place: Path | str) -> None:
    with pytest.raises(DatasetError, match="relative key"):
        check_key(key)
    storage = open_storage(place)
    for use in (storage.read, storage.size, lambda key: storage.put(key, b""), lambda key: storage.delete([key])):
        with pytest.raises(DatasetError, match="relative key"):
            use(key)


def test_a_link_out_of_a_local_data_set_is_refused(tmp_path: Path) -> None:
    record = tiny_record(num_steps=2)
    write_chunks(tmp_path / "ds", record, bare_chunks(record))
    fold_receipts(tmp_path / "ds")
    (shard,) = (tmp_path / "ds").glob("scenes/*/*.zarr/occupancy/semantics/c.0.0.0.0")
    shard.rename(tmp_path / "outside")
    shard.symlink_to(tmp_path / "outside")
    with pytest.raises(DatasetError, match="link out of it"):
        open_dataset(tmp_path / "ds")[SCENE_ID]


def test_conditional_puts_let_exactly_one_writer_through(place: Path | str) -> None:
    storage = open_storage(place)
    assert storage.put_if("a/b", b"one", expected=None)
    assert not storage.put_if("a/b", b"two", expected=None)
    first = storage.read_with_version("a/b")
    assert storage.put_if("a/b", b"three", expected=first.version)
    assert not storage.put_if("a/b", b"four", expected=first.version)
    assert storage.read("a/b") == b"three"
    assert not storage.put_if("a/c", b"four", expected=first.version)


def test_lists_sizes_ranges_and_logs_agree_between_places(place: Path | str) -> None:
    storage = open_storage(place)
    for key in ("scenes/b/1", "scenes/a", "scenesque/x"):
        storage.put(key, key.encode())
    assert [(file.key, file.num_bytes) for file in storage.list_files("scenes")] == [
        ("scenes/a", 8),
        ("scenes/b/1", 10),
    ]
    assert storage.size("scenes/a") == 8 and storage.size("scenes") is None
    assert storage.read_range("scenes/b/1", 7, 2) == b"b/"
    assert b"".join(storage.read_blocks("scenes/a")) == b"scenes/a"
    for line in ("first", "second"):
        storage.append_line("runs/r/events.jsonl", line)
    assert storage.read_lines("runs/r/events.jsonl") == ["first", "second"]
    assert storage.read_lines("runs/r/failures.jsonl") == []
    storage.delete(["scenes/a", "scenes/none"])
    assert storage.size("scenes/a") is None and list(storage.list_files("scenesque/none")) == []


def test_reading_ahead_never_changes_what_is_read(tmp_path: Path) -> None:
    class Distant(LocalStorage):
        read_ahead_bytes = 50

    content = bytes(range(200))
    Distant(tmp_path).put("file", content)
    file = ReadAhead(Distant(tmp_path), "file", num_bytes=200)
    for start, num_bytes in ((0, 10), (10, 10), (20, 30), (50, 60), (110, 5), (3, 4), (115, 200), (7, 9), (16, 150)):
        assert file.read(start, num_bytes) == content[start : start + num_bytes]
