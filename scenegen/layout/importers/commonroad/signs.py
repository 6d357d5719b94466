"""Traffic signs and lights of a CommonRoad file: speed limits of lanelets, and props beside the road.

A sign without a place stands at the end of the first lanelet that refers to it, on the right. Signs that the file calls
virtual mean something and stand nowhere. A sign's speed limit holds on all lanelets that refer to it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from scenegen.layout.importers.commonroad.values import point_of
from scenegen.layout.importers.lanelets import Lanelet
from scenegen.layout.importers.xml_file import XmlElement
from scenegen.types.layout import Prop

SPEED_SIGNS = frozenset({"274", "274.1", "R2-1"})
"""Maximum speed, its zone, and the American one; their additional value is in m/s."""
BESIDE_M = 1.0
CARRIERS = {"trafficSign": "trafficSignRef", "trafficLight": "trafficLightRef"}


@dataclass(frozen=True, kw_only=True)
class Signs:
    """Speed limits by lanelet, and by sign or light the lanelets that refer to it."""

    limits_mps: dict[str, float]
    users: dict[str, tuple[str, ...]]


def read_signs(root: XmlElement, lost: Counter[str]) -> Signs:
    """Read what signs mean for lanelets.

    Raises:
        LayoutError: a lanelet refers to a sign or light that the file does not have, or an id is twice.
    """
    limit_of: dict[str, float] = {}
    users: dict[str, list[str]] = {}
    for tag in CARRIERS:
        for element in root.all(tag):
            name = f"{tag} {element.word('id')}"
            if name in users:
                element.fail("an id that is used once", repr(element.word("id")))
            users[name] = []
            limit_mps = _limit_of(element, lost)
            if limit_mps is not None:
                limit_of[name] = limit_mps
    limits_mps: dict[str, float] = {}
    for lanelet in root.all("lanelet"):
        for tag, reference_tag in CARRIERS.items():
            for reference in lanelet.all(reference_tag):
                name = f"{tag} {reference.word('ref')}"
                if name not in users:
                    reference.fail(f"a <{tag}> of the file", repr(reference.word("ref")))
                users[name].append(lanelet.word("id"))
                if name in limit_of:
                    limits_mps[lanelet.word("id")] = limit_of[name]
    return Signs(limits_mps=limits_mps, users={name: tuple(found) for name, found in users.items()})


def _limit_of(element: XmlElement, lost: Counter[str]) -> float | None:
    """Return the speed limit that a sign states."""
    for part in element.all("trafficSignElement"):
        word = part.one("trafficSignID").text_word()
        value = part.first("additionalValue")
        if word in SPEED_SIGNS and value is not None:
            return value.text_number()
        lost[f"what signs {word} say"] += 1
    return None


def props_of(root: XmlElement, signs: Signs, lanelets: dict[str, Lanelet], lost: Counter[str]) -> list[Prop]:
    """Return signs and lights as props that face the traffic they are for."""
    props = []
    for tag, kind in (("trafficSign", "sign"), ("trafficLight", "traffic_light")):
        for element in root.all(tag):
            users = [lanelets[name] for name in signs.users[f"{tag} {element.word('id')}"]]
            virtual = element.first("virtual")
            if virtual is not None and virtual.text_word().lower() == "true":
                lost["virtual signs, which stand nowhere"] += 1
                continue
            position = element.first("position")
            point = position.first("point") if position is not None else None
            if point is None and not users:
                lost[f"{kind}s without a place and a lanelet"] += 1
                continue
            way_m = users[0].right_m[-2:] if users else np.array([[0.0, 0.0], [1.0, 0.0]])
            along = (way_m[1] - way_m[0]) / max(float(np.linalg.norm(way_m[1] - way_m[0])), 1e-9)
            beside_m = way_m[1] + BESIDE_M * np.array([along[1], -along[0]])
            place_m = np.array(point_of(point)) if point is not None else beside_m
            facing_rad = float(np.arctan2(-along[1], -along[0]))
            props.append(Prop(kind=kind, position_world_m=place_m, heading_rad=facing_rad))
    if root.all("trafficLight"):
        lost["traffic light cycles"] += len(root.all("trafficLight"))
    return props
