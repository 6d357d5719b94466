"""The model that painted a scene, found by the hash of its weights, to paint controls without history."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenegen.dataset.paths import RUNS
from scenegen.dataset.storage import Storage
from scenegen.errors import WeightsError
from scenegen.video.build import SHIPPED_WEIGHTS, load_backbone
from scenegen.video.interface import VideoBackbone


@dataclass(frozen=True, kw_only=True)
class FoundModel:
    """The model of a scene, or why there is none."""

    backbone: VideoBackbone | None
    reason: str = ""


class ModelFinder:
    """Finds and keeps models by the hash of their weights and the way they sampled, both stored with a scene.

    Args:
        storage: of the data set; its run records say how many Euler steps were taken where a scene does not.
        weights: a weight file beside the shipped ones; every learned scene must then have been painted by one of them.
    """

    def __init__(self, storage: Storage, *, weights: Path | None) -> None:
        self._steps = recorded_sampling_steps(storage)
        self._weights = weights
        self._files = _hash_files(weights)
        self._found: dict[tuple[str, str], FoundModel] = {}

    def find(self, model: dict[str, Any]) -> FoundModel:
        """Return the model of a scene's attribute `model`.

        Raises:
            WeightsError: the weights that were named are not those that painted the scene, or do not load.
        """
        sha256, sampling = model["weights_sha256"], model.get("sampling")
        key = sha256, json.dumps(sampling, sort_keys=True)
        if key not in self._found:
            self._found[key] = self._load(model["model_id"], sha256, sampling)
        return self._found[key]

    def _load(self, model_id: str, sha256: str, sampling: dict[str, Any] | None) -> FoundModel:
        if not sha256:
            return FoundModel(backbone=None, reason=f"{model_id} has no weights: nothing was learned, nothing can leak")
        if sha256 not in self._files:
            if self._weights is not None:
                raise WeightsError(
                    f"the weights that painted the scenes, {sha256[:12]}...",
                    found=f"{_sha256_of(self._weights)[:12]}... in {self._weights}",
                    where="--weights",
                )
            return FoundModel(
                backbone=None,
                reason=f"the weights {sha256[:12]}... are not the shipped ones; name them: --weights FILE",
            )
        if sampling is None and self._steps is None:
            return FoundModel(
                backbone=None, reason="no record in runs/ says in how many sampling steps the scenes were painted"
            )
        options = {"steps": self._steps} if sampling is None else sampling
        weights = str(self._files[sha256])
        return FoundModel(backbone=load_backbone("native", weights=weights, history=False, **options))


def recorded_sampling_steps(storage: Storage) -> int | None:
    """Return `video.steps` of the data set's last run with a learned model, if it was recorded as a number."""
    configs = [file.key for file in storage.list_files(RUNS) if file.key.endswith("/config.json")]
    for key in sorted(configs, reverse=True):
        video = json.loads(storage.read(key))["video"]
        if video["name"] != "preview" and video["steps"] is not None:
            return int(video["steps"])
    return None


def _hash_files(weights: Path | None) -> dict[str, Path]:
    if weights is not None and not weights.is_file():
        raise WeightsError("a weight file", found="nothing", where=f"--weights {weights}")
    shipped = sorted(SHIPPED_WEIGHTS.parent.glob(f"{SHIPPED_WEIGHTS.stem.partition('_')[0]}*{SHIPPED_WEIGHTS.suffix}"))
    return {_sha256_of(path): path for path in [*shipped, *([weights] if weights is not None else [])]}


def _sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
