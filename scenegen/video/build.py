"""Load a video backbone by name. Names are looked up here, never imported from a user's file."""

from __future__ import annotations

from pathlib import Path

from scenegen.errors import ConfigError, WeightsError
from scenegen.video.interface import VideoBackbone

SHIPPED_WEIGHTS = Path(__file__).parent.parent / "weights" / "native_tiny.safetensors"


def load_backbone(name: str, *, steps: int, weights: str | None, history: bool = True) -> VideoBackbone:
    """Load the backbone called `name`.

    Args:
        name: `native` or `preview`.
        steps: sampling steps per frame (native).
        weights: a safetensors file; None for the shipped one (native).
        history: carry the previous frame forward (native).

    Raises:
        ConfigError: the name is unknown, or an option does not go with it.
        WeightsError: the weights are missing or damaged.
    """
    if name == "preview":
        if weights is not None:
            raise ConfigError("no weights with video=preview", found=weights, where="video.weights")
        from scenegen.video.backbones.preview import PreviewBackbone

        return PreviewBackbone()
    if name == "native":
        from scenegen.video.backbones.native import load_native

        path = SHIPPED_WEIGHTS if weights is None else Path(weights)
        if path.suffix != ".safetensors":
            raise WeightsError("a .safetensors file", found=path.name, where="video.weights")
        return load_native(weights=path, steps=steps, use_history=history)
    raise ConfigError("video=native or video=preview", found=repr(name), where="video.name")
