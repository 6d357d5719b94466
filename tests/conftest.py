"""Shared by all tests: run-time shape checks, and a Ray cluster that is started once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real logs; tests that need it say so when they skip."""
    folder = Path(os.environ.get("SCENEGEN_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set SCENEGEN_SHARED_DATA")
    return folder
