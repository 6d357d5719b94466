"""The cameras, as a file of `conf/rig/` or a calibration file of one's own gives them."""

from __future__ import annotations

from dataclasses import dataclass

from scenegen.config.require import require_positive


@dataclass(frozen=True, kw_only=True)
class ImageSizeConfig:
    """Width and height of an image in pixels."""

    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        require_positive(self, "width_px", "height_px")


@dataclass(frozen=True, kw_only=True)
class LensConfig:
    """A lens as a calibration file gives it.

    Attributes:
        model: `pinhole`, `brown_conrady`, `fisheye` or `f_theta`.
        coefficients: see `types.lens`; those of `f_theta` in pixels of the source image.
        max_angle_deg: half the field of view; None: as far as the farthest corner of the source image, at most 88.
    """

    model: str
    coefficients: tuple[float, ...]
    max_angle_deg: float | None = None


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """One camera as a calibration file gives it.

    Attributes:
        name: unique in the rig.
        translation_m: position of the camera in the ego frame.
        rotation_wxyz: `ego_from_cam` as a quaternion.
        K: intrinsics at the source image size.
        lens: None for a pinhole.
        source_image: the size that K belongs to; None for the rig's.
        image: the size that is stored; None for the rig's.
    """

    name: str
    translation_m: tuple[float, float, float]
    rotation_wxyz: tuple[float, float, float, float]
    K: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    lens: LensConfig | None = None
    source_image: ImageSizeConfig | None = None
    image: ImageSizeConfig | None = None


@dataclass(frozen=True, kw_only=True)
class RigConfig:
    """The cameras; the size that their K belongs to and the size that is stored, for cameras without their own."""

    name: str
    source_image: ImageSizeConfig
    image: ImageSizeConfig
    cameras: tuple[CameraConfig, ...]
