"""Malformed CommonRoad files: each a typed error that names file and element, in well under two seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scenegen.cli import main
from scenegen.errors import LayoutError
from scenegen.layout.sources import read_layout
from tests.unit.layout.importers.commonroad_text import RECTANGLE, lanelet, obstacle, points, problem, scenario, state
from tests.unit.layout.importers.mutations import is_read_or_refused, mutations

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><commonRoad>&j;</commonRoad>"
)
EXTERNAL = '<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/hostname">]><commonRoad>&x;</commonRoad>'
LANE, CAR, EGO = lanelet("1"), obstacle(), problem()


def car(**change: object) -> str:
    return scenario(LANE, obstacle(**change), EGO)  # type: ignore[arg-type]


def ego(**change: object) -> str:
    return scenario(LANE, CAR, problem(**change))  # type: ignore[arg-type]


def lane(text: str) -> str:
    return scenario(text, CAR, EGO)


def with_states(*steps: object) -> str:
    return car(states=[state("state", step, x=20.0) for step in steps])


CASES: dict[str, tuple[str, str]] = {
    "empty": ("", ":1"),
    "truncated": (scenario()[:-60], "well-formed XML"),
    "wrong root": ("<OpenDRIVE/>", "<commonRoad>"),
    "entity bomb": (BOMB, "XML without DTD and entities"),
    "external entity": (EXTERNAL, "XML without DTD and entities"),
    "deep": ("<commonRoad>" + "<a>" * 200 + "</a>" * 200 + "</commonRoad>", "at most 100 levels"),
    "no version": (scenario().replace("commonRoadVersion", "version"), "an attribute commonRoadVersion"),
    "version 2017a": (scenario(version="2017a"), "2018b or 2020a"),
    "step of zero": (scenario(step="0"), "timeStepSize"),
    "step is NaN": (scenario(step="nan"), "timeStepSize"),
    "step of an hour": (scenario(step="3600"), "timeStepSize"),
    "no lanelets": (scenario(CAR, EGO), "at least one <lanelet>"),
    "lanelet twice": (scenario(LANE, LANE, EGO), "lanelet '1': expected an id that is used once"),
    "lanelet without id": (lane(LANE.replace(' id="1"', "")), "an attribute id"),
    "no left bound": (lane(LANE.replace("leftBound", "left")), "<leftBound>"),
    "a bound of one point": (
        lane('<lanelet id="1"><leftBound>' + points((0.0, 1.0)) + "</leftBound></lanelet>"), "at least 2 points"),
    "a bound at one place": (
        lane('<lanelet id="1"><leftBound>' + points((0.0, 1.0), (0.0, 1.0)) + "</leftBound></lanelet>"),
        "points at different places"),
    "bounds of different numbers": (lane(LANE.replace(points((0.0, 1.75)), "")), "the same number of points"),
    "bounds that cross to a point": (
        lane(f'<lanelet id="1"><leftBound>{points((0.0, 1.0), (9.0, 1.0))}</leftBound>'
             f"<rightBound>{points((9.0, -1.0), (0.0, -1.0))}</rightBound></lanelet>"), "whose middle is a line"),
    "a bound with NaN": (lane(LANE.replace("<x>30.0</x>", "<x>nan</x>")), "lanelet '1' / leftBound / point[1] / x"),
    "a bound that is huge": (lane(LANE.replace("<x>30.0</x>", "<x>1e300</x>")), "lanelet '1' / leftBound"),
    "a bound with a word": (lane(LANE.replace("<x>30.0</x>", "<x>far</x>")), "a number, found 'far'"),
    "a point without y": (lane(LANE.replace("<y>1.75</y>", "")), "<y>"),
    "a lane as wide as a city": (lane(lanelet("1", width=500.0)), "a width of at most"),
    "an unknown type": (lane(lanelet("1", inside="<laneletType>canal</laneletType>")), "laneletType"),
    "an unknown marking": (lane(lanelet("1", marks=("wavy", "solid"))), "lineMarking"),
    "a negative limit": (lane(lanelet("1", inside="<speedLimit>-3</speedLimit>")), "a positive speed limit"),
    "a successor that is not there": (lane(lanelet("1", links='<successor ref="9"/>')), "lanelet '1' / successor"),
    "a successor of itself": (lane(lanelet("1", links='<successor ref="1"/>')), "another lanelet"),
    "a neighbour that is not there": (
        lane(lanelet("1", links='<adjacentLeft ref="9" drivingDir="same"/>')), "lanelet '1' / adjacentLeft"),
    "a sign that is not there": (lane(lanelet("1", inside='<trafficSignRef ref="5"/>')), "trafficSignRef"),
    "a light that is not there": (lane(lanelet("1", inside='<trafficLightRef ref="5"/>')), "trafficLightRef"),
    "an intersection over nothing": (
        scenario(LANE, '<intersection id="3"><incoming id="4"><successorsLeft ref="8"/></incoming></intersection>'),
        "successorsLeft"),
    "obstacle twice": (scenario(LANE, CAR, CAR, EGO), "dynamicObstacle '50': expected an id that is used once"),
    "obstacle without type": (car(shape="").replace("<type>car</type>", ""), "dynamicObstacle '50'"),
    "obstacle of unknown type": (car(kind="ufo"), "a type out of"),
    "obstacle without shape": (car(shape=""), "<shape>"),
    "a shape of no kind": (car(shape="<shape><star/></shape>"), "a shape out of"),
    "a shape of no size": (car(shape=RECTANGLE.replace("4.5", "0")), "a positive number"),
    "a shape that is a line": (
        car(shape=f"<shape><polygon>{points((0.0, 0.0), (1.0, 0.0), (2.0, 0.0))}</polygon></shape>"), "a width"),
    "no initial state": (car(initial=""), "<initialState>"),
    "a state without time": (car(states=["<state><position/></state>"]), "<time>"),
    "a state without place": (car(states=["<state><time><exact>1</exact></time></state>"]), "<position>"),
    "a position of NaN": (car(initial=state("initialState", 0, x="nan")), "initialState / position / point / x"),
    "unsorted states": (with_states(1, 3, 2), "dynamicObstacle '50' / trajectory / state[2]"),
    "a step twice": (with_states(1, 1), "state[1]"),
    "half a step": (with_states(1.5), "whole steps"),
    "a step in ten years": (with_states(3_000_000), "whole steps from 0 to 20000"),
    "a step before the first": (with_states(-4), "whole steps"),
    "an interval backwards": (
        car(states=["<state><position/><time><intervalStart>3</intervalStart><intervalEnd>1</intervalEnd></time></state>"]),
        "an interval that ends after it starts"),
    "faster than any car": (with_states(1).replace("<exact>10.0</exact></velocity></initialState>",
                                                   "<exact>1e6</exact></velocity></initialState>"), "m/s"),
    "an unknown role": (
        scenario(LANE, '<obstacle id="5"><role>ghost</role></obstacle>', EGO), "a role static or dynamic"),
    "an ego beside all lanes": (ego(initial=state("initialState", 0, x=5.0, y=400.0)), "a lane within"),
    "an ego without velocity": (
        ego(initial=state("initialState", 0).replace("velocity", "speed")), "an orientation and a velocity"),
    "no goal": (ego(goal=""), "<goalState>"),
    "a goal without time": (ego(goal="<goalState/>"), "<time>"),
    "a goal in the past": (ego(initial=state("initialState", 30, x=5.0)), "a goal after step 30"),
    "a goal on no lanelet": (ego(position='<position><lanelet ref="77"/></position>'), "position / lanelet"),
    "nothing to drive on": (scenario(lanelet("1", inside="<laneletType>sidewalk</laneletType>")), "a driving lane"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_malformed_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    text, said = CASES[name]
    path = tmp_path / "bad.xml"
    path.write_bytes(text.encode())
    begin_s = time.process_time()
    with pytest.raises(LayoutError) as caught:
        read_layout(f"commonroad:{path}")
    assert time.process_time() - begin_s < 2.0
    message = str(caught.value)
    assert said in message, message
    assert "bad.xml" in message or "agent" in message, message


def test_nothing_is_written_and_the_exit_code_is_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, target = tmp_path / "bad.xml", tmp_path / "made.yaml"
    path.write_text(BOMB)
    assert main(["layout", "import", f"commonroad:{path}", "-o", str(target)]) == 2
    assert "bad.xml:1" in capsys.readouterr().err
    assert not target.exists()


def test_whatever_is_changed_in_a_file_it_is_read_or_refused(tmp_path: Path) -> None:
    sign = "<trafficSignElement><trafficSignID>274</trafficSignID><additionalValue>8</additionalValue>"
    first = lanelet(
        "1", marks=("dashed", "solid"), links='<successor ref="2"/><adjacentLeft ref="3" drivingDir="same"/>',
        inside='<laneletType>urban</laneletType><trafficSignRef ref="70"/><stopLine/>',
    )  # fmt: skip
    goal = "<position><rectangle><length>4</length><width>2</width><center><x>80</x><y>0</y></center></rectangle>"
    text = scenario(
        first, lanelet("2", begin=60.0, end=120.0), lanelet("3", right=1.75), CAR,
        f'<trafficSign id="70">{sign}</trafficSignElement></trafficSign>',
        problem(position=f"{goal}</position>", last=60),
        '<intersection id="80"><incoming id="81"><successorsLeft ref="2"/></incoming></intersection>',
    )  # fmt: skip
    path, outcomes = tmp_path / "changed.xml", {True: 0, False: 0}
    for number, changed in mutations(text, 250):
        path.write_text(changed)
        outcomes[is_read_or_refused(f"commonroad:{path}", number)] += 1
    assert min(outcomes.values()) > 20
