"""Projection and its inverse agree for every lens, and do what the published formulas say."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.errors import CameraError
from scenegen.geometry.lens import local_focal_px, pixel_rays, project_points, unit_rays_ego, widest_angle_rad
from scenegen.types import Camera, Lens
from tests.unit.geometry.lenses import COEFFICIENTS, SIZE_PX, bent_camera

MODELS = list(COEFFICIENTS)


def points_on(rays: np.ndarray, depth_m: float) -> np.ndarray:
    return np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], axis=-1) * depth_m


def middles(size_px: tuple[int, int] = SIZE_PX) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(size_px[0]) + 0.5, np.arange(size_px[1]) + 0.5), axis=-1)


@pytest.mark.parametrize("model", MODELS)
def test_unproject_then_project_is_identity(model: str) -> None:
    camera = bent_camera(model)
    rays = pixel_rays(camera)
    seen = np.isfinite(rays[..., 0])
    assert seen.mean() > 0.7
    for depth_m in (0.2, 30.0):
        gap = np.abs(project_points(points_on(rays, depth_m), camera) - middles())[seen]
        assert gap.max() < 1e-6


@pytest.mark.parametrize("model", MODELS)
def test_project_then_unproject_is_identity(model: str) -> None:
    """Sub-pixel places too: a camera whose image is shifted by a fraction sees the same rays."""
    camera = bent_camera(model)
    shifted = Camera(
        name="shifted",
        K=camera.K + np.array([[0.0, 0.0, 0.37], [0.0, 0.0, -0.21], [0.0, 0.0, 0.0]]),
        ego_from_cam=np.eye(4),
        size_px=SIZE_PX,
        lens=camera.lens,
    )
    uv_px = project_points(points_on(pixel_rays(camera), 5.0), shifted)
    seen = np.isfinite(uv_px[..., 0])
    np.testing.assert_allclose((uv_px - middles())[seen], [[0.37, -0.21]] * seen.sum(), atol=1e-9)


def test_fisheye_follows_its_formula() -> None:
    """30 degrees off the axis towards the lower right, by hand."""
    K = np.array([[300.0, 0.0, 320.0], [0.0, 310.0, 240.0], [0.0, 0.0, 1.0]])
    lens = Lens(model="fisheye", coefficients=(0.1, -0.02, 0.003, -0.0004), max_angle_rad=1.5)
    camera = Camera(name="CAM", K=K, ego_from_cam=np.eye(4), size_px=(640, 480), lens=lens)
    t = np.pi / 6
    r = t * (1 + 0.1 * t**2 - 0.02 * t**4 + 0.003 * t**6 - 0.0004 * t**8)
    point = np.array([[np.sin(t) * 0.6, np.sin(t) * 0.8, np.cos(t)]]) * 7.0
    np.testing.assert_allclose(project_points(point, camera), [[300.0 * r * 0.6 + 320.0, 310.0 * r * 0.8 + 240.0]])


def test_f_theta_follows_its_polynomial_in_pixels() -> None:
    K = np.array([[50.0, 0.0, 100.0], [0.0, 50.0, 60.0], [0.0, 0.0, 1.0]])
    lens = Lens(model="f_theta", coefficients=(0.0, 50.0, 2.0, -1.0), max_angle_rad=1.2)
    camera = Camera(name="CAM", K=K, ego_from_cam=np.eye(4), size_px=(200, 120), lens=lens)
    point = np.array([[-np.tan(1.0), 0.0, 1.0]])
    np.testing.assert_allclose(project_points(point, camera), [[100.0 - 51.0, 60.0]])


def test_brown_conrady_follows_its_formula() -> None:
    """Coefficients in OpenCV's order k1, k2, p1, p2, k3."""
    K = np.array([[100.0, 0.0, 50.0], [0.0, 100.0, 40.0], [0.0, 0.0, 1.0]])
    lens = Lens(model="brown_conrady", coefficients=(0.1, 0.01, 0.002, 0.003, 0.004), max_angle_rad=0.9)
    camera = Camera(name="CAM", K=K, ego_from_cam=np.eye(4), size_px=(100, 80), lens=lens)
    x, y, r2 = 0.3, 0.4, 0.25
    radial = 1 + 0.1 * r2 + 0.01 * r2**2 + 0.004 * r2**3
    u = x * radial + 2 * 0.002 * x * y + 0.003 * (r2 + 2 * x * x)
    v = y * radial + 0.002 * (r2 + 2 * y * y) + 2 * 0.003 * x * y
    uv_px = project_points(np.array([[0.6, 0.8, 2.0]]), camera)
    np.testing.assert_allclose(uv_px, [[100 * u + 50, 100 * v + 40]])


def test_nothing_is_seen_behind_the_camera_or_beyond_the_field_of_view() -> None:
    rim = np.array([[np.tan(np.radians(d)), 0.0, 1.0] for d in (87.9, 88.1)])
    behind = np.array([[0.1, 0.0, -1.0]])
    for model in MODELS:
        assert np.isnan(project_points(behind, bent_camera(model))).all(), model
    uv_px = project_points(rim, bent_camera("fisheye"))
    assert np.isfinite(uv_px[0]).all() and np.isnan(uv_px[1]).all()


def test_a_canvas_is_nan_outside_the_image() -> None:
    rays = pixel_rays(bent_camera("pinhole"), canvas_px=(208, 120))
    assert rays.shape == (120, 208, 2)
    assert np.isfinite(rays[:112, :200]).all()
    assert np.isnan(rays[112:]).all() and np.isnan(rays[:, 200:]).all()


def test_unit_rays_have_length_one_or_zero() -> None:
    camera = bent_camera("fisheye", size_px=(260, 200))
    length = np.linalg.norm(unit_rays_ego(camera), axis=-1)
    seen = np.isfinite(pixel_rays(camera)[..., 0])
    assert 0.3 < seen.mean() < 0.95  # the circle ends inside this image
    np.testing.assert_allclose(length[seen], 1.0, atol=1e-6)
    assert (length[~seen] == 0.0).all()


@pytest.mark.parametrize("model", ["fisheye", "f_theta"])
def test_local_focal_length_is_that_of_the_angle_between_neighbours(model: str) -> None:
    """The product of the angles to the right and the lower neighbour is the solid angle of a pixel."""
    camera = bent_camera(model)
    rays = points_on(pixel_rays(camera), 1.0)
    length = np.linalg.norm(rays, axis=-1)
    unit = rays / length[..., None]
    across, down = unit[:-1, 1:] - unit[:-1, :-1], unit[1:, :-1] - unit[:-1, :-1]
    solid_angle = np.linalg.norm(np.cross(across, down), axis=-1)
    focal_px = local_focal_px(camera, pixel_rays(camera))[:-1, :-1]
    expected = 1.0 / (np.sqrt(solid_angle) * length[:-1, :-1])  # depth * length is the range
    inner = np.isfinite(expected) & (length[:-1, :-1] < 5.0)
    assert inner.sum() > 5000
    np.testing.assert_allclose(focal_px[inner], expected[inner], rtol=0.03)


def test_the_field_of_view_is_that_of_the_farthest_corner() -> None:
    camera = bent_camera("f_theta")
    assert np.isfinite(pixel_rays(camera)).all()
    assert camera.lens.max_angle_rad < np.radians(88.0)
    assert bent_camera("fisheye", size_px=(260, 200)).lens.max_angle_rad == pytest.approx(np.radians(88.0))


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [
        ("fisheye", (-0.6, 0.0, 0.0, 0.0)),
        ("f_theta", (0.0, 50.0, 0.0, -30.0)),
        ("brown_conrady", (-0.9, 0.0, 0.0, 0.0)),
    ],
)
def test_a_lens_that_folds_back_inside_its_image_is_refused(model: str, coefficients: tuple[float, ...]) -> None:
    K = np.array([[50.0, 0.0, 100.0], [0.0, 50.0, 56.0], [0.0, 0.0, 1.0]])
    with pytest.raises(CameraError, match=f"'{model}'.*(fold back|shrinks)"):
        angle = widest_angle_rad(model, coefficients, K, size_px=(200.0, 112.0))
        Lens(model=model, coefficients=coefficients, max_angle_rad=angle)
