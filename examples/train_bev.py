"""A small network that learns, from any scenegen data set, to draw the map and the vehicles around a car from above.

    scenegen generate layouts=[procedural:1-160] video=preview rig.image.width_px=256 rig.image.height_px=144 \
        rate_hz=0.2 duration_s=20 dataset.lidar=none output=out/bev
    OMP_NUM_THREADS=1 python examples/train_bev.py out/bev --steps 4000 --png bev.png

Cameras in, bird's-eye view out: drivable area and vehicles on a grid of 0.8 m in the ego frame, 80 m x 80 m. Pictures
become features and a guess at how far away each pixel is; every cell, at `HEIGHTS_M` above the ground, fetches those of
the pixels it projects to (any lens); a network on the grid turns them into two maps. A quarter of the layouts, or the
data set given by --held-out, is for scoring only. IoU there is printed beside that of the best constant map: all cells,
or the training maps' mean, cut where it suits the held-out maps best. Loss and scores count only cells in some picture.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from bev_network import CELL_M, CLASSES, EXTENT_M, HEIGHTS_M, NUM_CELLS, BevNetwork
from jaxtyping import Bool, Float, Float32, UInt8
from PIL import Image
from torch import nn
from torch.nn import functional

from scenegen.dataset import Scene, open_dataset
from scenegen.dataset.torch_view import SceneDataset
from scenegen.geometry.lens import project_points
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import Camera

POOL = 2
"""Cells of the stored raster (0.4 m) per cell of ours, along each axis."""
VEHICLE_WEIGHT = 4.0
TURNED_SHARE = 0.5
MOST_FOR_THRESHOLD = 100
"""Training moments that the network's thresholds are chosen on."""
NOWHERE = 9.0


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One step of one scene. `place` says, in -1..1, where each point of the grid lies in each picture."""

    layout_id: str
    rgb: UInt8[torch.Tensor, "V 3 H W"]
    cameras: tuple[Camera, ...]
    place: Float32[torch.Tensor, "V Z X Y 2"]
    truth: Float32[torch.Tensor, "2 X Y"]

    @property
    def is_seen(self) -> Bool[torch.Tensor, "X Y"]:
        """Which cells some camera looks at."""
        return (self.place.abs() <= 1.0).all(dim=-1).flatten(0, 1).any(dim=0)

    def mirrored(self) -> Moment:
        """Return the same moment with left and right swapped."""
        place = self.place.flip(3) * torch.tensor([-1.0, 1.0])
        return replace(self, rgb=self.rgb.flip(-1), place=place, truth=self.truth.flip(-1))

    def turned(self, yaw_rad: float) -> Moment:
        """Return the same pictures with maps in a frame turned to the left. What the old maps lack is not seen."""
        cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
        turned_from_ego = np.eye(4)
        turned_from_ego[:2, :2] = [[cos, sin], [-sin, cos]]
        cameras = [replace(camera, ego_from_cam=turned_from_ego @ camera.ego_from_cam) for camera in self.cameras]
        # torch names the last axis of a map first, so (y, x) of ours
        old_from_new = torch.tensor([[[cos, sin, 0.0], [-sin, cos, 0.0]]], dtype=torch.float32)
        old = functional.affine_grid(old_from_new, [1, 1, NUM_CELLS, NUM_CELLS], align_corners=False)
        truth = functional.grid_sample(self.truth[None], old, align_corners=False)[0]
        is_beyond = (old[0].abs() > 1.0).any(dim=-1)
        place = torch.from_numpy(place_grid(cameras)).masked_fill(is_beyond[..., None], NOWHERE)
        return replace(self, place=place, truth=(truth > 0.5).float())


def read_moments(path: Path, *, image_size: tuple[int, int]) -> list[Moment]:
    """Read every step of a data set, pictures scaled to (height, width)."""
    pictures = SceneDataset(path, window=[0], image_size=image_size, key_frames_only=False, labels=[])
    labels = open_dataset(path)
    scenes = {scene_id: labels[scene_id] for scene_id in pictures.scene_ids}
    places: dict[bytes, torch.Tensor] = {}
    moments = []
    for idx in range(len(pictures)):
        scene_id, step = pictures.sample_key(idx)
        sample, scene = pictures[idx], scenes[scene_id]
        cameras = tuple(
            replace(camera, K=K.astype(np.float64), size_px=image_size[::-1])
            for camera, K in zip(scene.rig.cameras, sample["cam2img"].numpy(), strict=True)
        )
        key = sample["cam2img"].numpy().tobytes() + sample["cam2ego"].numpy().tobytes()
        if key not in places:
            places[key] = torch.from_numpy(place_grid(cameras))
        moments.append(
            Moment(
                layout_id=scene.attrs["source"]["layout_id"],
                rgb=sample["rgb"][:, 0],
                cameras=cameras,
                place=places[key],
                truth=torch.from_numpy(read_truth(scene, step)),
            )
        )
    return moments


def place_grid(cameras: Sequence[Camera]) -> Float32[np.ndarray, "V Z X Y 2"]:
    """Return where the points of the grid lie in each picture, in -1..1; NOWHERE where no pixel shows them."""
    middle_m = CELL_M * (np.arange(NUM_CELLS) + 0.5) - EXTENT_M
    height_m, x_m, y_m = np.meshgrid(HEIGHTS_M, middle_m, middle_m, indexing="ij")
    points_ego_m = np.stack([x_m, y_m, height_m], axis=-1)
    places = []
    for camera in cameras:
        points_cam_m = transform_points(invert_rigid(camera.ego_from_cam), points_ego_m.reshape(-1, 3))
        place = 2.0 * project_points(points_cam_m, camera) / np.array(camera.size_px) - 1.0
        is_inside = np.abs(place).max(axis=1) <= 1.0
        places.append(np.where(is_inside[:, None], place, NOWHERE).reshape(*points_ego_m.shape[:3], 2))
    return np.stack(places).astype(np.float32)


def read_truth(scene: Scene, step: int) -> Float32[np.ndarray, "2 X Y"]:
    """Return the maps of `CLASSES`: a cell is set where half of the stored raster's cells in it are."""
    raster = scene.bev_raster(step)
    channels = [scene.bev_channels.index(name) for name in CLASSES]
    parts = raster[channels].reshape(len(CLASSES), NUM_CELLS, POOL, NUM_CELLS, POOL)
    return (parts.mean(axis=(2, 4)) >= 0.5).astype(np.float32)


def split_layouts(moments: Sequence[Moment]) -> tuple[list[Moment], list[Moment]]:
    """Hold a quarter of the layouts out, the same ones for every seed.

    Raises:
        SystemExit: there is only one layout.
    """
    layouts = sorted({moment.layout_id for moment in moments})
    if len(layouts) < 2:
        raise SystemExit("expected two layouts at least, one of which is held out, found one")
    order = np.random.default_rng(0).permutation(len(layouts))
    held_out = {layouts[idx] for idx in order[: max(1, len(layouts) // 4)]}
    return without_layouts(moments, held_out), [moment for moment in moments if moment.layout_id in held_out]


def without_layouts(moments: Sequence[Moment], layout_ids: set[str]) -> list[Moment]:
    """Return the moments of other layouts.

    Raises:
        SystemExit: there are none.
    """
    kept = [moment for moment in moments if moment.layout_id not in layout_ids]
    if not kept:
        raise SystemExit(f"expected layouts to learn from that are not held out, found only {sorted(layout_ids)}")
    return kept


def train(network: BevNetwork, moments: Sequence[Moment], *, num_steps: int, seed: int, peak_rate: float) -> None:
    """Train in place, one moment a step."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=peak_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak_rate, total_steps=num_steps, pct_start=0.15)
    order: list[int] = []
    started_s, recent = time.perf_counter(), []
    for step in range(num_steps):
        order = order or rng.permutation(len(moments)).tolist()
        moment = varied(moments[order.pop()], rng)
        loss = loss_of(network(moment.rgb, moment.place), moment)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        recent.append(float(loss.detach()))
        if (step + 1) % 100 == 0:
            seconds = time.perf_counter() - started_s
            print(f"step {step + 1} of {num_steps}, {seconds:.0f} s, loss {np.mean(recent):.3f}", flush=True)
            recent = []


def varied(moment: Moment, rng: np.random.Generator) -> Moment:
    """Return a moment in other light, often turned or mirrored, so that no map can be learnt by heart."""
    if rng.random() < TURNED_SHARE:
        moment = moment.turned(rng.uniform(-np.pi, np.pi))
    if rng.random() < 0.5:
        moment = moment.mirrored()
    gain = torch.from_numpy(rng.uniform(0.7, 1.4) * rng.uniform(0.9, 1.1, size=(3, 1, 1))).float()
    return replace(moment, rgb=(moment.rgb * gain).clamp(max=255.0))


def loss_of(logits: Float[torch.Tensor, "2 X Y"], moment: Moment) -> Float[torch.Tensor, ""]:
    """Return cross entropy, with vehicles weighted up, plus one minus soft IoU, over the cells that are seen."""
    is_seen, truth = moment.is_seen, moment.truth
    weight = torch.where(truth > 0, torch.tensor([1.0, VEHICLE_WEIGHT])[:, None, None], 1.0)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, weight=weight, reduction="none")
    chance, wanted = logits.sigmoid() * is_seen, truth * is_seen
    overlap = (chance * wanted).sum(dim=(1, 2))
    union = (chance + wanted - chance * wanted).sum(dim=(1, 2))
    soft_iou = torch.where(wanted.sum(dim=(1, 2)) > 0, overlap / union.clamp(min=1e-6), 1.0)
    return (entropy * is_seen).sum() / is_seen.sum() + (1.0 - soft_iou).mean()


@torch.no_grad()
def predict(network: BevNetwork, moments: Sequence[Moment]) -> Float32[np.ndarray, "N 2 X Y"]:
    """Return the chance of every cell."""
    return np.stack([network(moment.rgb, moment.place).sigmoid().numpy() for moment in moments])


def iou_at(
    chance: Float32[np.ndarray, "N X Y"],
    truth: Float32[np.ndarray, "N X Y"],
    is_seen: Bool[np.ndarray, "N X Y"],
    *,
    threshold: float,
) -> float:
    """Return intersection over union of all moments together."""
    said, is_true = (chance > threshold) & is_seen, (truth > 0.5) & is_seen
    return float((said & is_true).sum() / max(1, (said | is_true).sum()))


def score(network: BevNetwork, training: Sequence[Moment], held_out: Sequence[Moment]) -> dict[str, dict[str, float]]:
    """Return, per class, IoU on both sets and that of the best constant map on the held-out one.

    The network's threshold is chosen on the training set, the constant map's on the held-out set itself.
    """
    some = training[:: -(-len(training) // MOST_FOR_THRESHOLD)]
    (chances, truths, is_seen), (held_chances, held_truths, held_is_seen) = (
        (
            predict(network, moments),
            np.stack([moment.truth.numpy() for moment in moments]),
            np.stack([moment.is_seen.numpy() for moment in moments]),
        )
        for moments in (some, held_out)
    )
    mean_maps = np.mean([moment.truth.numpy() for moment in training], axis=0)
    result = {}
    for idx, name in enumerate(CLASSES):
        train_iou, threshold = max(
            (iou_at(chances[:, idx], truths[:, idx], is_seen, threshold=level), level)
            for level in np.linspace(0.1, 0.9, 17).tolist()
        )
        constant = np.broadcast_to(mean_maps[idx], held_truths[:, idx].shape)
        levels = [-1.0, *np.quantile(mean_maps[idx], np.linspace(0.0, 0.995, 100)).tolist()]
        result[name] = {
            "held_out_iou": iou_at(held_chances[:, idx], held_truths[:, idx], held_is_seen, threshold=threshold),
            "train_iou": train_iou,
            "constant_iou": max(
                iou_at(constant, held_truths[:, idx], held_is_seen, threshold=level) for level in levels
            ),
            "threshold": threshold,
        }
    return result


def draw(network: BevNetwork, moments: Sequence[Moment], thresholds: Sequence[float]) -> UInt8[np.ndarray, "H W 3"]:
    """Return a picture: per row the cameras, the truth and the prediction, the ego in the middle looking up."""
    rows = []
    for moment, chance in zip(moments, predict(network, moments), strict=True):
        said = np.stack([chance[idx] > threshold for idx, threshold in enumerate(thresholds)])
        maps = [_paint_maps(maps > 0.5, moment.is_seen.numpy()) for maps in (moment.truth.numpy(), said)]
        cameras = _mosaic(moment.rgb.permute(0, 2, 3, 1).numpy(), height=maps[0].shape[0])
        rows.append(np.concatenate([cameras, *maps], axis=1))
    return np.concatenate(rows)


def _paint_maps(maps: Bool[np.ndarray, "2 X Y"], is_seen: Bool[np.ndarray, "X Y"]) -> UInt8[np.ndarray, "H W 3"]:
    image = np.where(is_seen[..., None], np.uint8(40), np.uint8(0)) * np.ones(3, np.uint8)
    image[maps[0] & is_seen] = (150, 150, 150)
    image[maps[1] & is_seen] = (255, 140, 0)
    middle = NUM_CELLS // 2
    image[middle - 1 : middle + 4, middle - 1 : middle + 1] = (60, 160, 255)
    large = image[::-1, ::-1].repeat(3, axis=0).repeat(3, axis=1)
    return np.pad(large, ((2, 2), (2, 2), (0, 0)), constant_values=255)


def _mosaic(rgb: UInt8[np.ndarray, "V H W 3"], *, height: int) -> UInt8[np.ndarray, "height W 3"]:
    """Put the cameras below each other, two a row, scaled to a height."""
    pairs = [rgb[idx : idx + 2] for idx in range(0, len(rgb), 2)]
    if len(pairs[-1]) < 2:
        pairs[-1] = np.concatenate([pairs[-1], np.zeros_like(pairs[-1])])
    joined = np.concatenate([np.concatenate(list(pair), axis=1) for pair in pairs])
    width = round(joined.shape[1] * height / joined.shape[0])
    return np.asarray(Image.fromarray(joined).resize((width, height)))


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--held-out", type=Path, metavar="DATASET", help="score on its layouts, learn from all others")
    parser.add_argument("--steps", type=int, default=4000, help="optimiser steps, one moment each")
    parser.add_argument("--image-size", type=int, nargs=2, default=(144, 256), metavar=("H", "W"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--png", type=Path, help="draw held-out moments: cameras, truth, prediction")
    parser.add_argument("--json", type=Path, help="write the figures")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score, draw."""
    options = parse_arguments(arguments)
    torch.manual_seed(options.seed)
    started_s = time.perf_counter()
    training = read_moments(options.dataset, image_size=tuple(options.image_size))
    if options.held_out is None:
        training, held_out = split_layouts(training)
    else:
        held_out = read_moments(options.held_out, image_size=tuple(options.image_size))
        training = without_layouts(training, {moment.layout_id for moment in held_out})
    network = BevNetwork()
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    print(f"{num_parameters} parameters; {len(training)} moments to learn from, {len(held_out)} held out", flush=True)
    train(network, training, num_steps=options.steps, seed=options.seed, peak_rate=3e-3)
    network.eval()
    scores = score(network, training, held_out)
    for name, values in scores.items():
        print(
            f"{name}: IoU {values['held_out_iou']:.3f} held out, {values['train_iou']:.3f} on training layouts, "
            f"{values['constant_iou']:.3f} best constant map"
        )
    seconds = time.perf_counter() - started_s
    print(f"{seconds:.0f} s in all")
    if options.png is not None:
        chosen = held_out[:: max(1, len(held_out) // 4)][:4]
        thresholds = [scores[name]["threshold"] for name in CLASSES]
        Image.fromarray(draw(network, chosen, thresholds)).save(options.png)
    if options.json is not None:
        report = {"scores": scores, "num_parameters": num_parameters, "num_steps": options.steps, "seconds": seconds}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
