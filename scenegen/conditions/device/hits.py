"""What the rays of some views meet, on a device."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Hits:
    """What V views of H x W pixels see, pixels flattened (P = V H W); the numbers of `view_kernel.find_solids`.

    Attributes:
        num_views: V.
        height: H.
        width: W.
        is_seen: pixels that a ray belongs to (P).
        origin: optical centres (V, 3) in frame `world`, float64 metres.
        direction: directions of unit z-depth (3, P) in frame `world`, float64; NaN where not seen.
        depth: z-depth in metres (P), float64; `raycast.FAR_M` where nothing is met.
        surface: a kind of `surfaces` (P), int64.
        face: side of ground or voxel that is seen (P), int64.
        detail: (ix, iy, iz) of a voxel, (material, ...) of ground, (solid, ...) of a solid (3, P), int64.
        normal: of solids (3, P) in frame `world`, float64.
    """

    num_views: int
    height: int
    width: int
    is_seen: Tensor
    origin: Tensor
    direction: Tensor
    depth: Tensor
    surface: Tensor
    face: Tensor
    detail: Tensor
    normal: Tensor
