"""Cameras as the readers of ClipGT know them: their names, and f-theta lenses in a rig JSON.

A reader finds a camera by one of seven names. Each camera of a rig gets the name of the view that looks most like
it (`name_views`); the numbers stay its own, which the format allows. Lenses become the only model that the format
has, a polynomial from the distance to the principal point (pixels) to the angle off the axis (radians), fitted over
the picture; `FittedLens.largest_error_px` says how well. cx and cy count from the outer corner of the first pixel,
as scenegen does; whether the readers mean that or the pixel's middle, their documents do not say.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.polynomial import polynomial

from scenegen.geometry.lens import unproject_pixels
from scenegen.types import Camera, CameraRig


@dataclass(frozen=True)
class StandardView:
    """One of the views that readers ask for by name."""

    sensor: str
    yaw_deg: float
    fov_deg: float


STANDARD_VIEWS = (
    StandardView("camera:front:wide:120fov", 0.0, 120.0),
    StandardView("camera:cross:left:120fov", 66.0, 120.0),
    StandardView("camera:cross:right:120fov", -66.0, 120.0),
    StandardView("camera:rear:left:70fov", 152.0, 70.0),
    StandardView("camera:rear:right:70fov", -152.0, 70.0),
    StandardView("camera:rear:tele:30fov", 180.0, 30.0),
    StandardView("camera:front:tele:sat:30fov", 0.0, 30.0),
)
NARROW_FOV_DEG = 50.0
OTHER_KIND_DEG = 20.0
"""A wide camera in the place of a narrow one, or the reverse, counts as much as looking this far aside."""
NUM_COEFFICIENTS = 6
SAMPLES_PER_EDGE = 41
CAM_FROM_FLU: Float64[np.ndarray, "3 3"] = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
"""Camera axes (right, down, forward) from sensor axes (forward, left, up)."""


@dataclass(frozen=True, kw_only=True)
class FittedLens:
    """An f-theta lens.

    Attributes:
        polynomial: k0 .. k5 of angle = k0 + k1 r + ... + k5 r^5; k0 is 0.
        linear_c: horizontal over vertical focal length; pixels are squashed by it sideways.
        largest_error_px: farthest that a point of the picture lies from where this lens puts its ray.
    """

    polynomial: tuple[float, ...]
    linear_c: float
    largest_error_px: float


def name_views(rig: CameraRig) -> dict[str, str]:
    """Return the sensor name of every camera: the standard views by direction, all others under their own name.

    >>> from scenegen.types import Camera, CameraRig
    >>> K = np.array([[500.0, 0.0, 800.0], [0.0, 500.0, 450.0], [0.0, 0.0, 1.0]])
    >>> ahead = np.eye(4)
    >>> ahead[:3, :3] = CAM_FROM_FLU.T
    >>> name_views(CameraRig(name="one", cameras=(Camera(name="CAM", K=K, ego_from_cam=ahead, size_px=(1600, 900)),)))
    {'CAM': 'camera:front:wide:120fov'}
    """
    from scipy.optimize import linear_sum_assignment

    cost_deg = np.array([[_distance_deg(camera, view) for view in STANDARD_VIEWS] for camera in rig.cameras])
    names = {camera.name: f"camera:{camera.name.lower()}" for camera in rig.cameras}
    for camera_idx, view_idx in zip(*linear_sum_assignment(cost_deg), strict=True):
        names[rig.cameras[camera_idx].name] = STANDARD_VIEWS[view_idx].sensor
    return names


def file_name(sensor: str) -> str:
    """Return a sensor's name as it stands in file names.

    >>> file_name("camera:front:wide:120fov")
    'camera_front_wide_120fov'
    """
    return sensor.replace(":", "_")


def field_of_view_deg(camera: Camera) -> float:
    """Return the horizontal field of view, along the middle row of the picture."""
    width, height = camera.size_px
    edges = unproject_pixels(np.array([[0.0, 0.5 * height], [width, 0.5 * height]]), camera)[:, 0]
    angles = np.where(np.isfinite(edges), np.arctan(np.abs(edges)), camera.lens.max_angle_rad)
    return float(np.degrees(angles.sum()))


def fit_lens(camera: Camera) -> FittedLens:
    """Fit the format's polynomial to a camera over its whole picture."""
    width, height = camera.size_px
    u, v = np.meshgrid(np.linspace(0.0, width, SAMPLES_PER_EDGE), np.linspace(0.0, height, SAMPLES_PER_EDGE))
    points_px = np.stack([u.ravel(), v.ravel()], axis=1)
    rays = unproject_pixels(points_px, camera)
    is_seen = np.isfinite(rays).all(axis=1)
    rays = rays[is_seen]
    linear_c = float(camera.K[0, 0] / camera.K[1, 1])
    from_center_px = (points_px[is_seen] - camera.K[:2, 2]) / [linear_c, 1.0]
    radius_px = np.linalg.norm(from_center_px, axis=1)
    angle = np.arctan(np.linalg.norm(rays, axis=1))
    scale_px = radius_px.max()
    powers = (radius_px[:, None] / scale_px) ** np.arange(1, NUM_COEFFICIENTS)
    coefficients = np.linalg.lstsq(powers, angle, rcond=None)[0] / scale_px ** np.arange(1, NUM_COEFFICIENTS)
    fitted = np.concatenate([[0.0], coefficients])
    slope = polynomial.polyval(radius_px, polynomial.polyder(fitted))
    along_px = (polynomial.polyval(radius_px, fitted) - angle) / slope
    turn = np.arctan2(rays[:, 1], rays[:, 0]) - np.arctan2(from_center_px[:, 1], from_center_px[:, 0])
    across_px = radius_px * np.abs(np.angle(np.exp(1j * turn)))
    return FittedLens(
        polynomial=tuple(fitted.tolist()),
        linear_c=linear_c,
        largest_error_px=float(np.hypot(along_px, across_px).max()),
    )


def rig_json(rig: CameraRig, *, names: dict[str, str]) -> str:
    """Return the content of `rig_json` in the calibration table."""
    sensors = [_sensor(camera, names[camera.name]) for camera in rig.cameras]
    return json.dumps({"rig": {"properties": {}, "sensors": sensors, "vehicle": {}, "vehicleio": {}}})


def _sensor(camera: Camera, name: str) -> dict[str, object]:
    from scipy.spatial.transform import Rotation

    width, height = camera.size_px
    lens = fit_lens(camera)
    sensor_to_rig = Rotation.from_matrix(camera.ego_from_cam[:3, :3] @ CAM_FROM_FLU)
    return {
        "name": name,
        "protocol": "camera.virtual",
        "parameter": f"video={file_name(name)}.mp4",
        "properties": {
            "Model": "ftheta",
            "cx": f"{camera.K[0, 2]:.6f}",
            "cy": f"{camera.K[1, 2]:.6f}",
            "width": str(width),
            "height": str(height),
            "polynomial": " ".join(f"{coefficient:.12g}" for coefficient in lens.polynomial),
            "polynomial-type": "pixeldistance-to-angle",
            "linear-c": f"{lens.linear_c:.9f}",
            "linear-d": "0.000000",
            "linear-e": "0.000000",
        },
        "nominalSensor2Rig_FLU": {
            "t": camera.ego_from_cam[:3, 3].tolist(),
            "roll-pitch-yaw": sensor_to_rig.as_euler("xyz", degrees=True).tolist(),
        },
        "correction_sensor_R_FLU": {"roll-pitch-yaw": [0.0, 0.0, 0.0]},
        "correction_rig_T": [0.0, 0.0, 0.0],
    }


def _distance_deg(camera: Camera, view: StandardView) -> float:
    axis = camera.ego_from_cam[:3, 2]
    yaw_deg = float(np.degrees(np.arctan2(axis[1], axis[0])))
    aside_deg = abs((yaw_deg - view.yaw_deg + 180.0) % 360.0 - 180.0)
    is_other_kind = (field_of_view_deg(camera) < NARROW_FOV_DEG) != (view.fov_deg < NARROW_FOV_DEG)
    return aside_deg + OTHER_KIND_DEG * is_other_kind
