"""Malformed OpenDRIVE files: each a typed error that names file and element, in well under two seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scenegen.errors import LayoutError
from scenegen.layout.sources import read_layout
from tests.unit.layout.importers.xodr_text import LINE, lane, network, road, section

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><OpenDRIVE>&j;</OpenDRIVE>"
)
EXTERNAL = '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/hostname">]><OpenDRIVE>&x;</OpenDRIVE>'


def with_width(width: str) -> str:
    return network(road(sections=section(right=lane(-1, width=width))))


def linked(link: str) -> str:
    return network(road(link=f"<link>{link}</link>"))


def shaped(geometry: str) -> str:
    return network(road(plan=geometry))


CONNECTION = '<junction id="7"><connection id="0" {}><laneLink from="-1" to="-1"/></connection></junction>'
POLY = '<paramPoly3 pRange="x" aU="0" bU="1" cU="0" dU="0" aV="0" bV="0" cV="0" dV="0"/>'
BACK = LINE + LINE.replace('s="0"', 's="50"') + LINE.replace('s="0"', 's="20"')
CASES: dict[str, tuple[str, str]] = {
    "empty": ("", ":1"),
    "truncated": (network()[:-40], "well-formed XML"),
    "binary": ("\x01\x02\x03", "well-formed XML"),
    "wrong root": ("<OpenSCENARIO/>", "<OpenDRIVE>"),
    "entity bomb": (BOMB, "XML without DTD and entities"),
    "external entity": (EXTERNAL, "XML without DTD and entities"),
    "deep": ("<OpenDRIVE>" + "<a>" * 200 + "</a>" * 200 + "</OpenDRIVE>", "at most 100 levels"),
    "no header": (network(header=""), "<header>"),
    "no revision": (network(header="<header/>"), "header: expected an attribute revMajor"),
    "revision 2": (network(header='<header revMajor="2" revMinor="0"/>'), "header"),
    "no roads": ('<OpenDRIVE><header revMajor="1" revMinor="4"/></OpenDRIVE>', "at least one <road>"),
    "road twice": (network(road(), road()), "road '1'"),
    "zero length": (network(road(length="0")), "road '1': expected a positive length"),
    "negative length": (network(road(length="-5")), "road '1'"),
    "length is NaN": (network(road(length="nan")), "road '1'"),
    "length is huge": (network(road(length="1e300")), "road '1'"),
    "length is text": (network(road(length="long")), "a number in length"),
    "no plan view": (network(road()).replace("planView", "plan"), "<planView>"),
    "empty plan view": (shaped(""), "road '1' / planView"),
    "unknown geometry": (shaped(LINE.replace("line", "bezier")), "geometry"),
    "two geometries": (shaped(LINE.replace("<line/>", '<line/><arc curvature="0"/>')), "geometry"),
    "position is NaN": (shaped(LINE.replace('x="0"', 'x="nan"')), "geometry"),
    "position is infinite": (shaped(LINE.replace('y="0"', 'y="inf"')), "geometry"),
    "curvature is huge": (shaped(LINE.replace("<line/>", '<arc curvature="1e5"/>')), "arc"),
    "spiral without end": (shaped(LINE.replace("<line/>", '<spiral curvStart="0"/>')), "curvEnd"),
    "unknown pRange": (shaped(LINE.replace("<line/>", POLY)), "pRange"),
    "geometry goes back": (shaped(BACK), "geometry[2]"),
    "geometry begins late": (shaped(LINE.replace('s="0"', 's="10"')), "geometry"),
    "no lanes": (network(road()).replace("lanes>", "streets>"), "<lanes>"),
    "no lane section": (network(road(sections="<other/>")), "road '1' / lanes"),
    "section beyond the road": (network(road(sections=section() + section(s=500.0))), "laneSection[1]"),
    "lane without width": (with_width(""), "lane '-1'"),
    "negative width": (with_width('<width sOffset="0" a="-3" b="0" c="0" d="0"/>'), "lane '-1'"),
    "width that becomes negative": (with_width('<width sOffset="0" a="3" b="-0.1" c="0" d="0"/>'), "lane '-1'"),
    "width explodes": (with_width('<width sOffset="0" a="3" b="0" c="0" d="1"/>'), "lane '-1'"),
    "width is NaN": (with_width('<width sOffset="0" a="nan" b="0" c="0" d="0"/>'), "lane '-1' / width"),
    "widths go back": (with_width(
        '<width sOffset="9" a="3" b="0" c="0" d="0"/><width sOffset="1" a="3" b="0" c="0" d="0"/>'), "width[1]"),
    "lane ids with a gap": (network(road(sections=section(right=lane(-1) + lane(-3)))), "laneSection"),
    "lane id twice": (network(road(sections=section(right=lane(-1) + lane(-1)))), "lane '-1'"),
    "lane on the wrong side": (network(road(sections=section(left=lane(-1), right=""))), "lane '-1'"),
    "lane id is a fraction": (network(road(sections=section(right='<lane id="-1.5" type="driving"/>'))), "lane '-1.5'"),
    "link without kind": (linked('<successor elementId="1"/>'), "elementType"),
    "link to nowhere": (linked('<successor elementType="road" elementId="9" contactPoint="start"/>'), "successor"),
    "link to no junction": (linked('<successor elementType="junction" elementId="9"/>'), "successor"),
    "link to itself": (linked('<successor elementType="road" elementId="1" contactPoint="end"/>'), "linked to itself"),
    "link without contact": (linked('<predecessor elementType="road" elementId="1"/>'), "contactPoint"),
    "connection without road": (network(tail=CONNECTION.format('incomingRoad="1"')), "connectingRoad"),
    "connection to nowhere": (
        network(tail=CONNECTION.format('incomingRoad="1" connectingRoad="8" contactPoint="start"')), "junction '7'"),
    "speed in knots": (network(road(extra='<type s="0"><speed max="9" unit="kn"/></type>')), "speed"),
    "object without place": (network(road(extra='<objects><object id="o" type="tree"/></objects>')), "object 'o'"),
    "object that repeats for ever": (
        network(road(extra='<objects><object id="o" type="tree" s="0" t="9">'
                           '<repeat s="0" length="90" distance="1e-5"/></object></objects>')), "object 'o'"),
    "negative repetition": (
        network(road(extra='<objects><object id="o" type="tree" s="0" t="9">'
                           '<repeat s="0" length="-9" distance="1"/></object></objects>')), "repeat"),
    "nothing to drive on": (
        network(road(sections=section(left="", right=lane(-1, kind="sidewalk")))), "a driving lane"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_malformed_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    text, said = CASES[name]
    path = tmp_path / "bad.xodr"
    path.write_bytes(text.encode())
    begin_s = time.process_time()
    with pytest.raises(LayoutError) as caught:
        read_layout(f"opendrive:{path}")
    assert time.process_time() - begin_s < 2.0
    message = str(caught.value)
    assert "bad.xodr" in message and said in message, message


def test_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.xodr"):
        with pytest.raises(LayoutError, match=path.name):
            read_layout(f"opendrive:{path}")
