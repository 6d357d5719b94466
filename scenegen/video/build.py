"""Load a video backbone by name. Names are looked up here, never imported from a user's file."""

from __future__ import annotations

from pathlib import Path

from scenegen.errors import ConfigError, WeightsError
from scenegen.types.record import FULL_PRECISION
from scenegen.video.interface import VideoBackbone

SHIPPED_WEIGHTS = Path(__file__).parent.parent / "weights" / "native_tiny.safetensors"
SHIPPED_STUDENT = SHIPPED_WEIGHTS.with_stem("native_tiny_student")
SHIPPED_SIZES = ("tiny", "lean")


def load_backbone(
    name: str,
    *,
    weights: str | None,
    size: str | None = None,
    model: str | None = None,
    sampler: str | None = None,
    steps: int | None = None,
    eta: float | None = None,
    precision: str = FULL_PRECISION,
    temperature: float | None = None,
    history: bool = True,
    weights_sha256: str | None = None,
) -> VideoBackbone:
    """Load the backbone called `name`.

    Args:
        name: `native` or `preview`.
        weights: a safetensors file; None for the shipped one (native).
        size: which of the shipped ones, one of `SHIPPED_SIZES`; None for the first (native, without `weights`).
        model: `teacher`, or `student` of one; None for the teacher (native).
        sampler: `euler` or `cps`; None for what the weights were made for (native, as are the two below).
        steps: sampling steps per frame; None likewise.
        eta: share of new noise in each step of `cps`; None likewise.
        precision: of the network's products, `fp32` or `bf16` (native).
        temperature: what all noise is multiplied by, 0..1; None for the model's own (native).
        history: carry the previous frame forward (native).
        weights_sha256: what the file must hash to; None takes any (native).

    Raises:
        ConfigError: the name is unknown, or an option does not go with it.
        WeightsError: the weights are missing, damaged or others than expected.
    """
    if name == "preview":
        given = {
            "weights": weights,
            "size": size,
            "weights_sha256": weights_sha256,
            "model": model,
            "sampler": sampler,
            "eta": eta,
            "temperature": temperature,
        }
        if precision != FULL_PRECISION:
            given["precision"] = precision
        for key, value in given.items():
            if value is not None:
                raise ConfigError(f"no {key} with video=preview", found=str(value), where=f"video.{key}")
        from scenegen.video.backbones.preview import PreviewBackbone

        return PreviewBackbone()
    if name == "native":
        from scenegen.video.backbones.native import TEACHER, load_native

        role = TEACHER if model is None else model
        if weights is not None and size is not None:
            raise ConfigError(
                "no video.size beside video.weights",
                found=repr(size),
                where="video.size",
                fix="leave it out: a file of weights names its own size",
            )
        path = _shipped(role, size or SHIPPED_SIZES[0]) if weights is None else Path(weights)
        if path.suffix != ".safetensors":
            raise WeightsError("a .safetensors file", found=path.name, where="video.weights")
        backbone = load_native(
            weights=path,
            role=role,
            sampler=sampler,
            steps=steps,
            eta=eta,
            precision=precision,
            temperature=temperature,
            use_history=history,
        )
        if weights_sha256 not in (None, backbone.weights_sha256):
            raise WeightsError(f"weights with sha256 {weights_sha256}", found=backbone.weights_sha256, where=str(path))
        return backbone
    raise ConfigError("video=native or video=preview", found=repr(name), where="video.name")


def _shipped(role: str, size: str) -> Path:
    """Return the shipped weights of a role and size.

    Raises:
        WeightsError: none are shipped.
    """
    path = (SHIPPED_STUDENT if role == "student" else SHIPPED_WEIGHTS).with_stem(
        f"native_{size}{'_student' if role == 'student' else ''}"
    )
    if not path.is_file():
        made = "distil one with `scenegen train recipe=rtdmd data=... output=...`"
        if role != "student":
            made = f"train them with `scenegen train recipe=video size={size} data=... output=...`"
        raise WeightsError(
            f"shipped weights of a {role} of size {size}",
            found="none with this version of scenegen",
            where=str(path),
            fix=f"{made} and name the file in video.weights",
        )
    return path
