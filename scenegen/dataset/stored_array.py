"""An array of a scene as it is stored: lazy, and loud about damage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import zarr
from jaxtyping import UInt8
from zarr.core.sync import sync

from scenegen.dataset.jpeg_codec import ImageCodec
from scenegen.errors import DatasetError, StorageError

DamageError: TypeAlias = Callable[[str], DatasetError]
"""Finds the file that makes an array unreadable and describes it, given zarr's own words."""


class StoredArray:
    """A lazy array of a scene: slicing reads and checks just what is asked for."""

    def __init__(self, array: zarr.Array[Any], *, damage_error: DamageError) -> None:
        self._array = array
        self._damage_error = damage_error

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every dimension."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return np.dtype(self._array.dtype)

    @property
    def attrs(self) -> dict[str, Any]:
        """Unit, frame and what else belongs to the array."""
        return dict(self._array.attrs)

    def __len__(self) -> int:
        return int(self._array.shape[0])

    def __getitem__(self, selection: Any) -> np.ndarray[Any, Any]:
        """Read with numpy's basic indexing.

        Raises:
            DatasetError: a file is missing or damaged; names scene, array and file.
            StorageError: the object store cannot be reached, or refuses.
        """
        try:
            return np.asarray(self._array[selection])
        except IndexError:
            raise
        except StorageError:
            sync(_settle())
            raise
        except Exception as error:
            sync(_settle())
            raise self._damage_error(str(error)) from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self[...], dtype=dtype)

    @property
    def zarr_array(self) -> zarr.Array[Any]:
        """The array underneath, for what slicing does not offer."""
        return self._array

    @property
    def image_codec(self) -> ImageCodec | None:
        """The codec that makes a picture of every step; None where pixels are stored raw, or are no pixels."""
        outermost = getattr(self._array.metadata, "codecs", ())
        pipeline = [codec for outer in outermost for codec in getattr(outer, "codecs", (outer,))]
        return next((codec for codec in pipeline if isinstance(codec, ImageCodec)), None)

    def as_stored(self, pictures: UInt8[np.ndarray, "T H W 3"]) -> UInt8[np.ndarray, "T H W 3"]:
        """Return other pictures as they would come back from this array, with the losses of its codec."""
        codec = self.image_codec
        if codec is None:
            return pictures.copy()
        decoded = [
            codec.decode_picture(codec.encode_picture(picture), size_hw=picture.shape[:2]) for picture in pictures
        ]
        return np.stack(decoded)


async def _settle() -> None:
    """Wait for the reads that zarr leaves running when one of them fails; else Python complains about them at exit."""
    running = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*running, return_exceptions=True)
