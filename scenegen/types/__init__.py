"""The vocabulary: frozen dataclasses, numpy only, no files."""

from scenegen.types.camera import Camera, CameraRig
from scenegen.types.conditions import ConditionMaps
from scenegen.types.layout import (
    AgentTrack,
    Area,
    EgoTrack,
    Environment,
    Lane,
    LaneLine,
    Layout,
    Prop,
    RoadMap,
)
from scenegen.types.lens import PINHOLE, Lens
from scenegen.types.record import Provenance, SceneChunk, SceneRecord
from scenegen.types.seeding import RandomKey, random_generator, random_key
from scenegen.types.taxonomy import (
    SEMANTIC_OF_CATEGORY,
    SEMANTIC_OF_GROUND,
    STATIC_INSTANCE_OFFSET,
    VEHICLE_CATEGORIES,
    AgentCategory,
    Material,
    Semantic,
    parse_category,
)
from scenegen.types.timeline import Timeline
from scenegen.types.world import (
    OCC3D_GRID,
    RAISED_MATERIALS,
    AppearanceTable,
    GridSpec,
    Lighting,
    OccupancyView,
    ShapeKind,
    ShapeSet,
    StaticTable,
    World,
)

__all__ = [
    "OCC3D_GRID",
    "PINHOLE",
    "RAISED_MATERIALS",
    "SEMANTIC_OF_CATEGORY",
    "SEMANTIC_OF_GROUND",
    "STATIC_INSTANCE_OFFSET",
    "VEHICLE_CATEGORIES",
    "AgentCategory",
    "AgentTrack",
    "AppearanceTable",
    "Area",
    "Camera",
    "CameraRig",
    "ConditionMaps",
    "EgoTrack",
    "Environment",
    "GridSpec",
    "Lane",
    "LaneLine",
    "Layout",
    "Lens",
    "Lighting",
    "Material",
    "OccupancyView",
    "Prop",
    "Provenance",
    "RandomKey",
    "RoadMap",
    "SceneChunk",
    "SceneRecord",
    "Semantic",
    "ShapeKind",
    "ShapeSet",
    "StaticTable",
    "Timeline",
    "World",
    "parse_category",
    "random_generator",
    "random_key",
]
