"""Stacks of normalized pictures, padded as mmdet pads them."""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch.nn.functional import pad

from scenegen.dataset.torch_view.normalization import Normalization
from scenegen.dataset.torch_view.scene_view import SceneView

PAD_MULTIPLE = 32


def picture_stack(view: SceneView, step: int, normalization: Normalization) -> Float32[torch.Tensor, "V 3 H W"]:
    """Return the normalized pictures of one step."""
    return torch.stack([normalization.apply(view.picture(camera, step)) for camera in range(len(view.cameras))])


def padded_stack(view: SceneView, step: int, normalization: Normalization) -> Float32[torch.Tensor, "V 3 H W"]:
    """Return the normalized pictures of one step with zeros below and to the right, up to a multiple of 32 pixels."""
    stack = picture_stack(view, step, normalization)
    height, width = stack.shape[-2:]
    return pad(stack, (0, -width % PAD_MULTIPLE, 0, -height % PAD_MULTIPLE))
