"""Agents as exact solids: at every step, inside each agent's own box, with limbs that swing as it walks."""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Float64

from scenegen.geometry.rigid import invert_rigid, planar_poses
from scenegen.occupancy.appearance import (
    BUS_SRGB,
    CAR_SRGB,
    CLOTH_SRGB,
    PLANT_SRGB,
    TROUSERS_SRGB,
    TRUCK_SRGB,
    draw_color,
    draw_detail,
    draw_weighted_color,
    linear,
)
from scenegen.occupancy.people import (
    animal_parts,
    barrier_parts,
    cone_parts,
    cycle_parts,
    other_parts,
    pedestrian_parts,
    pedestrian_swing_rad,
)
from scenegen.occupancy.template import Part, Template, make_template
from scenegen.occupancy.vehicles import bus_parts, car_parts, construction_parts, trailer_parts, truck_parts
from scenegen.types import (
    SEMANTIC_OF_CATEGORY,
    AgentCategory,
    AgentTrack,
    AppearanceTable,
    Layout,
    ShapeSet,
    random_generator,
)

CYCLES = (AgentCategory.BICYCLE, AgentCategory.MOTORCYCLE)
STRIDE_PER_HEIGHT = 0.82
"""Length of a full gait cycle (two steps) as a share of body height; about 1.4 m for an adult."""
FULL_SWING_SPEED_MPS = 1.2
STANDING_MPS = 0.15
RIDING_MPS = 0.5


def build_agent_shapes(layout: Layout, *, step: int) -> ShapeSet:
    """Build the solids of all agents that are valid at `step`, in the world frame.

    Solids stay inside their agent's box. Their instance is 1 + the agent's index in the layout.
    """
    present = [index for index, agent in enumerate(layout.agents) if agent.valid[step]]
    if not present:
        return ShapeSet.empty()
    agents = [layout.agents[index] for index in present]
    templates = [_template_of(agent) for agent in agents]
    owner = np.repeat(np.arange(len(agents)), [len(template.kind) for template in templates])
    world_from_box = planar_poses(
        np.stack([agent.center_world_m[step] for agent in agents]),
        np.array([agent.heading_rad[step] for agent in agents]),
    )
    angle = np.array(
        [_gait_angle_rad(agent, template, step) for agent, template in zip(agents, templates, strict=True)]
    )
    box_from_shape = _swung(templates, angle[owner])
    unit_from_world = invert_rigid(world_from_box)
    unit_from_world[:, :3] /= np.stack([agent.size_lwh_m for agent in agents])[:, :, None]
    semantic = np.array([SEMANTIC_OF_CATEGORY[agent.category] for agent in agents], np.uint8)
    return ShapeSet(
        kind=np.concatenate([template.kind for template in templates]),
        world_from_shape=world_from_box[owner] @ box_from_shape,
        half_extent_m=np.concatenate([template.half_extent_m for template in templates]),
        taper=np.concatenate([template.taper for template in templates]),
        instance=(1 + np.asarray(present, np.uint16))[owner],
        semantic=semantic[owner],
        material=np.concatenate([template.material for template in templates]),
        box_from_world=unit_from_world[owner],
    )


def build_agent_appearance(layout: Layout, *, seed: int) -> AppearanceTable:
    """Draw how every agent looks; row i belongs to agent i, and `color_rgb` of the layout wins over the draw."""
    primary, secondary, pattern = [], [], []
    for agent in layout.agents:
        generator = random_generator(seed, layout.layout_id, stage=f"agent/{agent.agent_id}")
        first, second = _draw_colors(agent.category, generator)
        primary.append(first if agent.color_rgb is None else linear(np.asarray(agent.color_rgb, np.float64)))
        secondary.append(second)
        pattern.append(draw_detail(generator))
    count = len(layout.agents)
    return AppearanceTable(
        primary_rgb=np.array(primary, np.float32).reshape(count, 3),
        secondary_rgb=np.array(secondary, np.float32).reshape(count, 3),
        pattern=np.array(pattern, np.float32).reshape(count, 4),
    )


def _draw_colors(
    category: AgentCategory, generator: np.random.Generator
) -> tuple[Float32[np.ndarray, "3"], Float32[np.ndarray, "3"]]:
    """Return body and trim colour, or upper and lower cloth."""
    if category in (AgentCategory.PEDESTRIAN, *CYCLES):
        return draw_color(generator, CLOTH_SRGB, spread=8.0), draw_color(generator, TROUSERS_SRGB, spread=6.0)
    trim = linear(np.full(3, generator.uniform(25.0, 70.0)))
    if category == AgentCategory.CAR:
        return draw_weighted_color(generator, CAR_SRGB), trim
    if category in (AgentCategory.TRUCK, AgentCategory.TRAILER):
        return draw_color(generator, TRUCK_SRGB), draw_color(generator, TRUCK_SRGB)
    if category == AgentCategory.BUS:
        return draw_color(generator, BUS_SRGB), trim
    if category == AgentCategory.CONSTRUCTION_VEHICLE:
        return draw_color(generator, PLANT_SRGB), trim
    if category == AgentCategory.TRAFFIC_CONE:
        return linear(np.array([226.0, 92.0, 28.0]) + generator.normal(0.0, 6.0)), linear(np.full(3, 235.0))
    if category == AgentCategory.BARRIER:
        return draw_color(generator, ((214, 88, 40), (196, 194, 188), (200, 60, 50))), linear(np.full(3, 235.0))
    return draw_color(generator, ((96, 74, 52), (60, 54, 50), (170, 150, 120), (120, 116, 112))), trim


def _template_of(agent: AgentTrack) -> Template:
    length, width, height = (float(value) for value in agent.size_lwh_m)
    variant = zlib.crc32(agent.agent_id.encode()) % 3 if agent.category == AgentCategory.CAR else 0
    has_rider = agent.category in CYCLES and _has_rider(agent)
    return _make_template(agent.category, length, width, height, variant, has_rider)


def _has_rider(agent: AgentTrack) -> bool:
    """Return what the attribute says, or else whether the cycle ever moves."""
    if "without_rider" in agent.attribute:
        return False
    if "with_rider" in agent.attribute:
        return True
    speed = np.abs(agent.velocity_world_mps[agent.valid])
    return bool((speed > RIDING_MPS).any())


@lru_cache(maxsize=4096)
def _make_template(
    category: AgentCategory, length: float, width: float, height: float, variant: int, has_rider: bool
) -> Template:
    """Make the solids of one size of one kind of agent; the same for all steps."""
    swing_rad = 0.0
    parts: list[Part]
    if category == AgentCategory.PEDESTRIAN:
        parts, swing_rad = pedestrian_parts(length, width, height), pedestrian_swing_rad(length, width, height)
    elif category in CYCLES:
        parts = cycle_parts(
            length, width, height, has_rider=has_rider, is_motorcycle=category == AgentCategory.MOTORCYCLE
        )
        swing_rad = 0.3 if has_rider and category == AgentCategory.BICYCLE else 0.0
    elif category == AgentCategory.ANIMAL:
        parts, swing_rad = animal_parts(length, width, height), 0.35
    elif category == AgentCategory.CAR:
        parts = car_parts(length, width, height, variant=variant)
    else:
        make = {
            AgentCategory.TRUCK: truck_parts,
            AgentCategory.BUS: bus_parts,
            AgentCategory.TRAILER: trailer_parts,
            AgentCategory.CONSTRUCTION_VEHICLE: construction_parts,
            AgentCategory.TRAFFIC_CONE: cone_parts,
            AgentCategory.BARRIER: barrier_parts,
            AgentCategory.OTHER: other_parts,
        }[category]
        parts = make(length, width, height)
    return make_template(parts, max_swing_rad=swing_rad)


def _gait_angle_rad(agent: AgentTrack, template: Template, step: int) -> float:
    """Return how far the right-hand limbs swing at `step`: phase from the way walked, width from the speed."""
    if template.max_swing_rad == 0.0:
        return 0.0
    speed_mps = float(np.hypot(*agent.velocity_world_mps[step]))
    if speed_mps < STANDING_MPS:
        return 0.0
    way = np.diff(agent.center_world_m[: step + 1, :2], axis=0)
    both_valid = agent.valid[1 : step + 1] & agent.valid[:step]
    walked_m = float(np.hypot(way[:, 0], way[:, 1])[both_valid].sum())
    phase = 2 * np.pi * walked_m / (STRIDE_PER_HEIGHT * float(agent.size_lwh_m[2]))
    return float(template.max_swing_rad * min(1.0, speed_mps / FULL_SWING_SPEED_MPS) * np.sin(phase))


def _swung(templates: list[Template], angle_rad: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, "N 4 4"]:
    """Return the pose of every part in its agent's box, limbs turned about their pivots."""
    center = np.concatenate([template.center_m for template in templates])
    rotation = np.concatenate([template.rotation for template in templates])
    turn = angle_rad * np.concatenate([template.swing for template in templates])
    pose = np.zeros((len(center), 4, 4))
    pose[:, :3, :3], pose[:, :3, 3], pose[:, 3, 3] = rotation, center, 1.0
    moving = np.nonzero(turn)[0]
    if len(moving):
        cos, sin = np.cos(turn[moving]), np.sin(turn[moving])
        about_y = np.zeros((len(moving), 3, 3))
        about_y[:, 0, 0], about_y[:, 0, 2], about_y[:, 2, 0], about_y[:, 2, 2] = cos, sin, -sin, cos
        about_y[:, 1, 1] = 1.0
        pivot = np.concatenate([template.pivot_m for template in templates])[moving]
        pose[moving, :3, :3] = about_y @ rotation[moving]
        pose[moving, :3, 3] = pivot + np.einsum("nij,nj->ni", about_y, center[moving] - pivot)
    return pose
