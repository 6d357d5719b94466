"""Writers, deaths, folds, readers and garbage collection in any order, against a model of what must be there."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scenegen.dataset import committed_scene_ids, fold_receipts, read_manifest
from scenegen.dataset.collect_garbage import collect_garbage
from scenegen.dataset.publish import placed_previews, publish_scene
from scenegen.dataset.receipt import Receipt, content_sha256, read_receipt, seal_files
from scenegen.dataset.staging import Staging
from scenegen.dataset.storage import open_storage
from scenegen.dataset.verify import verify_dataset
from tests.faults.crash_points import COMMIT_POINTS, FOLD_POINTS, dying_at
from tests.faults.tiers import asked_tier

pytestmark = pytest.mark.battery("F6 states of commits")

SCENES = st.sampled_from(["a", "b.1", "c"])
BUDGET = settings(
    max_examples=asked_tier().num_state_runs,
    stateful_step_count=asked_tier().num_state_steps,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)


def commit(location: Path | str, scene_id: str, content: bytes) -> Receipt:
    """Stage and publish a scene of three files, as `SceneWriter` does with hundreds."""
    storage = open_storage(location)
    staging = Staging(storage, scene_id)
    for name in ("zarr.json", "x/zarr.json", "x/c.0"):
        (staging.store / name).parent.mkdir(parents=True, exist_ok=True)
        (staging.store / name).write_bytes(content + name.encode())
    staging.previews.mkdir()
    (staging.previews / f"{scene_id}.jpg").write_bytes(content)
    files, previews, attempt = seal_files(staging.store), seal_files(staging.previews), storage.new_attempt()
    receipt = Receipt(
        **dict.fromkeys(("layout_sha256", "config_sha256", "weights_sha256", "model_licence", "source_licence"), ""),
        **dict.fromkeys(("code_version", "model_id", "source", "created_utc"), ""),
        schema_version="1.0",
        scene_id=scene_id,
        split="train",
        num_steps=1,
        rate_hz=2.0,
        cameras=("CAM_FRONT",),
        size_px=(8, 4),
        content_sha256=content_sha256(files),
        files=files,
        previews=placed_previews(scene_id, previews, attempt=attempt),
        scores={},
        cost={},
        attempt=attempt,
    )
    committed = publish_scene(storage, staging, receipt)
    staging.discard()
    return committed


class Commits(RuleBasedStateMachine):
    """`committed` and `listed` say what receipts and manifest must say: scene -> content hash."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = Path(tempfile.mkdtemp())
        self.location = self.make_location()
        self.committed: dict[str, str] = {}
        self.listed: dict[str, str] = {}

    def make_location(self) -> Path | str:
        return self.temporary / "ds"

    def teardown(self) -> None:
        shutil.rmtree(self.temporary)

    @rule(scene_id=SCENES, content=st.binary(max_size=3))
    def write(self, scene_id: str, content: bytes) -> None:
        receipt = commit(self.location, scene_id, content)
        assert self.committed.setdefault(scene_id, receipt.content_sha256) == receipt.content_sha256

    @rule(scene_id=SCENES, content=st.binary(max_size=3), point=st.sampled_from(sorted(COMMIT_POINTS)))
    def die_while_writing(self, scene_id: str, content: bytes, point: str) -> None:
        before = committed_scene_ids(self.location)
        with dying_at(COMMIT_POINTS[point]):
            commit(self.location, scene_id, content)
        assert before <= committed_scene_ids(self.location) <= before | {scene_id}
        if scene_id in committed_scene_ids(self.location) - before:
            self.committed[scene_id] = read_receipt(open_storage(self.location), scene_id).content_sha256

    @rule()
    def fold(self) -> None:
        fold_receipts(self.location)
        self.listed = dict(self.committed)

    @rule(point=st.sampled_from(sorted(FOLD_POINTS)))
    def die_while_folding(self, point: str) -> None:
        with dying_at(FOLD_POINTS[point]):
            fold_receipts(self.location)
        if point == "after swap":
            self.listed = dict(self.committed)

    @rule()
    def collect(self) -> None:
        collect_garbage(self.location, grace_s=-1.0)

    @precondition(lambda self: self.listed)
    @rule(data=st.data())
    def damage_and_replace(self, data: st.DataObject) -> None:
        scene_id = data.draw(st.sampled_from(sorted(self.listed)))
        storage = open_storage(self.location)
        storage.delete([f"{read_receipt(storage, scene_id).scene_key}/x/c.0"])
        assert scene_id not in committed_scene_ids(self.location)
        receipt = commit(self.location, scene_id, b"new")
        self.committed[scene_id] = receipt.content_sha256
        self.fold()

    @invariant()
    def receipts_are_those_of_the_model(self) -> None:
        assert committed_scene_ids(self.location) == set(self.committed)

    @invariant()
    def readers_see_whole_scenes_and_nothing_else(self) -> None:
        if open_storage(self.location).size("manifest.json") is None:
            assert not self.listed
            return
        seen = {entry.scene_id: entry.content_sha256 for entry in read_manifest(self.location).scenes}
        assert seen == self.listed
        assert verify_dataset(self.location, deep=False).damages == ()


class CommitsInMemory(Commits):
    def make_location(self) -> Path | str:
        return f"memory://{secrets.token_hex(6)}/ds"


Commits.TestCase.settings = BUDGET
CommitsInMemory.TestCase.settings = BUDGET
TestCommitsOnDisk = Commits.TestCase
TestCommitsInMemory = CommitsInMemory.TestCase
