"""Look at one scene once: every judged moment fills the tallies of its block, and nothing else is kept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from scenegen.checks.agents import ViewAgents, best_positions, score_view
from scenegen.checks.classes import judge_labels
from scenegen.checks.control import frame_miou
from scenegen.checks.drift import bin_of_step
from scenegen.checks.fidelity import clip_features, laplacian_energy
from scenegen.checks.identity import BodyColors, body_colors, keeps_color
from scenegen.checks.judge import Verdict
from scenegen.checks.judge_targets import rig_rays_ego, true_agents
from scenegen.checks.lanes import lane_error_px
from scenegen.checks.overlap import find_overlap, overlap_difference
from scenegen.checks.temporal import follow_surfaces, measure_change
from scenegen.evaluation.footage import Footage, Window, as_stored
from scenegen.evaluation.judging import FrameJudge
from scenegen.evaluation.leak import foreign_conditions, paint_alone, paint_probes
from scenegen.evaluation.moments import TRACK_STEPS
from scenegen.evaluation.tally import Block, Tally, empty_block
from scenegen.evaluation.worst import WorstFrames
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import ConditionMaps
from scenegen.video.interface import VideoBackbone

VELOCITY_S = 0.5
"""Velocities are differences of positions this far apart, or the nearest multiple of the distance of moments."""

Frames = UInt8[np.ndarray, "V H W 3"]
Located = dict[int, tuple[int, Float64[np.ndarray, "2"]]]


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """Deep features of one painter's frames. M judged moments, C clips.

    Attributes:
        moments: of every view at every moment.
        clips: of every view's clips, as `clip_features` describes them.
    """

    moments: Float32[np.ndarray, "M V F"]
    clips: Float32[np.ndarray, "C V F2"]


@dataclass(frozen=True, kw_only=True)
class SceneFinding:
    """What one look at a scene leaves.

    Attributes:
        blocks: by bin of five seconds.
        velocity_s: time between the two positions of a velocity.
        features: of the painters `generated` and `truth`.
        moment_bins, clip_bins: the bin of each moment and of each clip.
        worst: frames to look at.
    """

    blocks: dict[int, Block]
    velocity_s: float
    features: dict[str, FeatureSet]
    moment_bins: Int64[np.ndarray, " M"]
    clip_bins: Int64[np.ndarray, " C"]
    worst: WorstFrames


@dataclass(kw_only=True)
class _Notes:
    """What has to be remembered between the moments of a scene."""

    colors: list[tuple[int, BodyColors]] = field(default_factory=list)
    located: dict[str, deque[tuple[int, Located]]] = field(default_factory=dict)
    moments: dict[str, list[Float32[np.ndarray, "V F"]]] = field(default_factory=dict)
    clips: dict[str, list[Float32[np.ndarray, "V F2"]]] = field(default_factory=dict)
    moment_bins: list[int] = field(default_factory=list)
    clip_bins: list[int] = field(default_factory=list)


class SceneLook:
    """Fills tallies while the windows of a scene go by.

    Args:
        footage: the scene.
        judge: sees pixels and calibration only.
        backbone: the model that painted the scene, without history; None where it is not at hand.
        donor: one step of conditions of somewhere else, for the leak test.
        every: steps between moments.
    """

    def __init__(
        self, footage: Footage, *, judge: FrameJudge, backbone: VideoBackbone | None, donor: ConditionMaps, every: int
    ) -> None:
        self._footage = footage
        self._judge = judge
        self._backbone = backbone
        self._donor = donor
        self._rate_hz = footage.layout.timeline.rate_hz
        self._lag = max(round(VELOCITY_S * self._rate_hz / every), 1) * every
        self._rays = rig_rays_ego(footage.rig)
        self._blocks: dict[int, Block] = {}
        self._notes = _Notes()
        self._worst = WorstFrames()

    def add(self, window: Window) -> None:
        """Look at one moment."""
        moment = window.moment
        block_idx = bin_of_step(moment.step, rate_hz=self._rate_hz)
        block = self._blocks.setdefault(block_idx, empty_block())
        maps = window.conditions.cut_steps(moment.num_steps - 1, moment.num_steps)
        frames = {"generated": window.generated[:, -1], "truth": window.truth[:, -1]}
        if self._backbone is not None:
            painted = paint_alone(self._backbone, self._footage.stage.context, maps, step=moment.step)
            frames["no_history"] = self._finish(painted, maps)
        verdicts = self._judge_painters(frames)
        self._add_control(block, frames, verdicts, maps, step=moment.step)
        self._add_worst(frames, verdicts, maps, step=moment.step, block_idx=block_idx)
        self._add_surfaces(block, window)
        self._add_colors(frames, maps, block_idx=block_idx)
        self._add_features(window, frames, block_idx=block_idx)
        if moment.is_long and self._backbone is not None:
            self._add_leak(block, self._backbone, verdicts["truth"], maps, step=moment.step)

    def finish(self) -> SceneFinding:
        """Return what was found; call it after the last window."""
        self._settle_identity()
        notes = self._notes
        features = {
            painter: FeatureSet(
                moments=np.stack(notes.moments[painter]),
                clips=np.stack(notes.clips[painter]) if notes.clip_bins else np.zeros((0, 0, 0), np.float32),
            )
            for painter in ("generated", "truth")
        }
        return SceneFinding(
            blocks=self._blocks,
            velocity_s=self._lag / self._rate_hz,
            features=features,
            moment_bins=np.array(notes.moment_bins, np.int64),
            clip_bins=np.array(notes.clip_bins, np.int64),
            worst=self._worst,
        )

    def _finish(self, painted: UInt8[np.ndarray, "V 1 H W 3"], maps: ConditionMaps) -> Frames:
        """Do to freshly painted frames what storing did to the others."""
        seen = np.where(maps.is_seen[:, None, :, :, None], painted, np.uint8(0))
        return as_stored(self._footage.scene, seen)[:, 0]

    def _judge_painters(self, frames: dict[str, Frames]) -> dict[str, Verdict]:
        """Judge the views of all painters in one batch."""
        num_views = len(self._rays)
        rays = np.tile(self._rays, (len(frames), 1, 1, 1))
        verdict = self._judge.verdict(np.concatenate(list(frames.values())), ray_ego=rays)
        return {
            painter: Verdict(
                labels=verdict.labels[i : i + num_views],
                range_m=verdict.range_m[i : i + num_views],
                agents=verdict.agents[i : i + num_views],
            )
            for painter, i in zip(frames, range(0, len(rays), num_views), strict=True)
        }

    def _add_control(
        self, block: Block, frames: dict[str, Frames], verdicts: dict[str, Verdict], maps: ConditionMaps, *, step: int
    ) -> None:
        layout, cameras = self._footage.layout, self._footage.rig.cameras
        labels = judge_labels(maps.semantic[:, 0], maps.material[:, 0])
        is_seen = maps.is_seen
        ego_from_world = invert_rigid(layout.ego.world_from_ego[step])
        centers_world_m = np.array([agent.center_world_m[step] for agent in layout.agents]).reshape(-1, 3)
        centers_ego_m = transform_points(ego_from_world, centers_world_m)
        true = [
            true_agents(layout, camera, step=step, instance=maps.instance[view, 0])
            for view, camera in enumerate(cameras)
        ]
        for painter, verdict in verdicts.items():
            tally = block[painter]
            tally.control.add(verdict.labels[is_seen], labels[is_seen])
            views = [
                score_view(found, truth, camera=camera, instance=maps.instance[view, 0])
                for view, (found, truth, camera) in enumerate(zip(verdict.agents, true, cameras, strict=True))
            ]
            for view, judged in enumerate(views):
                tally.agents.add_view(judged, centers_ego_m)
                lane_px = lane_error_px(verdict.labels[view], labels[view])
                tally.lane_px.values.extend([lane_px] if np.isfinite(lane_px) else [])
                tally.energy.add(laplacian_energy(frames[painter][view]), 1)
            self._add_velocities(tally, painter, views, step=step)

    def _add_velocities(self, tally: Tally, painter: str, views: list[ViewAgents], *, step: int) -> None:
        layout = self._footage.layout
        world_from_ego = layout.ego.world_from_ego
        located: Located = {
            agent: (group, transform_points(world_from_ego[step], np.append(position_m, 0.0))[:2])
            for agent, (group, position_m) in best_positions(views).items()
        }
        past = self._notes.located.setdefault(painter, deque())
        while past and past[0][0] < step - self._lag:
            past.popleft()
        if past and past[0][0] == step - self._lag:
            seconds = self._lag / self._rate_hz
            for agent, (group, position_m) in located.items():
                if agent not in past[0][1]:
                    continue
                center_m = layout.agents[agent].center_world_m
                true_mps = (center_m[step] - center_m[step - self._lag])[:2] / seconds
                found_mps = (position_m - past[0][1][agent][1]) / seconds
                tally.agents.velocity_error_mps[group].append(float(np.linalg.norm(found_mps - true_mps)))
        past.append((step, located))

    def _add_surfaces(self, block: Block, window: Window) -> None:
        maps, last = window.conditions, window.moment.num_steps - 1
        is_seen: Bool[np.ndarray, "V H W"] = maps.is_seen
        overlap = find_overlap(maps, step=last, rig=self._footage.rig, is_seen=is_seen)
        track = follow_surfaces(maps, is_seen=is_seen) if window.moment.num_steps >= TRACK_STEPS else None
        for painter, rgb in (("generated", window.generated), ("truth", window.truth)):
            tally = block[painter]
            tally.overlap.add(*overlap_difference(rgb, overlap))
            if track is not None:
                change = measure_change(rgb, track)
                tally.warp.add(change.warp_sum, change.num_warp)
                tally.flicker.add(change.flicker_sum, change.num_flicker)

    def _add_colors(self, frames: dict[str, Frames], maps: ConditionMaps, *, block_idx: int) -> None:
        for view in range(len(self._rays)):
            colors = body_colors(
                frames["generated"][view],
                frames["truth"][view],
                material=maps.material[view, 0],
                instance=maps.instance[view, 0],
            )
            self._notes.colors.append((block_idx, colors))

    def _settle_identity(self) -> None:
        """Compare every sighting of a car with its usual colour, which only the whole scene tells."""
        colors = self._notes.colors
        agent = np.concatenate([np.zeros(0, np.int64), *(c.agent for _, c in colors)])
        shift = np.concatenate([np.zeros((0, 3)), *(c.shift_lab for _, c in colors)])
        block_of = np.concatenate([np.zeros(0, np.int64), *(np.full(len(c.agent), b) for b, c in colors)])
        finding = keeps_color(agent, shift)
        for block_idx, block in self._blocks.items():
            own = finding.is_asked & (block_of == block_idx)
            block["generated"].identity.add(float(finding.is_kept[own].sum()), int(own.sum()))
            block["truth"].identity.add(float(own.sum()), int(own.sum()))

    def _add_features(self, window: Window, frames: dict[str, Frames], *, block_idx: int) -> None:
        notes, num_views = self._notes, len(self._rays)
        notes.moment_bins.append(block_idx)
        notes.clip_bins.extend([block_idx] if window.moment.is_long else [])
        for painter, clip in (("generated", window.generated), ("truth", window.truth)):
            if not window.moment.is_long:
                features = self._judge.features(frames[painter], ray_ego=self._rays)
                notes.moments.setdefault(painter, []).append(features)
                continue
            num_steps = clip.shape[1]
            rays = np.repeat(self._rays, num_steps, axis=0)
            features = self._judge.features(clip.reshape(-1, *clip.shape[2:]), ray_ego=rays)
            by_step = features.reshape(num_views, num_steps, -1)
            notes.moments.setdefault(painter, []).append(by_step[:, -1])
            notes.clips.setdefault(painter, []).append(clip_features(by_step))

    def _add_leak(
        self, block: Block, backbone: VideoBackbone, truth: Verdict, maps: ConditionMaps, *, step: int
    ) -> None:
        is_seen = maps.is_seen
        labels = judge_labels(maps.semantic[:, 0], maps.material[:, 0])[is_seen]
        block["leak_truth"].control.add(truth.labels[is_seen], labels)
        foreign = foreign_conditions(self._footage, maps, donor=self._donor)
        foreign_labels = judge_labels(foreign.semantic[:, 0], foreign.material[:, 0])
        block["shuffled_chance"].control.add(foreign_labels[is_seen], labels)
        painted = paint_probes(backbone, self._footage, maps, foreign=foreign, step=step)
        verdicts = self._judge_painters({name: self._finish(frame, maps) for name, frame in painted.items()})
        for name, verdict in verdicts.items():
            block[name].control.add(verdict.labels[is_seen], labels)

    def _add_worst(
        self,
        frames: dict[str, Frames],
        verdicts: dict[str, Verdict],
        maps: ConditionMaps,
        *,
        step: int,
        block_idx: int,
    ) -> None:
        labels = judge_labels(maps.semantic[:, 0], maps.material[:, 0])
        for view, camera in enumerate(self._footage.rig.cameras):
            seen = maps.is_seen[view]
            own = frame_miou(verdicts["generated"].labels[view][seen], labels[view][seen])
            true = frame_miou(verdicts["truth"].labels[view][seen], labels[view][seen])
            if not true > 0.0:
                continue
            self._worst.offer(
                own / true,
                place=(self._footage.scene.scene_id, camera.name, block_idx),
                step=step,
                generated=frames["generated"][view],
                truth=frames["truth"][view],
                labels=verdicts["generated"].labels[view],
            )
