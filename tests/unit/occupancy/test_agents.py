"""Agents as solids: inside their boxes, walking, fast."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from scenegen.occupancy.agents import STRIDE_PER_HEIGHT, build_agent_appearance, build_agent_shapes
from scenegen.types import SEMANTIC_OF_CATEGORY, AgentCategory, AgentTrack, Layout, Material, ShapeKind, ShapeSet

TOLERANCE = 1e-6
SIZES = {
    AgentCategory.CAR: [(3.4, 1.5, 1.4), (4.6, 1.9, 1.5), (5.4, 2.1, 2.2)],
    AgentCategory.TRUCK: [(5.5, 2.0, 1.9), (7.0, 2.5, 3.0), (14.0, 2.9, 4.0)],
    AgentCategory.BUS: [(8.0, 2.4, 2.9), (18.0, 2.9, 3.6)],
    AgentCategory.TRAILER: [(3.0, 1.6, 1.6), (13.0, 2.6, 3.9)],
    AgentCategory.CONSTRUCTION_VEHICLE: [(4.0, 2.0, 2.4), (9.0, 3.0, 3.4)],
    AgentCategory.PEDESTRIAN: [(0.3, 0.4, 1.0), (0.7, 0.7, 1.75), (1.0, 0.9, 1.95), (0.8, 0.7, 1.1)],
    AgentCategory.MOTORCYCLE: [(1.6, 0.6, 1.2), (2.3, 1.0, 1.8)],
    AgentCategory.BICYCLE: [(1.4, 0.4, 1.1), (2.0, 0.8, 1.9)],
    AgentCategory.TRAFFIC_CONE: [(0.3, 0.3, 0.5), (0.6, 0.5, 1.1)],
    AgentCategory.BARRIER: [(0.4, 2.5, 0.9), (2.0, 0.5, 1.1)],
    AgentCategory.ANIMAL: [(0.4, 0.2, 0.3), (1.2, 0.5, 0.9)],
    AgentCategory.OTHER: [(0.5, 0.5, 0.5)],
}


def surface_points(shapes: ShapeSet, index: int, generator: np.random.Generator) -> np.ndarray:
    """Sample points on one solid's surface, in the world frame."""
    unit = generator.uniform(-1.0, 1.0, (300, 3))
    unit[np.arange(300), generator.integers(0, 3, 300)] = generator.choice([-1.0, 1.0], 300)
    kind = shapes.kind[index]
    if kind == ShapeKind.ELLIPSOID:
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    elif kind == ShapeKind.CYLINDER:
        unit[:, :2] /= np.maximum(np.linalg.norm(unit[:, :2], axis=1, keepdims=True), 1.0)
    elif kind == ShapeKind.WEDGE:
        up = (unit[:, 2] + 1.0) / 2.0
        front, back = shapes.taper[index]
        unit[:, 0] *= np.where(unit[:, 0] > 0.0, 1.0 - front * up, 1.0 - back * up)
    pose = shapes.world_from_shape[index]
    return (unit * shapes.half_extent_m[index]) @ pose[:3, :3].T + pose[:3, 3]


def resized(agent: AgentTrack, size: tuple[float, float, float], agent_id: str, attribute: str) -> AgentTrack:
    center = agent.center_world_m.copy()
    center[:, 2] = size[2] / 2
    return dataclasses.replace(
        agent, size_lwh_m=np.array(size), agent_id=agent_id, center_world_m=center, attribute=attribute
    )


@pytest.mark.parametrize("category", list(AgentCategory), ids=lambda category: category.label)
def test_solids_stay_inside_the_agents_box(category: AgentCategory, zoo: Layout) -> None:
    model = next(agent for agent in zoo.agents if agent.category == category)
    attributes = ("", "cycle.with_rider", "cycle.without_rider") if "CYCLE" in category.name else ("",)
    agents = tuple(
        resized(model, size, f"{index}{attribute}{twin}", attribute)
        for index, size in enumerate(SIZES[category])
        for attribute in attributes
        for twin in range(3)
    )
    layout = dataclasses.replace(zoo, agents=agents)
    generator = np.random.default_rng(0)
    for step in (0, 5, 11, 17):
        shapes = build_agent_shapes(layout, step=step)
        assert set(shapes.instance.tolist()) == set(range(1, len(agents) + 1))
        assert (shapes.half_extent_m > 0.0).all()
        for index in range(len(shapes)):
            box = shapes.box_from_world[index]
            canonical = surface_points(shapes, index, generator) @ box[:3, :3].T + box[:3, 3]
            assert np.abs(canonical).max() <= 0.5 + TOLERANCE, (shapes.instance[index], shapes.material[index])


def test_solids_fill_their_box_and_carry_its_labels(zoo: Layout) -> None:
    shapes = build_agent_shapes(zoo, step=30)
    generator = np.random.default_rng(0)
    for number, agent in enumerate(zoo.agents):
        mine = np.nonzero(shapes.instance == number + 1)[0]
        assert (shapes.semantic[mine] == SEMANTIC_OF_CATEGORY[agent.category]).all()
        points = np.concatenate([surface_points(shapes, index, generator) for index in mine])
        box = shapes.box_from_world[mine[0]]
        reach = np.abs(points @ box[:3, :3].T + box[:3, 3]).max(axis=0)
        assert reach[2] > 0.48, agent.agent_id
        assert (reach[:2] > 0.3).all(), (agent.agent_id, reach)


@pytest.mark.parametrize("category", [c for c in AgentCategory if "CYCLE" not in c.name], ids=lambda c: c.label)
def test_bodies_reach_from_the_floor_to_the_top_of_their_box(category: AgentCategory, zoo: Layout) -> None:
    """What `verify --deep` relies on; cars, trucks and buses touch the other four faces, too."""
    model = next(agent for agent in zoo.agents if agent.category == category)
    agents = tuple(resized(model, size, str(index), "") for index, size in enumerate(SIZES[category]))
    shapes = build_agent_shapes(dataclasses.replace(zoo, agents=agents), step=0)
    generator = np.random.default_rng(0)
    for number, agent in enumerate(agents):
        mine = np.nonzero(shapes.instance == number + 1)[0]
        box = shapes.box_from_world[mine[0]]
        points = np.concatenate([surface_points(shapes, index, generator) for index in mine])
        canonical = points @ box[:3, :3].T + box[:3, 3]
        checked = (
            canonical if category in (AgentCategory.CAR, AgentCategory.TRUCK, AgentCategory.BUS) else canonical[:, 2:]
        )
        assert (checked.min(axis=0) < -0.47).all() and (checked.max(axis=0) > 0.47).all(), agent.size_lwh_m


def test_cars_have_glass_tyres_and_lamps(zoo: Layout) -> None:
    shapes = build_agent_shapes(zoo, step=0)
    materials = shapes.material[shapes.instance == 1]
    assert np.count_nonzero(materials == Material.TYRE) == 4
    assert {Material.BODY, Material.GLASS, Material.HEADLIGHT, Material.TAILLIGHT} <= set(materials.tolist())
    tyres = np.nonzero((shapes.instance == 1) & (shapes.material == Material.TYRE))[0]
    axle = shapes.world_from_shape[tyres[0], :3, 2]
    forward = np.array([np.cos(zoo.agents[0].heading_rad[0]), np.sin(zoo.agents[0].heading_rad[0]), 0.0])
    assert abs(axle @ forward) < 1e-9
    assert abs(axle[2]) < 1e-9


def walker(zoo: Layout, speed_mps: float) -> Layout:
    model = next(agent for agent in zoo.agents if agent.category == AgentCategory.PEDESTRIAN)
    time_s = np.arange(zoo.timeline.num_steps) / zoo.timeline.rate_hz
    center = np.zeros((len(time_s), 3))
    center[:, 0], center[:, 2] = speed_mps * time_s, model.size_lwh_m[2] / 2
    moving = dataclasses.replace(
        model,
        center_world_m=center,
        heading_rad=np.zeros(len(time_s)),
        velocity_world_mps=np.tile([speed_mps, 0.0], (len(time_s), 1)),
    )
    return dataclasses.replace(zoo, agents=(moving,))


def poses_in_box(layout: Layout, step: int) -> np.ndarray:
    shapes = build_agent_shapes(layout, step=step)
    return shapes.box_from_world @ shapes.world_from_shape


def test_gait_repeats_after_one_stride(zoo: Layout) -> None:
    height_m = 1.75
    stride_m = STRIDE_PER_HEIGHT * height_m
    layout = walker(zoo, stride_m * zoo.timeline.rate_hz / 12)  # a stride lasts exactly 12 steps
    assert np.allclose(poses_in_box(layout, 3), poses_in_box(layout, 15), atol=1e-9)
    assert np.abs(poses_in_box(layout, 3) - poses_in_box(layout, 9)).max() > 0.1  # half a stride: other leg in front


def test_standing_people_stand_still(zoo: Layout) -> None:
    layout = walker(zoo, 0.0)
    assert np.allclose(poses_in_box(layout, 3), poses_in_box(layout, 9))


def test_absent_agents_have_no_solids(zoo: Layout) -> None:
    gone = tuple(dataclasses.replace(agent, valid=np.zeros_like(agent.valid)) for agent in zoo.agents)
    assert len(build_agent_shapes(dataclasses.replace(zoo, agents=gone), step=4)) == 0


def test_appearance_is_seeded_and_layout_colour_wins(zoo: Layout) -> None:
    first, again = (build_agent_appearance(zoo, seed=5) for _ in range(2))
    assert first.primary_rgb.tobytes() == again.primary_rgb.tobytes()
    assert (build_agent_appearance(zoo, seed=6).primary_rgb != first.primary_rgb).any()
    red = dataclasses.replace(zoo.agents[0], color_rgb=(255, 0, 0))
    painted = build_agent_appearance(dataclasses.replace(zoo, agents=(red, *zoo.agents[1:])), seed=5)
    assert painted.primary_rgb[0].tolist() == [1.0, 0.0, 0.0]
    assert (painted.primary_rgb[1:] == first.primary_rgb[1:]).all()
