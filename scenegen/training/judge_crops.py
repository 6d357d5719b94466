"""What the judge is trained on: crops of cached frames, with classes, distances and agents' centres as targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64
from torch import Tensor
from torch.nn import functional

from scenegen.checks.classes import AGENT_KINDS, JudgeClass, judge_labels
from scenegen.checks.judge import LOG_RANGE_MIDDLE, STRIDE, judge_planes
from scenegen.checks.judge_targets import TrueAgents, true_agents
from scenegen.dataset.read import open_dataset
from scenegen.geometry.lens import unit_rays_ego
from scenegen.training.window_cache import WindowCache
from scenegen.types import Camera

CROP_WIDTH = 100
FOCUS_SHARE = (0.65, 0.3)
"""Share of crops that are placed on something rare: to learn it, and later, to learn how rare it is."""
FOCUS_UNTIL = 0.6
"""Share of the steps after which it falls."""
FOCUS = {
    JudgeClass.PEDESTRIAN: 0.35,
    JudgeClass.TWO_WHEELER: 0.3,
    JudgeClass.LARGE_VEHICLE: 0.2,
    JudgeClass.TRAFFIC_OBJECT: 0.15,
}
"""What these crops are placed on, and how often."""
MIN_FOCUS_PX = 10
SIGMA_PER_EXTENT = 0.1
SIGMA_CELLS = (0.6, 3.0)
"""Width of the bump of an agent's centre: a share of its size, within these bounds."""


@dataclass(frozen=True, kw_only=True)
class AgentTable:
    """The true agents of all frames of a cache, one row each, sorted by entry and view.

    Attributes:
        frame: entry * number of views + view.
        agents: what `true_agents` says.
        ego_from_cam: (S V) poses of the cameras of each scene.
    """

    frame: Int64[np.ndarray, " R"]
    agents: TrueAgents
    ego_from_cam: Float64[np.ndarray, "S V 4 4"]

    def of_frame(self, frame: int) -> TrueAgents:
        """Return the agents of one frame."""
        first, last = np.searchsorted(self.frame, [frame, frame + 1])
        return self.agents.select(np.arange(first, last))


def open_agent_table(data: Path, cache: WindowCache, path: Path) -> AgentTable:
    """Return the agents of the frames of `cache`, read from the layouts of `data` and kept in the file `path`."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_suffix(".tmp.npz")
        np.savez(staged, **build_agent_table(data, cache))
        staged.replace(path)
    with np.load(path) as stored:
        agents = TrueAgents(**{name: stored[name] for name in TrueAgents.__dataclass_fields__})
        return AgentTable(frame=stored["frame"], agents=agents, ego_from_cam=stored["ego_from_cam"])


def build_agent_table(data: Path, cache: WindowCache) -> dict[str, np.ndarray]:
    """Compute the columns of an `AgentTable`."""
    dataset = open_dataset(data)
    entry, frames, parts, poses = 0, [], [], []
    num_views = cache.pixels["instance"].shape[1]
    for scene_id in dataset.scene_ids:
        scene = dataset[scene_id]
        poses.append(np.stack([camera.ego_from_cam for camera in scene.rig.cameras]))
        for step in range(scene.layout.timeline.num_steps):
            for v, camera in enumerate(scene.rig.cameras):
                found = true_agents(scene.layout, camera, step=step, instance=cache.pixels["instance"][entry, v])
                parts.append(found)
                frames.append(np.full(len(found.index), entry * num_views + v))
            entry += 1
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in TrueAgents.__dataclass_fields__
    }
    return columns | {"frame": np.concatenate(frames), "ego_from_cam": np.stack(poses)}


@dataclass(frozen=True, kw_only=True)
class CenterTargets:
    """What the centre head should return; H2 W2 cells of STRIDE pixels.

    Attributes:
        heat: 1 at the cell of a centre, falling off around it.
        counts: False around agents too hidden to ask for.
        near: cells of a centre and their neighbours, where the next two are given.
        offset_px: from the middle of the cell to the centre.
        log_range: of the centre, less LOG_RANGE_MIDDLE.
    """

    heat: Float32[np.ndarray, "A H2 W2"]
    counts: Bool[np.ndarray, "A H2 W2"]
    near: Bool[np.ndarray, "H2 W2"]
    offset_px: Float32[np.ndarray, "2 H2 W2"]
    log_range: Float32[np.ndarray, "H2 W2"]


def encode_centers(agents: TrueAgents, *, size_px: tuple[int, int]) -> CenterTargets:
    """Turn the agents of an image (or crop) of a size into targets; nearer agents win where two meet.

    Source: CenterNet (arXiv 1904.07850), section 3.
    """
    width, height = -(-size_px[0] // STRIDE), -(-size_px[1] // STRIDE)
    heat = np.zeros((len(AGENT_KINDS), height, width), np.float32)
    counts = np.ones(heat.shape, np.bool_)
    near = np.zeros((height, width), np.bool_)
    offset = np.zeros((2, height, width), np.float32)
    log_range = np.zeros((height, width), np.float32)
    rows, columns = np.mgrid[0:height, 0:width]
    is_asked = agents.is_asked
    for i in np.argsort(-agents.range_m, kind="stable").tolist():
        kind = AGENT_KINDS.index(JudgeClass(int(agents.kind[i])))
        u, v = agents.center_px[i]
        column, row = int(u // STRIDE), int(v // STRIDE)
        if not (0 <= column < width and 0 <= row < height):
            continue
        across, up = np.maximum(agents.extent_px[i] / STRIDE, 1.0)
        if not is_asked[i]:
            counts[kind] &= (np.abs(columns - column) > 0.5 * across + 1) | (np.abs(rows - row) > 0.5 * up + 1)
            continue
        sigma = float(np.clip(SIGMA_PER_EXTENT * np.sqrt(across * up), *SIGMA_CELLS))
        bump = np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / (2.0 * sigma**2)).astype(np.float32)
        np.maximum(heat[kind], bump, out=heat[kind])
        around = (slice(max(row - 1, 0), row + 2), slice(max(column - 1, 0), column + 2))
        near[around] = True
        offset[0][around] = u - (columns[around] * STRIDE + STRIDE / 2.0)
        offset[1][around] = v - (rows[around] * STRIDE + STRIDE / 2.0)
        log_range[around] = np.log(agents.range_m[i]) - LOG_RANGE_MIDDLE
    counts |= heat == 1.0
    return CenterTargets(heat=heat, counts=counts, near=near, offset_px=offset, log_range=log_range)


@dataclass(frozen=True, kw_only=True)
class JudgeBatch:
    """B crops with their targets.

    Attributes:
        planes: the network's input.
        labels: `JudgeClass`.
        log_range: less LOG_RANGE_MIDDLE; +inf for sky.
        heat, counts, near, offset_px, center_log_range: see `CenterTargets`.
    """

    planes: Float[Tensor, "B 5 H W"]
    labels: Tensor
    log_range: Float[Tensor, "B H W"]
    heat: Float[Tensor, "B A H2 W2"]
    counts: Tensor
    near: Tensor
    offset_px: Float[Tensor, "B 2 H2 W2"]
    center_log_range: Float[Tensor, "B H2 W2"]


def draw_batch(
    cache: WindowCache, table: AgentTable, generator: np.random.Generator, *, batch_size: int, focus_share: float
) -> JudgeBatch:
    """Draw random crops, a share of them placed on something rare, half of them mirrored."""
    crops: list[tuple[np.ndarray, ...]] = []
    while len(crops) < batch_size:
        place = draw_place(cache, table, generator, focus_share=focus_share)
        if place is not None:
            crops.append(read_crop(cache, table, *place, mirror=bool(generator.random() < 0.5)))
    rgb, rays, labels, log_range, heat, counts, near, offset, center = (
        torch.from_numpy(np.stack(values)) for values in zip(*crops, strict=True)
    )
    return JudgeBatch(
        planes=judge_planes(vary_look(rgb.permute(0, 3, 1, 2).float() / 127.5 - 1.0, generator), rays),
        labels=labels.long(),
        log_range=log_range,
        heat=heat,
        counts=counts,
        near=near,
        offset_px=offset,
        center_log_range=center,
    )


def draw_place(
    cache: WindowCache, table: AgentTable, generator: np.random.Generator, *, focus_share: float
) -> tuple[int, int, int] | None:
    """Draw (entry, view, left column) of a crop; None where the drawn frame does not show what was wanted."""
    num, views, _, width = cache.pixels["material"].shape
    room = width - CROP_WIDTH
    frame = int(generator.integers(num * views))
    if generator.random() >= focus_share:
        return frame // views, frame % views, int(generator.integers(room + 1))
    wanted = list(FOCUS)[int(generator.choice(len(FOCUS), p=list(FOCUS.values())))]
    if wanted == JudgeClass.TRAFFIC_OBJECT:
        pixels = (cache.pixels[name][frame // views, frame % views] for name in ("semantic", "material"))
        columns = np.nonzero((judge_labels(*pixels) == wanted).any(axis=0))[0]
        if len(columns) == 0:
            return None
        middle = int(generator.choice(columns))
    else:
        rows = np.nonzero((table.agents.kind == wanted) & (table.agents.visible_px >= MIN_FOCUS_PX))[0]
        if len(rows) == 0:
            return None
        row = int(generator.choice(rows))
        frame, middle = int(table.frame[row]), int(table.agents.center_px[row, 0])
    margin = CROP_WIDTH // 10
    left = int(np.clip(middle - int(generator.integers(margin, CROP_WIDTH - margin)), 0, room))
    return frame // views, frame % views, left


def read_crop(
    cache: WindowCache, table: AgentTable, entry: int, view: int, left: int, *, mirror: bool
) -> tuple[np.ndarray, ...]:
    """Return pixels, rays, classes, log range and the five centre targets of one crop."""
    scene = int(cache.scene[entry])
    num_views, height, width = cache.pixels["material"].shape[1:]
    crop = slice(left, left + CROP_WIDTH)
    camera = Camera(
        name=str(view),
        K=cache.tables[scene].K[view].astype(np.float64),
        ego_from_cam=table.ego_from_cam[scene, view],
        size_px=(width, height),
    )
    rays = unit_rays_ego(camera)[:, crop]
    forward = rays @ camera.ego_from_cam[:3, 2]
    depth_m = cache.pixels["depth_m"][entry, view][:, crop].astype(np.float64)
    log_range = np.log(np.maximum(depth_m / forward, 0.1)) - LOG_RANGE_MIDDLE
    labels = judge_labels(*(cache.pixels[name][entry, view][:, crop] for name in ("semantic", "material")))
    agents = table.of_frame(entry * num_views + view)
    centers: Float32[np.ndarray, "N 2"] = agents.center_px - np.array([left, 0], np.float32)
    images = [cache.pixels["rgb"][entry, view][:, crop], rays, labels, log_range.astype(np.float32)]
    if mirror:
        images = [image[:, ::-1] for image in images]
        centers[:, 0] = CROP_WIDTH - centers[:, 0]
    moved = TrueAgents(**{**{n: getattr(agents, n) for n in TrueAgents.__dataclass_fields__}, "center_px": centers})
    targets = encode_centers(moved, size_px=(CROP_WIDTH, height))
    return (*images, targets.heat, targets.counts, targets.near, targets.offset_px, targets.log_range)


def vary_look(rgb: Float[Tensor, "B 3 H W"], generator: np.random.Generator) -> Float[Tensor, "B 3 H W"]:
    """Vary exposure, tint, noise and softness a little, so that the judge depends on none of them exactly."""
    batch = len(rgb)

    def draw(low: float, high: float, channels: int = 1, share: float = 1.0) -> Tensor:
        values = generator.uniform(low, high, (batch, channels, 1, 1))
        used = generator.random((batch, 1, 1, 1)) < share
        return torch.from_numpy(np.where(used, values, 0.0)).float()

    smooth = functional.avg_pool2d(functional.pad(rgb, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    rgb = rgb + draw(0.0, 0.4, share=0.3) * (smooth - rgb)
    gray = rgb.mean(dim=1, keepdim=True)
    chroma = functional.avg_pool2d(functional.pad(rgb - gray, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    rgb = rgb + draw(0.0, 1.0, share=0.25) * (gray + chroma - rgb)
    gain = 1.0 + draw(-0.15, 0.15) + draw(-0.04, 0.04, channels=3)
    noise = torch.from_numpy(generator.standard_normal(rgb.shape, np.float32)) * draw(0.0, 0.05, share=0.5)
    return ((rgb + 1.0) * gain - 1.0 + noise).clamp(-1.0, 1.0)
