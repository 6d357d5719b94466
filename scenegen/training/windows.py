"""Random windows of a cache as network inputs: crops of one view with its carried previous frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from scenegen.errors import DatasetError
from scenegen.training.window_cache import WindowCache
from scenegen.types import STATIC_INSTANCE_OFFSET
from scenegen.video.history import carry_forward
from scenegen.video.noise import anchored_noise
from scenegen.video.planes import SurfaceMaps, build_planes, mean_axis, view_rays

NUM_NOISE = 18
"""Channels of noise that the video recipe reads."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """B training windows.

    Attributes:
        rgb: clean frames, -1..1.
        planes: condition planes.
        style: per-scene appearance codes.
        carried: true previous frame carried forward, and its validity; zero where there is none.
        noise: world-anchored noise: two independent sets of nine channels, or as many channels as were asked for.
        material: material codes, for weights.
        motion_px: exact motion to the step before.
        code: what each pixel shows (instance and material), to tell whether two pixels show the same.
        point_world_m, depth_m, ray_world: surface and viewing direction of each pixel.
        world_from_cam: poses.
    """

    rgb: Float[Tensor, "B 3 H W"]
    planes: Float[Tensor, "B C H W"]
    style: Float[Tensor, "B S"]
    carried: Float[Tensor, "B 4 H W"]
    noise: Float[Tensor, "B N H W"]
    material: Int[Tensor, "B H W"]
    motion_px: Float[Tensor, "B H W 2"]
    code: Int[Tensor, "B H W"]
    point_world_m: Float[Tensor, "B H W 3"]
    depth_m: Float[Tensor, "B H W"]
    ray_world: Float[Tensor, "B H W 3"]
    world_from_cam: Float[Tensor, "B 4 4"]

    def to(self, device: torch.device) -> Windows:
        """Return the same windows on a device."""
        return self._map(lambda value: value.to(device))

    def part(self, span: slice) -> Windows:
        """Return some of the windows."""
        return self._map(lambda value: value[span])

    def pick(self, indices: Int[Tensor, " N"]) -> Windows:
        """Return windows by number, some of them more than once."""
        return self._map(lambda value: value[indices])

    def _map(self, change: Callable[[Tensor], Tensor]) -> Windows:
        return Windows(**{name: change(getattr(self, name)) for name in Windows.__dataclass_fields__})


def half_width(cache: WindowCache) -> int:
    """Return half the width of the pictures, a multiple of four: how wide the network's training windows are."""
    return cache.pixels["material"].shape[3] // 8 * 4


def sample_windows(cache: WindowCache, generator: np.random.Generator, *, batch_size: int, crop_width: int) -> Windows:
    """Draw windows uniformly over steps and views, cropped in width and mirrored never (signs differ)."""
    num, views, _, width = cache.pixels["material"].shape
    picks = [
        (
            int(generator.integers(num)),
            int(generator.integers(views)),
            4 * int(generator.integers((width - crop_width) // 4 + 1)),
        )
        for _ in range(batch_size)
    ]
    return read_windows(cache, picks, crop_width=crop_width)


def check_clips(cache: WindowCache, *, num_steps: int) -> None:
    """Check that `sample_clip` has something to draw.

    Raises:
        DatasetError: no scene is long enough.
    """
    longest = int(np.bincount(cache.scene).max())
    if longest < num_steps:
        raise DatasetError(
            f"a scene of at least {num_steps} steps, to learn how one follows another", found=f"{longest} at most"
        )


def sample_clip(
    cache: WindowCache, generator: np.random.Generator, *, num_steps: int, crop_width: int
) -> list[tuple[int, int, int]]:
    """Pick two neighbouring views of `num_steps` consecutive steps, cropped where the views meet; views outermost.

    Which side the neighbour is on follows from the poses, so rigs may count their cameras either way round.
    """
    num, views, _, width = cache.pixels["material"].shape
    while True:
        first = int(generator.integers(num - num_steps + 1))
        if cache.scene[first] == cache.scene[first + num_steps - 1]:
            break
    view = int(generator.integers(views))
    other = (view + 1) % views
    axis = cache.world_from_cam[first, view, :2, 2]
    to_right = cache.world_from_cam[first, view, :2, 0]
    neighbour = cache.world_from_cam[first, other, :2, 2]
    is_right = float(to_right @ (neighbour - axis)) > 0
    left_of = {view: width - crop_width if is_right else 0, other: 0 if is_right else width - crop_width}
    return [(first + step, v, left_of[v]) for v in (view, other) for step in range(num_steps)]


def read_windows(
    cache: WindowCache,
    picks: list[tuple[int, int, int]],
    *,
    crop_width: int,
    num_noise: int = NUM_NOISE,
    noise_seed: int | None = None,
) -> Windows:
    """Read the windows (entry, view, left column) of `picks`, with `num_noise` channels of noise.

    `noise_seed` keys the noise of all of them; None takes each scene's own.
    """
    parts = [
        read_window(cache, n, v, left, crop_width, num_noise=num_noise, noise_seed=noise_seed) for n, v, left in picks
    ]

    def join(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts])

    return Windows(**{name: join(name) for name in Windows.__dataclass_fields__})


def read_window(
    cache: WindowCache,
    n: int,
    v: int,
    left: int,
    crop_width: int,
    *,
    num_noise: int = NUM_NOISE,
    noise_seed: int | None = None,
) -> Windows:
    """Read one window as a batch of one."""
    tables = cache.tables[cache.scene[n]]
    pixels = {name: np.array(array[n, v]) for name, array in cache.pixels.items()}
    height, width = pixels["material"].shape
    crop = slice(left, left + crop_width)

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(pixels[name][:, crop])[None]

    pose = torch.from_numpy(cache.world_from_cam[n, v])[None]
    rays = view_rays(pose, torch.from_numpy(tables.K[v : v + 1]).float(), size_px=(width, height))[:, :, crop]
    depth_m = tensor("depth_m").float()
    point = pose[:, None, None, :3, 3].float() + torch.where(depth_m.isinf(), 0.0, depth_m)[..., None] * rays
    maps = SurfaceMaps(
        material=tensor("material").long(),
        semantic=tensor("semantic").long(),
        instance=torch.from_numpy(pixels["instance"][:, crop].astype(np.int64))[None],
        row=tensor("row").long(),
        depth_m=depth_m,
        normal_world=tensor("normal").float() / 127.0,
        canonical=tensor("canonical").float(),
        point_world_m=point,
        sun_visible=tensor("sun_visible").float(),
        ray_world=torch.nn.functional.normalize(rays, dim=-1),
        footprint_m=depth_m / float(tables.K[v, 0, 0]),
        appearance=torch.from_numpy(tables.appearance),
        sun_world=torch.from_numpy(tables.sun_world)[None],
        forward_world=mean_axis(cache.world_from_cam[n])[None],
    )
    noise = anchored_noise(
        maps,
        seed=tables.noise_key if noise_seed is None else noise_seed,
        focal_px=float(tables.K[v, 0, 0]),
        is_agent=(maps.instance > 0) & (maps.instance < STATIC_INSTANCE_OFFSET),
        num_channels=num_noise,
    )
    return Windows(
        rgb=to_signed(pixels["rgb"])[:, :, :, crop],
        planes=build_planes(maps),
        style=torch.from_numpy(tables.style)[None],
        carried=carry_previous(cache, pixels, n, v)[:, :, :, crop],
        noise=noise,
        material=maps.material,
        motion_px=torch.from_numpy(pixels["motion_px"][:, crop].astype(np.float32))[None],
        code=maps.row * 32 + maps.material,
        point_world_m=point,
        depth_m=depth_m,
        ray_world=maps.ray_world,
        world_from_cam=pose,
    )


def carry_previous(cache: WindowCache, pixels: dict[str, np.ndarray], n: int, v: int) -> Float[Tensor, "1 4 H W"]:
    """Carry the true frame of the step before forward; zeros where the scene has none."""
    height, width = pixels["material"].shape
    if not cache.has_previous[n]:
        return torch.zeros(1, 4, height, width)
    frame = carry_forward(
        to_signed(np.array(cache.pixels["rgb"][n - 1, v])),
        motion_px=torch.from_numpy(pixels["motion_px"]).float()[None],
        code=surface_code(pixels["row"], pixels["material"]),
        previous_code=surface_code(
            np.array(cache.pixels["row"][n - 1, v]), np.array(cache.pixels["material"][n - 1, v])
        ),
    )
    return torch.cat([frame.rgb, frame.valid], dim=1)


def surface_code(row: np.ndarray, material: np.ndarray) -> Int[Tensor, "1 H W"]:
    """Number what a pixel shows: instance and material."""
    return torch.from_numpy(row.astype(np.int64) * 32 + material)[None]


def to_signed(rgb: np.ndarray) -> Float[Tensor, "1 3 H W"]:
    """Turn an sRGB frame (H W 3) into a batch of one in -1..1."""
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 127.5 - 1.0
