"""The main job with an object store as output: the same scenes, found again, and nothing left on the local disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenegen.cli import main
from scenegen.dataset import read_manifest
from scenegen.dataset.storage import open_storage
from scenegen.orchestration.ledger import list_runs, read_events
from tests.conftest import TINY_JOB
from tests.e2e.test_main_job import content_of
from tests.object_store import S3Emulator


def test_a_job_into_s3_makes_the_scenes_of_a_folder_and_resumes(
    s3: S3Emulator,
    whole_dataset: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    url = s3.url("job")
    assert main(["generate", *TINY_JOB, f"output={url}"]) == 0
    printed = capsys.readouterr().out
    assert "2 scenes committed" in printed and f"{url}/previews/" in printed and f"open_dataset('{url}')" in printed
    assert {scene.scene_id: scene.content_sha256 for scene in read_manifest(url).scenes} == content_of(whole_dataset)
    storage = open_storage(url)
    (run,) = list_runs(storage)
    events = [event["event"] for event in read_events(storage, run) if event["event"] != "chunk"]
    assert events == ["planned", *["started", "committed"] * 2, "finished"]
    assert [path.name for path in tmp_path.glob("scenegen-*/staging/*")] == ["commit.lock"]

    writes = s3.faults.num_requests["PUT"]
    assert main(["generate", *TINY_JOB, f"output={url}"]) == 0
    assert "2 were there already" in capsys.readouterr().out
    assert s3.faults.num_requests["PUT"] - writes == 4  # configuration, environment, `planned`, `finished`
    assert main(["verify", url, "--deep"]) == 0


@pytest.mark.ray
@pytest.mark.slow
def test_ray_workers_write_into_s3_themselves(s3: S3Emulator, whole_dataset: Path) -> None:
    url = s3.url("ray-job")
    assert main(["generate", *TINY_JOB, f"output={url}", "run=ray", "run.num_workers=2"]) == 0
    assert {scene.scene_id: scene.content_sha256 for scene in read_manifest(url).scenes} == content_of(whole_dataset)


def test_a_bucket_that_does_not_exist_is_refused_before_any_work(
    s3: S3Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", *TINY_JOB, "output=s3://no-such-bucket/ds"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert "no-such-bucket" in printed.err and "create it first" in printed.err.lower()
