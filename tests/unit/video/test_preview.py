"""The preview backbone on a small analytic street: planes and boxes, intersected in closed form."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import pytest

from scenegen.errors import WorldError
from scenegen.geometry.lens import pixel_rays
from scenegen.types import (
    STATIC_INSTANCE_OFFSET,
    AppearanceTable,
    Camera,
    ConditionMaps,
    Lighting,
    Material,
    Semantic,
    StaticTable,
)
from scenegen.video.backbones.preview import PreviewBackbone
from scenegen.video.interface import SceneContext

WIDTH_PX, HEIGHT_PX, FOCAL_PX = 200, 112, 158.0


@dataclass(frozen=True)
class Block:
    """An axis-aligned box of one material; `thing` is the box that canonical coordinates refer to."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    material: Material
    instance: int
    thing: tuple[tuple[float, float, float], tuple[float, float, float]]


def static(row: int) -> int:
    return STATIC_INSTANCE_OFFSET + row


def car(x: float, y: float, instance: int) -> list[Block]:
    thing = ((x - 2.3, y - 0.9, 0.0), (x + 2.3, y + 0.9, 1.5))
    parts = [
        ((-2.3, -0.9, 0.25), (2.3, 0.9, 0.85), Material.BODY),
        ((-1.5, -0.8, 0.85), (0.9, 0.8, 1.42), Material.GLASS),
        ((-1.3, -0.75, 1.42), (0.6, 0.75, 1.5), Material.BODY),
        ((-1.7, -0.92, 0.0), (-1.1, 0.92, 0.6), Material.TYRE),
        ((1.1, -0.92, 0.0), (1.7, 0.92, 0.6), Material.TYRE),
        ((2.2, -0.85, 0.6), (2.32, -0.5, 0.75), Material.HEADLIGHT),
        ((-2.32, -0.85, 0.6), (-2.2, -0.5, 0.75), Material.TAILLIGHT),
        ((-2.32, 0.5, 0.6), (-2.2, 0.85, 0.75), Material.TAILLIGHT),
    ]
    return [
        Block((x + a[0], y + a[1], a[2]), (x + b[0], y + b[1], b[2]), material, instance, thing)
        for a, b, material in parts
    ]


def person(x: float, y: float, instance: int) -> list[Block]:
    thing = ((x - 0.3, y - 0.3, 0.0), (x + 0.3, y + 0.3, 1.75))
    parts = [(0.0, 0.85, 0.16, Material.CLOTH_LOWER), (0.85, 1.45, 0.24, Material.CLOTH_UPPER)]
    parts += [(1.45, 1.65, 0.11, Material.SKIN), (1.65, 1.75, 0.12, Material.HAIR)]
    return [Block((x - r, y - r, a), (x + r, y + r, b), m, instance, thing) for a, b, r, m in parts]


def building(x: float, y: float, size: tuple[float, float, float], row: int) -> Block:
    low, high = (x, y, 0.0), (x + size[0], y + size[1], size[2])
    return Block(low, high, Material.FACADE, static(row), (low, high))


STREET = [
    building(4.0, 11.0, (20.0, 12.0, 13.0), 1),
    building(26.0, 11.0, (16.0, 12.0, 19.0), 2),
    building(2.0, -23.0, (26.0, 12.0, 16.0), 3),
    building(32.0, -23.0, (16.0, 12.0, 10.0), 4),
    building(60.0, -12.0, (14.0, 30.0, 22.0), 5),
    Block((9.7, 7.7, 0.15), (10.0, 8.0, 2.4), Material.BARK, static(6), ((9.0, 7.0, 0.0), (11.0, 9.0, 5.0))),
    Block((8.6, 6.6, 2.4), (11.1, 9.1, 5.2), Material.FOLIAGE, static(6), ((9.0, 7.0, 0.0), (11.0, 9.0, 5.0))),
    Block((17.0, -8.05, 0.1), (17.1, -7.95, 3.0), Material.METAL, static(8), ((17.0, -8.3, 0.0), (17.1, -7.7, 3.0))),
    Block((17.0, -8.3, 2.2), (17.1, -7.7, 2.9), Material.SIGN, static(8), ((17.0, -8.3, 2.2), (17.1, -7.7, 2.9))),
    *car(14.0, -1.8, 1),
    *car(9.0, 1.8, 2),
    *car(26.0, 5.4, 3),
    *person(12.0, 4.2, 4),
    *person(8.0, -5.5, 5),
]


def ground_material(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    material = np.full(x.shape, Material.ASPHALT, np.uint8)
    material[np.abs(np.abs(y) - 3.5) < 0.08] = Material.MARKING_WHITE
    material[(np.abs(y) < 0.08) & (x % 6.0 < 3.0)] = Material.MARKING_YELLOW
    material[(x > 18.0) & (x < 21.0) & (np.abs(y) < 6.0) & (y % 1.0 < 0.5)] = Material.CROSSING
    material[np.abs(y) > 6.3] = Material.KERB
    material[np.abs(y) > 6.5] = Material.SIDEWALK
    material[np.abs(y) > 10.0] = Material.GRASS
    return material


def enter_block(origin: np.ndarray, direction: np.ndarray, block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance at which rays enter a box (inf where they miss) and the axis of the entered face."""
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (np.array(block.low) - origin) / direction, (np.array(block.high) - origin) / direction
    near, far = np.nanmin([a, b], axis=0), np.nanmax([a, b], axis=0)
    enter = near.max(axis=-1)
    hit = (enter < far.min(axis=-1)) & (enter > 1e-6)
    return np.where(hit, enter, np.inf), near.argmax(axis=-1)


def look_from(x: float, y: float, yaw: float, *, height_m: float = 1.6) -> np.ndarray:
    pose = np.eye(4)
    forward, left = np.array([np.cos(yaw), np.sin(yaw), 0.0]), np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    pose[:3, :3] = np.stack([-left, [0.0, 0.0, -1.0], forward], axis=1)
    pose[:3, 3] = (x, y, height_m)
    return pose


def cast_view(pose: np.ndarray, K: np.ndarray, sun: np.ndarray, size_px: tuple[int, int]) -> dict[str, np.ndarray]:
    width, height = size_px
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    cam = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], axis=-1)
    ray, eye = cam @ pose[:3, :3].T, pose[:3, 3]
    with np.errstate(divide="ignore"):
        depth = np.where(ray[..., 2] < -1e-6, -eye[2] / ray[..., 2], np.inf)
    depth[depth > 300.0] = np.inf
    point = eye + ray * np.where(np.isfinite(depth), depth, 0.0)[..., None]
    on_ground = np.isfinite(depth)
    material = np.where(on_ground, ground_material(point[..., 0], point[..., 1]), 0).astype(np.uint8)
    semantic = np.where(on_ground, Semantic.DRIVEABLE_SURFACE, Semantic.FREE).astype(np.uint8)
    normal = np.where(on_ground[..., None], [0.0, 0.0, 1.0], 0.0)
    instance, canonical = np.zeros(depth.shape, np.uint16), np.zeros(ray.shape)
    for block in STREET:
        enter, axis = enter_block(eye, ray, block)
        hit = enter < depth
        depth[hit] = enter[hit]
        at = eye + ray[hit] * enter[hit][:, None]
        point[hit], instance[hit] = at, block.instance
        normal[hit] = -np.sign(np.take_along_axis(ray[hit], axis[hit][:, None], 1)) * np.eye(3)[axis[hit]]
        low, high = np.array(block.thing)
        canonical[hit] = (at - low) / (high - low) - 0.5
        material[hit], semantic[hit] = block.material, Semantic.CAR if block.instance < 9 else Semantic.MANMADE
        if block.material == Material.FACADE:
            middle = at - 0.5 * (low + high)
            along = np.where(axis[hit] == 0, middle[:, 1], middle[:, 0])
            canonical[hit] = np.stack([along, at[:, 2], np.zeros_like(along)], axis=-1)
            material[hit] = np.where(normal[hit][:, 2] > 0.5, Material.ROOF, Material.FACADE)
    start = point + 1e-3 * normal
    shadow = np.zeros(depth.shape, bool)
    for block in STREET:
        shadow |= np.isfinite(enter_block(start, np.broadcast_to(sun, start.shape), block)[0])
    return {
        "semantic": semantic, "material": material, "instance": instance, "depth_m": depth.astype(np.float32),
        "normal_world": normal.astype(np.float32), "canonical": canonical.astype(np.float32),
        "point_world_m": np.where(np.isfinite(depth)[..., None], point, 0.0).astype(np.float32),
        "motion_px": np.full((*depth.shape, 2), np.nan, np.float32), "sun_visible": ~shadow | (material == 0),
    }  # fmt: skip


def build_maps(
    poses: np.ndarray, *, sun: np.ndarray, size_px: tuple[int, int] = (WIDTH_PX, HEIGHT_PX)
) -> ConditionMaps:
    """Cast the street for poses V T 4 4 (world_from_cam)."""
    scale = size_px[0] / WIDTH_PX
    K = np.array([[FOCAL_PX * scale, 0.0, size_px[0] / 2], [0.0, FOCAL_PX * scale, size_px[1] / 2], [0.0, 0.0, 1.0]])
    views = [[cast_view(pose, K, sun, size_px) for pose in row] for row in poses]
    stacked = {key: np.stack([np.stack([view[key] for view in row]) for row in views]) for key in views[0][0]}
    unoccluded_px = np.zeros((*poses.shape[:2], 5), np.int32)
    camera = Camera(name="CAM", K=K, ego_from_cam=np.eye(4), size_px=size_px)
    rays = np.stack([pixel_rays(camera)] * len(poses))
    return ConditionMaps(
        world_from_cam=poses,
        K=np.stack([K] * len(poses)),
        ray_cam=rays,
        focal_px=np.full(rays.shape[:3], K[0, 0]),
        unoccluded_px=unoccluded_px,
        **stacked,
    )


SUN = np.array([-0.35, -0.45, 0.82]) / np.linalg.norm([-0.35, -0.45, 0.82])
DAY = Lighting(
    sun_direction_world=SUN, sun=0.95, overcast=0.2, fog=0.0, rain=0.0, night=0.0, warmth=0.3,
    variation=(0.4, 0.6, 0.3, 0.7),
)  # fmt: skip
NIGHT = replace(DAY, sun=0.06, night=1.0, warmth=0.5)


def build_scene(lighting: Lighting, *, seed: int = 3) -> SceneContext:
    walls = [(0.1, 0.1, 0.1), (0.5, 0.22, 0.15), (0.62, 0.55, 0.42), (0.5, 0.5, 0.5), (0.4, 0.2, 0.14), (0.6, 0.6, 0.6)]
    primary = np.array([*walls, (0.08, 0.2, 0.05), (0.3, 0.3, 0.3), (0.3, 0.3, 0.3)], np.float32)
    pattern = np.tile(np.array([3.0, 3.2, 0.45, 0.55], np.float32), (9, 1))
    pattern[2], pattern[5] = (2.4, 3.0, 0.6, 0.6), (3.4, 3.4, 0.8, 0.5)
    size = np.ones((9, 3))
    for block in STREET:
        if block.material == Material.FACADE:
            size[block.instance - STATIC_INSTANCE_OFFSET] = np.subtract(block.high, block.low)
    statics = StaticTable(
        material=np.full(9, Material.FACADE, np.uint8),
        world_from_thing=np.tile(np.eye(4), (9, 1, 1)),
        size_lwh_m=size,
        appearance=AppearanceTable(
            primary_rgb=primary, secondary_rgb=(0.5 * primary + 0.1).astype(np.float32), pattern=pattern
        ),
    )
    colors = np.array(
        [(0.5, 0.03, 0.03), (0.6, 0.6, 0.62), (0.03, 0.1, 0.4), (0.1, 0.3, 0.5), (0.6, 0.45, 0.1)], np.float32
    )
    agents = AppearanceTable(
        primary_rgb=colors, secondary_rgb=(colors * 0.3).astype(np.float32), pattern=np.full((5, 4), 0.5, np.float32)
    )
    return SceneContext(scene_id="street", seed=seed, rate_hz=12.0, statics=statics, agents=agents, lighting=lighting)


def paint(maps: ConditionMaps, lighting: Lighting, *, seed: int = 3, start_step: int = 0) -> np.ndarray:
    session = PreviewBackbone().open_session(build_scene(lighting, seed=seed))
    return session.paint(maps, start_step=start_step)


@pytest.fixture(scope="module")
def street() -> ConditionMaps:
    poses = np.stack([look_from(0.0, -1.8, 0.0), look_from(0.0, -1.8, 0.8)])[:, None]
    return build_maps(poses, sun=SUN)


def test_same_seed_gives_same_bytes_and_another_seed_does_not(street: ConditionMaps) -> None:
    first = paint(street, DAY)
    assert first.dtype == np.uint8 and first.shape == (2, 1, HEIGHT_PX, WIDTH_PX, 3)
    assert np.array_equal(first, paint(street, DAY))
    assert not np.array_equal(first, paint(street, DAY, seed=4))


def test_dry_weather_does_not_depend_on_the_step(street: ConditionMaps) -> None:
    assert np.array_equal(paint(street, DAY), paint(street, DAY, start_step=17))


def test_rain_falls_differently_at_each_step(street: ConditionMaps) -> None:
    rain = replace(DAY, rain=0.8, overcast=1.0, sun=0.05)
    assert not np.array_equal(paint(street, rain), paint(street, rain, start_step=1))


@pytest.mark.parametrize("other", [look_from(0.4, -1.8, 0.0), look_from(0.0, -1.8, 0.12)])
def test_a_world_point_keeps_its_colour_in_another_camera(street: ConditionMaps, other: np.ndarray) -> None:
    here, there = paint(street, DAY)[0, 0], build_maps(other[None, None], sun=SUN)
    painted = paint(there, DAY)[0, 0]
    world = street.point_world_m[0, 0].astype(np.float64)
    cam = (world - other[:3, 3]) @ other[:3, :3]
    with np.errstate(divide="ignore", invalid="ignore"):
        u = cam[..., 0] / cam[..., 2] * FOCAL_PX + WIDTH_PX / 2
        v = cam[..., 1] / cam[..., 2] * FOCAL_PX + HEIGHT_PX / 2
    near = (street.depth_m[0, 0] < 15.0) & (u > 1) & (u < WIDTH_PX - 1) & (v > 1) & (v < HEIGHT_PX - 1)
    j, i = u[near].astype(int), v[near].astype(int)
    same = np.linalg.norm(there.point_world_m[0, 0, i, j] - world[near], axis=-1) < 0.04
    difference = np.abs(painted[i, j].astype(float) - here[near])[same].mean(axis=-1)
    assert same.sum() > 1000
    assert np.median(difference) < 4.0
    assert np.mean(difference > 25.0) < 0.04


def test_sky_is_painted_where_the_material_is_sky(street: ConditionMaps) -> None:
    frame, sky = paint(street, DAY)[0, 0].astype(float), street.material[0, 0] == Material.SKY
    assert frame[sky][:, 2].mean() > frame[sky][:, 0].mean() + 5.0
    assert frame[sky].mean() > frame[~sky].mean() + 20.0


def test_night_is_darker_than_day_and_still_shows_the_road(street: ConditionMaps) -> None:
    day, night = paint(street, DAY)[0, 0], paint(street, NIGHT)[0, 0]
    assert night.mean() < 0.6 * day.mean()
    road = (street.material[0, 0] == Material.ASPHALT) & (street.depth_m[0, 0] < 20.0)
    assert night[road].mean() > 25.0


def test_shadow_darkens_what_the_sun_lit(street: ConditionMaps) -> None:
    dark = replace(street, sun_visible=np.zeros_like(street.sun_visible))
    lit = street.sun_visible[0, 0] & (street.material[0, 0] == Material.ASPHALT)
    assert paint(street, DAY)[0, 0][lit].mean() > 1.25 * paint(dark, DAY)[0, 0][lit].mean()


def test_fog_hides_what_is_far(street: ConditionMaps) -> None:
    fog = replace(DAY, fog=1.0, overcast=0.9, sun=0.1)
    far = (street.depth_m[0, 0] > 45.0) & (street.material[0, 0] != Material.SKY)
    assert paint(street, fog)[0, 0][far].std() < 0.5 * paint(street, DAY)[0, 0][far].std()


def test_colours_of_agents_come_from_their_table(street: ConditionMaps) -> None:
    red = paint(street, DAY)[0, 0][(street.instance[0, 0] == 1) & (street.material[0, 0] == Material.BODY)]
    assert red[:, 0].mean() > 1.5 * red[:, 1].mean()


def test_an_instance_without_a_row_is_refused(street: ConditionMaps) -> None:
    stray = replace(street, instance=np.full_like(street.instance, 77))
    with pytest.raises(WorldError, match="agent 76"):
        paint(stray, DAY)


def test_inputs_are_not_modified(street: ConditionMaps) -> None:
    before = {name: getattr(street, name).copy() for name in ConditionMaps.__dataclass_fields__}
    paint(street, DAY)
    assert all(np.array_equal(before[name], getattr(street, name), equal_nan=True) for name in before)


def test_a_view_takes_milliseconds(street: ConditionMaps) -> None:
    paint(street, DAY)
    session = PreviewBackbone().open_session(build_scene(DAY))
    start_s = time.process_time()
    for step in range(5):
        session.paint(street, start_step=step)
    assert (time.process_time() - start_s) / 10 < 0.06
