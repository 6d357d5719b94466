"""Agents as a judge finds them and as they are: centres in the image, distances, and when one counts as found.

The criterion, used for everything that scenegen reports: an agent is found when the judge puts a centre of its kind
within max(3 px, a quarter of its visible height) of the projected centre of its box. Agents whose box centre lies
outside the image are not asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8, UInt16
from scipy import ndimage

from scenegen.checks.classes import AGENT_KINDS, kind_of_semantic
from scenegen.geometry.lens import project_points, unit_rays_ego, unproject_pixels
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import SEMANTIC_OF_CATEGORY, Camera, CameraRig, Layout, belongs_to_agent

MIN_RADIUS_PX = 3.0
RADIUS_PER_HEIGHT = 0.25
MIN_VISIBLE_PX = 6
MIN_VISIBLE_SHARE = 0.1
"""Agents with fewer visible pixels, or a smaller share of their box, are not asked for, and no mistake if found."""
NEAR_M = 0.5


@dataclass(frozen=True, kw_only=True)
class FoundAgents:
    """Agents that a judge found in one frame.

    Attributes:
        kind: `JudgeClass`, one of `AGENT_KINDS`.
        center_px: where the centre of the agent's box projects to.
        range_m: distance from the camera to the box centre, along the ray.
        score: 0..1.
    """

    kind: UInt8[np.ndarray, " N"]
    center_px: Float32[np.ndarray, "N 2"]
    range_m: Float32[np.ndarray, " N"]
    score: Float32[np.ndarray, " N"]


@dataclass(frozen=True, kw_only=True)
class TrueAgents:
    """Agents of the judged kinds that have visible pixels and their box centre in one frame.

    Attributes:
        index: agent of the layout.
        kind, center_px, range_m: as in `FoundAgents`.
        visible_px, visible_height_px: number of visible pixels, and rows between the first and the last of them.
        extent_px: (width, height) the whole box has at its distance; width is that of a box seen at an angle.
    """

    index: Int64[np.ndarray, " N"]
    kind: UInt8[np.ndarray, " N"]
    center_px: Float32[np.ndarray, "N 2"]
    range_m: Float32[np.ndarray, " N"]
    visible_px: Int64[np.ndarray, " N"]
    visible_height_px: Int64[np.ndarray, " N"]
    extent_px: Float32[np.ndarray, "N 2"]

    @property
    def is_asked(self) -> Bool[np.ndarray, " N"]:
        """Whether enough of an agent is visible to ask for it."""
        return self.visible_px >= np.maximum(MIN_VISIBLE_PX, MIN_VISIBLE_SHARE * self.extent_px.prod(axis=1))

    def select(self, chosen: np.ndarray) -> TrueAgents:
        """Return the agents of a mask or an index array."""
        return TrueAgents(**{name: getattr(self, name)[chosen] for name in TrueAgents.__dataclass_fields__})


def true_agents(layout: Layout, camera: Camera, *, step: int, instance: UInt16[np.ndarray, "H W"]) -> TrueAgents:
    """Return what a perfect judge would find in a view of one step, of any number of visible pixels."""
    width, height = camera.size_px
    is_agent = belongs_to_agent(instance)
    labels = np.where(is_agent, instance, 0)
    counts = np.bincount(labels.ravel(), minlength=len(layout.agents) + 1)
    places = ndimage.find_objects(labels, max_label=len(layout.agents))
    cam_from_world = invert_rigid(layout.ego.world_from_ego[step] @ camera.ego_from_cam)
    rows: list[tuple[float, ...]] = []
    for index in np.nonzero(counts[1:])[0].tolist():
        agent = layout.agents[index]
        kind = kind_of_semantic(SEMANTIC_OF_CATEGORY[agent.category])
        if kind not in AGENT_KINDS or not agent.valid[step]:
            continue
        center_cam = transform_points(cam_from_world, agent.center_world_m[step])
        u, v = project_points(center_cam, camera)
        if center_cam[2] < NEAR_M or not (0.0 <= u < width and 0.0 <= v < height):  # NaN: beyond the lens
            continue
        length_m, width_m, height_m = agent.size_lwh_m
        extent = camera.K[0, 0] * 0.5 * (length_m + width_m), camera.K[1, 1] * height_m
        visible_height = places[index][0].stop - places[index][0].start
        range_m = float(np.linalg.norm(center_cam))
        scale = 1.0 / center_cam[2]
        rows.append((index, kind, u, v, range_m, counts[index + 1], visible_height, *(scale * e for e in extent)))
    table = np.array(rows, np.float64).reshape(-1, 9)
    return TrueAgents(
        index=table[:, 0].astype(np.int64),
        kind=table[:, 1].astype(np.uint8),
        center_px=table[:, 2:4].astype(np.float32),
        range_m=table[:, 4].astype(np.float32),
        visible_px=table[:, 5].astype(np.int64),
        visible_height_px=table[:, 6].astype(np.int64),
        extent_px=table[:, 7:9].astype(np.float32),
    )


@dataclass(frozen=True, kw_only=True)
class AgentMatch:
    """Which found agent is which true one, in one frame.

    Attributes:
        found_of_true: index of the found agent of every true one, -1 where it was not found.
        is_false: found agents that are none of the true ones.
    """

    found_of_true: Int64[np.ndarray, " N"]
    is_false: Bool[np.ndarray, " M"]


def match_agents(found: FoundAgents, truth: TrueAgents) -> AgentMatch:
    """Pair found and true agents of a kind, nearest first, by the criterion of this module. Each is used once."""
    distance = np.linalg.norm(truth.center_px[:, None] - found.center_px[None], axis=-1)
    radius = np.maximum(MIN_RADIUS_PX, RADIUS_PER_HEIGHT * truth.visible_height_px)
    allowed = (distance <= radius[:, None]) & (truth.kind[:, None] == found.kind[None])
    found_of_true = np.full(len(truth.index), -1, np.int64)
    is_false = np.ones(len(found.kind), np.bool_)
    true_index, found_index = np.nonzero(allowed)
    for pair in np.argsort(distance[true_index, found_index], kind="stable"):
        i, j = true_index[pair], found_index[pair]
        if found_of_true[i] < 0 and is_false[j]:
            found_of_true[i], is_false[j] = j, False
    return AgentMatch(found_of_true=found_of_true, is_false=is_false)


def rig_rays_ego(rig: CameraRig) -> Float32[np.ndarray, "V H W 3"]:
    """Return the unit viewing directions of a rig's canvas, in the ego frame; zero where nothing is seen."""
    return np.stack([unit_rays_ego(camera, canvas_px=rig.size_px) for camera in rig.cameras])


def agent_positions_ego_m(
    center_px: Float32[np.ndarray, "N 2"], range_m: Float32[np.ndarray, " N"], *, camera: Camera
) -> Float64[np.ndarray, "N 3"]:
    """Return box centres in the ego frame from their place in the image and their distance."""
    xy = unproject_pixels(center_px.astype(np.float64), camera)
    rays = np.concatenate([xy, np.ones_like(xy[:, :1])], axis=1)
    rays *= range_m.astype(np.float64)[:, None] / np.linalg.norm(rays, axis=1, keepdims=True)
    return transform_points(camera.ego_from_cam, rays)
