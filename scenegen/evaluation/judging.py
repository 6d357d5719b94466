"""The judge as the evaluation uses it: frames in, verdicts and features out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from jaxtyping import Float32, UInt8

from scenegen.checks.judge import SHIPPED_JUDGE, Verdict, judge_features, judge_frames, load_judge

if TYPE_CHECKING:
    from scenegen.checks.judge import Judge


class FrameJudge(Protocol):
    """Whoever judges frames; the calibration is known, the scene is not."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def weights_sha256(self) -> str:
        """Hash of its weight file."""
        ...

    def verdict(self, frames: UInt8[np.ndarray, "N H W 3"], *, ray_ego: Float32[np.ndarray, "N H W 3"]) -> Verdict:
        """Judge frames."""
        ...

    def features(
        self, frames: UInt8[np.ndarray, "N H W 3"], *, ray_ego: Float32[np.ndarray, "N H W 3"]
    ) -> Float32[np.ndarray, "N F"]:
        """Return deep features of frames."""
        ...


class LearnedJudge:
    """A judge with weights.

    Args:
        path: a weight file; None for the shipped one.

    Raises:
        WeightsError: the file is missing, damaged, or does not fit.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._judge: Judge = load_judge(path)
        file = SHIPPED_JUDGE if path is None else path
        self.name = file.name
        self.weights_sha256 = hashlib.sha256(file.read_bytes()).hexdigest()

    def verdict(self, frames: UInt8[np.ndarray, "N H W 3"], *, ray_ego: Float32[np.ndarray, "N H W 3"]) -> Verdict:
        """Judge frames."""
        return judge_frames(self._judge, frames, ray_ego=ray_ego)

    def features(
        self, frames: UInt8[np.ndarray, "N H W 3"], *, ray_ego: Float32[np.ndarray, "N H W 3"]
    ) -> Float32[np.ndarray, "N F"]:
        """Return deep features of frames."""
        return judge_features(self._judge, frames, ray_ego=ray_ego)
