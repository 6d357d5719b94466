"""Words of the nuScenes data set in scenegen's: whoever reads its tables or a record made from them needs the same."""

from __future__ import annotations

from scenegen.types import AgentCategory

NUSCENES_LICENCE = (
    "CC BY-NC-SA 4.0 and the nuScenes terms of use ((c) Motional AD Inc.): research and testing, "
    "not commercial, attribution, share alike"
)

CATEGORY_OF_NUSCENES = {
    "vehicle.car": AgentCategory.CAR,
    "vehicle.emergency.police": AgentCategory.CAR,
    "vehicle.emergency.ambulance": AgentCategory.TRUCK,
    "vehicle.truck": AgentCategory.TRUCK,
    "vehicle.bus.bendy": AgentCategory.BUS,
    "vehicle.bus.rigid": AgentCategory.BUS,
    "vehicle.trailer": AgentCategory.TRAILER,
    "vehicle.construction": AgentCategory.CONSTRUCTION_VEHICLE,
    "vehicle.motorcycle": AgentCategory.MOTORCYCLE,
    "vehicle.bicycle": AgentCategory.BICYCLE,
    "movable_object.trafficcone": AgentCategory.TRAFFIC_CONE,
    "movable_object.barrier": AgentCategory.BARRIER,
    "animal": AgentCategory.ANIMAL,
}


def category_of_nuscenes(name: str) -> AgentCategory:
    """Return our category of a nuScenes class; `human.pedestrian.*` is a pedestrian, an unknown class OTHER.

    >>> category_of_nuscenes("human.pedestrian.child").label, category_of_nuscenes("movable_object.debris").label
    ('pedestrian', 'other')
    """
    if name.startswith("human.pedestrian."):
        return AgentCategory.PEDESTRIAN
    return CATEGORY_OF_NUSCENES.get(name, AgentCategory.OTHER)
