"""What lines the streets: blocks of buildings, gardens and parks, trees, lamps, signs and signals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np
import shapely
from jaxtyping import Float64

from scenegen.occupancy.appearance import WALL_SRGB, draw_color, draw_detail
from scenegen.occupancy.buildings import BuildingStyle, Plot, try_building
from scenegen.occupancy.draft import Look, WorldDraft
from scenegen.occupancy.frontage import STEP_M, Frontage, frontages_of
from scenegen.occupancy.furniture import add_lamp, add_post, add_sign, add_traffic_light, try_at
from scenegen.occupancy.greenery import draw_foliage_look, try_strip, try_tree
from scenegen.occupancy.markings import stop_lines
from scenegen.occupancy.style import District
from scenegen.types import Material, RandomKey

LOT_STRETCHES = ((0.5, 1.0), (0.35, 0.7), (0.65, 0.7), (0.25, 0.5), (0.75, 0.5))
"""Middle and width of what a building may take of its lot's front, as shares of it, in order of preference."""
LOT_DEPTHS = (1.0, 0.75, 0.55)
POST_FROM_KERB_M, SIGN_FROM_KERB_M = 0.7, 1.0
POST_RADIUS_M, SIGNAL_RADIUS_M, SIGN_RADIUS_M = 0.15, 0.3, 0.5
BACK_ROWS_M = (26.0, 50.0)


def line_streets(draft: WorldDraft, district: District, key: RandomKey) -> None:
    """Fill what the layout leaves open: furniture, then buildings and gardens, then trees, then the background."""
    site = draft.site
    kerbs = add_furniture(draft, district, key)
    street = shapely.union_all([site.roadway, site.sidewalk])
    for frontage in frontages_of(street, site):
        build_frontage(draft, frontage, district, key.at("front", frontage.key), is_behind=False)
    for kerb in kerbs:
        plant_street_trees(draft, kerb, district, key.at("trees", kerb.key))
    for offset_m in BACK_ROWS_M:
        for frontage in frontages_of(street.buffer(offset_m, quad_segs=4), site):
            build_frontage(draft, frontage, district, key.at("back", offset_m, frontage.key), is_behind=True)
    scatter_trees(draft, district, key.at("scattered"))


def add_furniture(draft: WorldDraft, district: District, key: RandomKey) -> list[Frontage]:
    """Add signals, lamps and signs along the roadway, and return its edges."""
    kerbs = frontages_of(draft.site.roadway, draft.site)
    add_signals(draft, key.at("signals"))
    for kerb in kerbs:
        if district.style.has_lamps:
            add_lamps(draft, kerb, district, key.at("lamps", kerb.key))
        add_signs(draft, kerb, district, key.at("signs", kerb.key))
    return kerbs


def build_frontage(
    draft: WorldDraft, frontage: Frontage, district: District, key: RandomKey, *, is_behind: bool
) -> None:
    """Divide an edge into blocks, and build each in the style of its zone; a block ends with its last lot."""
    start, index = 0, 0
    while start < len(frontage):
        place = key.at("block", index)
        generator = place.generator()
        stop = min(start + int(generator.uniform(*district.style.block_m) / STEP_M), len(frontage))
        zones = district.style.zones
        style = zones[int(generator.choice(len(zones), p=district.zone_weights))]
        if style is None:
            plant_park(draft, frontage, start, stop, district, place)
        else:
            if is_behind:
                style = replace(style, paved_front=False)
            lots = divide_block(start * STEP_M, stop * STEP_M, style, generator)
            build_block(draft, frontage, lots, style, place)
            stop = min(max(stop, round(lots[-1].end_m / STEP_M)), len(frontage))
            if not is_behind and style.has_fence:
                fence_gardens(draft, frontage, start, stop, district, place.at("fence"))
        start, index = stop, index + 1


@dataclass(frozen=True, kw_only=True)
class Lot:
    """A stretch of a frontage for one building, in metres along it; `setback_m` from its edge."""

    start_m: float
    width_m: float
    depth_m: float
    setback_m: float

    @property
    def end_m(self) -> float:
        """Where it ends along the frontage."""
        return self.start_m + self.width_m


def divide_block(start_m: float, stop_m: float, style: BuildingStyle, generator: np.random.Generator) -> list[Lot]:
    """Divide a block into lots, whatever stands there; the last one begins before `stop_m`."""
    setback_m = generator.uniform(*style.setback_m)
    lots: list[Lot] = []
    while start_m < stop_m:
        lot = Lot(
            start_m=start_m,
            width_m=generator.uniform(*style.width_m),
            depth_m=generator.uniform(*style.depth_m),
            setback_m=setback_m,
        )
        lots.append(lot)
        start_m = lot.end_m + generator.uniform(*style.gap_m)
    return lots


def build_block(draft: WorldDraft, frontage: Frontage, lots: list[Lot], style: BuildingStyle, key: RandomKey) -> None:
    """Set one building on each lot that has room for one."""
    for index, lot in enumerate(lots):
        generator = key.at("lot", index).generator()
        try_building(draft, generator, _plots_of(lot, frontage), style=style)


def _plots_of(lot: Lot, frontage: Frontage) -> Iterator[Plot]:
    """Yield what a building on the lot could take, from all of it to half its width and depth."""
    for (middle_share, width_share), depth_share in product(LOT_STRETCHES, LOT_DEPTHS):
        middle = int((lot.start_m + middle_share * lot.width_m) / STEP_M)
        if middle < len(frontage):
            yield Plot(
                front_world_m=frontage.point_world_m[middle] + frontage.outward[middle] * lot.setback_m,
                heading_rad=frontage.heading_rad(middle),
                width_m=width_share * lot.width_m,
                depth_m=depth_share * lot.depth_m,
            )


def fence_gardens(
    draft: WorldDraft, frontage: Frontage, start: int, stop: int, district: District, key: RandomKey
) -> None:
    """Put hedges or low walls along the property line, in pieces with openings."""
    rule = district.style.fences
    generator = key.generator()
    kind = generator.random()
    if kind > rule.chance:
        return
    is_hedge = kind < district.hedge_chance
    height_m = float(generator.choice(rule.hedge_heights_m if is_hedge else rule.wall_heights_m))
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
            middle_world_m=frontage.point_world_m[middle] + frontage.outward[middle] * rule.away_m,
            heading_rad=frontage.heading_rad(middle),
            length_m=float(length),
            height_m=height_m,
            material=Material.FOLIAGE if is_hedge else Material.WALL,
            look=look,
        )
        at += length + (3 if generator.random() < rule.opening_chance else 0)


def plant_park(
    draft: WorldDraft, frontage: Frontage, start: int, stop: int, district: District, key: RandomKey
) -> None:
    """Scatter trees over the land behind an edge, and sometimes a hedge in front."""
    rule = district.style.plants
    generator = key.at("park").generator()
    if generator.random() < district.style.fences.park_chance:
        fence_gardens(draft, frontage, start, stop, district, key.at("fence"))
    for index in range(int((stop - start) * STEP_M * generator.uniform(*rule.per_park_m))):
        generator = key.at("tree", index).generator()
        sample = int(generator.integers(start, stop))
        away_m = generator.uniform(*rule.park_depth_m)
        try_tree(
            draft,
            generator,
            places_world_m=[frontage.point_world_m[sample] + frontage.outward[sample] * away_m],
            height_m=float(generator.uniform(5.0, 14.0)),
            autumn=district.autumn,
        )


def plant_street_trees(draft: WorldDraft, kerb: Frontage, district: District, key: RandomKey) -> None:
    """Plant rows of equal trees beside the road, on the far side of the sidewalk or, failing that, nearer."""
    plan = key.generator()
    at = float(plan.uniform(0.0, district.tree_spacing_m))
    block_end, planting, height_m = 0.0, False, 7.0
    aways_m = (district.sidewalk_width_m + 1.6, district.sidewalk_width_m - 0.6, 1.7)
    index = 0
    while at < len(kerb):
        if at >= block_end:
            block_end = at + plan.uniform(*district.style.block_m)
            planting = plan.random() < district.street_tree_chance
            height_m = float(plan.uniform(5.0, 10.0))
        if planting:
            generator = key.at(index).generator()
            try_tree(
                draft,
                generator,
                places_world_m=[_beside(kerb, int(at), away_m=away_m)[0] for away_m in aways_m],
                height_m=height_m * float(generator.uniform(0.88, 1.1)),
                autumn=district.autumn,
            )
        at += district.tree_spacing_m * float(plan.uniform(0.9, 1.15))
        index += 1


def add_lamps(draft: WorldDraft, kerb: Frontage, district: District, key: RandomKey) -> None:
    """Set street lamps at equal distances."""
    first_m = key.generator().uniform(2.0, district.lamp_spacing_m)
    for index, at in enumerate(np.arange(first_m, len(kerb), district.lamp_spacing_m)):
        base, towards = _beside(kerb, int(at), away_m=POST_FROM_KERB_M)
        lamp = partial(
            add_lamp, draft, key.at(index).generator(), base_world_m=base, heading_rad=towards,
            height_m=district.lamp_height_m,
        )  # fmt: skip
        try_at(draft, base, radius_m=POST_RADIUS_M, add=lamp)


def add_signs(draft: WorldDraft, kerb: Frontage, district: District, key: RandomKey) -> None:
    """Set, at random, signs, utility poles and rows of bollards."""
    plan = key.generator()
    at = float(plan.uniform(5.0, 60.0))
    index = 0
    while at < len(kerb):
        choice, generator = plan.random(), key.at(index).generator()
        if choice < 0.6:
            _try_sign(draft, kerb, int(at), generator)
        elif choice < 0.8:
            _try_post(draft, kerb, int(at), generator, height_m=float(generator.uniform(6.0, 9.0)), radius_m=0.13)
        else:
            for step in range(int(generator.integers(3, 7))):
                bollard = key.at(index, step).generator()
                _try_post(draft, kerb, int(at) + 2 * step, bollard, height_m=0.9, radius_m=0.09)
        at += float(plan.uniform(*district.style.sign_gap_m))
        index += 1


def add_signals(draft: WorldDraft, key: RandomKey) -> None:
    """Put a signal beside each stop line at some crossings, on the right-hand side of the lane's road."""
    has_signals = key.generator().random() < 0.6
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
        generator = key.at(*(round(10 * x) for x in base)).generator()
        facing = float(np.arctan2(-rightwards[0], rightwards[1])) + np.pi  # back along the lane
        signal = partial(
            add_traffic_light, draft, generator, base_world_m=base, heading_rad=facing,
            height_m=float(generator.uniform(3.2, 4.4)),
        )  # fmt: skip
        try_at(draft, base, radius_m=SIGNAL_RADIUS_M, add=signal)


def scatter_trees(draft: WorldDraft, district: District, key: RandomKey) -> None:
    """Strew single trees over the open land that is left, clustered by chance."""
    site = draft.site
    x_min, y_min, x_max, y_max = site.bounds_world_m
    area_m2 = (x_max - x_min) * (y_max - y_min)
    for index in range(int(area_m2 / 10000.0 * key.generator().uniform(*district.style.plants.per_hectare))):
        generator = key.at(index).generator()
        base = generator.uniform((x_min, y_min), (x_max, y_max))
        i, j = (int(cell) for cell in site.column_frame.to_cells(base))
        if site.is_paved[min(i, site.grid.shape[0] - 1), min(j, site.grid.shape[1] - 1)]:
            continue
        height_m = float(generator.uniform(5.0, 13.0))
        try_tree(draft, generator, places_world_m=[base], height_m=height_m, autumn=district.autumn)


def _beside(kerb: Frontage, sample: int, *, away_m: float) -> tuple[Float64[np.ndarray, "2"], float]:
    """Return a place beside the kerb, and the heading from there to the road."""
    outward = kerb.outward[sample]
    base = kerb.point_world_m[sample] + outward * away_m
    return base, float(np.arctan2(-outward[1], -outward[0]))


def _try_sign(draft: WorldDraft, kerb: Frontage, sample: int, generator: np.random.Generator) -> None:
    base, towards = _beside(kerb, sample, away_m=SIGN_FROM_KERB_M)
    oncoming = towards + np.pi / 2 * (1 if generator.random() < 0.8 else -1)
    height_m = float(generator.uniform(2.2, 3.0))
    sign = partial(add_sign, draft, generator, base_world_m=base, heading_rad=oncoming, height_m=height_m)
    try_at(draft, base, radius_m=SIGN_RADIUS_M, add=sign)


def _try_post(
    draft: WorldDraft,
    kerb: Frontage,
    sample: int,
    generator: np.random.Generator,
    *,
    height_m: float,
    radius_m: float,
) -> None:
    if sample >= len(kerb):
        return
    base, _ = _beside(kerb, sample, away_m=POST_FROM_KERB_M)
    post = partial(add_post, draft, generator, base_world_m=base, height_m=height_m, radius_m=radius_m)
    try_at(draft, base, radius_m=POST_RADIUS_M, add=post)
