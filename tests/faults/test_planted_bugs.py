"""Who tests the battery: every planted bug must be found, by its own probe, and no probe cries wolf."""

from __future__ import annotations

import os

import pytest

from scenegen.errors import SceneGenError
from tests.faults.planted_bugs import BUGS
from tests.faults.probes import PROBES

pytestmark = pytest.mark.battery("F15 planted bugs")


@pytest.fixture(autouse=True)
def quick_and_private(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("planted")))
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.parametrize("probe", PROBES)
def test_no_probe_finds_anything_where_nothing_was_planted(probe: str) -> None:
    PROBES[probe]()


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    bug = BUGS[name]
    with bug.plant(), pytest.raises((AssertionError, SceneGenError)):
        PROBES[bug.found_by]()


def test_every_probe_has_a_bug_to_find() -> None:
    assert {bug.found_by for bug in BUGS.values()} == set(PROBES)
