"""Build the static world of a layout by rules: `occupancy=rules`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenegen.occupancy.buildings import add_explicit_buildings
from scenegen.occupancy.draft import Look, WorldDraft
from scenegen.occupancy.furniture import add_prop
from scenegen.occupancy.ground import paint_ground
from scenegen.occupancy.site import survey_site
from scenegen.occupancy.streets import line_streets
from scenegen.occupancy.style import District, draw_district
from scenegen.types import Layout, Material, RandomKey, World


def build_world(layout: Layout, *, seed: int) -> World:
    """Build the static world: ground, buildings, greenery and street furniture around the ego path.

    Everything the layout gives is taken exactly; what it leaves open within 75 m of the ego path's bounding box is
    filled by seeded rules. Nothing static stands on the roadway, on crossings, or in space that an agent or the
    ego ever passes. The same layout and seed give the same bytes. Every thing draws from a generator of its own place,
    and ground is allotted without regard to agents: one that passes elsewhere changes only what it passes.

    Raises:
        WorldError: there is no road near the ego, or the world has too many things.
    """
    beginning = begin_world(layout, seed=seed)
    line_streets(beginning.draft, beginning.district, beginning.key.at("streets"))
    return beginning.draft.finish()


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """A world that has all that its layout gives, and nothing yet of what the layout leaves open."""

    key: RandomKey
    district: District
    draft: WorldDraft


def begin_world(layout: Layout, *, seed: int) -> Beginning:
    """Lay the ground and add what the layout asks for; what is open is filled by rules or by a model.

    Raises:
        WorldError: there is no road near the ego, or the world has too many things.
    """
    key = RandomKey(seed, layout.layout_id, "world")
    district = draw_district(key.at("district").generator(), layout.environment.style)
    site = survey_site(layout, sidewalk_width_m=district.sidewalk_width_m)
    draft = WorldDraft(site=site, ground=paint_ground(site))
    draft.add_thing(
        Material.GRASS, world_from_thing=np.eye(4), size_lwh_m=(0.0, 0.0, 0.0),
        look=_draw_ground_look(key.at("ground").generator()),
    )  # fmt: skip
    _add_given(draft, district, key.at("given"))
    return Beginning(key=key, district=district, draft=draft)


def _add_given(draft: WorldDraft, district: District, key: RandomKey) -> None:
    """Add the buildings and props that the layout asks for."""
    add_explicit_buildings(draft, key.at("building"))
    for index, prop in enumerate(draft.site.layout.road_map.props):
        add_prop(draft, prop, key.at("prop", index).generator(), autumn=district.autumn)


def _draw_ground_look(generator: np.random.Generator) -> Look:
    """Draw the tone of asphalt (primary) and grass (secondary)."""
    grey = generator.uniform(0.06, 0.16)
    return Look(
        primary_rgb=np.full(3, grey, np.float32),
        secondary_rgb=(np.array([0.09, 0.16, 0.05]) * generator.uniform(0.7, 1.3)).astype(np.float32),
        pattern=generator.random(4).astype(np.float32),
    )
