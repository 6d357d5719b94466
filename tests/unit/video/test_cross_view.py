"""Cells of two cameras are partners exactly where both see the same point."""

from __future__ import annotations

import numpy as np
import torch

from scenegen.video.cross_view import CELL_PX, CrossView, find_partners
from scenegen.video.planes import view_rays

SIZE_PX = (96, 64)
WALL_M = 12.0


def look(yaw_deg: float, *, x_m: float = 0.0) -> torch.Tensor:
    """A camera at (x, 0, 1.5) whose axis is turned left from world x."""
    yaw = np.radians(yaw_deg)
    forward, right = np.array([np.cos(yaw), np.sin(yaw), 0.0]), np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, [0.0, 0.0, -1.0], forward], axis=1)
    pose[:3, 3] = (x_m, 0.0, 1.5)
    return torch.from_numpy(pose)


def see(poses: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Ground at z = 0, a cylindrical wall WALL_M around the world's origin up to 4 m, and sky."""
    world_from_cam = torch.stack(poses)
    K = torch.tensor([[48.0, 0.0, 48.0], [0.0, 48.0, 32.0], [0.0, 0.0, 1.0]]).expand(len(poses), 3, 3)
    ray = view_rays(world_from_cam, K, size_px=SIZE_PX)
    center = world_from_cam[:, None, None, :3, 3].float()
    ground = torch.where(ray[..., 2] < 0, -center[..., 2] / ray[..., 2], torch.inf)
    a = ray[..., :2].square().sum(-1)
    b = (center[..., :2] * ray[..., :2]).sum(-1)
    c = center[..., :2].square().sum(-1) - WALL_M**2
    wall = (-b + (b * b - a * c).sqrt()) / a
    wall = torch.where(center[..., 2] + wall * ray[..., 2] > 4.0, torch.inf, wall)
    depth = torch.minimum(ground, wall)
    point = center + torch.where(depth.isinf(), 0.0, depth)[..., None] * ray
    unit = torch.nn.functional.normalize(ray, dim=-1)
    return {"point_world_m": point, "depth_m": depth, "ray_world": unit, "world_from_cam": world_from_cam}


def cell_points(maps: dict[str, torch.Tensor]) -> torch.Tensor:
    """Points of the middle pixels, flattened over (V h w); directions far away for sky."""
    middle = slice(CELL_PX // 2, None, CELL_PX)
    sky = maps["depth_m"].isinf()
    center = maps["world_from_cam"][:, None, None, :3, 3].float()
    points = torch.where(sky[..., None], center + 1000.0 * maps["ray_world"], maps["point_world_m"])
    return points[:, middle, middle].reshape(-1, 3)


def links_of(partners: torch.Tensor) -> dict[int, set[int]]:
    flat = partners.permute(0, 2, 3, 1).reshape(-1, partners.shape[1])
    return {own: {int(link) for link in row if link >= 0} for own, row in enumerate(flat)}


def test_partners_see_the_same_point_and_nearly_all_are_mutual() -> None:
    maps = see([look(0.0), look(45.0, x_m=0.5)])
    partners = find_partners(**maps)
    assert partners is not None
    links, points = links_of(partners), cell_points(maps)
    pairs = [(own, other) for own, row in links.items() for other in row]
    assert len(pairs) > 20
    cells = points.shape[0] // 2
    assert all(own // cells != other // cells for own, other in pairs)
    distance = (points[[a for a, _ in pairs]] - points[[b for _, b in pairs]]).norm(dim=1)
    reach = points[[a for a, _ in pairs]].norm(dim=1)
    # A cell is a sixth of a radian wide; neighbours of the exact place are as near as that.
    assert bool((distance < 0.25 * reach).all())
    # Who is the nearest to whom need not be mutual to the cell, but to a neighbour.
    width = SIZE_PX[0] // CELL_PX
    near = {0, 1, -1, width, -width, width + 1, width - 1, -width - 1, -width + 1}
    mutual = [any(back - own in near for back in links[other]) for own, other in pairs]
    assert np.mean(mutual) > 0.8


def test_partners_lie_in_the_half_that_faces_the_other_camera() -> None:
    maps = see([look(0.0), look(60.0)])
    partners = find_partners(**maps)
    assert partners is not None
    has = (partners >= 0).any(dim=1)
    middle = has.shape[2] // 2
    assert has[0, :, :middle].any() and not has[0, :, middle:].any()
    assert has[1, :, middle:].any() and not has[1, :, :middle].any()


def test_no_partners_without_overlap() -> None:
    assert find_partners(**see([look(0.0), look(180.0)])) is None


def test_no_partners_where_a_wall_hides_the_point_from_the_other_camera() -> None:
    maps = see([look(0.0), look(0.0)])
    hidden = {**maps, "depth_m": maps["depth_m"].clone(), "point_world_m": maps["point_world_m"].clone()}
    # The second camera looks at a board half a metre in front of it.
    hidden["depth_m"][1] = 0.5
    center = hidden["world_from_cam"][1, :3, 3].float()
    forward = hidden["world_from_cam"][1, :3, 2].float()
    hidden["point_world_m"][1] = center + 0.5 * maps["ray_world"][1] / (maps["ray_world"][1] @ forward)[..., None]
    assert find_partners(**maps) is not None
    assert find_partners(**hidden) is None


def test_only_cells_with_partners_change_and_they_change_by_what_the_partner_holds() -> None:
    torch.manual_seed(0)
    layer = CrossView(64)
    torch.nn.init.normal_(layer.out.weight, std=0.3)
    x = torch.randn(2, 64, 2, 3)
    partners = torch.full((2, 2, 2, 3), -1)
    partners[0, 0, 1, 2] = 6  # the last cell of the first view looks at the first cell of the second
    changed = x.clone()
    changed[1, :, 0, 0] += torch.linspace(-1.0, 1.0, 64)
    out, other = layer(x, partners), layer(changed, partners)
    assert torch.equal(layer(x, None), x)
    moved = (out - x).abs().amax(dim=1) > 0
    assert torch.nonzero(moved).tolist() == [[0, 1, 2]]
    assert (out - other)[0, :, 1, 2].abs().max() > 1e-4
