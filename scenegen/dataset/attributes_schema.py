"""The attributes of a scene's root group as a JSON schema, and the file that holds it with the table of arrays."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from scenegen.dataset.schema import ADDED_ATTRIBUTES, ARRAYS, SCHEMA_VERSION

_SHA256 = {"type": "string", "pattern": "^([0-9a-f]{64})?$"}
_TEXT = {"type": "string"}


def scene_attributes_schema() -> dict[str, Any]:
    """Return the JSON schema of the attributes of a scene's root group."""
    properties: dict[str, Any] = {
        "schema_version": {"const": SCHEMA_VERSION},
        "scene_id": _TEXT,
        "split": {"enum": ["train", "val", "test"]},
        "synthetic": {"type": "boolean", "description": "false: pictures of real cameras, see recording"},
        "recording": _object(
            stamps_us={"type": "array"},
            camera_stamps_us={"type": "object"},
            recorded_size_px={"type": "object"},
            world={"enum": ["occ3d", "lidar", "none"]},
            derived={"type": "array", "items": _TEXT},
            lost={"type": "array", "items": _TEXT},
        ),
        "prompt": _TEXT,
        "seed": {"type": "integer"},
        "timeline": _object(rate_hz={"type": "number"}, num_steps={"type": "integer"}, duration_s={"type": "number"}),
        "environment": _object(weather=_TEXT, time_of_day=_TEXT),
        "layout": {"type": "object", "description": "scenegen.types.layout_json.layout_from_dict rebuilds the layout"},
        "layout_sha256": _SHA256,
        "rig": _object(name=_TEXT, cameras={"type": "array", "items": {"type": "object"}}),
        "lidar": _lidar_schema(),
        "taxonomy": _object(
            categories={"type": "array"}, occupancy={"type": "object"}, occupancy_numbering={"const": "Occ3D-nuScenes"}
        ),
        "config_sha256": _SHA256,
        "code_version": _TEXT,
        "model": _model_schema(),
        "occupancy_model": _object(model_id=_TEXT, weights_sha256=_SHA256),
        "source": _object(kind=_TEXT, layout_id=_TEXT, licence=_TEXT),
        "library_versions": {"type": "object", "additionalProperties": _TEXT},
        "scores": {"type": "object"},
    }
    required = [name for name in properties if name not in ADDED_ATTRIBUTES]
    return {"type": "object", "required": required, "properties": properties}


def _model_schema() -> dict[str, Any]:
    """Return what painted a scene; `sampling` is missing where nothing is sampled, and in scenes of older versions."""
    schema = _object(model_id=_TEXT, weights_sha256=_SHA256, licence=_TEXT)
    schema["properties"]["sampling"] = _object(
        model={"enum": ["teacher", "student"]},
        sampler={"enum": ["euler", "cps"]},
        steps={"type": "integer", "minimum": 1},
        eta={"type": ["number", "null"]},
    )
    schema["properties"]["sampling"]["properties"] |= {
        "precision": {"enum": ["bf16"]},
        "temperature": {"type": "number", "minimum": 0.0, "maximum": 1.0},
    }
    return schema


def _lidar_schema() -> dict[str, Any]:
    """Return the simulated sensor, `types.LidarModel`; missing where it is `conf/lidar/exact32.yaml`."""
    number, count = {"type": "number"}, {"type": "integer"}
    return _object(
        num_beams=count,
        min_elevation_deg=number,
        max_elevation_deg=number,
        num_azimuths=count,
        min_range_m=number,
        max_range_m=number,
        range_noise_m=number,
        drop_out_scale=number,
        is_rolling={"type": "boolean"},
        turn_rate_hz=number,
        position_ego_m={"type": "array", "items": number},
    )


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def scene_schema_text() -> str:
    """Return the content of `datasets/scene.schema.json`.

    Write it again with
    `python -c "from scenegen.dataset.attributes_schema import *; print(scene_schema_text(), end='')"`.
    """
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "scenegen scene store: attributes of the root group, and the array table",
        **scene_attributes_schema(),
        "x-arrays": [asdict(spec) for spec in ARRAYS],
    }
    return json.dumps(document, indent=2) + "\n"
