"""Malformed Lanelet2 maps: each a typed error that names file and element, in well under two seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scenegen.cli import main
from scenegen.errors import LayoutError
from scenegen.layout.sources import read_layout
from tests.unit.layout.importers.mutations import is_read_or_refused, mutations
from tests.unit.layout.importers.osm_text import LANES, NODES, WAYS, lanelet, member, node, osm, relation, way

pytest.importorskip("pyproj", reason="pyproj is not installed (extra `geo`)")

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><osm>&j;</osm>"
)
EXTERNAL = '<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/hostname">]><osm>&x;</osm>'
OPEN = relation("50", member("way", "010", "outer") + member("way", "120", "outer"), "multipolygon", "parking")

ROUND = relation("50", member("way", "p", "outer"), "multipolygon", "parking")


def with_node(text: str) -> str:
    return osm(nodes=NODES + text)


CASES: dict[str, tuple[str, str]] = {
    "empty": ("", ":1"),
    "truncated": (osm()[:-30], "well-formed XML"),
    "wrong root": ("<commonRoad/>", "<osm>"),
    "entity bomb": (BOMB, "XML without DTD and entities"),
    "external entity": (EXTERNAL, "XML without DTD and entities"),
    "deep": ("<osm>" + "<a>" * 200 + "</a>" * 200 + "</osm>", "at most 100 levels"),
    "no version": (osm().replace('version="0.6"', ""), "an attribute version"),
    "version 0.5": (osm(version="0.5"), "OSM of version 0.6"),
    "no nodes": (osm(nodes=""), "at least one <node>"),
    "no ways": (osm(ways=""), "at least one <way>"),
    "no relations": (f'<osm version="0.6">{NODES}{WAYS}</osm>', "at least one <relation>"),
    "node twice": (with_node(node("00", 0.0, 0.0)), "node '00': expected an id that is used once"),
    "way twice": (osm(ways=WAYS + way("010", ("00", "10"))), "way '010'"),
    "relation twice": (osm(LANES, LANES), "relation '10'"),
    "node without id": (with_node('<node lat="0" lon="0"/>'), "an attribute id"),
    "latitude of NaN": (with_node('<node id="x" lat="nan" lon="0"/>'), "node 'x': expected a finite number"),
    "latitude of 95": (with_node('<node id="x" lat="95" lon="0"/>'), "node 'x': expected a latitude"),
    "longitude that is huge": (with_node('<node id="x" lat="0" lon="1e300"/>'), "node 'x': expected a finite number"),
    "longitude is text": (with_node('<node id="x" lat="0" lon="east"/>'), "a number in lon"),
    "no longitude": (with_node('<node id="x" lat="0"/>'), "an attribute lon"),
    "a node on another continent": (with_node('<node id="x" lat="50" lon="8"/>'), "node 'x': expected a place within"),
    "a local place of infinity": (
        osm(nodes=NODES.replace("</node>", '<tag k="local_x" v="inf"/><tag k="local_y" v="0"/></node>')),
        "a finite number"),
    "a node that is not there": (osm(ways=WAYS + way("w", ("00", "99"))), "way 'w' / nd[1]: expected a node"),
    "a way of no nodes": (osm(ways=WAYS + way("w", ())), "way 'w': expected at least one <nd>"),
    "a tag without value": (osm(ways=WAYS + '<way id="w"><nd ref="00"/><tag k="type"/></way>'), "way 'w' / tag"),
    "a bound that is not there": (osm(lanelet("10", "011", "777")), "relation '10' / member[1]"),
    "no right bound": (osm(relation("10", member("way", "011", "left"), "lanelet", "road")), "one way as right"),
    "two left bounds": (osm(lanelet("10", "011", "010", more=member("way", "012", "left"))), "as left, found 2"),
    "a relation as bound": (
        osm(relation("10", member("relation", "11", "left") + member("way", "010", "right"), "lanelet", "road")
            + lanelet("11", "121", "120")), "one way as left, found 0"),
    "a bound of one node": (osm(lanelet("10", "p", "010"), ways=WAYS + way("p", ("01",))), "way 'p'"),
    "a bound at one place": (osm(lanelet("10", "p", "010"), ways=WAYS + way("p", ("01", "01"))), "way 'p'"),
    "a lanelet that refers to itself": (
        osm(lanelet("10", "011", "010", more=member("relation", "10", "regulatory_element"))), "another relation"),
    "a rule that is not there": (
        osm(lanelet("10", "011", "010", more=member("relation", "99", "regulatory_element"))), "'10' / member"),
    "a rule of itself": (
        osm(LANES, relation("60", member("relation", "60", "yield"), "regulatory_element", "right_of_way")),
        "relation '60' / member"),
    "a sign that is not there": (
        osm(LANES, relation("60", member("way", "99", "refers"), "regulatory_element", "speed_limit")),
        "a way of the file"),
    "a limit that is no speed": (osm(lanelet("10", "011", "010", speed_limit="fast")), "a positive speed_limit"),
    "a limit of zero": (osm(lanelet("10", "011", "010", speed_limit="0 km/h")), "a positive speed_limit"),
    "an area that does not close": (osm(LANES, OPEN), "relation '50': expected outer ways that close to a ring"),
    "an area of nothing": (osm(LANES, relation("50", "", "multipolygon", "parking")), "at least one outer way"),
    "an area of one node": (
        osm(LANES, ROUND, ways=WAYS + way("p", ("01",))), "relation '50'"),
    "an area there and back": (
        osm(LANES, ROUND, ways=WAYS + way("p", ("01", "11", "01"))), "at least three corners"),
    "a lane as wide as a city": (
        osm(lanelet("10", "f", "010"), nodes=NODES + node("f0", 0.0, 900.0) + node("f1", 40.0, 900.0),
            ways=WAYS + way("f", ("f0", "f1"))), "a width of at most"),
    "nothing to drive on": (osm(lanelet("10", "011", "010", subtype="walkway")), "a driving lane"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_malformed_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    text, said = CASES[name]
    path = tmp_path / "bad.osm"
    path.write_bytes(text.encode())
    begin_s = time.process_time()
    with pytest.raises(LayoutError) as caught:
        read_layout(f"lanelet2:{path}")
    assert time.process_time() - begin_s < 2.0
    message = str(caught.value)
    assert "bad.osm" in message and said in message, message


def test_nothing_is_written_and_the_exit_code_is_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, target = tmp_path / "bad.osm", tmp_path / "made.yaml"
    path.write_text(osm(version="0.5"))
    assert main(["layout", "import", f"lanelet2:{path}", "-o", str(target)]) == 2
    assert "bad.osm:1" in capsys.readouterr().err
    assert not target.exists()


def test_whatever_is_changed_in_a_file_it_is_read_or_refused(tmp_path: Path) -> None:
    parking = member("way", "w1", "outer") + member("way", "w2", "outer")
    text = osm(
        LANES, lanelet("20", "012", "011", subtype="walkway", one_way="no"),
        relation("50", parking, "multipolygon", "parking"),
        relation("60", member("way", "s1", "refers"), "regulatory_element", "speed_limit"),
        ways=WAYS + way("w1", ("02", "12", "13")) + way("w2", ("02", "13"))
        + way("s1", ("22", "23"), type="traffic_sign", subtype="de274-30"),
    )  # fmt: skip
    path, outcomes = tmp_path / "changed.osm", {True: 0, False: 0}
    for number, changed in mutations(text, 250):
        path.write_text(changed)
        outcomes[is_read_or_refused(f"lanelet2:{path}", number)] += 1
    assert min(outcomes.values()) > 20
