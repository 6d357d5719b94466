"""One to four writers at once, each in another order of scenes: the data set is always the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenegen.dataset import fold_receipts
from tests.faults.checks import assert_finished
from tests.faults.small_job import start_process, write_missing

pytestmark = pytest.mark.battery("F5 determinism over writers and orders")


@pytest.mark.parametrize("num_writers", [1, 2, 3, 4])
def test_the_data_set_does_not_depend_on_the_number_of_writers_or_their_order(num_writers: int, tmp_path: Path) -> None:
    write_missing("memory://one-writer/ds")
    undisturbed = {scene.scene_id: scene.content_sha256 for scene in fold_receipts("memory://one-writer/ds").scenes}
    writers = [start_process("writer", tmp_path / "ds", first_scene=number) for number in range(num_writers)]
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    fold_receipts(tmp_path / "ds")
    assert_finished(tmp_path / "ds", undisturbed)
