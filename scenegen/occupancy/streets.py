"""What lines the streets: blocks of buildings, gardens and parks, trees, lamps, signs and signals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from jaxtyping import Float64

from scenegen.occupancy.appearance import WALL_SRGB, draw_color, draw_detail
from scenegen.occupancy.buildings import HALLS, HOUSES, ROW, TOWERS, BuildingStyle, try_building
from scenegen.occupancy.draft import Look, WorldDraft
from scenegen.occupancy.frontage import STEP_M, Frontage, frontages_of
from scenegen.occupancy.furniture import add_lamp, add_post, add_sign, add_traffic_light, stands_free
from scenegen.occupancy.greenery import draw_foliage_look, try_strip, try_tree
from scenegen.occupancy.markings import stop_lines
from scenegen.types import Material

BLOCK_M = (35.0, 90.0)
ZONES: tuple[BuildingStyle | None, ...] = (ROW, HOUSES, TOWERS, HALLS, None)
"""What a block can be; None is a park."""
POST_FROM_KERB_M, SIGN_FROM_KERB_M = 0.7, 1.0
POST_RADIUS_M, SIGNAL_RADIUS_M, SIGN_RADIUS_M = 0.15, 0.3, 0.5
BACK_ROWS_M = (26.0, 50.0)


@dataclass(frozen=True, kw_only=True)
class District:
    """The character of a whole scene, drawn once.

    Attributes:
        zone_weights: chance of each of `ZONES`.
        autumn: share of trees in autumn colours.
        tree_spacing_m: distance between street trees.
        street_tree_chance: chance that a block has street trees.
        hedge_chance: chance that a garden is fenced by a hedge; otherwise by a wall or by nothing.
        lamp_spacing_m, lamp_height_m: of the street lamps.
        sidewalk_width_m: of sidewalks that are grown.
    """

    zone_weights: Float64[np.ndarray, "5"]
    autumn: float
    tree_spacing_m: float
    street_tree_chance: float
    hedge_chance: float
    lamp_spacing_m: float
    lamp_height_m: float
    sidewalk_width_m: float


def draw_district(generator: np.random.Generator) -> District:
    """Draw the character of a scene: town, suburb, high-rise, works or greenery, mixed to some degree."""
    weights = generator.dirichlet(np.array([1.1, 1.0, 0.6, 0.4, 0.5])) + 0.03
    return District(
        zone_weights=weights / weights.sum(),
        autumn=float(generator.choice([0.0, 0.05, 0.25, 0.7], p=[0.5, 0.25, 0.15, 0.1])),
        tree_spacing_m=float(generator.uniform(7.0, 13.0)),
        street_tree_chance=float(generator.uniform(0.2, 0.95)),
        hedge_chance=float(generator.uniform(0.1, 0.8)),
        lamp_spacing_m=float(generator.uniform(24.0, 31.0)),
        lamp_height_m=float(generator.uniform(5.5, 8.0)),
        sidewalk_width_m=float(generator.uniform(2.2, 4.0)),
    )


def line_streets(draft: WorldDraft, district: District, generator: np.random.Generator) -> None:
    """Fill what the layout leaves open: furniture, then buildings and gardens, then trees, then the background."""
    site = draft.site
    kerbs = frontages_of(site.roadway, site)
    add_signals(draft, generator)
    for kerb in kerbs:
        add_kerb_furniture(draft, kerb, district, generator)

    street = shapely.union_all([site.roadway, site.sidewalk])
    for frontage in frontages_of(street, site):
        build_frontage(draft, frontage, district, generator, offset_m=0.0)
    for kerb in kerbs:
        plant_street_trees(draft, kerb, district, generator)
    for offset_m in BACK_ROWS_M:
        for frontage in frontages_of(street.buffer(offset_m, quad_segs=4), site):
            build_frontage(draft, frontage, district, generator, offset_m=offset_m)
    scatter_trees(draft, district, generator)


def build_frontage(
    draft: WorldDraft, frontage: Frontage, district: District, generator: np.random.Generator, *, offset_m: float
) -> None:
    """Walk along an edge block by block and build each in the style of its zone."""
    start = 0
    while start < len(frontage):
        length = int(generator.uniform(*BLOCK_M) / STEP_M)
        stop = min(start + length, len(frontage))
        style = ZONES[int(generator.choice(len(ZONES), p=district.zone_weights))]
        if style is not None and offset_m > 0.0:
            style = replace(style, paved_front=False)
        if style is None:
            plant_park(draft, frontage, start, stop, district, generator)
        else:
            build_block(draft, frontage, start, stop, style, generator)
            if offset_m == 0.0 and not style.paved_front:
                fence_gardens(draft, frontage, start, stop, district, generator)
        start = stop


def build_block(
    draft: WorldDraft,
    frontage: Frontage,
    start: int,
    stop: int,
    style: BuildingStyle,
    generator: np.random.Generator,
) -> None:
    """Set buildings side by side along samples `start` to `stop`; where one does not fit, move on a little."""
    setback_m = generator.uniform(*style.setback_m)
    at_m = start * STEP_M
    while at_m < stop * STEP_M:
        width_m = generator.uniform(*style.width_m)
        depth_m = generator.uniform(*style.depth_m)
        middle = int((at_m + width_m / 2) / STEP_M)
        if middle >= len(frontage):
            return
        front = frontage.point_world_m[middle] + frontage.outward[middle] * setback_m
        if try_building(
            draft, generator, front_world_m=front, heading_rad=frontage.heading_rad(middle), width_m=width_m,
            depth_m=depth_m, style=style,
        ):  # fmt: skip
            at_m += width_m + generator.uniform(*style.gap_m)
        else:
            at_m += 2.0


def fence_gardens(
    draft: WorldDraft, frontage: Frontage, start: int, stop: int, district: District, generator: np.random.Generator
) -> None:
    """Put hedges or low walls along the property line, in pieces with openings."""
    kind = generator.random()
    if kind > 0.85:
        return
    is_hedge = kind < district.hedge_chance
    height_m = float(generator.choice([0.8, 1.2, 1.6]) if is_hedge else generator.choice([0.8, 1.2, 2.0]))
    wall = Look(
        primary_rgb=draw_color(generator, WALL_SRGB),
        secondary_rgb=draw_color(generator, WALL_SRGB),
        pattern=draw_detail(generator),
    )
    look = draw_foliage_look(generator, autumn=0.0) if is_hedge else wall
    at = start + 2
    while at < stop - 3:
        length = int(generator.integers(3, 9))
        middle = min(at + length // 2, len(frontage) - 1)
        try_strip(
            draft,
            generator,
            middle_world_m=frontage.point_world_m[middle] + frontage.outward[middle] * 0.9,
            heading_rad=frontage.heading_rad(middle),
            length_m=float(length),
            height_m=height_m,
            material=Material.FOLIAGE if is_hedge else Material.WALL,
            look=look,
        )
        at += length + (3 if generator.random() < 0.3 else 0)


def plant_park(
    draft: WorldDraft, frontage: Frontage, start: int, stop: int, district: District, generator: np.random.Generator
) -> None:
    """Scatter trees over the land behind an edge, and sometimes a hedge in front."""
    if generator.random() < 0.4:
        fence_gardens(draft, frontage, start, stop, district, generator)
    for _ in range(int((stop - start) * STEP_M * generator.uniform(0.15, 0.4))):
        sample = int(generator.integers(start, stop))
        away_m = generator.uniform(2.0, 24.0)
        try_tree(
            draft,
            generator,
            base_world_m=frontage.point_world_m[sample] + frontage.outward[sample] * away_m,
            height_m=float(generator.uniform(5.0, 14.0)),
            autumn=district.autumn,
        )


def plant_street_trees(draft: WorldDraft, kerb: Frontage, district: District, generator: np.random.Generator) -> None:
    """Plant rows of equal trees beside the road, on the far side of the sidewalk or, failing that, nearer."""
    at = float(generator.uniform(0.0, district.tree_spacing_m))
    block_end, planting, height_m = 0.0, False, 7.0
    while at < len(kerb):
        if at >= block_end:
            block_end = at + generator.uniform(*BLOCK_M)
            planting = generator.random() < district.street_tree_chance
            height_m = float(generator.uniform(5.0, 10.0))
        sample = int(at)
        if planting:
            tall_m = height_m * float(generator.uniform(0.88, 1.1))
            for away_m in (district.sidewalk_width_m + 1.6, district.sidewalk_width_m - 0.6, 1.7):
                base = kerb.point_world_m[sample] + kerb.outward[sample] * away_m
                if try_tree(draft, generator, base_world_m=base, height_m=tall_m, autumn=district.autumn):
                    break
        at += district.tree_spacing_m * float(generator.uniform(0.9, 1.15))


def add_kerb_furniture(draft: WorldDraft, kerb: Frontage, district: District, generator: np.random.Generator) -> None:
    """Set street lamps at equal distances and, at random, signs, utility poles and rows of bollards."""
    for sample in np.arange(generator.uniform(2.0, district.lamp_spacing_m), len(kerb), district.lamp_spacing_m):
        base, towards = _beside(kerb, int(sample), away_m=POST_FROM_KERB_M)
        if stands_free(draft, base, radius_m=POST_RADIUS_M):
            add_lamp(draft, generator, base_world_m=base, heading_rad=towards, height_m=district.lamp_height_m)
    at = float(generator.uniform(5.0, 60.0))
    while at < len(kerb):
        choice = generator.random()
        is_sign = choice < 0.6
        base, towards = _beside(kerb, int(at), away_m=SIGN_FROM_KERB_M if is_sign else POST_FROM_KERB_M)
        if stands_free(draft, base, radius_m=SIGN_RADIUS_M if is_sign else POST_RADIUS_M):
            if is_sign:
                oncoming = towards + np.pi / 2 * (1 if generator.random() < 0.8 else -1)
                add_sign(
                    draft,
                    generator,
                    base_world_m=base,
                    heading_rad=oncoming,
                    height_m=float(generator.uniform(2.2, 3.0)),
                )
            elif choice < 0.8:
                add_post(
                    draft, generator, base_world_m=base, height_m=float(generator.uniform(6.0, 9.0)), radius_m=0.13
                )
            else:
                _add_bollards(draft, kerb, int(at), generator)
        at += float(generator.uniform(18.0, 60.0))


def add_signals(draft: WorldDraft, generator: np.random.Generator) -> None:
    """Put a signal beside each stop line at some crossings, on the right-hand side of the lane's road."""
    has_signals = generator.random() < 0.6
    if not has_signals:
        return
    boundary = draft.site.roadway.boundary
    for line in stop_lines(draft.site.layout):
        right_end, left_end = line.ends_world_m
        rightwards = (right_end - left_end) / max(float(np.linalg.norm(right_end - left_end)), 1e-9)
        reach = shapely.LineString([right_end - 0.2 * rightwards, right_end + 6.0 * rightwards]).intersection(boundary)
        if reach.is_empty:
            continue
        edge = min(shapely.get_coordinates(reach), key=lambda point: float(np.linalg.norm(point - right_end)))
        base = edge + rightwards * POST_FROM_KERB_M
        if stands_free(draft, base, radius_m=SIGNAL_RADIUS_M):
            facing = float(np.arctan2(-rightwards[0], rightwards[1])) + np.pi  # back along the lane
            add_traffic_light(
                draft, generator, base_world_m=base, heading_rad=facing, height_m=float(generator.uniform(3.2, 4.4))
            )


def scatter_trees(draft: WorldDraft, district: District, generator: np.random.Generator) -> None:
    """Strew single trees over the open land that is left, clustered by chance."""
    site = draft.site
    x_min, y_min, x_max, y_max = site.bounds_world_m
    area_m2 = (x_max - x_min) * (y_max - y_min)
    for _ in range(int(area_m2 / 10000.0 * generator.uniform(10.0, 60.0))):
        base = generator.uniform((x_min, y_min), (x_max, y_max))
        i, j = (int(cell) for cell in site.column_frame.to_cells(base))
        if site.is_paved[min(i, site.grid.shape[0] - 1), min(j, site.grid.shape[1] - 1)]:
            continue
        try_tree(
            draft, generator, base_world_m=base, height_m=float(generator.uniform(5.0, 13.0)), autumn=district.autumn
        )


def _beside(kerb: Frontage, sample: int, *, away_m: float) -> tuple[Float64[np.ndarray, "2"], float]:
    """Return a place beside the kerb, and the heading from there to the road."""
    outward = kerb.outward[sample]
    base = kerb.point_world_m[sample] + outward * away_m
    return base, float(np.arctan2(-outward[1], -outward[0]))


def _add_bollards(draft: WorldDraft, kerb: Frontage, sample: int, generator: np.random.Generator) -> None:
    for step in range(int(generator.integers(3, 7))):
        index = sample + 2 * step
        if index >= len(kerb):
            return
        base, _ = _beside(kerb, index, away_m=POST_FROM_KERB_M)
        if stands_free(draft, base, radius_m=POST_RADIUS_M):
            add_post(draft, generator, base_world_m=base, height_m=0.9, radius_m=0.09)
