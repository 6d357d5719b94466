"""Small CommonRoad files as text, for tests to bend."""

from __future__ import annotations

from collections.abc import Iterable


def points(*xy: tuple[float, float]) -> str:
    return "".join(f"<point><x>{x}</x><y>{y}</y></point>" for x, y in xy)


def lanelet(
    lanelet_id: str,
    *,
    begin: float = 0.0,
    end: float = 60.0,
    right: float = -1.75,
    width: float = 3.5,
    links: str = "",
    marks: tuple[str, str] | None = None,
    inside: str = "<laneletType>urban</laneletType>",
) -> str:
    """A straight lanelet to the east."""
    left_mark, right_mark = (f"<lineMarking>{mark}</lineMarking>" for mark in marks) if marks else ("", "")
    left = points((begin, right + width), (0.5 * (begin + end), right + width), (end, right + width))
    low = points((begin, right), (0.5 * (begin + end), right), (end, right))
    return (
        f'<lanelet id="{lanelet_id}"><leftBound>{left}{left_mark}</leftBound>'
        f"<rightBound>{low}{right_mark}</rightBound>{links}{inside}</lanelet>"
    )


def exact(tag: str, value: object) -> str:
    return f"<{tag}><exact>{value}</exact></{tag}>"


def state(
    tag: str, step: object, *, x: object = 0.0, y: object = 0.0, heading: object = 0.0, speed: object = 10.0
) -> str:
    place = f"<position><point><x>{x}</x><y>{y}</y></point></position>"
    return f"<{tag}>{place}{exact('orientation', heading)}{exact('time', step)}{exact('velocity', speed)}</{tag}>"


RECTANGLE = "<shape><rectangle><length>4.5</length><width>1.8</width></rectangle></shape>"


def obstacle(
    obstacle_id: str = "50",
    *,
    kind: str = "car",
    shape: str = RECTANGLE,
    initial: str | None = None,
    states: Iterable[str] | None = None,
) -> str:
    """A car that drives at 10 m/s from 20 m ahead."""
    initial = state("initialState", 0, x=20.0) if initial is None else initial
    following = [state("state", step, x=20.0 + step) for step in range(1, 11)] if states is None else states
    return (
        f'<dynamicObstacle id="{obstacle_id}"><type>{kind}</type>{shape}{initial}'
        f"<trajectory>{''.join(following)}</trajectory></dynamicObstacle>"
    )


def problem(
    *, initial: str | None = None, position: str = "", last: object = 20, velocity: str = "", goal: str | None = None
) -> str:
    initial = state("initialState", 0, x=5.0) if initial is None else initial
    time = f"<time><intervalStart>10</intervalStart><intervalEnd>{last}</intervalEnd></time>"
    goal = f"<goalState>{position}{time}{velocity}</goalState>" if goal is None else goal
    return f'<planningProblem id="1">{initial}{goal}</planningProblem>'


def scenario(
    *parts: str, version: str = "2020a", step: str = "0.1", attributes: str = 'benchmarkID="ZAM_Small-1_1_T-1"'
) -> str:
    return (
        f'<?xml version="1.0"?><commonRoad commonRoadVersion="{version}" timeStepSize="{step}" {attributes}>'
        f"{''.join(parts or (lanelet('1'), obstacle(), problem()))}</commonRoad>"
    )
