"""What a page says about a scene in tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scenegen.dataset.export.html.page import LabelCounts
from scenegen.dataset.stored_scene import Scene


def count_labels(scene: Scene) -> dict[str, LabelCounts]:
    """Count the labels of every category, in the order of the taxonomy."""
    names = tuple(scene.attrs["taxonomy"]["categories"])
    counts = {name: LabelCounts() for name in names}
    tracks: dict[str, set[int]] = {name: set() for name in names}
    has_boxes2d = scene.has_array("objects2d/ptr")
    for step in range(scene.num_steps):
        boxes = scene.boxes(step)
        per_box = [0] * len(boxes)
        if has_boxes2d:
            for camera in scene.cameras:
                for box in scene.boxes2d(step, camera).box.tolist():
                    per_box[box] += 1
        points = [0] * len(boxes) if boxes.stored_lidar_pts is None else boxes.stored_lidar_pts.tolist()
        for row, category in enumerate(boxes.category.tolist()):
            name = names[category]
            tracks[name].add(int(boxes.track_id[row]))
            counts[name] += LabelCounts(
                boxes=1,
                seen=int(boxes.visible_fraction[row] > 0.0),
                boxes2d=per_box[row],
                lidar_points=points[row],
            )
    return {name: count + LabelCounts(tracks=len(tracks[name])) for name, count in counts.items()}


def provenance_of(scene: Scene) -> list[tuple[str, Any]]:
    """Return where a scene comes from and on which terms, as rows."""
    attributes, receipt = scene.attrs, scene.receipt
    model, source = attributes["model"], attributes["source"]
    return [
        (
            "synthetic",
            "yes: every picture and label is made by a program"
            if scene.is_synthetic
            else f"no: a recording. Derived from it: {', '.join(attributes['recording']['derived'])}",
        ),
        ("prompt", attributes["prompt"]),
        ("seed", str(attributes["seed"])),
        ("model", model["model_id"]),
        ("weights (SHA-256)", model["weights_sha256"] or "none: nothing is learned"),
        ("licence of the model", model["licence"]),
        ("layout", f"{source['layout_id']} ({source['kind']})"),
        ("licence of the layout's source", source["licence"]),
        ("scenegen", attributes["code_version"]),
        ("configuration (SHA-256)", attributes["config_sha256"]),
        ("layout (SHA-256)", attributes["layout_sha256"]),
        ("content (SHA-256)", receipt.content_sha256),
        ("committed", receipt.created_utc),
        ("size", f"{receipt.num_bytes / 1e6:.1f} MB"),
    ]


def flatten(values: Mapping[str, Any], *, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give nested values by dotted name.

    >>> list(flatten({"a": {"b": 0.5}, "c": [1, 2]}))
    [('a.b', 0.5), ('c', '1, 2')]
    """
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, prefix=f"{name}.")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(str(part) for part in value)
        else:
            yield name, value
