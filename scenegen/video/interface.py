"""What a video backbone is: it opens a session per scene, and the session paints chunk after chunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import UInt8

from scenegen.types import AppearanceTable, ConditionMaps, Lighting, Sampling, StaticTable


@dataclass(frozen=True, kw_only=True)
class SceneContext:
    """What a backbone may know of a scene beside its condition maps.

    Attributes:
        scene_id, seed: key of all randomness.
        attempt: which painting of the scene this is; with `scene_id` and `seed` the key of the noise, and of nothing
            else: world, light and looks stay when a scene is painted again.
        rate_hz: steps per second.
        statics: static instances and their appearance.
        agents: appearance of agent i in row i.
        lighting: light and weather.
    """

    scene_id: str
    seed: int
    rate_hz: float
    statics: StaticTable
    agents: AppearanceTable
    lighting: Lighting
    attempt: int = 0


class VideoSession(Protocol):
    """The painting of one scene; carries its own history from chunk to chunk."""

    def paint(self, conditions: ConditionMaps, *, start_step: int) -> UInt8[np.ndarray, "V T H W 3"]:
        """Paint the steps that `conditions` cover. Chunks come in order, without gaps."""
        ...

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return what is carried on to the next chunk, by name; empty where steps are independent."""
        ...

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take up what another session of the same scene had as its `state`; the next chunk is the one after it."""
        ...


class VideoBackbone(Protocol):
    """A way to turn condition maps into frames, loaded once and used for many scenes."""

    @property
    def model_id(self) -> str:
        """Name and size, for example `native-tiny`."""
        ...

    @property
    def weights_sha256(self) -> str:
        """Hash of the weight file; empty where nothing is learned."""
        ...

    @property
    def sampling(self) -> Sampling | None:
        """How frames are sampled; None where nothing is."""
        ...

    @property
    def licence(self) -> str:
        """Licence of the weights."""
        ...

    def open_session(self, scene: SceneContext) -> VideoSession:
        """Start a scene."""
        ...
