"""Load a video backbone by name. Names are looked up here, never imported from a user's file."""

from __future__ import annotations

from pathlib import Path

from scenegen.errors import ConfigError, WeightsError
from scenegen.video.interface import VideoBackbone

SHIPPED_WEIGHTS = Path(__file__).parent.parent / "weights" / "native_tiny.safetensors"


def load_backbone(
    name: str, *, steps: int, weights: str | None, history: bool = True, weights_sha256: str | None = None
) -> VideoBackbone:
    """Load the backbone called `name`.

    Args:
        name: `native` or `preview`.
        steps: sampling steps per frame (native).
        weights: a safetensors file; None for the shipped one (native).
        history: carry the previous frame forward (native).
        weights_sha256: what the file must hash to; None takes any (native).

    Raises:
        ConfigError: the name is unknown, or an option does not go with it.
        WeightsError: the weights are missing, damaged or others than expected.
    """
    if name == "preview":
        for key, value in (("weights", weights), ("weights_sha256", weights_sha256)):
            if value is not None:
                raise ConfigError("no weights with video=preview", found=value, where=f"video.{key}")
        from scenegen.video.backbones.preview import PreviewBackbone

        return PreviewBackbone()
    if name == "native":
        from scenegen.video.backbones.native import load_native

        path = SHIPPED_WEIGHTS if weights is None else Path(weights)
        if path.suffix != ".safetensors":
            raise WeightsError("a .safetensors file", found=path.name, where="video.weights")
        backbone = load_native(weights=path, steps=steps, use_history=history)
        if weights_sha256 not in (None, backbone.weights_sha256):
            raise WeightsError(f"weights with sha256 {weights_sha256}", found=backbone.weights_sha256, where=str(path))
        return backbone
    raise ConfigError("video=native or video=preview", found=repr(name), where="video.name")
