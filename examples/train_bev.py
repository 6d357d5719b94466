"""A small network that learns, from any scenegen data set, to draw the map and the vehicles around a car from above.

    scenegen generate layouts=[procedural:1-16] video=preview rate_hz=4 duration_s=2 output=out/bev
    python examples/train_bev.py out/bev --png bev.png

Cameras in, bird's-eye view out: drivable area and vehicles on a grid of 0.8 m in the ego frame, 80 m x 80 m. Pictures
become features; every cell, at `HEIGHTS_M` above the ground, fetches the features of the pixels it projects to (any
lens); a network on the grid turns them into two maps. A quarter of the layouts is held out. Its IoU is printed beside
that of the best constant map: all cells, or the training maps' mean at the threshold that suits the held-out maps best.
Scores and loss count only cells that some camera looks at.
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
from jaxtyping import Bool, Float, Float32, UInt8
from PIL import Image
from torch import nn
from torch.nn import functional

from scenegen.dataset import Scene, open_dataset
from scenegen.dataset.torch_view import SceneDataset
from scenegen.geometry.lens import project_points
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import Camera

CLASSES = ("drivable", "vehicle")
POOL = 2
"""Cells of the stored raster (0.4 m) per cell of ours, along each axis."""
NUM_CELLS, CELL_M, RANGE_M = 100, 0.8, 40.0
HEIGHTS_M = (0.0, 0.8, 1.6)
THRESHOLDS = np.linspace(0.1, 0.9, 17)
VEHICLE_WEIGHT = 4.0


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One step of one scene. `place` says, in -1..1, where each point of the grid lies in each picture."""

    layout_id: str
    rgb: UInt8[torch.Tensor, "V 3 H W"]
    place: Float32[torch.Tensor, "V Z X Y 2"]
    truth: Float32[torch.Tensor, "2 X Y"]

    @property
    def is_in_view(self) -> Bool[torch.Tensor, "V Z X Y"]:
        """Which points of the grid lie in which pictures."""
        return (self.place.abs() <= 1.0).all(dim=-1)

    @property
    def is_seen(self) -> Bool[torch.Tensor, "X Y"]:
        """Which cells some camera looks at."""
        return self.is_in_view.any(dim=0).any(dim=0)

    def mirrored(self) -> Moment:
        """Return the same moment with left and right swapped."""
        place = self.place.flip(3) * torch.tensor([-1.0, 1.0])
        return replace(self, rgb=self.rgb.flip(-1), place=place, truth=self.truth.flip(-1))


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
        key = sample["cam2img"].numpy().tobytes() + sample["cam2ego"].numpy().tobytes()
        if key not in places:
            places[key] = torch.from_numpy(place_grid(fitted_cameras(scene, sample["cam2img"].numpy(), image_size)))
        moments.append(
            Moment(
                layout_id=scene.attrs["source"]["layout_id"],
                rgb=sample["rgb"][:, 0],
                place=places[key],
                truth=torch.from_numpy(read_truth(scene, step)),
            )
        )
    return moments


def fitted_cameras(scene: Scene, cam2img: Float32[np.ndarray, "V 3 3"], image_size: tuple[int, int]) -> list[Camera]:
    """Return the cameras of a scene with the intrinsics and the size of the scaled pictures."""
    height, width = image_size
    return [
        replace(camera, K=K.astype(np.float64), size_px=(width, height))
        for camera, K in zip(scene.rig.cameras, cam2img, strict=True)
    ]


def place_grid(cameras: Sequence[Camera]) -> Float32[np.ndarray, "V Z X Y 2"]:
    """Return where the points of the grid lie in each picture, in -1..1 across it; 9 where no pixel shows them."""
    middle_m = CELL_M * (np.arange(NUM_CELLS) + 0.5) - RANGE_M
    height_m, x_m, y_m = np.meshgrid(HEIGHTS_M, middle_m, middle_m, indexing="ij")
    points_ego_m = np.stack([x_m, y_m, height_m], axis=-1)
    places = []
    for camera in cameras:
        points_cam_m = transform_points(invert_rigid(camera.ego_from_cam), points_ego_m.reshape(-1, 3))
        place = 2.0 * project_points(points_cam_m, camera) / np.array(camera.size_px) - 1.0
        is_inside = np.abs(place).max(axis=1) <= 1.0
        places.append(np.where(is_inside[:, None], place, 9.0).reshape(*points_ego_m.shape[:3], 2))
    return np.stack(places).astype(np.float32)


def read_truth(scene: Scene, step: int) -> Float32[np.ndarray, "2 X Y"]:
    """Return the maps of `CLASSES`: a cell is set where half of the stored raster's cells in it are."""
    raster = scene.bev_raster(step)
    channels = [scene.bev_channels.index(name) for name in CLASSES]
    parts = raster[channels].reshape(len(CLASSES), NUM_CELLS, POOL, NUM_CELLS, POOL)
    return (parts.mean(axis=(2, 4)) >= 0.5).astype(np.float32)


class BevNetwork(nn.Module):
    """Pictures to maps. Under a million parameters."""

    def __init__(self, *, num_features: int = 16, width: int = 32) -> None:
        super().__init__()
        self.fine = nn.Sequential(*_layer(3, 16, stride=2), *_layer(16, 24))
        self.coarse = nn.Sequential(
            *_layer(24, 48, stride=2), *_layer(48, 48, dilation=2), *_layer(48, 48, dilation=4), *_layer(48, 24)
        )
        self.features = nn.Conv2d(48, num_features, 1)
        self.mix = nn.Sequential(nn.Conv2d(num_features * len(HEIGHTS_M) + 2, width, 1), nn.ReLU())
        self.level1 = nn.Sequential(*_layer(width, width))
        self.level2 = nn.Sequential(*_layer(width, 2 * width, stride=2), *_layer(2 * width, 2 * width))
        self.level3 = nn.Sequential(
            *_layer(2 * width, 3 * width, stride=2),
            *_layer(3 * width, 3 * width, dilation=2),
            *_layer(3 * width, 3 * width, dilation=4),
        )
        self.up2 = nn.Sequential(*_layer(5 * width, 2 * width))
        self.up1 = nn.Sequential(*_layer(3 * width, width))
        self.head = nn.Conv2d(width, len(CLASSES), 1)
        middle = (torch.arange(NUM_CELLS) + 0.5) / (0.5 * NUM_CELLS) - 1.0
        self.register_buffer("position", torch.stack(torch.meshgrid(middle, middle.abs(), indexing="ij")))

    def forward(self, moment: Moment) -> Float[torch.Tensor, "2 X Y"]:
        """Return the logit of every cell."""
        rgb = moment.rgb.float() / 127.5 - 1.0
        fine = self.fine(rgb)
        coarse = functional.interpolate(self.coarse(fine), size=fine.shape[-2:], mode="bilinear", align_corners=False)
        features = self.features(torch.cat([fine, coarse], dim=1))
        grid = torch.cat([self._lift(features, moment), self.position])[None]
        level1 = self.level1(self.mix(grid))
        level2 = self.level2(level1)
        level3 = self.level3(level2)
        up2 = self.up2(
            torch.cat([functional.interpolate(level3, size=level2.shape[-2:], mode="bilinear"), level2], dim=1)
        )
        up1 = self.up1(torch.cat([functional.interpolate(up2, size=level1.shape[-2:], mode="bilinear"), level1], dim=1))
        logits: torch.Tensor = self.head(up1)[0]
        return logits

    @staticmethod
    def _lift(features: torch.Tensor, moment: Moment) -> torch.Tensor:
        """Fetch the features of every point of the grid; the mean where several cameras see it."""
        is_in_view = moment.is_in_view
        num_views = is_in_view.sum(dim=0).clamp(min=1)
        lifted = torch.zeros(features.shape[1], *is_in_view.shape[1:])
        for feature, place, in_view in zip(features, moment.place, is_in_view, strict=True):
            rows = functional.grid_sample(feature[None], place.reshape(1, -1, NUM_CELLS, 2), align_corners=False)
            lifted = lifted + rows.reshape(lifted.shape) * in_view
        return (lifted / num_views).flatten(0, 1)


def _layer(num_in: int, num_out: int, *, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(num_in, num_out, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
    return [conv, nn.GroupNorm(8, num_out), nn.ReLU()]


def split_layouts(moments: Sequence[Moment], *, seed: int) -> tuple[list[Moment], list[Moment]]:
    """Hold a quarter of the layouts out.

    Raises:
        SystemExit: there is only one layout.
    """
    layouts = sorted({moment.layout_id for moment in moments})
    if len(layouts) < 2:
        raise SystemExit("expected two layouts at least, one of which is held out, found one")
    order = np.random.default_rng(seed).permutation(len(layouts))
    held_out = {layouts[idx] for idx in order[: max(1, len(layouts) // 4)]}
    return (
        [moment for moment in moments if moment.layout_id not in held_out],
        [moment for moment in moments if moment.layout_id in held_out],
    )


def train(network: BevNetwork, moments: Sequence[Moment], *, num_steps: int, seed: int, peak_rate: float) -> None:
    """Train in place: cross entropy and a Dice term, a random half of the moments mirrored, brightness jittered."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=peak_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak_rate, total_steps=num_steps, pct_start=0.15)
    order: list[int] = []
    started_s, recent = time.perf_counter(), []
    for step in range(num_steps):
        order = order or rng.permutation(len(moments)).tolist()
        moment = moments[order.pop()]
        if rng.random() < 0.5:
            moment = moment.mirrored()
        gain = rng.uniform(0.8, 1.25)
        moment = replace(moment, rgb=(moment.rgb * gain).clamp(max=255.0))
        loss = loss_of(network(moment), moment)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        recent.append(float(loss.detach()))
        if (step + 1) % 50 == 0:
            seconds = time.perf_counter() - started_s
            print(f"step {step + 1} of {num_steps}, {seconds:.0f} s, loss {np.mean(recent):.3f}", flush=True)
            recent = []


def loss_of(logits: Float[torch.Tensor, "2 X Y"], moment: Moment) -> Float[torch.Tensor, ""]:
    """Return cross entropy, with vehicles weighted up, plus one minus soft IoU, over the cells that are seen."""
    is_seen, truth = moment.is_seen, moment.truth
    weight = torch.tensor([1.0, VEHICLE_WEIGHT])[:, None, None].expand_as(truth)
    weight = torch.where(truth > 0, weight, 1.0)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, weight=weight, reduction="none")
    chance = logits.sigmoid() * is_seen
    wanted = truth * is_seen
    overlap = (chance * wanted).sum(dim=(1, 2))
    union = (chance + wanted - chance * wanted).sum(dim=(1, 2))
    soft_iou = torch.where(wanted.sum(dim=(1, 2)) > 0, overlap / union.clamp(min=1e-6), 1.0)
    return (entropy * is_seen).sum() / is_seen.sum() + (1.0 - soft_iou).mean()


@torch.no_grad()
def predict(network: BevNetwork, moments: Sequence[Moment]) -> Float32[np.ndarray, "N 2 X Y"]:
    """Return the chance of every cell."""
    return np.stack([network(moment).sigmoid().numpy() for moment in moments])


def truths_of(moments: Sequence[Moment]) -> Float32[np.ndarray, "N 2 X Y"]:
    """Return the true maps."""
    return np.stack([moment.truth.numpy() for moment in moments])


def seen_of(moments: Sequence[Moment]) -> Bool[np.ndarray, "N X Y"]:
    """Return the cells that count."""
    return np.stack([moment.is_seen.numpy() for moment in moments])


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
    chances, truths = predict(network, training), truths_of(training)
    held_chances, held_truths = predict(network, held_out), truths_of(held_out)
    is_seen, held_is_seen = seen_of(training), seen_of(held_out)
    result = {}
    for idx, name in enumerate(CLASSES):
        ious = [iou_at(chances[:, idx], truths[:, idx], is_seen, threshold=threshold) for threshold in THRESHOLDS]
        threshold = float(THRESHOLDS[int(np.argmax(ious))])
        mean_map = np.broadcast_to(truths[:, idx].mean(axis=0), held_truths[:, idx].shape)
        levels = [-1.0, *np.unique(mean_map)[:-1].tolist()]
        constant = max(iou_at(mean_map, held_truths[:, idx], held_is_seen, threshold=level) for level in levels)
        result[name] = {
            "train_iou": max(ious),
            "held_out_iou": iou_at(held_chances[:, idx], held_truths[:, idx], held_is_seen, threshold=threshold),
            "constant_iou": constant,
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
    parser.add_argument("--steps", type=int, default=600, help="optimiser steps, one moment each")
    parser.add_argument("--image-size", type=int, nargs=2, default=(64, 112), metavar=("H", "W"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--png", type=Path, help="draw held-out moments: cameras, truth, prediction")
    parser.add_argument("--json", type=Path, help="write the figures")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score, draw."""
    options = parse_arguments(arguments)
    torch.manual_seed(options.seed)
    started_s = time.perf_counter()
    moments = read_moments(options.dataset, image_size=tuple(options.image_size))
    training, held_out = split_layouts(moments, seed=options.seed)
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
