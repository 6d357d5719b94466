"""One view of one step: which surface each pixel sees, then what that surface is. Compiled with numba."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from scenegen.conditions.lens_kernel import LENS_PINHOLE, lens_pixel_bounds, project_bent
from scenegen.conditions.raycast import FAR_M, enter_kind, into_solid, out_of_solid
from scenegen.conditions.shadows import sees_sun
from scenegen.conditions.static_kernel import find_static
from scenegen.conditions.surfaces import SURFACE_GROUND, SURFACE_NONE, SURFACE_SHAPE, SURFACE_VOXEL
from scenegen.types.taxonomy import STATIC_INSTANCE_OFFSET, Material, Semantic

STATIC = int(STATIC_INSTANCE_OFFSET)
FREE = int(Semantic.FREE)
SKY = int(Material.SKY)
FACADE = int(Material.FACADE)
WALL = int(Material.WALL)
ROOF = int(Material.ROOF)
FOLIAGE = int(Material.FOLIAGE)


@njit(cache=True, nogil=True)
def find_surfaces(world, cells, table, shapes, instance, camera, hits, unoccluded_px):  # type: ignore[no-untyped-def]
    """Fill `hits`: depth, surface (kind), face, detail (what) and normal of every pixel of a view.

    `detail` holds (ix, iy, iz) for a voxel, (material, ...) for ground, (solid, ...) for a shape; `face` says which
    side of a voxel or of the ground is seen, `normal` which way a shape looks. What does not apply is left as it was.
    `unoccluded_px[a]` counts the pixels agent a covers by itself; the solids of an agent are neighbours in the list.
    `camera` is (world_from_cam, cam_from_world, packed lens, rays, spans). A pixel whose ray is NaN sees nothing.
    """
    kind, half, taper, world_from_shape = shapes
    world_from_cam, cam_from_world, lens, rays, spans = camera
    depth, surface, face, detail, _ = hits
    find_static(world, cells, table, (world_from_cam, rays), depth, surface, face, detail)
    height, width = depth.shape
    last_agent = np.zeros((height, width), np.uint16)
    for s in range(len(kind)):
        u0, u1, v0, v1 = lens_pixel_bounds(half[s], world_from_shape[s], cam_from_world, lens, spans, width, height)
        if u0 < u1 and v0 < v1:
            size, pose, agent = half[s], world_from_shape[s], np.int64(instance[s])
            place_solid(
                s, kind[s], size, taper[s], pose, agent, camera, (u0, u1, v0, v1), hits, last_agent, unoccluded_px
            )


@njit(cache=True, nogil=True, error_model="numpy")
def place_solid(s, kind, half, taper, pose, agent, camera, bounds, hits, last_agent, unoccluded_px):  # type: ignore[no-untyped-def]
    """Enter one solid into the hits of the pixels within `bounds`; count those of an agent, seen or not."""
    depth, surface, _, detail, normal = hits
    m, c, lens, rays, _ = camera
    u0, u1, v0, v1 = bounds
    near_m = lens[7]
    hx, hy, hz, front, back = half[0], half[1], half[2], taper[0], taper[1]
    # No point of it is nearer than this along the optical axis.
    reach = math.sqrt(hx * hx + hy * hy + hz * hz)
    nearest_m = c[2, 0] * pose[0, 3] + c[2, 1] * pose[1, 3] + c[2, 2] * pose[2, 3] + c[2, 3] - reach - 1e-6
    away_x, away_y, away_z = m[0, 3] - pose[0, 3], m[1, 3] - pose[1, 3], m[2, 3] - pose[2, 3]
    ox, oy, oz = into_solid(pose, away_x, away_y, away_z)
    is_agent = agent < STATIC
    for v in range(v0, v1):
        for u in range(u0, u1):
            if not is_agent and depth[v, u] <= nearest_m:
                continue
            x, y = rays[v, u, 0], rays[v, u, 1]
            if math.isnan(x):
                continue
            dx, dy, dz = into_solid(
                pose,
                m[0, 0] * x + m[0, 1] * y + m[0, 2],
                m[1, 0] * x + m[1, 1] * y + m[1, 2],
                m[2, 0] * x + m[2, 1] * y + m[2, 2],
            )
            t, nx, ny, nz = enter_kind(kind, hx, hy, hz, front, back, ox, oy, oz, dx, dy, dz)
            if t >= FAR_M or t <= near_m:
                continue
            if is_agent and last_agent[v, u] != agent:
                last_agent[v, u] = agent
                unoccluded_px[agent - 1] += 1
            if t < depth[v, u]:
                depth[v, u] = t
                surface[v, u] = SURFACE_SHAPE
                detail[v, u, 0] = s
                normal[v, u, 0], normal[v, u, 1], normal[v, u, 2] = out_of_solid(pose, nx, ny, nz)


@njit(cache=True, nogil=True)
def semantic_of_ground():  # type: ignore[no-untyped-def]
    """Return the class of each ground material."""
    classes = np.full(32, 14, np.uint8)
    classes[1:5] = 11
    classes[5] = 12
    classes[6:8] = 13
    return classes


@njit(cache=True, nogil=True)
def name_surfaces(semantics, shape_semantic, hits, semantic, depth_out):  # type: ignore[no-untyped-def]
    """Turn hits into class and depth alone."""
    depth, surface, _, detail = hits
    ground_semantic = semantic_of_ground()
    height, width = depth.shape
    for v in range(height):
        for u in range(width):
            where = surface[v, u]
            if where == SURFACE_GROUND:
                semantic[v, u] = ground_semantic[detail[v, u, 0]]
            elif where == SURFACE_VOXEL:
                semantic[v, u] = semantics[detail[v, u, 0], detail[v, u, 1], detail[v, u, 2]]
            elif where == SURFACE_SHAPE:
                semantic[v, u] = shape_semantic[detail[v, u, 0]]
            else:
                semantic[v, u] = FREE
            depth_out[v, u] = depth[v, u] if where != SURFACE_NONE else np.inf


@njit(cache=True, nogil=True)
def place_on_thing(thing_from_world, size, material, p, n, canonical):  # type: ignore[no-untyped-def]
    """Set the canonical coordinate, and for walls the normal, of point `p` on a voxel thing.

    Walls: metres along the nearest wall plane from its middle, and metres above ground. Others: position in
    the thing's own box, -0.5..0.5 per axis. Returns the material (the top of a building is a roof).
    """
    g = thing_from_world
    lx = g[0, 0] * p[0] + g[0, 1] * p[1] + g[0, 2] * p[2] + g[0, 3]
    ly = g[1, 0] * p[0] + g[1, 1] * p[1] + g[1, 2] * p[2] + g[1, 3]
    lz = g[2, 0] * p[0] + g[2, 1] * p[1] + g[2, 2] * p[2] + g[2, 3]
    if material in (FACADE, WALL):
        if n[2] > 0.5 or n[2] < -0.5:
            if material == FACADE:
                return ROOF
            return material
        over_x = abs(lx) - 0.5 * size[0]
        over_y = abs(ly) - 0.5 * size[1]
        if over_x > over_y:
            sign = 1.0 if lx > 0 else -1.0
            canonical[0] = ly * sign
            n[0], n[1], n[2] = sign * g[0, 0], sign * g[0, 1], sign * g[0, 2]
        else:
            sign = 1.0 if ly > 0 else -1.0
            canonical[0] = -lx * sign
            n[0], n[1], n[2] = sign * g[1, 0], sign * g[1, 1], sign * g[1, 2]
        canonical[1] = lz
        return material
    canonical[0] = lx / size[0]
    canonical[1] = ly / size[1]
    canonical[2] = lz / size[2] - 0.5
    if material == FOLIAGE:
        # A canopy is round: its shading normal points away from the middle of its box.
        rx, ry, rz = canonical[0], canonical[1], canonical[2] + 0.1
        length = math.sqrt(rx * rx + ry * ry + rz * rz) + 1e-9
        for a in range(3):
            n[a] = (g[0, a] * rx + g[1, a] * ry + g[2, a] * rz) / length
    return material


@njit(cache=True, nogil=True)
def describe_surfaces(  # type: ignore[no-untyped-def]
    world, voxel_tables, shapes, shape_tables, agents, camera, previous, sun, index, hits, out
):
    """Turn hits into the maps of a view. `out` arrays are float32 or integer, sky already filled in."""
    masks, origin_m, voxel_m, num_levels, ground, raised, corner_m, cell_m, kerb_m = world
    semantics, column_instance, static_material, static_from_world, static_size = voxel_tables
    shape_instance, shape_semantic, shape_material, box_from_world = shape_tables
    previous_from_current, has_previous = agents
    world_from_cam, cam_from_world, lens, rays, spans = camera
    kind, fx, fy, cx, cy, numbers, max_angle_rad, near_m = lens
    previous_cam_from_world, is_first = previous
    sun_direction, use_sun, center_xy, lit = sun
    depth, surface, face, detail, normal = hits
    semantic, material_map, instance_map, depth_out, normal_out, canonical_out, point_out, motion, sun_out = out
    ground_semantic = semantic_of_ground()
    height, width = depth.shape
    m = world_from_cam
    c = previous_cam_from_world
    p = np.empty(3)
    q = np.empty(3)
    n = np.empty(3)
    canonical = np.empty(3)
    for v in range(height):
        for u in range(width):
            where = surface[v, u]
            if where == SURFACE_NONE:
                continue
            x, y = rays[v, u, 0], rays[v, u, 1]
            t = depth[v, u]
            for a in range(3):
                p[a] = m[a, 3] + t * (m[a, 0] * x + m[a, 1] * y + m[a, 2])
                q[a] = p[a]
                n[a] = 0.0
                canonical[a] = 0.0
            instance = 0
            moved = True
            if where == SURFACE_GROUND:
                material = detail[v, u, 0]
                n[face[v, u] >> 1] = -1.0 if face[v, u] & 1 else 1.0
                semantic[v, u] = ground_semantic[material]
            elif where == SURFACE_VOXEL:
                ix, iy, iz = detail[v, u, 0], detail[v, u, 1], detail[v, u, 2]
                n[face[v, u] >> 1] = -1.0 if face[v, u] & 1 else 1.0
                row = column_instance[ix, iy]
                instance = STATIC + row
                semantic[v, u] = semantics[ix, iy, iz]
                material = place_on_thing(
                    static_from_world[row], static_size[row], static_material[row], p, n, canonical
                )
            else:
                s = detail[v, u, 0]
                for a in range(3):
                    n[a] = normal[v, u, a]
                instance = shape_instance[s]
                semantic[v, u] = shape_semantic[s]
                material = shape_material[s]
                b = box_from_world[s]
                for a in range(3):
                    canonical[a] = b[a, 0] * p[0] + b[a, 1] * p[1] + b[a, 2] * p[2] + b[a, 3]
                if instance < STATIC:
                    moved = has_previous[instance]
                    w = previous_from_current[instance]
                    for a in range(3):
                        q[a] = w[a, 0] * p[0] + w[a, 1] * p[1] + w[a, 2] * p[2] + w[a, 3]
            material_map[v, u] = material
            instance_map[v, u] = instance
            depth_out[v, u] = t
            for a in range(3):
                normal_out[v, u, a] = n[a]
                canonical_out[v, u, a] = canonical[a]
                point_out[v, u, a] = p[a]
            if moved and not is_first:
                px = c[0, 0] * q[0] + c[0, 1] * q[1] + c[0, 2] * q[2] + c[0, 3]
                py = c[1, 0] * q[0] + c[1, 1] * q[1] + c[1, 2] * q[2] + c[1, 3]
                pz = c[2, 0] * q[0] + c[2, 1] * q[1] + c[2, 2] * q[2] + c[2, 3]
                if kind != LENS_PINHOLE:
                    u_then, v_then = project_bent(lens, px, py, pz)
                    motion[v, u, 0], motion[v, u, 1] = u_then - (u + 0.5), v_then - (v + 0.5)
                elif pz > near_m:
                    motion[v, u, 0] = fx * px / pz + cx - (u + 0.5)
                    motion[v, u, 1] = fy * py / pz + cy - (v + 0.5)
            if use_sun:
                sun_out[v, u] = sees_sun(
                    p[0],
                    p[1],
                    p[2],
                    n[0],
                    n[1],
                    n[2],
                    sun_direction,
                    masks,
                    origin_m,
                    voxel_m,
                    num_levels,
                    shapes,
                    index,
                    center_xy,
                    lit,
                )
