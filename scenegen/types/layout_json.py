"""The layout as JSON: complete and exact, so that a stored scene can be built again from it.

Static geometry is plain nested lists. The arrays of a track (one row per step) are packed: little-endian
bytes, zlib, base64, as `{"dtype", "shape", "zlib_base64"}`; a scene has hundreds of thousands of such numbers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from jaxtyping import Shaped

from scenegen.errors import LayoutError
from scenegen.types.layout import (
    AgentTrack,
    Area,
    EgoTrack,
    Environment,
    Lane,
    LaneLine,
    Layout,
    Prop,
    RoadMap,
)
from scenegen.types.taxonomy import parse_category
from scenegen.types.timeline import Timeline

FORMAT_VERSION = 1
PackArray = Callable[[Shaped[np.ndarray, "*shape"]], Any]

_PLAIN_COLUMNS = {"centerline_world_m": 3, "points_world_m": 3, "polygon_world_m": 2, "holes_world_m": 2}
_PACKED = frozenset({"center_world_m", "heading_rad", "velocity_world_mps", "valid", "world_from_ego"})


def layout_to_dict(layout: Layout) -> dict[str, Any]:
    """Turn a layout into plain dicts, lists, strings and numbers that `json.dumps` accepts.

    >>> from scenegen.types.layout import EgoTrack, Layout, RoadMap
    >>> ego = EgoTrack(world_from_ego=np.eye(4)[None], velocity_world_mps=np.zeros((1, 2)))
    >>> layout = Layout(layout_id="one", source="file", licence="CC0-1.0", road_map=RoadMap(), agents=(), ego=ego,
    ...                 timeline=Timeline(rate_hz=12.0, num_steps=1))
    >>> layout_sha256(layout_from_dict(json.loads(json.dumps(layout_to_dict(layout))))) == layout_sha256(layout)
    True
    """
    return _encode_layout(layout, _pack)


def layout_from_dict(data: Mapping[str, Any]) -> Layout:
    """Build the layout that `layout_to_dict` wrote; every number comes back bit for bit.

    Raises:
        LayoutError: another format version, or a key is missing, unknown or of the wrong kind.
    """
    version = data.get("format_version")
    if version != FORMAT_VERSION:
        raise LayoutError(f"layout JSON of format_version {FORMAT_VERSION}", found=repr(version), where="layout JSON")
    try:
        return _decode_layout(data)
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
        raise LayoutError(
            "the keys that layout_to_dict writes", found=f"{type(error).__name__}: {error}", where="layout JSON"
        ) from error


def layout_sha256(layout: Layout) -> str:
    """Hash everything a layout says, independent of the zlib version that packs it."""
    text = json.dumps(_encode_layout(layout, _bytes_only), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _encode_layout(layout: Layout, pack: PackArray) -> dict[str, Any]:
    added = {} if layout.recorded_until_step is None else {"recorded_until_step": int(layout.recorded_until_step)}
    edits = {"edits": list(layout.edits)} if layout.edits else {}  # others keep the hash of before there were edits
    return {
        "format_version": FORMAT_VERSION,
        "layout_id": layout.layout_id,
        "source": layout.source,
        "licence": layout.licence,
        "timeline": {"rate_hz": float(layout.timeline.rate_hz), "num_steps": int(layout.timeline.num_steps)},
        "environment": _encode_environment(layout.environment, pack),
        "road_map": {
            "lanes": [_encode(lane, pack) for lane in layout.road_map.lanes],
            "lane_lines": [_encode(line, pack) for line in layout.road_map.lane_lines],
            "areas": [_encode(area, pack) for area in layout.road_map.areas],
            "props": [_encode(prop, pack) for prop in layout.road_map.props],
            "num_roads": int(layout.road_map.num_roads),
        },
        "agents": [{**_encode(agent, pack), "category": agent.category.label} for agent in layout.agents],
        "ego": _encode(layout.ego, pack),
        **added,
        **edits,
    }


def _encode_environment(environment: Environment, pack: PackArray) -> dict[str, Any]:
    """Encode an environment; a layout without a style keeps the bytes, and so the hash, of before there were styles."""
    words = _encode(environment, pack)
    if environment.style is None:
        del words["style"]
    return words


def _encode(part: Any, pack: PackArray) -> dict[str, Any]:
    """Encode one flat dataclass of the layout, field by field."""
    return {item.name: _encode_value(item.name, getattr(part, item.name), pack) for item in fields(part)}


def _encode_value(name: str, value: Any, pack: PackArray) -> Any:
    if isinstance(value, np.ndarray):
        return pack(value) if name in _PACKED else np.asarray(value, np.float64).tolist()
    if isinstance(value, tuple):
        return [_encode_value(name, item, pack) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def _pack(array: Shaped[np.ndarray, "*shape"]) -> dict[str, Any]:
    content = _bytes_of(array)
    return {
        "dtype": "bool" if array.dtype == np.bool_ else "<f8",
        "shape": list(array.shape),
        "zlib_base64": base64.b64encode(zlib.compress(content, 6)).decode(),
    }


def _bytes_only(array: Shaped[np.ndarray, "*shape"]) -> list[Any]:
    return [list(array.shape), base64.b64encode(_bytes_of(array)).decode()]


def _bytes_of(array: Shaped[np.ndarray, "*shape"]) -> bytes:
    return np.ascontiguousarray(array, np.bool_ if array.dtype == np.bool_ else "<f8").tobytes()


def _unpack(packed: Mapping[str, Any]) -> Shaped[np.ndarray, "*shape"]:
    content = zlib.decompress(base64.b64decode(packed["zlib_base64"]))
    dtype = np.dtype(np.bool_) if packed["dtype"] == "bool" else np.dtype("<f8")
    return np.frombuffer(content, dtype).reshape(packed["shape"]).copy()


def _decode_layout(data: Mapping[str, Any]) -> Layout:
    road_map = data["road_map"]
    return Layout(
        layout_id=data["layout_id"],
        source=data["source"],
        licence=data["licence"],
        timeline=Timeline(**data["timeline"]),
        environment=Environment(**data["environment"]),
        road_map=RoadMap(
            lanes=tuple(Lane(**_decode(lane)) for lane in road_map["lanes"]),
            lane_lines=tuple(LaneLine(**_decode(line)) for line in road_map["lane_lines"]),
            areas=tuple(Area(**_decode(area)) for area in road_map["areas"]),
            props=tuple(Prop(**_decode(prop)) for prop in road_map["props"]),
            num_roads=road_map["num_roads"],
        ),
        agents=tuple(AgentTrack(**_decode(agent)) for agent in data["agents"]),
        ego=EgoTrack(**_decode(data["ego"])),
        recorded_until_step=data.get("recorded_until_step"),
        edits=tuple(str(edit) for edit in data.get("edits", ())),
    )


def _decode(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _decode_value(name, value) for name, value in part.items()}


def _decode_value(name: str, value: Any) -> Any:
    if name in _PACKED and isinstance(value, Mapping):
        return _unpack(value)
    if name == "holes_world_m":
        return tuple(np.array(ring, np.float64).reshape(-1, 2) for ring in value)
    if name in _PLAIN_COLUMNS:
        return np.array(value, np.float64).reshape(-1, _PLAIN_COLUMNS[name])
    if name in ("size_lwh_m", "position_world_m"):
        return np.array(value, np.float64)
    if name == "color_rgb":
        return None if value is None else tuple(value)
    if name == "category":
        category = parse_category(value)
        if category is None:
            raise ValueError(f"unknown category {value!r}")
        return category
    return value
