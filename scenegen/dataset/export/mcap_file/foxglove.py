"""Foxglove's messages in JSON: the schemas that go into the file, and builders of their parts.

Source: names, required fields and codes are those of github.com/foxglove/foxglove-sdk, schemas/jsonschema (2026).
Descriptions are left out, and so are the optional fields `uuid`, `message_id` and `lineage`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Float64

Json = dict[str, Any]

NUMERIC_TYPES: dict[str, int] = {"uint8": 1, "int8": 2, "uint16": 3, "int16": 4, "uint32": 5, "int32": 6, "float32": 7}
"""Codes of `PackedElementField.type` by name of the numpy type."""
LINE_STRIP, LINE_LOOP, LINE_LIST = 0, 1, 2
"""Codes of `LinePrimitive.type`."""
IMAGE_LINE_LOOP = 2
"""Code of `PointsAnnotation.type`, which counts otherwise."""
DELETE_ALL = 1
"""Code of `SceneEntityDeletion.type`: everything of the topic that is older than the deletion."""
PRIMITIVES = ("arrows", "cubes", "spheres", "cylinders", "lines", "triangles", "texts", "models")


def _object(title: str = "", **properties: Json) -> Json:
    named = {"title": f"foxglove.{title}"} if title else {}
    return {**named, "type": "object", "properties": properties, "required": list(properties)}


def _list(items: Json, **more: Any) -> Json:
    return {"type": "array", "items": items, **more}


NUMBER: Json = {"type": "number"}
COUNT: Json = {"type": "integer", "minimum": 0}
TEXT: Json = {"type": "string"}
BYTES: Json = {"type": "string", "contentEncoding": "base64"}
NANOSECONDS: Json = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
TIME: Json = {"type": "object", "title": "time", "properties": {"sec": COUNT, "nsec": NANOSECONDS}}
DURATION: Json = {
    "type": "object",
    "title": "duration",
    "properties": {"sec": {"type": "integer"}, "nsec": NANOSECONDS},
}
POINT2 = _object("Point2", x=NUMBER, y=NUMBER)
VECTOR3 = _object("Vector3", x=NUMBER, y=NUMBER, z=NUMBER)
QUATERNION = _object("Quaternion", x=NUMBER, y=NUMBER, z=NUMBER, w=NUMBER)
POSE = _object("Pose", position=VECTOR3, orientation=QUATERNION)
COLOR = _object("Color", r=NUMBER, g=NUMBER, b=NUMBER, a=NUMBER)
KEY_VALUE = _object("KeyValuePair", key=TEXT, value=TEXT)
CUBE = _object("CubePrimitive", pose=POSE, size=VECTOR3, color=COLOR)
LINE = _object(
    "LinePrimitive",
    type=COUNT,
    pose=POSE,
    thickness=NUMBER,
    scale_invariant={"type": "boolean"},
    points=_list(VECTOR3),
    color=COLOR,
    colors=_list(COLOR),
    indices=_list(COUNT),
)
ENTITY = _object(
    "SceneEntity",
    timestamp=TIME,
    frame_id=TEXT,
    id=TEXT,
    lifetime=DURATION,
    frame_locked={"type": "boolean"},
    metadata=_list(KEY_VALUE),
    **{name: _list({"type": "object"}) for name in PRIMITIVES} | {"cubes": _list(CUBE), "lines": _list(LINE)},
)
POINTS_ANNOTATION = _object(
    "PointsAnnotation",
    timestamp=TIME,
    type=COUNT,
    points=_list(POINT2),
    outline_color=COLOR,
    outline_colors=_list(COLOR),
    fill_color=COLOR,
    thickness=NUMBER,
    metadata=_list(KEY_VALUE),
)
TEXT_ANNOTATION = _object(
    "TextAnnotation",
    timestamp=TIME,
    position=POINT2,
    text=TEXT,
    font_size=NUMBER,
    text_color=COLOR,
    background_color=COLOR,
    metadata=_list(KEY_VALUE),
)
TRANSFORM = _object(
    "FrameTransform",
    timestamp=TIME,
    parent_frame_id=TEXT,
    child_frame_id=TEXT,
    translation=VECTOR3,
    rotation=QUATERNION,
)

SCHEMAS: dict[str, Json] = {
    "CompressedImage": _object("CompressedImage", timestamp=TIME, frame_id=TEXT, data=BYTES, format=TEXT),
    "CameraCalibration": _object(
        "CameraCalibration",
        timestamp=TIME,
        frame_id=TEXT,
        width=COUNT,
        height=COUNT,
        distortion_model=TEXT,
        D=_list(NUMBER),
        K=_list(NUMBER, minItems=9, maxItems=9),
        R=_list(NUMBER, minItems=9, maxItems=9),
        P=_list(NUMBER, minItems=12, maxItems=12),
    ),
    "ImageAnnotations": _object(
        "ImageAnnotations",
        circles=_list({"type": "object"}),
        points=_list(POINTS_ANNOTATION),
        texts=_list(TEXT_ANNOTATION),
    ),
    "SceneUpdate": _object(
        "SceneUpdate",
        deletions=_list(_object("SceneEntityDeletion", timestamp=TIME, type=COUNT, id=TEXT)),
        entities=_list(ENTITY),
    ),
    "PointCloud": _object(
        "PointCloud",
        timestamp=TIME,
        frame_id=TEXT,
        pose=POSE,
        point_stride=COUNT,
        fields=_list(_object("PackedElementField", name=TEXT, offset=COUNT, type=COUNT)),
        data=BYTES,
    ),
    "FrameTransforms": _object("FrameTransforms", transforms=_list(TRANSFORM)),
}
"""The schemas of the messages, by name without `foxglove.`."""


def time_of(stamp_ns: int) -> Json:
    """Split nanoseconds.

    >>> time_of(1_000_000_000_000_250)
    {'sec': 1000000, 'nsec': 250}
    """
    sec, nsec = divmod(stamp_ns, 1_000_000_000)
    return {"sec": sec, "nsec": nsec}


def vector(xyz: Float[np.ndarray, "3"]) -> Json:
    """Name three numbers."""
    return dict(zip("xyz", xyz.tolist(), strict=True))


def vectors(points: Float64[np.ndarray, "N D"]) -> list[Json]:
    """Name the coordinates of points on the ground (D = 2) or in space (D = 3)."""
    flat = np.zeros((len(points), 3))
    flat[:, : points.shape[1]] = points
    return [dict(zip("xyz", row, strict=True)) for row in flat.tolist()]


def quaternion(wxyz: Float64[np.ndarray, "4"]) -> Json:
    """Name the parts of a quaternion that is stored w first."""
    return dict(zip("wxyz", wxyz.tolist(), strict=True))


def color(rgb: tuple[int, int, int], *, alpha: float = 1.0) -> Json:
    """Return a colour of 0 to 255 per channel in Foxglove's 0 to 1."""
    return {**{name: value / 255.0 for name, value in zip("rgb", rgb, strict=True)}, "a": alpha}


def metadata(**values: Any) -> list[Json]:
    """Return facts as pairs of texts."""
    return [{"key": key, "value": str(value)} for key, value in values.items()]


IDENTITY_POSE: Json = {
    "position": {"x": 0.0, "y": 0.0, "z": 0.0},
    "orientation": {"w": 1.0, "x": 0.0, "y": 0.0, "z": 0.0},
}


def entity(name: str, *, frame_id: str, stamp_ns: int, facts: list[Json], **primitives: list[Json]) -> Json:
    """Return a scene entity with the primitives given; it stays until it is replaced or deleted."""
    return {
        "timestamp": time_of(stamp_ns),
        "frame_id": frame_id,
        "id": name,
        "lifetime": {"sec": 0, "nsec": 0},
        "frame_locked": False,
        "metadata": facts,
        **{kind: primitives.get(kind, []) for kind in PRIMITIVES},
    }


def line(
    points_m: Float64[np.ndarray, "N _"], *, rgb: tuple[int, int, int], width_m: float, kind: int = LINE_STRIP
) -> Json:
    """Return a line of a width in metres."""
    return {
        "type": kind,
        "pose": IDENTITY_POSE,
        "thickness": width_m,
        "scale_invariant": False,
        "points": vectors(points_m),
        "color": color(rgb),
        "colors": [],
        "indices": [],
    }
