"""Who paints in the comparison: the teacher in many steps, the student in few, and the teacher in as few."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.distillation.clips import ClipKey, PaintedClips, PairClip, build_pair_clip, paint, paint_truth
from benchmarks.distillation.scores import ClipScore, Frames, read_score, score_clip, write_score
from scenegen.checks.leak import shuffled_conditions
from scenegen.evaluation.judging import LearnedJudge
from scenegen.types import CameraRig
from scenegen.video.backbones.native import NativeBackbone

TRUTH, SHUFFLED = "truth", "conditions of another clip"


@dataclass(frozen=True, kw_only=True)
class Painter:
    """A model with a sampler, and its clips on disk."""

    name: str
    backbone: NativeBackbone
    clips: PaintedClips


def open_painter(name: str, backbone: NativeBackbone, cache: Path) -> Painter:
    """Return a painter whose clips lie in a cache."""
    return Painter(name=name, backbone=backbone, clips=PaintedClips(cache, backbone))


class Comparing:
    """Scores clips of painters, each once; what is on disk is not painted or scored again.

    Args:
        cache: folder of clips and scores.
        rig: cameras of the clips.
    """

    def __init__(self, cache: Path, rig: CameraRig) -> None:
        self._scores = cache / "scores"
        self._rig = rig
        self._judge = LearnedJudge()
        self._built: PairClip | None = None

    def score(self, painter: Painter, key: ClipKey) -> ClipScore:
        """Return the score of a painter's clip."""
        path = self._scores / painter.clips.path(key).parent.name / painter.clips.path(key).with_suffix(".json").name
        if not path.is_file():
            write_score(score_clip(self._judge, self._clip(key), self.frames(painter, key)), path)
        return read_score(path)

    def frames(self, painter: Painter, key: ClipKey) -> Frames:
        """Return a painter's clip."""
        if not painter.clips.has(key):
            painter.clips.add(self._clip(key))
        return painter.clips.read(key)

    def score_truth(self, key: ClipKey) -> ClipScore:
        """Return the score of the ground truth."""
        path = self._scores / TRUTH / f"{_name_of(key)}.json"
        if not path.is_file():
            clip = self._clip(key)
            write_score(score_clip(self._judge, clip, paint_truth(clip)), path)
        return read_score(path)

    def score_shuffled(self, painter: Painter, key: ClipKey, donor: ClipKey) -> ClipScore:
        """Return the score of a clip that a painter painted from what is seen in another one."""
        folder = painter.clips.path(key).parent.name
        path = self._scores / f"{folder}-shuffled" / f"{_name_of(key)}.json"
        if not path.is_file():
            foreign = build_pair_clip(donor, self._rig)
            clip = self._clip(key)
            maps = shuffled_conditions(
                clip.maps, foreign.maps, num_agents=len(clip.layout.agents), num_statics=len(clip.statics.material)
            )
            write_score(score_clip(self._judge, clip, paint(painter.backbone, clip, maps=maps)), path)
        return read_score(path)

    def _clip(self, key: ClipKey) -> PairClip:
        """Build a clip, or take the one that was built last."""
        if self._built is None or self._built.key != key:
            same_world = self._built is not None and replace(self._built.key, attempt=key.attempt) == key
            if self._built is not None and same_world:
                context = replace(self._built.context, attempt=key.attempt)
                self._built = replace(self._built, key=key, context=context)
            else:
                self._built = build_pair_clip(key, self._rig)
        return self._built


def _name_of(key: ClipKey) -> str:
    reference = key.reference.replace(":", "_").replace("/", "_")
    return f"{reference}-seed{key.seed}-from{key.start_step}"
