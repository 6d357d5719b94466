"""Pixels to rays and points to pixels, for every lens of `types.lens`. Rays have unit z in frame `cam`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64
from numpy.polynomial import polynomial

from scenegen.errors import CameraError
from scenegen.types import Camera, Lens
from scenegen.types.lens import MAX_ANGLE_RAD, NUM_ANGLES, angle_polynomial, check_coefficients

NEAR_M = 0.05
"""Closer to the camera, along its axis, a pinhole sees nothing."""
NEWTON_STEPS = 4
UNDISTORT_STEPS = 20


def pixel_rays(camera: Camera, *, canvas_px: tuple[int, int] | None = None) -> Float64[np.ndarray, "H W 2"]:
    """Return (x, y) at unit depth of the ray through each pixel's middle; NaN where the lens shows nothing.

    Args:
        camera: any lens.
        canvas_px: (width, height) of the array, at least the image's; NaN outside the image. None for the image.
    """
    width, height = camera.size_px
    canvas_width, canvas_height = canvas_px or camera.size_px
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.full((canvas_height, canvas_width, 2), np.nan)
    rays[:height, :width] = unproject_pixels(np.stack([u, v], axis=-1), camera)
    return rays


def unproject_pixels(uv_px: Float64[np.ndarray, "*N 2"], camera: Camera) -> Float64[np.ndarray, "*N 2"]:
    """Return (x, y) at unit depth of the rays through image points; NaN beyond the lens's field of view."""
    K = camera.K
    # Written as the ray caster once did per pixel, so that pinhole rays keep their every bit.
    plane = np.stack([(uv_px[..., 0] - K[0, 2]) / K[0, 0], (uv_px[..., 1] - K[1, 2]) / K[1, 1]], axis=-1)
    if camera.lens.model == "pinhole":
        return plane
    if camera.lens.model == "brown_conrady":
        rays = _undistort(plane, camera.lens.coefficients)
        is_seen = np.linalg.norm(rays, axis=-1) <= np.tan(camera.lens.max_angle_rad)
        return np.where(is_seen[..., None], rays, np.nan)
    radius = np.linalg.norm(plane, axis=-1)
    angle = _angle_of_radius(radius, camera.lens)
    stretch = np.where(radius > 1e-12, np.tan(angle) / np.maximum(radius, 1e-12), 1.0)
    return plane * stretch[..., None]


def project_points(points_cam_m: Float64[np.ndarray, "*N 3"], camera: Camera) -> Float64[np.ndarray, "*N 2"]:
    """Return the image points (u, v) that points land on; NaN behind the camera or beyond its field of view.

    >>> K = np.array([[100.0, 0.0, 50.0], [0.0, 100.0, 40.0], [0.0, 0.0, 1.0]])
    >>> pinhole = Camera(name="CAM", K=K, ego_from_cam=np.eye(4), size_px=(100, 80))
    >>> project_points(np.array([[0.2, 0.1, 2.0]]), pinhole).tolist()
    [[60.0, 45.0]]
    """
    lens, K = camera.lens, camera.K
    x, y, z = np.moveaxis(points_cam_m, -1, 0)
    if lens.is_angular:
        off_axis = np.hypot(x, y)
        angle = np.arctan2(off_axis, z)
        radius = polynomial.polyval(angle, lens.angle_polynomial())
        stretch = np.where(off_axis > 1e-12, radius / np.maximum(off_axis, 1e-12), 0.0)
        plane = np.stack([x * stretch, y * stretch], axis=-1)
        is_seen = angle <= lens.max_angle_rad
    else:
        is_seen = z > NEAR_M
        plane = np.stack([x, y], axis=-1) / np.where(is_seen, z, 1.0)[..., None]
        if lens.model == "brown_conrady":
            is_seen &= np.linalg.norm(plane, axis=-1) <= np.tan(lens.max_angle_rad)
            plane = _distort(plane, lens.coefficients)
    uv_px = plane * [K[0, 0], K[1, 1]] + K[:2, 2]
    result: Float64[np.ndarray, "*N 2"] = np.where(is_seen[..., None], uv_px, np.nan)
    return result


def local_focal_px(camera: Camera, ray_cam: Float64[np.ndarray, "H W 2"]) -> Float64[np.ndarray, "H W"]:
    """Return the number by which a pixel's z-depth is divided to get its edge on a surface that faces it, in metres.

    Pinholes: their focal length, everywhere (the surface faces the optical axis). Angular lenses: from the solid
    angle of the pixel (the surface faces the ray). Outside the field of view: the focal length on the axis.
    """
    focal_px = np.full(ray_cam.shape[:2], camera.K[0, 0])
    if not camera.lens.is_angular:
        return focal_px
    powers = camera.lens.angle_polynomial()
    angle = np.arctan(np.linalg.norm(ray_cam, axis=-1))
    growth = polynomial.polyval(angle, polynomial.polyder(powers))
    around = np.where(angle > 1e-9, polynomial.polyval(angle, powers) / np.maximum(np.sin(angle), 1e-9), 1.0)
    px_per_rad = np.sqrt(camera.K[0, 0] * camera.K[1, 1] * growth * around)
    return np.where(np.isfinite(angle), px_per_rad * np.cos(angle), focal_px)


def unit_rays_ego(camera: Camera, *, canvas_px: tuple[int, int] | None = None) -> Float32[np.ndarray, "H W 3"]:
    """Return each pixel's unit viewing direction in frame `ego`; zero where the lens shows nothing."""
    xy = pixel_rays(camera, canvas_px=canvas_px)
    rays = np.concatenate([xy, np.ones((*xy.shape[:2], 1))], axis=-1)
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True) @ camera.ego_from_cam[:3, :3].T
    return np.nan_to_num(rays, nan=0.0).astype(np.float32)


def widest_angle_rad(
    model: str, coefficients: tuple[float, ...], K: Float64[np.ndarray, "3 3"], *, size_px: tuple[float, float]
) -> float:
    """Return the angle from the axis that an image's farthest corner shows, at most `MAX_ANGLE_RAD`.

    Raises:
        CameraError: the lens folds back before it reaches that corner.
    """
    check_coefficients(model, coefficients)
    if model == "pinhole":
        return MAX_ANGLE_RAD
    corners_px = np.array([[0.0, 0.0], [size_px[0], 0.0], [0.0, size_px[1]], size_px])
    corners = (corners_px - K[:2, 2]) / np.diag(K)[:2]
    if model == "brown_conrady":
        angle = float(np.arctan(np.linalg.norm(_undistort(corners, coefficients), axis=-1)).max())
        is_reached = np.isfinite(angle)
    else:
        angles = np.linspace(0.0, MAX_ANGLE_RAD, NUM_ANGLES)
        radius = polynomial.polyval(angles, angle_polynomial(model, coefficients))
        enough = np.flatnonzero(radius >= np.linalg.norm(corners, axis=-1).max())
        angle = float(angles[enough[0]]) if len(enough) else MAX_ANGLE_RAD
        is_reached = bool((np.diff(radius[angles <= angle]) > 0.0).all())
    if not is_reached:
        raise CameraError(
            "a lens that shows something in every corner of its image",
            found=f"coefficients {list(coefficients)} that fold back before that",
            where=f"lens {model!r}",
            fix="check the order of the coefficients, or say where the field of view ends: max_angle_deg",
        )
    return min(angle, MAX_ANGLE_RAD)


def _angle_of_radius(radius: Float64[np.ndarray, "*N"], lens: Lens) -> Float64[np.ndarray, "*N"]:
    """Invert the polynomial of an angular lens by Newton's method; NaN beyond the field of view."""
    powers = lens.angle_polynomial()
    slopes = polynomial.polyder(powers)
    guesses = np.linspace(0.0, lens.max_angle_rad, NUM_ANGLES)
    angle = np.interp(radius, polynomial.polyval(guesses, powers), guesses)
    for _ in range(NEWTON_STEPS):
        angle = angle - (polynomial.polyval(angle, powers) - radius) / polynomial.polyval(angle, slopes)
    is_seen = radius <= polynomial.polyval(lens.max_angle_rad, powers)
    return np.where(is_seen, angle, np.nan)


def _distort(plane: Float64[np.ndarray, "*N 2"], coefficients: tuple[float, ...]) -> Float64[np.ndarray, "*N 2"]:
    """Move pinhole points (x / z, y / z) as the lens does. Source: OpenCV, calib3d, "Detailed description"."""
    k1, k2, p1, p2, *rest = coefficients
    x, y = plane[..., 0], plane[..., 1]
    squared = x * x + y * y
    radial = 1.0 + squared * (k1 + squared * (k2 + squared * (rest[0] if rest else 0.0)))
    return np.stack(
        [
            x * radial + 2.0 * p1 * x * y + p2 * (squared + 2.0 * x * x),
            y * radial + p1 * (squared + 2.0 * y * y) + 2.0 * p2 * x * y,
        ],
        axis=-1,
    )


def _undistort(plane: Float64[np.ndarray, "*N 2"], coefficients: tuple[float, ...]) -> Float64[np.ndarray, "*N 2"]:
    """Invert `_distort` by Newton's method; NaN where it does not converge."""
    k1, k2, p1, p2, *rest = coefficients
    k3 = rest[0] if rest else 0.0
    rays = plane.copy()
    with np.errstate(all="ignore"):  # what diverges is caught by the check at the end
        for _ in range(UNDISTORT_STEPS):
            x, y = rays[..., 0], rays[..., 1]
            squared = x * x + y * y
            radial = 1.0 + squared * (k1 + squared * (k2 + squared * k3))
            growth = 2.0 * (k1 + squared * (2.0 * k2 + squared * 3.0 * k3))
            xx = radial + growth * x * x + 2.0 * p1 * y + 6.0 * p2 * x
            yy = radial + growth * y * y + 6.0 * p1 * y + 2.0 * p2 * x
            xy = growth * x * y + 2.0 * p1 * x + 2.0 * p2 * y
            gap = _distort(rays, coefficients) - plane
            determinant = xx * yy - xy * xy
            step_x = (yy * gap[..., 0] - xy * gap[..., 1]) / determinant
            step_y = (xx * gap[..., 1] - xy * gap[..., 0]) / determinant
            rays = rays - np.stack([step_x, step_y], axis=-1)
        is_found = np.linalg.norm(_distort(rays, coefficients) - plane, axis=-1) < 1e-10
    return np.where(is_found[..., None], rays, np.nan)
