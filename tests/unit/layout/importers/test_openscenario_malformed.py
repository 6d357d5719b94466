"""Malformed OpenSCENARIO files: each a typed error that names file and element, in well under two seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scenegen.errors import LayoutError
from scenegen.layout.sources import read_layout
from tests.unit.layout.importers.xosc_text import (
    CAR,
    EGO_START,
    after,
    entity,
    event,
    init,
    lane_change,
    scenario,
    speed,
    story,
    teleport,
    trajectory,
    vertex,
    when,
    write_scenario,
)

BOMB = scenario().replace("<OpenSCENARIO>", '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><OpenSCENARIO>&b;', 1)
REFERENCE = '<CatalogReference catalogName="Cat" entryName="bus"/>'


def at(position: str) -> str:
    return scenario(actions=init(Ego=teleport(position)))


def acting(action: str, trigger: str | None = None) -> str:
    return scenario(stories=story("Ego", event(action, after(1.0) if trigger is None else trigger)))


def catalogued(path: str) -> str:
    locations = f'<CatalogLocations><VehicleCatalog><Directory path="{path}"/></VehicleCatalog></CatalogLocations>'
    return scenario(entities=entity("Ego", REFERENCE), catalogs=locations)


def logic(path: str) -> str:
    return scenario(logic=f'<LogicFile filepath="{path}"/>')


CASES: dict[str, tuple[str, str]] = {
    "truncated": (scenario()[:-80], "well-formed XML"),
    "wrong root": ("<OpenDRIVE/>", "<OpenSCENARIO>"),
    "entity bomb": (BOMB, "XML without DTD and entities"),
    "no header": (scenario(header=""), "<FileHeader>"),
    "no revision": (scenario(header="<FileHeader/>"), "revMajor"),
    "revision 2": (scenario(header='<FileHeader revMajor="2" revMinor="0"/>'), "revMajor 1"),
    "no road network": (scenario(logic=""), "<LogicFile>"),
    "road network missing": (logic("../xodr/other.xodr"), "LogicFile"),
    "road network escapes": (logic("../../secret.xodr"), "a path below the folder"),
    "road network is absolute": (logic("/etc/passwd"), "a relative path"),
    "road network is a URL": (logic("http://example.org/a.xodr"), "a relative path"),
    "road network is no xodr": (logic("bad.xosc"), "OpenDRIVE file"),
    "no entities": (scenario(entities=""), "Entities"),
    "entity twice": (scenario(entities=entity("Ego") + entity("Ego")), "ScenarioObject 'Ego'"),
    "entity of nothing": (scenario(entities=entity("Ego", "<Tree/>")), "ScenarioObject 'Ego'"),
    "entity without size": (scenario(entities=entity("Ego", CAR.replace("Dimensions", "Size"))), "<Dimensions>"),
    "entity of negative size": (scenario(entities=entity("Ego", CAR.replace('"5"', '"-5"'))), "Dimensions"),
    "entity size is NaN": (scenario(entities=entity("Ego", CAR.replace('"5"', '"nan"'))), "Dimensions"),
    "nobody to film from": (
        scenario(entities=entity("x", '<MiscObject name="m" miscObjectCategory="barrier"/>'), actions=""), "Entities"),
    "ego nowhere": (scenario(actions=""), "an init position of the ego"),
    "catalog missing": (catalogued("cat"), "a catalog 'Cat'"),
    "catalog escapes": (catalogued("../../.."), "Directory"),
    "catalog entry missing": (catalogued("good"), "CatalogReference"),
    "catalog is malformed": (catalogued("broken"), "well-formed XML"),
    "unknown entity in init": (scenario(actions=init(Nobody=teleport(EGO_START))), "Private 'Nobody'"),
    "unknown road": (at('<LanePosition roadId="9" laneId="-1" s="0"/>'), "LanePosition"),
    "unknown lane": (at('<LanePosition roadId="1" laneId="-7" s="0"/>'), "LanePosition"),
    "beyond the road": (at('<LanePosition roadId="1" laneId="-1" s="900"/>'), "LanePosition"),
    "position is infinite": (at('<WorldPosition x="inf" y="0"/>'), "WorldPosition"),
    "position is huge": (at('<WorldPosition x="1e30" y="0"/>'), "WorldPosition"),
    "two positions": (at(EGO_START + EGO_START), "Position"),
    "position of nobody": (at('<RelativeWorldPosition entityRef="Nobody" dx="0" dy="0"/>'), "'Nobody'"),
    "parameter not declared": (scenario(actions=init(Ego=teleport(EGO_START) + speed("$Fast"))), "declared parameter"),
    "expression that is none": (
        scenario(actions=init(Ego=teleport(EGO_START) + speed("${exit(1)}"))), "a number in value"),
    "speed is text": (scenario(actions=init(Ego=teleport(EGO_START) + speed("fast"))), "AbsoluteTargetSpeed"),
    "unknown shape": (acting(speed("3", 'dynamicsShape="jump" dynamicsDimension="time" value="1"')), "dynamicsShape"),
    "negative time": (acting(speed("3", 'dynamicsShape="linear" dynamicsDimension="time" value="-1"')), "Dynamics"),
    "rate of zero": (acting(speed("3", 'dynamicsShape="linear" dynamicsDimension="rate" value="0"')), "Dynamics"),
    "lane change to nowhere": (acting(lane_change("<OtherTarget/>")), "LaneChangeTarget"),
    "one vertex": (acting(trajectory(vertex(0, 1, 1))), "Polyline"),
    "vertices at one place": (acting(trajectory(vertex(0, 1, 1) + vertex(1, 1, 1))), "Polyline"),
    "vertex times go back": (
        acting(trajectory(vertex(5, 1, 1) + vertex(1, 9, 1), "<Timing/>")), "Vertex[1]"),
    "unknown rule": (
        acting(speed("3"), after(1.0).replace("greaterThan", "about")), "SimulationTimeCondition"),
    "condition of nothing": (acting(speed("3"), when("")), "Condition 'c'"),
    "story of nobody": (scenario(stories=story("Nobody", event(speed("3"), after(1.0)))), "EntityRef 'Nobody'"),
    "no storyboard": (scenario().replace("Storyboard>", "Board>"), "<Storyboard>"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_malformed_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    text, said = CASES[name]
    root = tmp_path / "root"
    root.mkdir()
    path = write_scenario(root, text)
    (tmp_path / "secret.xodr").write_text("<OpenDRIVE/>")
    for folder, content in (
        ("good", '<OpenSCENARIO><Catalog name="Cat"/></OpenSCENARIO>'),
        ("broken", "<OpenSCENARIO>"),
    ):
        (path.parent / folder).mkdir()
        (path.parent / folder / "c.xosc").write_text(content)
    begin_s = time.process_time()
    with pytest.raises(LayoutError) as caught:
        read_layout(f"openscenario:{path}")
    assert time.process_time() - begin_s < 2.0
    message = str(caught.value)
    assert ".xosc" in message and said in message, message


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    path = write_scenario(root, logic("map.xodr"))
    (tmp_path / "secret.xodr").write_text((root / "xodr" / "road.xodr").read_text())
    (path.parent / "map.xodr").symlink_to(tmp_path / "secret.xodr")
    with pytest.raises(LayoutError, match="a path below the folder"):
        read_layout(f"openscenario:{path}")
