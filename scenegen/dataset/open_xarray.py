"""A scene as an xarray tree: named dimensions, units and frames, read when looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenegen.dataset.read import open_dataset
from scenegen.dataset.storage import Location
from scenegen.dataset.strict_store import StrictStore
from scenegen.errors import DependencyError

if TYPE_CHECKING:
    import xarray


def open_xarray(location: Location, scene_id: str) -> xarray.DataTree:
    """Open one scene; its groups are `cameras/CAM_FRONT`, `ego`, `objects`, `occupancy` and so on.

    Nothing but metadata is read, and a chunk that is missing on access is an error, never zeros.

    Raises:
        DatasetError: no such data set or scene, or a file of it is missing.
        DependencyError: xarray is not installed.
    """
    scene = open_dataset(location)[scene_id]
    try:
        import xarray
    except ImportError as error:
        raise DependencyError("xarray", found="none", where="open_xarray", fix="pip install xarray") from error
    store: Any = StrictStore(scene.files)  # xarray's zarr engine takes zarr stores, its annotation does not say so
    return xarray.open_datatree(store, engine="zarr")
