"""A small detector of vehicles and pedestrians, to ask what a data set teaches; no other part of scenegen uses it.

Agents are points with a size: CenterNet (Zhou et al. 2019, arXiv 1904.07850) on a network of 0.2 million weights that
trains in half a minute on one core. Boxes enclose what is visible of an agent, in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor, nn
from torch.nn import functional

KINDS = ("vehicle", "pedestrian")
STRIDE = 4
"""Pixels per cell of the maps."""
MULTIPLE_PX = 8
"""Heights and widths are padded to a multiple of this."""
MIN_OVERLAP = 0.7
"""A peak so far from the centre that the box still overlaps by this much is half right (CornerNet, section 3.2)."""
MAX_FOUND, MIN_SCORE = 50, 0.05
CENTER_PX = 4.0
IOU = 0.5
BATCH_SIZE = 8
LEARNING_RATE = 3e-3


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """Agents of one image.

    Attributes:
        box_px: left, top, right, bottom.
        kind: index of `KINDS`.
        is_asked: whether missing it is a mistake; others are neither asked for nor wrong when found.
    """

    box_px: Float32[np.ndarray, "N 4"]
    kind: UInt8[np.ndarray, " N"]
    is_asked: Bool[np.ndarray, " N"]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a detector finds in one image, best first."""

    box_px: Float32[np.ndarray, "N 4"]
    kind: UInt8[np.ndarray, " N"]
    score: Float32[np.ndarray, " N"]


def _convolution(num_in: int, num_out: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(num_in, num_out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(num_out), nn.ReLU()
    )


class Detector(nn.Module):
    """Strides 2, 4 and 8 and back to 4; per cell a score of each kind, the centre's offset and the size."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(_convolution(12, 16), _convolution(16, 32, stride=2), _convolution(32, 32))
        self.deep = nn.Sequential(_convolution(32, 56, stride=2), *(_convolution(56, 56) for _ in range(4)))
        self.back = _convolution(56 + 32, 32)
        self.out = nn.Conv2d(32, len(KINDS) + 4, 1)
        assert self.out.bias is not None
        nn.init.constant_(self.out.bias[: len(KINDS)], -2.19)  # a score of 0.1: agents are rare

    def forward(self, rgb: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 6 h w"]:
        """Return scores before the sigmoid, offsets (x, y) in cells, and logarithms of (width, height) in cells."""
        near = self.enter(functional.pixel_unshuffle(rgb, 2))
        far = functional.interpolate(self.deep(near), size=near.shape[-2:], mode="nearest")
        return self.out(self.back(torch.cat([near, far], dim=1)))


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What the maps of B images should be: heat everywhere, offsets and sizes where `at` says."""

    heat: Float[Tensor, "B K h w"]
    at: tuple[Tensor, Tensor, Tensor]
    offset_and_size: Float[Tensor, "N 4"]


def build_targets(boxes: Sequence[Boxes], *, size: tuple[int, int]) -> Targets:
    """Draw a Gaussian around each agent's centre; `size` is (height, width) in pixels."""
    rows, columns = size[0] // STRIDE, size[1] // STRIDE
    heat = np.zeros((len(boxes), len(KINDS), rows, columns), np.float32)
    y, x = np.mgrid[:rows, :columns]
    places: list[tuple[int, int, int]] = []
    values: list[tuple[float, float, float, float]] = []
    for image, own in enumerate(boxes):
        for (left, top, right, bottom), kind in zip(own.box_px / STRIDE, own.kind, strict=True):
            u, v, width, height = 0.5 * (left + right), 0.5 * (top + bottom), right - left, bottom - top
            column, row = min(int(u), columns - 1), min(int(v), rows - 1)
            sigma_x, sigma_y = (max((1.0 - MIN_OVERLAP) * side / 3.0, 0.4) for side in (width, height))
            spot = np.exp(-0.5 * (((x - column) / sigma_x) ** 2 + ((y - row) / sigma_y) ** 2))
            heat[image, kind] = np.maximum(heat[image, kind], spot)
            places.append((image, row, column))
            values.append((u - column, v - row, np.log(max(width, 0.25)), np.log(max(height, 0.25))))
    index = torch.tensor(places, dtype=torch.long).view(-1, 3)
    return Targets(
        heat=torch.from_numpy(heat),
        at=(index[:, 0], index[:, 1], index[:, 2]),
        offset_and_size=torch.tensor(values, dtype=torch.float32).view(-1, 4),
    )


def detection_loss(maps: Float[Tensor, "B 6 h w"], targets: Targets) -> Float[Tensor, ""]:
    """Return CenterNet's loss: penalty-reduced focal loss of the heat, and distances at the centres."""
    logits, num = maps[:, : len(KINDS)], max(len(targets.offset_and_size), 1)
    score = logits.sigmoid()
    is_center = targets.heat == 1.0
    missed = (1.0 - score) ** 2 * functional.logsigmoid(logits) * is_center
    invented = (1.0 - targets.heat) ** 4 * score**2 * functional.logsigmoid(-logits) * ~is_center
    image, row, column = targets.at
    guessed = maps[image, len(KINDS) :, row, column]
    return (-(missed + invented).sum() + 0.5 * (guessed - targets.offset_and_size).abs().sum()) / num


def train_detector(frames: UInt8[np.ndarray, "N H W 3"], boxes: Sequence[Boxes], *, epochs: int, seed: int) -> Detector:
    """Train from nothing on frames of one size; flips and brightness are the only variation that is added."""
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    detector = Detector().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(detector.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    per_epoch = max(len(frames) // BATCH_SIZE, 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=LEARNING_RATE, total_steps=epochs * per_epoch, pct_start=0.15
    )
    for _ in range(epochs):
        order = generator.permutation(len(frames))
        for step in range(per_epoch):
            chosen = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
            rgb, own = _vary(frames[chosen], [boxes[n] for n in chosen], generator)
            loss = detection_loss(detector(rgb), build_targets(own, size=frames.shape[1:3]))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(detector.parameters(), 10.0)
            optimizer.step()
            schedule.step()
    return detector.eval()


def _vary(
    frames: UInt8[np.ndarray, "B H W 3"], boxes: list[Boxes], generator: np.random.Generator
) -> tuple[Float[Tensor, "B 3 H W"], list[Boxes]]:
    """Mirror half of the frames and scale their brightness."""
    width = frames.shape[2]
    frames, boxes = frames.copy(), list(boxes)
    for n in np.nonzero(generator.random(len(frames)) < 0.5)[0]:
        frames[n] = frames[n, :, ::-1]
        box = boxes[n].box_px.copy()
        box[:, [0, 2]] = width - box[:, [2, 0]]
        boxes[n] = Boxes(box_px=box, kind=boxes[n].kind, is_asked=boxes[n].is_asked)
    gain = torch.from_numpy(generator.uniform(0.7, 1.3, (len(frames), 1, 1, 1))).float()
    return (_to_tensor(frames) + 1.0) * gain - 1.0, boxes


def _to_tensor(frames: UInt8[np.ndarray, "B H W 3"]) -> Float[Tensor, "B 3 H W"]:
    """Turn frames into -1..1, the last row and column repeated up to a multiple of MULTIPLE_PX."""
    rgb = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    height, width = rgb.shape[-2:]
    padded = functional.pad(rgb, (0, -width % MULTIPLE_PX, 0, -height % MULTIPLE_PX), mode="replicate")
    return padded.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def detect(detector: Detector, frames: UInt8[np.ndarray, "N H W 3"]) -> list[Found]:
    """Find agents in frames of any one size."""
    found: list[Found] = []
    for start in range(0, len(frames), 16):
        maps = detector(_to_tensor(frames[start : start + 16]))
        score = maps[:, : len(KINDS)].sigmoid()
        is_peak = score == functional.max_pool2d(score, 3, stride=1, padding=1)
        found += [_read_peaks(score[b] * is_peak[b], maps[b, len(KINDS) :]) for b in range(len(maps))]
    return found


def _read_peaks(score: Float[Tensor, "K h w"], rest: Float[Tensor, "4 h w"]) -> Found:
    best, place = score.flatten().topk(min(MAX_FOUND, score.numel()))
    best, place = best[best >= MIN_SCORE], place[best >= MIN_SCORE]
    kind, row, column = np.unravel_index(place.numpy(), tuple(score.shape))
    u, v, log_width, log_height = rest[:, row, column].numpy()
    half_width, half_height = 0.5 * np.exp(np.minimum(log_width, 6.0)), 0.5 * np.exp(np.minimum(log_height, 6.0))
    u, v = u + column, v + row
    box = np.stack([u - half_width, v - half_height, u + half_width, v + half_height], axis=1) * STRIDE
    return Found(box_px=box.astype(np.float32), kind=kind.astype(np.uint8), score=best.numpy())


def average_precision(found: Sequence[Found], truth: Sequence[Boxes], *, kind: int, by_iou: bool) -> float:
    """Return the area under the precision-recall curve of one kind over images; NaN where none is asked for.

    A found agent is right when its centre lies within CENTER_PX of that of a true one (`by_iou`: when their boxes
    overlap by IOU) that no better-scored one has taken. One on an agent that is not asked for counts for nothing.

    Source: PASCAL VOC 2010 development kit, section 3.4.2 (precision made monotonic, all points).
    """
    num_asked = sum(int((own.is_asked & (own.kind == kind)).sum()) for own in truth)
    if num_asked == 0:
        return float("nan")
    verdicts: list[tuple[float, bool]] = []
    for guessed, own in zip(found, truth, strict=True):
        verdicts += _judge_image(guessed, own, kind=kind, by_iou=by_iou)
    verdicts.sort(key=lambda verdict: -verdict[0])
    is_right = np.array([right for _, right in verdicts], np.bool_)
    recall = np.cumsum(is_right) / num_asked
    precision = np.cumsum(is_right) / np.arange(1, len(is_right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def _judge_image(found: Found, truth: Boxes, *, kind: int, by_iou: bool) -> list[tuple[float, bool]]:
    """Return (score, right) of what was found of one kind in one image, without what counts for nothing."""
    own = truth.kind == kind
    boxes, is_asked = truth.box_px[own], truth.is_asked[own]
    is_free = np.ones(len(boxes), np.bool_)
    verdicts: list[tuple[float, bool]] = []
    for n in np.nonzero(found.kind == kind)[0]:  # best first
        fit = iou(found.box_px[n], boxes) / IOU if by_iou else CENTER_PX / (_distance(found.box_px[n], boxes) + 1e-6)
        candidates = np.where((fit >= 1.0) & is_free, fit * np.where(is_asked, 1e6, 1.0), 0.0)
        if candidates.size and candidates.max() > 0.0:
            match = int(candidates.argmax())
            is_free[match] = not is_asked[match]  # several may lie on one that is not asked for: a crowd
            if is_asked[match]:
                verdicts.append((float(found.score[n]), True))
            continue
        verdicts.append((float(found.score[n]), False))
    return verdicts


def iou(box: Float32[np.ndarray, "4"], others: Float32[np.ndarray, "N 4"]) -> Float32[np.ndarray, " N"]:
    """Return the intersection over union of a box and others.

    >>> iou(np.array([0, 0, 2, 2], np.float32), np.array([[1, 0, 3, 2]], np.float32)).round(3).tolist()
    [0.333]
    """
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    overlap = np.maximum(high - low, 0.0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return overlap / np.maximum(areas - overlap, 1e-6)


def _distance(box: Float32[np.ndarray, "4"], others: Float32[np.ndarray, "N 4"]) -> Float32[np.ndarray, " N"]:
    center, centers = 0.5 * (box[:2] + box[2:]), 0.5 * (others[:, :2] + others[:, 2:])
    return np.asarray(np.linalg.norm(centers - center, axis=1))
