"""The fields that `step_filter` knows, and where their values come from: the manifest, a scene, its steps, its boxes.

Fields of the manifest cost nothing; any other opens the scene once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int64

from scenegen.dataset.manifest import SceneEntry
from scenegen.dataset.stored_scene import Scene
from scenegen.types import AgentCategory, Timeline
from scenegen.types.layout import TIMES_OF_DAY, WEATHERS

Level = Literal["entry", "scene", "step", "box"]
Kind = Literal["text", "number", "flag"]
PLURALS = {AgentCategory.BUS: "buses"}
"""Plural of a category in `num_<plural>` where it is not made with an s."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One name of the language.

    Attributes:
        level: what has a value: an `entry` of the manifest, a `scene`, each `step`, each `box`.
        kind: text, number or flag.
        read: takes `SceneFacts`; gives a scalar, an array over steps, or an array over boxes.
        values: all values of a text field, where they are known.
    """

    level: Level
    kind: Kind
    read: Callable[[SceneFacts], Any]
    values: tuple[str, ...] = ()


class SceneFacts:
    """What can be asked about one scene, read on first use."""

    def __init__(self, entry: SceneEntry, open_scene: Callable[[], Scene]) -> None:
        self.entry = entry
        self._open_scene = open_scene

    @property
    def num_steps(self) -> int:
        """Steps of the scene."""
        return self.entry.num_steps

    @cached_property
    def scene(self) -> Scene:
        """The opened scene."""
        return self._open_scene()

    @property
    def timeline(self) -> Timeline:
        """Rate and length of the scene."""
        return Timeline(rate_hz=self.entry.rate_hz, num_steps=self.entry.num_steps)

    @cached_property
    def step_of_box(self) -> Int64[np.ndarray, " P"]:
        """The step that each row of `objects` belongs to."""
        return np.repeat(np.arange(self.num_steps), self.num_boxes)

    @cached_property
    def num_boxes(self) -> Int64[np.ndarray, " T"]:
        """Boxes of each step."""
        return np.diff(self.scene.array("objects/frame_ptr")[:])

    @cached_property
    def column(self) -> Callable[[str], np.ndarray[Any, Any]]:
        """Reader of the columns of `objects`, each read once."""
        read: dict[str, np.ndarray[Any, Any]] = {}

        def column(name: str) -> np.ndarray[Any, Any]:
            if name not in read:
                read[name] = self.scene.array(f"objects/{name}")[:]
            return read[name]

        return column

    def read(self, name: str, *, per_box: bool) -> Any:
        """Return the value of a field: one scalar, or one per step; with `per_box`, one per box instead of per step."""
        field = FIELDS[name]
        value = field.read(self)
        return np.asarray(value)[self.step_of_box] if per_box and field.level == "step" else value


def _labelled(name: str) -> Callable[[SceneFacts], np.ndarray[Any, Any]]:
    def read(facts: SceneFacts) -> np.ndarray[Any, Any]:
        labels = facts.scene.array(f"objects/{name}").attrs["labels"]
        return np.array(labels or [""], dtype=np.str_)[facts.column(name)]

    return read


def _number_of(category: AgentCategory) -> Callable[[SceneFacts], Int64[np.ndarray, " T"]]:
    def read(facts: SceneFacts) -> Int64[np.ndarray, " T"]:
        chosen = facts.column("category") == int(category)
        return np.bincount(facts.step_of_box[chosen], minlength=facts.num_steps)

    return read


def _column(name: str) -> Callable[[SceneFacts], np.ndarray[Any, Any]]:
    return lambda facts: facts.column(name)


def _size(axis: int) -> Callable[[SceneFacts], Float64[np.ndarray, " P"]]:
    return lambda facts: facts.column("size_lwh")[:, axis]


def _distance_m(facts: SceneFacts) -> Float64[np.ndarray, " P"]:
    ego_world_m = facts.scene.ego2global[facts.step_of_box, :2, 3]
    distance_m: Float64[np.ndarray, " P"] = np.linalg.norm(facts.column("center")[:, :2] - ego_world_m, axis=1)
    return distance_m


def _ego_speed_mps(facts: SceneFacts) -> Float64[np.ndarray, " T"]:
    speed_mps: Float64[np.ndarray, " T"] = np.linalg.norm(facts.scene.array("ego/velocity")[:].astype(float), axis=1)
    return speed_mps


FIELDS: dict[str, Field] = {
    "scene_id": Field(level="entry", kind="text", read=lambda facts: facts.entry.scene_id),
    "split": Field(level="entry", kind="text", read=lambda facts: facts.entry.split, values=("train", "val", "test")),
    "source": Field(level="entry", kind="text", read=lambda facts: facts.entry.source),
    "model_id": Field(level="entry", kind="text", read=lambda facts: facts.entry.model_id),
    "rate_hz": Field(level="entry", kind="number", read=lambda facts: facts.entry.rate_hz),
    "num_steps": Field(level="entry", kind="number", read=lambda facts: facts.entry.num_steps),
    "num_cameras": Field(level="entry", kind="number", read=lambda facts: len(facts.entry.cameras)),
    "duration_s": Field(level="entry", kind="number", read=lambda facts: facts.timeline.duration_s),
    "weather": Field(
        level="scene",
        kind="text",
        read=lambda facts: facts.scene.attrs["environment"]["weather"],
        values=WEATHERS,
    ),
    "time_of_day": Field(
        level="scene",
        kind="text",
        read=lambda facts: facts.scene.attrs["environment"]["time_of_day"],
        values=TIMES_OF_DAY,
    ),
    "prompt": Field(level="scene", kind="text", read=lambda facts: facts.scene.attrs["prompt"]),
    "seed": Field(level="scene", kind="number", read=lambda facts: facts.scene.attrs["seed"]),
    "step": Field(level="step", kind="number", read=lambda facts: np.arange(facts.num_steps)),
    "time_s": Field(level="step", kind="number", read=lambda facts: facts.timeline.timestamps_us() / 1e6),
    "is_key_frame": Field(level="step", kind="flag", read=lambda facts: facts.timeline.is_key_frame()),
    "is_recorded": Field(level="step", kind="flag", read=lambda facts: facts.scene.is_recorded),
    "ego_speed_mps": Field(level="step", kind="number", read=_ego_speed_mps),
    "num_boxes": Field(level="step", kind="number", read=lambda facts: facts.num_boxes),
    **{
        f"num_{PLURALS.get(category, category.label + 's')}": Field(
            level="step", kind="number", read=_number_of(category)
        )
        for category in AgentCategory
    },
    "category": Field(
        level="box",
        kind="text",
        read=_labelled("category"),
        values=tuple(category.label for category in AgentCategory),
    ),
    "attribute": Field(level="box", kind="text", read=_labelled("attribute")),
    "distance_m": Field(level="box", kind="number", read=_distance_m),
    "speed_mps": Field(level="box", kind="number", read=lambda facts: np.linalg.norm(facts.column("velocity"), axis=1)),
    "length_m": Field(level="box", kind="number", read=_size(0)),
    "width_m": Field(level="box", kind="number", read=_size(1)),
    "height_m": Field(level="box", kind="number", read=_size(2)),
    "visibility": Field(level="box", kind="number", read=_column("visibility")),
    "visible_fraction": Field(level="box", kind="number", read=_column("visible_fraction")),
    "visible_height_px": Field(level="box", kind="number", read=_column("visible_height")),
}
"""Every field, by name."""
