"""Entities of a scenario: what they are, how large, and where their reference point is.

OpenSCENARIO places a vehicle by the middle of its rear axle on the ground; the bounding box says where the box is from
there.
"""

from __future__ import annotations

from dataclasses import dataclass

from scenegen.layout.importers.openscenario.catalogs import Catalogs
from scenegen.layout.importers.xml_file import XmlElement
from scenegen.layout.motion import DEFAULT_SIZE_LWH_M
from scenegen.types.taxonomy import AgentCategory, parse_category

CATEGORY_OF_VEHICLE = {
    "car": AgentCategory.CAR,
    "van": AgentCategory.CAR,
    "truck": AgentCategory.TRUCK,
    "trailer": AgentCategory.TRAILER,
    "semitrailer": AgentCategory.TRAILER,
    "bus": AgentCategory.BUS,
    "motorbike": AgentCategory.MOTORCYCLE,
    "bicycle": AgentCategory.BICYCLE,
}
CATEGORY_OF_PEDESTRIAN = {
    "pedestrian": AgentCategory.PEDESTRIAN,
    "wheelchair": AgentCategory.PEDESTRIAN,
    "animal": AgentCategory.ANIMAL,
}
KINDS = ("Vehicle", "Pedestrian", "MiscObject")
CATEGORY_PROPERTY = "scenegen.category"
"""Property by which our exporter names a category that OpenSCENARIO has no word for."""
EGO_NAMES = ("ego", "egovehicle", "ego_vehicle", "hero", "host", "hostvehicle")


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One scenario object.

    Attributes:
        center_m: of the box, ahead, left and above the reference point.
        rear_axle_m: how far ahead of the reference point the rear axle is.
    """

    name: str
    category: AgentCategory
    source_category: str
    size_lwh_m: tuple[float, float, float]
    center_m: tuple[float, float, float]
    rear_axle_m: float
    color_rgb: tuple[int, int, int] | None
    lost: tuple[str, ...]

    @property
    def is_vehicle(self) -> bool:
        """Say whether it keeps to lanes of its own."""
        return self.source_category.startswith("vehicle.")


def read_entities(root: XmlElement, catalogs: Catalogs) -> dict[str, Entity]:
    """Read all scenario objects by name.

    Raises:
        LayoutError: no entities, a name twice, a missing catalog entry or an impossible box.
    """
    found: dict[str, Entity] = {}
    for item in root.one("Entities").all("ScenarioObject"):
        name = item.word("name")
        if name in found:
            item.fail("entity names used once", f"{name!r} again")
        found[name] = _entity(name, item, catalogs)
    if not found:
        root.one("Entities").fail("at least one <ScenarioObject>", "none")
    return found


def ego_of(entities: dict[str, Entity], root: XmlElement) -> str:
    """Choose the ego: the entity of that name, else the first vehicle.

    Raises:
        LayoutError: there is no vehicle.
    """
    named = [name for name in entities if name.lower() in EGO_NAMES]
    vehicles = [name for name, entity in entities.items() if entity.is_vehicle]
    if not named and not vehicles:
        root.one("Entities").fail("an entity named Ego, or a vehicle", ", ".join(entities))
    return [*named, *vehicles][0]


def _entity(name: str, item: XmlElement, catalogs: Catalogs) -> Entity:
    reference = item.first("CatalogReference")
    body = (
        catalogs.entry(reference) if reference is not None else next((c for c in item.children if c.tag in KINDS), None)
    )
    if body is None or body.tag not in KINDS:
        item.fail(f"one of {', '.join(KINDS)}", body.tag if body is not None else "none of them")
    category, source_category = _category(body)
    own = parse_category(_property(body, CATEGORY_PROPERTY))
    category = category if own is None else own
    size_lwh_m, center_m = _box(body, category)
    axles = body.first("Axles")
    rear = axles.first("RearAxle") if axles is not None else None
    lost = [f"trailer of entity {name!r}"] if any(child.tag == "Vehicle" for child in _inside(body)) else []
    if any(child.first("TrailerRef") and child.one("TrailerRef").has("entityRef") for child in body.all("Trailer")):
        lost.append(f"hitch of entity {name!r}")
    if item.first("ObjectController") is not None:
        lost.append(f"controller of entity {name!r}: it does as the storyboard says")
    return Entity(
        name=name,
        category=category,
        source_category=source_category,
        size_lwh_m=size_lwh_m,
        center_m=center_m,
        rear_axle_m=rear.number("positionX", 0.0) if rear is not None else 0.0,
        color_rgb=_color(body),
        lost=tuple(lost),
    )


def _inside(body: XmlElement) -> list[XmlElement]:
    return [element for element in body.below() if element is not body]


def _category(body: XmlElement) -> tuple[AgentCategory, str]:
    if body.tag == "Vehicle":
        kind = body.word("vehicleCategory")
        return CATEGORY_OF_VEHICLE.get(kind, AgentCategory.OTHER), f"vehicle.{kind}"
    if body.tag == "Pedestrian":
        kind = body.word("pedestrianCategory")
        return CATEGORY_OF_PEDESTRIAN.get(kind, AgentCategory.OTHER), f"pedestrian.{kind}"
    kind, name = body.word("miscObjectCategory"), body.word("name", "").lower()
    if "cone" in name:
        return AgentCategory.TRAFFIC_CONE, f"misc.{kind}"
    return (AgentCategory.BARRIER if kind in ("barrier", "railing") else AgentCategory.OTHER), f"misc.{kind}"


def _box(body: XmlElement, category: AgentCategory) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    box = body.first("BoundingBox")
    if box is None:
        size_lwh_m = DEFAULT_SIZE_LWH_M[category]
        return size_lwh_m, (0.0, 0.0, 0.5 * size_lwh_m[2])
    center, size = box.one("Center"), box.one("Dimensions")
    size_lwh_m = (size.number("length"), size.number("width"), size.number("height"))
    if min(size_lwh_m) <= 0.0:
        size.fail("positive length, width and height", str(size_lwh_m))
    return size_lwh_m, (center.number("x"), center.number("y"), center.number("z"))


def _color(body: XmlElement) -> tuple[int, int, int] | None:
    """Return the colour of esmini's property `color`, as `#rrggbb`."""
    text = _property(body, "color")
    if len(text) != 7 or not text.startswith("#"):
        return None
    try:
        return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
    except ValueError:
        return None


def _property(body: XmlElement, name: str) -> str:
    """Return the value of a property, empty where there is none of that name."""
    properties = body.first("Properties")
    found = [item for item in (properties.all("Property") if properties else []) if item.word("name", "") == name]
    return found[0].word("value", "") if found else ""
