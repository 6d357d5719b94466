"""How far the rays of a camera run free of voxels, found once for many rays. Compiled with numba.

All rays of a camera start at one point. In voxel units from there, a ray that runs mostly along +x is y = m x, z = s x:
a point (m, s) of a cube's side. A table divides the four upright sides of that cube into wedges of m, sectors about a
pixel or two wide, and wedges into bins of s. One walk over the slabs x = n .. n + 1 of a wedge, nearest first, looks at
the columns of voxels that the sector touches; every run of occupied levels in them blocks an interval of s. A bin holds
the first slab in which a ray of its wedge may meet a voxel: before that, none does.

The bounds are conservative, so that a caster that starts at that slab sees what one that starts at the camera sees.
Ground ends a wedge too: what lies under z = 0 behind the point where a ray falls through it is never asked for.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64
from numba import njit

from scenegen.conditions.bits import lowest_set

ALL_THE_WAY = 65535
"""In a bin: no voxel before the ground or the end of the grid."""
FROM_START = 0
"""In a bin: something may stand in the slab of the camera itself."""
NEAR_SLAB = 1e-3
"""In voxels: a slab that begins closer than this counts as the camera's own."""
STEEPEST = 2.0
RAY_STRIDE = 8
MOST_BINS = 640
FEWEST_WEDGES, MOST_WEDGES = 32, 2000
NOTHING = 1e-9
"""In voxels: as close as the camera itself."""
TOUCH = 1e-6
"""In voxels, bins or units of m: a miss by less counts as a hit."""


def make_table(rays: Float64[np.ndarray, "H W 2"], *, columns: int) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Return room for the table of one camera, about as fine as its pixels are in the middle of the image.

    Returns:
        (rows (4, W, B), is_open (4, W), bins per unit of s, `upright_kernel.columns_of`).
    """
    height, width, _ = rays.shape
    middle = rays[height // 2, max(width // 2 - 1, 0) : width // 2 + 1, 0]
    spacing = float(np.ptp(middle)) if len(middle) > 1 and np.isfinite(middle).all() else 0.0
    per_unit = min(max(1.0 / spacing, FEWEST_WEDGES), MOST_WEDGES) if spacing > 0.0 else FEWEST_WEDGES
    num_wedges = round(per_unit)
    rows = np.empty((4, num_wedges, MOST_BINS), np.uint16)
    return rows, np.zeros((4, num_wedges), np.bool_), float(per_unit), columns


@njit(cache=True, nogil=True, error_model="numpy")
def open_wedge(masks, num_levels, start, ground_depth, side, m_low, m_high, s_low, bins_per_s, rows, w):  # type: ignore[no-untyped-def]
    """Fill the bins of wedge `w`: the first slab that rays with m_low <= m <= m_high may be stopped in.

    `start` is the camera in voxels from the grid's origin, inside the grid; `ground_depth` how many voxels below it
    rays end, infinite where there is no ground; `side` is 0 to 3 for rays mostly along +x, -x, +y, -y.
    """
    major, minor = side >> 1, 1 - (side >> 1)
    step = 1 - 2 * (side & 1)
    num_slabs, num_across = masks.shape[major], masks.shape[minor]
    own = int(math.floor(start[major]))
    inside = start[major] - own if step > 0 else own + 1 - start[major]
    across, up = start[minor], start[2]
    depth = min(ground_depth, up)
    headroom = num_levels - up
    m_low -= TOUCH
    m_high += TOUCH
    low, high = 0, rows.shape[2] - 1
    for b in range(high + 1):
        rows[side, w, b] = ALL_THE_WAY
    n = 0
    slab = own
    while 0 <= slab < num_slabs:
        near, far = n - inside, n + 1 - inside
        blocked = n
        if near < NEAR_SLAB:
            near, blocked = 0.0, FROM_START
        first = int(math.floor(across + m_low * (far if m_low < 0.0 else near) - TOUCH))
        last = int(math.floor(across + m_high * (near if m_high < 0.0 else far) + TOUCH))
        per_near, per_far = 1.0 / max(near, NOTHING), 1.0 / max(far, NOTHING)
        if blocked != FROM_START:
            if last < 0 or first >= num_across:
                return
            low = max(low, int(math.floor((-depth * per_near - s_low) * bins_per_s - TOUCH)))
            high = min(high, int(math.floor((headroom * per_near - s_low) * bins_per_s + TOUCH)))
            if low > high:
                return
        for j in range(max(first, 0), min(last, num_across - 1) + 1):
            word = masks[slab, j] if major == 0 else masks[j, slab]
            if word == 0:
                continue
            while word != 0:
                k = lowest_set(word)
                rest = ~(word >> np.uint64(k))
                past = 64 if rest == 0 else k + lowest_set(rest)
                bottom, top = k - up, past - up
                s_bottom = bottom * (per_far if bottom > 0.0 else per_near)
                s_top = top * (per_near if top > 0.0 else per_far)
                b0 = max(low, int(math.floor((s_bottom - s_low) * bins_per_s - TOUCH)))
                b1 = min(high, int(math.floor((s_top - s_low) * bins_per_s + TOUCH)))
                for b in range(b0, b1 + 1):
                    if rows[side, w, b] == ALL_THE_WAY:
                        rows[side, w, b] = blocked
                if past >= 64:
                    break
                word = (word >> np.uint64(past)) << np.uint64(past)
        while low <= high and rows[side, w, low] != ALL_THE_WAY:
            low += 1
        while low <= high and rows[side, w, high] != ALL_THE_WAY:
            high -= 1
        n += 1
        slab += step


@njit(cache=True, nogil=True, error_model="numpy")
def slope_range(world_from_cam, rays):  # type: ignore[no-untyped-def]
    """Return the smallest and largest s that a table should hold for a camera: those of every RAY_STRIDE-th ray.

    Rays beyond STEEPEST run through few columns and need no table. Nor do the few that the stride missed. The whole
    range is the answer where it missed every ray that is seen, as it may in a small view on a large canvas.
    """
    m = world_from_cam
    height, width = rays.shape[0], rays.shape[1]
    low, high = STEEPEST, -STEEPEST
    for row in range(0, height + RAY_STRIDE, RAY_STRIDE):
        for column in range(0, width + RAY_STRIDE, RAY_STRIDE):
            v, u = min(row, height - 1), min(column, width - 1)
            x, y = rays[v, u, 0], rays[v, u, 1]
            dx = m[0, 0] * x + m[0, 1] * y + m[0, 2]
            dy = m[1, 0] * x + m[1, 1] * y + m[1, 2]
            s = (m[2, 0] * x + m[2, 1] * y + m[2, 2]) / max(abs(dx), abs(dy))
            if not math.isnan(s):
                low, high = min(low, s), max(high, s)
    if low > high:
        return -STEEPEST, STEEPEST
    return max(low, -STEEPEST), min(high, STEEPEST)


@njit(cache=True, nogil=True, error_model="numpy")
def choose_sides(directions, aim, side):  # type: ignore[no-untyped-def]
    """Fill m, s and the length along its side's axis of each ray of a row, (3, W), and its side. NaN stays NaN."""
    for u in range(len(side)):
        dx, dy = directions[0, u], directions[1, u]
        is_x = abs(dx) >= abs(dy)
        along, across = (dx, dy) if is_x else (dy, dx)
        length = abs(along)
        aim[0, u] = across / length
        aim[1, u] = directions[2, u] / length
        aim[2, u] = length
        side[u] = (0 if is_x else 2) + (1 if along < 0.0 else 0)


@njit(cache=True, nogil=True, error_model="numpy")
def first_slabs(masks, num_levels, start, ground_depth, table, aim, side, first):  # type: ignore[no-untyped-def]
    """Look up the first slab in which each ray of a row may meet a voxel, opening wedges as they are asked for.

    `table` is (rows, is_open, s_low, bins_per_s); rays outside its range of s start at the camera. `aim` and `side` are
    from `choose_sides`; pixels that see nothing get ALL_THE_WAY.
    """
    rows, is_open, s_low, bins_per_s = table
    num_wedges, num_bins = is_open.shape[1], rows.shape[2]
    per_m = 0.5 * num_wedges
    for u in range(len(side)):
        b = (aim[1, u] - s_low) * bins_per_s
        if 0.0 <= b < num_bins:
            w = min(int((aim[0, u] + 1.0) * per_m), num_wedges - 1)
            q = side[u]
            if not is_open[q, w]:
                is_open[q, w] = True
                m_low = w / per_m - 1.0
                open_wedge(
                    masks, num_levels, start, ground_depth, q, m_low, m_low + 1.0 / per_m, s_low, bins_per_s, rows, w
                )  # fmt: skip
            first[u] = rows[q, w, int(b)]
        else:
            first[u] = ALL_THE_WAY if math.isnan(b) else FROM_START
