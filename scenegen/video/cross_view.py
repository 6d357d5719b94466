"""Views agree where they see the same thing: features travel between cameras by exact geometry.

Ours. Multi-camera video models usually attend from every view to its whole neighbours; here each cell of the coarse
feature map is told which cells of other views show the same surface point (or the same direction of sky), and attends
to those only.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from scenegen.diffusion.attention import HEAD_SIZE

CELL_PX = 8
"""Edge of a cell of the deep features, pixels."""
MAX_PARTNERS = 2
DEPTH_TOLERANCE = 0.08
"""Two cells are partners when the other camera's depth agrees to this share."""
SKY_M = 1000.0


class CrossView(nn.Module):
    """Attention of each cell to itself and to its partners in other views."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.num_heads = channels // HEAD_SIZE
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels, bias=False)
        self.key_value = nn.Linear(channels, 2 * channels, bias=False)
        self.out = nn.Linear(channels, channels, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Float[Tensor, "B C h w"], partners: Int[Tensor, "B P h w"] | None) -> Float[Tensor, "B C h w"]:
        """Return `x` plus what cells with partners learned from them; other cells stay as they are.

        Args:
            x: deep features of all views of a step (any number of steps may be stacked in B).
            partners: cells of the flattened (B h w) grid, -1 for none; None where no cell has one.
        """
        if partners is None:
            return x
        batch, channels, height, width = x.shape
        flat = x.permute(0, 2, 3, 1).reshape(-1, channels)
        links = partners.permute(0, 2, 3, 1).reshape(len(flat), -1)
        own = torch.nonzero((links >= 0).any(dim=1))[:, 0]
        if len(own) == 0:
            return x
        links = torch.cat([own[:, None], links[own]], dim=1)
        tokens = self.norm(flat)
        q = self.query(tokens[own]).unflatten(1, (self.num_heads, 1, -1))
        k, v = (
            part.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for part in self.key_value(tokens[links.clamp(min=0)]).chunk(2, dim=2)
        )
        seen = (links >= 0)[:, None, None, :]
        scores = (q @ k.mT) * HEAD_SIZE**-0.5
        mixed = scores.masked_fill(~seen, float("-inf")).softmax(dim=-1) @ v
        change = self.out(mixed.transpose(1, 2).flatten(1))
        flat = flat.index_add(0, own, change.to(flat.dtype))
        grown = flat.view(batch, height, width, channels).permute(0, 3, 1, 2)
        return grown.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def find_partners(
    point_world_m: Float[Tensor, "V H W 3"],
    depth_m: Float[Tensor, "V H W"],
    ray_world: Float[Tensor, "V H W 3"],
    world_from_cam: Float[Tensor, "V 4 4"],
) -> Int[Tensor, "V P h w"] | None:
    """Find for each cell the cells of other views that show what its middle pixel shows.

    The pixel of the other view is the one whose viewing ray is nearest to the direction of the point, so any lens
    works. Returns flat indices into (V h w), -1 for none; None where no cell has a partner.

    Args:
        point_world_m: surface point of each pixel.
        depth_m: z-depth; sky is infinite.
        ray_world: unit viewing directions.
        world_from_cam: poses.
    """
    middle = CELL_PX // 2
    views, full_height, full_width = depth_m.shape
    height, width = -(-full_height // CELL_PX), -(-full_width // CELL_PX)
    device = depth_m.device
    rows = (torch.arange(height, device=device) * CELL_PX + middle).clamp(max=full_height - 1)
    columns = (torch.arange(width, device=device) * CELL_PX + middle).clamp(max=full_width - 1)

    def cells(maps: Tensor) -> Tensor:
        return maps[:, rows][:, :, columns].flatten(1, 2)

    depth, ray = cells(depth_m), cells(ray_world).float()
    centers = world_from_cam[:, :3, 3]
    sky = ~torch.isfinite(depth)
    far = centers[:, None].float() + SKY_M * ray
    point = torch.where(sky[..., None], far, cells(point_world_m).float())
    count = height * width
    found = torch.full((views, MAX_PARTNERS, count), -1, device=device)
    spacing = (ray[:, :-1] - ray[:, 1:]).norm(dim=-1).median(dim=1).values
    filled = torch.zeros(views, count, dtype=torch.long, device=device)
    for other in range(views):
        # Cells of `other` as directions; the nearest one to each point, if close enough, is a candidate.
        away = torch.nn.functional.normalize(point - centers[other].float(), dim=-1)
        nearness, cell = (away.flatten(0, 1) @ ray[other].T).max(dim=1)
        gap = (2.0 - 2.0 * nearness).clamp(min=0.0).sqrt().view(views, count)
        cell = cell.view(views, count)
        same_sky = sky & sky[other][cell]
        distance = (point - centers[other].float()).norm(dim=-1)
        there = (point[other][cell] - centers[other].float()).norm(dim=-1)
        same_surface = ~sky & ~sky[other][cell] & ((distance - there).abs() < DEPTH_TOLERANCE * distance)
        good = (gap < spacing[other]) & (same_sky | same_surface) & (filled < MAX_PARTNERS)
        good[other] = False
        view, own = torch.nonzero(good, as_tuple=True)
        found[view, filled[view, own], own] = other * count + cell[view, own]
        filled[view, own] += 1
    if not bool((found >= 0).any()):
        return None
    return found.view(views, MAX_PARTNERS, height, width)
