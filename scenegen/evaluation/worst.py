"""The frames to look at first, chosen by a fixed rule: lowest control score against truth, one per camera and block."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from scenegen.checks.classes import JudgeClass

NUM_WORST = 12
LABEL_RGB: dict[JudgeClass, tuple[int, int, int]] = {
    JudgeClass.SKY: (120, 180, 230),
    JudgeClass.ROAD: (90, 90, 100),
    JudgeClass.MARKING: (255, 255, 255),
    JudgeClass.SIDEWALK: (220, 130, 200),
    JudgeClass.TERRAIN: (150, 200, 110),
    JudgeClass.MANMADE: (170, 140, 110),
    JudgeClass.VEGETATION: (40, 120, 40),
    JudgeClass.CAR: (30, 60, 200),
    JudgeClass.LARGE_VEHICLE: (20, 160, 170),
    JudgeClass.TWO_WHEELER: (240, 150, 30),
    JudgeClass.PEDESTRIAN: (230, 30, 40),
    JudgeClass.TRAFFIC_OBJECT: (250, 220, 40),
}

Place = tuple[str, str, int]
"""Scene, camera, bin."""


@dataclass(frozen=True, kw_only=True)
class WorstFrame:
    """One frame to look at.

    Attributes:
        score: mean intersection over union of the frame's own classes, over the same of the true frame.
        scene_id, camera, step: where it is.
        pictures: JPEG files: generated, true, and generated under the judge's classes.
    """

    score: float
    scene_id: str
    camera: str
    step: int
    pictures: tuple[bytes, bytes, bytes]


class WorstFrames:
    """Keeps the worst frame of every place, and hands out the worst of those."""

    def __init__(self) -> None:
        self._of_place: dict[Place, WorstFrame] = {}

    def offer(
        self,
        score: float,
        *,
        place: Place,
        step: int,
        generated: UInt8[np.ndarray, "H W 3"],
        truth: UInt8[np.ndarray, "H W 3"],
        labels: UInt8[np.ndarray, "H W"],
    ) -> None:
        """Keep a frame if it is the worst of its place so far."""
        known = self._of_place.get(place)
        if known is not None and known.score <= score:
            return
        pictures = (encode_jpeg(generated), encode_jpeg(truth), encode_jpeg(overlay_labels(generated, labels)))
        self._of_place[place] = WorstFrame(
            score=score, scene_id=place[0], camera=place[1], step=step, pictures=pictures
        )

    def join(self, other: WorstFrames) -> None:
        """Add the frames of another scene, and forget all but the worst."""
        self._of_place |= other._of_place
        kept = sorted(self._of_place.items(), key=lambda item: (item[1].score, item[0]))[:NUM_WORST]
        self._of_place = dict(kept)

    def listed(self) -> tuple[WorstFrame, ...]:
        """Return the worst frames, the worst first."""
        return tuple(sorted(self._of_place.values(), key=lambda frame: (frame.score, frame.scene_id, frame.camera)))[
            :NUM_WORST
        ]


def overlay_labels(rgb: UInt8[np.ndarray, "H W 3"], labels: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """Tint a frame with the colours of judged classes."""
    table = np.array([LABEL_RGB[JudgeClass(code)] for code in range(len(JudgeClass))], np.float32)
    return (0.35 * rgb + 0.65 * table[labels]).round().astype(np.uint8)


def encode_jpeg(rgb: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """Return a picture as a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(stream, "JPEG", quality=88)
    return stream.getvalue()
