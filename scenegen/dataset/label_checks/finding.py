"""What a check finds, and the checks' view of a scene: every column read once, every row with its step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64, UInt8

from scenegen.dataset.labels import Boxes2d
from scenegen.dataset.rotations import rotation_matrices
from scenegen.dataset.stored_scene import Scene
from scenegen.types import belongs_to_agent


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One label that cannot be right.

    Attributes:
        array: path in the scene store.
        expected, found: what the label should be and what it is.
        step, camera, box: where; None where the finding is about no single one. `box` is the index within its step.
    """

    array: str
    expected: str
    found: str
    step: int | None = None
    camera: str | None = None
    box: int | None = None

    def __str__(self) -> str:
        places = (("step", self.step), ("camera", self.camera), ("box", self.box))
        where = "".join(f", {name} {value}" for name, value in places if value is not None)
        return f"{self.array}{where}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, kw_only=True)
class ObjectRows:
    """All boxes of a scene. `step` and `box` say where each row belongs: box `box` among those of its step."""

    step: Int64[np.ndarray, " N"]
    box: Int64[np.ndarray, " N"]
    center_world_m: Float64[np.ndarray, "N 3"]
    size_lwh_m: Float64[np.ndarray, "N 3"]
    rotation_wxyz: Float64[np.ndarray, "N 4"]
    velocity_world_mps: Float64[np.ndarray, "N 2"]
    track_id: Int32[np.ndarray, " N"]
    category: UInt8[np.ndarray, " N"]
    attribute: UInt8[np.ndarray, " N"]
    visibility: UInt8[np.ndarray, " N"]
    visible_fraction: Float32[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.step)

    @cached_property
    def world_from_agent(self) -> Float64[np.ndarray, "N 3 3"]:
        """Rotations of the boxes; quaternions must be of unit length."""
        return rotation_matrices(self.rotation_wxyz)

    def to_box(self, points_world_m: Float64[np.ndarray, "P 3"], row: int) -> Float64[np.ndarray, "P 3"]:
        """Move points to the frame of a box, whose origin is its middle."""
        points_box_m: Float64[np.ndarray, "P 3"] = (points_world_m - self.center_world_m[row]) @ self.world_from_agent[
            row
        ]
        return points_box_m


@dataclass(frozen=True, kw_only=True)
class Object2dRows:
    """All 2-D boxes of a scene. `row` is that of its agent in `ObjectRows`, `view` the index of the camera."""

    step: Int64[np.ndarray, " M"]
    view: Int64[np.ndarray, " M"]
    row: Int64[np.ndarray, " M"]
    seen: Boxes2d

    def __len__(self) -> int:
        return len(self.step)


class SceneLabels:
    """A scene as the checks read it.

    `objects` and `objects2d` may be used only once the pointers are known to be sound.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    @cached_property
    def frame_ptr(self) -> Int64[np.ndarray, " T1"]:
        """Where the boxes of each step begin."""
        return self.scene.array("objects/frame_ptr")[:]

    @cached_property
    def key_steps(self) -> list[int]:
        """Steps at 2 Hz."""
        return np.flatnonzero(self.scene.is_key_frame).tolist()

    @cached_property
    def objects(self) -> ObjectRows:
        """Every box of the scene."""
        column = {
            name: self.scene.array(f"objects/{name}")[:]
            for name in (
                "center", "size_lwh", "rotation_wxyz", "velocity", "track_id", "category", "attribute", "visibility",
                "visible_fraction",
            )
        }  # fmt: skip
        counts = np.diff(self.frame_ptr)
        step = np.repeat(np.arange(len(counts)), counts)
        return ObjectRows(
            step=step,
            box=np.arange(len(step)) - self.frame_ptr[step],
            center_world_m=column["center"],
            size_lwh_m=column["size_lwh"],
            rotation_wxyz=column["rotation_wxyz"],
            velocity_world_mps=column["velocity"],
            track_id=column["track_id"],
            category=column["category"],
            attribute=column["attribute"],
            visibility=column["visibility"],
            visible_fraction=column["visible_fraction"],
        )

    @property
    def has_objects2d(self) -> bool:
        """Whether the scene was written with 2-D boxes."""
        return self.scene.has_array("objects2d/ptr")

    @cached_property
    def objects2d(self) -> Object2dRows:
        """Every 2-D box of the scene."""
        names = ("ptr", "box", "xyxy", "center", "depth", "visible_fraction", "num_px")
        column = {name: self.scene.array(f"objects2d/{name}")[:] for name in names}
        counts = np.diff(column["ptr"])
        of_view = np.repeat(np.arange(len(counts)), counts)
        step, view = np.divmod(of_view, len(self.scene.cameras))
        return Object2dRows(
            step=step,
            view=view,
            row=self.frame_ptr[step] + column["box"],
            seen=Boxes2d.of_columns(column),
        )


def unknown_agents(
    labels: SceneLabels, instance: np.ndarray, *, array: str, step: int, camera: str | None = None
) -> Iterator[Finding]:
    """Yield instance ids of one step that are neither static nor an agent of the step."""
    present = 1 + labels.objects.track_id[labels.objects.step == step]
    ids = np.unique(instance)
    for unknown in np.setdiff1d(ids[belongs_to_agent(ids)], present).tolist():
        expected = "0, static things and agents of the step"
        yield Finding(array=array, step=step, camera=camera, expected=expected, found=f"instance {unknown}")


Check: TypeAlias = Callable[[SceneLabels], Iterator[Finding]]
"""Yields what is wrong, lazily: whoever runs it may stop after a few findings."""
