"""Street furniture: lamps, signs, traffic lights, poles, bollards, and the props a layout asks for by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Float64

from scenegen.errors import WorldError
from scenegen.geometry.rigid import planar_pose
from scenegen.occupancy.appearance import METAL_SRGB, SIGN_SRGB, draw_color, draw_detail
from scenegen.occupancy.draft import Look, Solid, WorldDraft, box, cylinder
from scenegen.occupancy.greenery import draw_foliage_look, plant_tree
from scenegen.occupancy.raster import cells_of_disc, cells_of_rectangle
from scenegen.types import Material, Prop, Semantic
from scenegen.types.layout import USUAL_HEIGHT_M

PLOT_RADIUS_M = 0.4
CELL_REACH_M = 0.29
"""Half the diagonal of a column, rounded up."""


def add_prop(draft: WorldDraft, prop: Prop, generator: np.random.Generator, *, autumn: float) -> None:
    """Add a prop exactly where the layout asks for it.

    Raises:
        WorldError: the prop's kind is not known.
    """
    position, heading = prop.position_world_m, prop.heading_rad
    if prop.kind == "tree":
        height_m = prop.height_m or generator.uniform(5.5, 10.0)
        plant_tree(
            draft, generator, base_world_m=position, height_m=height_m, crown_low_m=0.35 * height_m,
            radius_m=float(np.clip(0.28 * height_m, 0.6, 3.2)), autumn=autumn,
        )  # fmt: skip
    elif prop.kind == "hedge":
        _add_hedge_prop(draft, prop, generator, autumn=autumn)
    elif prop.kind in USUAL_HEIGHT_M:
        height_m = prop.height_m or USUAL_HEIGHT_M[prop.kind]
        if prop.kind == "street_lamp":
            add_lamp(draft, generator, base_world_m=position, heading_rad=heading, height_m=height_m)
        elif prop.kind == "traffic_light":
            add_traffic_light(draft, generator, base_world_m=position, heading_rad=heading, height_m=height_m)
        elif prop.kind == "sign":
            add_sign(draft, generator, base_world_m=position, heading_rad=heading, height_m=height_m)
        else:
            add_post(draft, generator, base_world_m=position, height_m=height_m, radius_m=0.1)
    else:
        raise WorldError("a known prop kind", found=repr(prop.kind), where=draft.site.layout.layout_id)


def try_at(
    draft: WorldDraft, base_world_m: Float64[np.ndarray, "2"], *, radius_m: float, add: Callable[[], None]
) -> bool:
    """Add a thing of some radius where it is off the roadway and on unclaimed ground; in swept space it gives way."""
    frame = draft.site.column_frame
    cells = cells_of_disc(frame, centre_world_m=base_world_m, radius_m=radius_m, margin_m=CELL_REACH_M)
    if not draft.is_free(cells, blocked=draft.site.is_road):
        return False
    if draft.is_swept(cells):
        draft.leave_row()
        draft.claim(cells_of_disc(frame, centre_world_m=base_world_m, radius_m=PLOT_RADIUS_M))
    else:
        add()
    return True


def add_lamp(
    draft: WorldDraft,
    generator: np.random.Generator,
    *,
    base_world_m: Float64[np.ndarray, "2"],
    heading_rad: float,
    height_m: float,
) -> None:
    """Add a street lamp whose arm points along its x axis."""
    arm_m = float(generator.uniform(0.9, 1.8))
    solids = [
        cylinder(0.0, 0.0, low_m=0.0, high_m=height_m, radius_m=0.08, material=Material.METAL),
        cylinder(0.0, 0.0, low_m=0.0, high_m=0.9, radius_m=0.12, material=Material.METAL),
        box((arm_m / 2, 0.0, height_m - 0.05), (arm_m, 0.08, 0.08)),
        box((arm_m + 0.1, 0.0, height_m - 0.1), (0.6, 0.24, 0.12)),
        box((arm_m + 0.1, 0.0, height_m - 0.17), (0.5, 0.2, 0.03), material=Material.HEADLIGHT),
    ]
    size = (2 * arm_m + 0.8, 0.24, height_m)
    _add(draft, base_world_m, heading_rad, size, solids, draw_color(generator, METAL_SRGB), generator)


def add_traffic_light(
    draft: WorldDraft,
    generator: np.random.Generator,
    *,
    base_world_m: Float64[np.ndarray, "2"],
    heading_rad: float,
    height_m: float,
) -> None:
    """Add a signal on a pole; it shows towards its x axis."""
    solids = [
        cylinder(0.0, 0.0, low_m=0.0, high_m=height_m, radius_m=0.08, material=Material.METAL),
        box((0.16, 0.0, height_m - 0.45), (0.24, 0.32, 0.9)),
        box((0.03, 0.0, height_m - 0.45), (0.03, 0.5, 1.1)),
    ]
    _add(
        draft,
        base_world_m,
        heading_rad,
        (0.6, 0.5, height_m + 0.1),
        solids,
        draw_color(generator, METAL_SRGB),
        generator,
    )


def add_sign(
    draft: WorldDraft,
    generator: np.random.Generator,
    *,
    base_world_m: Float64[np.ndarray, "2"],
    heading_rad: float,
    height_m: float,
) -> None:
    """Add a plate on a post; it faces its x axis."""
    width, height = ((0.65, 0.65), (0.6, 0.8), (0.95, 0.4))[int(generator.integers(3))]
    solids = [
        cylinder(0.0, 0.0, low_m=0.0, high_m=height_m, radius_m=0.05, material=Material.METAL),
        box((0.07, 0.0, height_m - height / 2), (0.03, width, height), material=Material.SIGN),
    ]
    _add(draft, base_world_m, heading_rad, (0.2, width, height_m), solids, draw_color(generator, SIGN_SRGB), generator)


def add_post(
    draft: WorldDraft,
    generator: np.random.Generator,
    *,
    base_world_m: Float64[np.ndarray, "2"],
    height_m: float,
    radius_m: float,
) -> None:
    """Add a bare post."""
    solids = [cylinder(0.0, 0.0, low_m=0.0, high_m=height_m, radius_m=radius_m, material=Material.METAL)]
    size = (2 * radius_m, 2 * radius_m, height_m)
    _add(draft, base_world_m, 0.0, size, solids, draw_color(generator, METAL_SRGB), generator)


def _add(
    draft: WorldDraft,
    base_world_m: Float64[np.ndarray, "2"],
    heading_rad: float,
    size_lwh_m: tuple[float, float, float],
    solids: list[Solid],
    primary_rgb: Float32[np.ndarray, "3"],
    generator: np.random.Generator,
) -> None:
    look = Look(
        primary_rgb=primary_rgb, secondary_rgb=draw_color(generator, METAL_SRGB), pattern=draw_detail(generator)
    )
    pose = planar_pose(base_world_m[0], base_world_m[1], heading_rad)
    row = draft.add_thing(Material.METAL, world_from_thing=pose, size_lwh_m=size_lwh_m, look=look)
    draft.add_solids(row, solids)
    draft.claim(cells_of_disc(draft.site.column_frame, centre_world_m=base_world_m, radius_m=PLOT_RADIUS_M))


def _add_hedge_prop(draft: WorldDraft, prop: Prop, generator: np.random.Generator, *, autumn: float) -> None:
    """Fill a hedge of 4 m by 0.8 m, minus columns of the roadway and of swept space."""
    site = draft.site
    height_m = prop.height_m or 1.2
    size = (4.0, 0.8, height_m)
    pose = planar_pose(prop.position_world_m[0], prop.position_world_m[1], prop.heading_rad)
    look = draw_foliage_look(generator, autumn=autumn)
    row = draft.add_thing(Material.FOLIAGE, world_from_thing=pose, size_lwh_m=size, look=look)
    cells = cells_of_rectangle(site.column_frame, world_from_thing=pose, size_m=size[:2])
    free = cells.without(site.keep_out)
    draft.fill_columns(row, free, low_m=0.0, high_m=height_m, semantic=Semantic.VEGETATION)
    draft.claim(cells.without(site.is_road))
