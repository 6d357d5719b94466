from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.dataset.conftest import write_full_dataset


@pytest.fixture(scope="session")
def dataset_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene with every label that can be stored; tests must not change it."""
    folder = tmp_path_factory.mktemp("contract")
    write_full_dataset(folder)
    return folder
