"""The one table between scenegen's words and those of nuScenes: categories, attributes, visibility, lanes, lines."""

from __future__ import annotations

import numpy as np

from scenegen.dataset.labels import Boxes
from scenegen.types import AgentCategory, AgentTrack
from scenegen.types.layout import MOVING_MPS

NAME_OF_CATEGORY: dict[AgentCategory, str] = {
    AgentCategory.CAR: "vehicle.car",
    AgentCategory.TRUCK: "vehicle.truck",
    AgentCategory.BUS: "vehicle.bus.rigid",
    AgentCategory.TRAILER: "vehicle.trailer",
    AgentCategory.CONSTRUCTION_VEHICLE: "vehicle.construction",
    AgentCategory.PEDESTRIAN: "human.pedestrian.adult",
    AgentCategory.MOTORCYCLE: "vehicle.motorcycle",
    AgentCategory.BICYCLE: "vehicle.bicycle",
    AgentCategory.TRAFFIC_CONE: "movable_object.trafficcone",
    AgentCategory.BARRIER: "movable_object.barrier",
    AgentCategory.ANIMAL: "animal",
    AgentCategory.OTHER: "movable_object.debris",
}
"""Where an imported log already had a nuScenes name (`AgentTrack.source_category`), that name is kept."""

CATEGORY_NOTES: dict[str, str] = {
    "human.pedestrian.adult": "Adult.",
    "human.pedestrian.child": "Child.",
    "human.pedestrian.wheelchair": "Wheelchair, with the person in it.",
    "human.pedestrian.stroller": "Stroller, with the child in it.",
    "human.pedestrian.personal_mobility": "Small vehicle for one person: skateboard, scooter.",
    "human.pedestrian.police_officer": "Police officer.",
    "human.pedestrian.construction_worker": "Construction worker.",
    "animal": "Any animal.",
    "vehicle.car": "Car, van, jeep, pickup.",
    "vehicle.motorcycle": "Motorcycle, with its rider.",
    "vehicle.bicycle": "Bicycle, with its rider.",
    "vehicle.bus.bendy": "Bus of several rigid parts.",
    "vehicle.bus.rigid": "Bus in one piece.",
    "vehicle.truck": "Truck, lorry, semi-tractor.",
    "vehicle.construction": "Vehicle for construction work.",
    "vehicle.emergency.ambulance": "Ambulance.",
    "vehicle.emergency.police": "Police vehicle.",
    "vehicle.trailer": "Trailer of any vehicle.",
    "movable_object.barrier": "Temporary road barrier.",
    "movable_object.trafficcone": "Traffic cone.",
    "movable_object.pushable_pullable": "Thing to push or pull: bin, trolley.",
    "movable_object.debris": "Debris, and whatever scenegen calls `other`.",
    "static_object.bicycle_rack": "Place to park bicycles.",
}
"""The 23 categories of nuScenes v1.0, in its order; the descriptions are ours."""

ATTRIBUTE_NOTES: dict[str, str] = {
    "vehicle.moving": "Vehicle is moving.",
    "vehicle.stopped": "Vehicle stands, and moves at another time of the scene.",
    "vehicle.parked": "Vehicle stands all the time.",
    "cycle.with_rider": "There is a rider.",
    "cycle.without_rider": "There is no rider.",
    "pedestrian.sitting_lying_down": "The human sits or lies.",
    "pedestrian.standing": "The human stands.",
    "pedestrian.moving": "The human moves.",
}

VISIBILITY_LEVELS = {"1": (0, 40), "2": (40, 60), "3": (60, 80), "4": (80, 100)}
"""Token of each level and the percentages of the thing that are visible."""

LANE_TYPE_OF_KIND = {"vehicle": "CAR", "bus": "CAR", "bike": "BIKE"}
"""Lanes of other kinds (`walk`) are no lanes in nuScenes."""
LINE_OF_KIND = {"solid": "SINGLE_SOLID", "dashed": "SINGLE_DASHED", "double_solid": "DOUBLE_SOLID"}


def category_name(category: AgentCategory, source_category: str) -> str:
    """Return the nuScenes category of an agent.

    >>> category_name(AgentCategory.BUS, "bus"), category_name(AgentCategory.BUS, "vehicle.bus.bendy")
    ('vehicle.bus.rigid', 'vehicle.bus.bendy')
    """
    return source_category if source_category in CATEGORY_NOTES else NAME_OF_CATEGORY[category]


def box_attribute(boxes: Boxes, idx: int, agent: AgentTrack) -> str:
    """Return the nuScenes attribute of a box of an agent, '' where its category has none."""
    return attribute_name(
        category_name(agent.category, agent.source_category),
        boxes.attribute[idx],
        speed_mps=float(np.linalg.norm(boxes.velocity_world_mps[idx])),
        top_speed_mps=float(np.linalg.norm(agent.velocity_world_mps[agent.valid], axis=1).max()),
    )


def attribute_name(name: str, attribute: str, *, speed_mps: float, top_speed_mps: float) -> str:
    """Return the nuScenes attribute of a box, '' where its category has none.

    The layout's own attribute counts where it fits the category and the speed of the moment: nuScenes attributes
    change with time, the layout's do not. Otherwise it follows from the speeds.

    Args:
        name: the nuScenes category.
        attribute: what the layout says; '' where it says nothing.
        speed_mps: of the box.
        top_speed_mps: of its agent over the whole scene.

    >>> attribute_name("vehicle.car", "vehicle.moving", speed_mps=0.0, top_speed_mps=9.0)
    'vehicle.stopped'
    >>> attribute_name("vehicle.bicycle", "", speed_mps=4.0, top_speed_mps=4.0)
    'cycle.with_rider'
    """
    is_moving = speed_mps > MOVING_MPS
    if name in ("vehicle.bicycle", "vehicle.motorcycle"):
        derived = "cycle.with_rider" if top_speed_mps > MOVING_MPS else "cycle.without_rider"
        return attribute if attribute.startswith("cycle.") else derived
    if name.startswith("vehicle."):
        at_rest = "vehicle.parked" if top_speed_mps <= MOVING_MPS else "vehicle.stopped"
        stands = attribute if attribute in ("vehicle.stopped", "vehicle.parked") else at_rest
        return "vehicle.moving" if is_moving else stands
    if name.startswith("human.pedestrian."):
        stands = attribute if attribute == "pedestrian.sitting_lying_down" else "pedestrian.standing"
        return "pedestrian.moving" if is_moving else stands
    return ""
