"""A chunk as named arrays and back, so that it can be kept in any format of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from scenegen.types import AgentPixels, DenseLabels, LidarLabels, SceneChunk, Sweep

Arrays = dict[str, np.ndarray[Any, Any]]

_IS_SWEPT = "lidar.is_swept"


def arrays_of_chunk(chunk: SceneChunk) -> Arrays:
    """Return everything of a chunk but its first step. Labels that it does without have no array."""
    arrays = {name: value for name, value in _fields_of(chunk) if isinstance(value, np.ndarray)}
    for part, labels in (("agent_pixels", chunk.agent_pixels), ("dense", chunk.dense)):
        arrays |= _prefixed(part, labels)
    if chunk.lidar is None:
        return arrays
    arrays |= _prefixed("lidar", chunk.lidar)
    if chunk.lidar.sweeps is not None:
        arrays[_IS_SWEPT] = np.array([sweep is not None for sweep in chunk.lidar.sweeps], np.bool_)
        for step, sweep in enumerate(chunk.lidar.sweeps):
            arrays |= _prefixed(f"sweep.{step}", sweep)
    return arrays


def chunk_of_arrays(arrays: Mapping[str, np.ndarray[Any, Any]], *, start_step: int) -> SceneChunk:
    """Return the chunk that `arrays_of_chunk` took apart.

    Raises:
        KeyError, TypeError: arrays are missing, or there are others.
    """
    plain = {name: values for name, values in arrays.items() if "." not in name}
    dense, pixels = _cut_prefix("dense", arrays), _cut_prefix("agent_pixels", arrays)
    return SceneChunk(
        start_step=start_step,
        agent_pixels=AgentPixels(**pixels) if pixels else None,
        dense=DenseLabels(**dense) if dense else None,
        lidar=_lidar_of(arrays),
        **plain,
    )


def _lidar_of(arrays: Mapping[str, np.ndarray[Any, Any]]) -> LidarLabels | None:
    lidar = _cut_prefix("lidar", arrays)
    if not lidar:
        return None
    is_swept = lidar.pop(_IS_SWEPT.partition(".")[2], None)
    if is_swept is None:
        return LidarLabels(sweeps=None, **lidar)
    sweeps = tuple(
        Sweep(**_cut_prefix(f"sweep.{step}", arrays)) if swept else None for step, swept in enumerate(is_swept)
    )
    return LidarLabels(sweeps=sweeps, **lidar)


def _fields_of(value: Any) -> list[tuple[str, Any]]:
    return [(item.name, getattr(value, item.name)) for item in fields(value)]


def _prefixed(prefix: str, labels: Any) -> Arrays:
    if labels is None:
        return {}
    return {f"{prefix}.{name}": value for name, value in _fields_of(labels) if isinstance(value, np.ndarray)}


def _cut_prefix(prefix: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
    start = f"{prefix}."
    return {name[len(start) :]: values for name, values in arrays.items() if name.startswith(start)}
