"""Arrow as an optional dependency: feather and parquet files."""

from __future__ import annotations

from types import ModuleType

from scenegen.errors import DependencyError


def import_pyarrow() -> ModuleType:
    """Return pyarrow, with its feather and parquet modules loaded.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.feather
        import pyarrow.parquet
    except ImportError as error:
        raise DependencyError(
            "pyarrow, which writes feather and parquet", found=str(error), fix="pip install 'scenegen[generate]'"
        ) from error
    module: ModuleType = pyarrow
    return module
