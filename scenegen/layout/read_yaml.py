"""Read a layout from a YAML file, with errors that name file, line and key."""

from __future__ import annotations

import difflib
import reprlib
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from scenegen.errors import LayoutError
from scenegen.layout.validate import find_problem
from scenegen.layout.yaml_agents import build_agents
from scenegen.layout.yaml_ego import build_ego
from scenegen.layout.yaml_format import LayoutSpec
from scenegen.layout.yaml_lines import KeyPath, MarkedYaml, read_marked_yaml
from scenegen.layout.yaml_roads import build_ground
from scenegen.types.layout import Environment, Layout
from scenegen.types.timeline import Timeline


def read_yaml_layout(path: Path, *, source: Literal["file", "library"] = "file") -> Layout:
    """Read, build and validate the layout of a YAML file.

    Raises:
        LayoutError: anything wrong with the file or the scene; the message names file, line and key.
    """
    marked = read_marked_yaml(path)
    spec = parse_spec(marked)
    try:
        layout = _build(spec, marked, source)
    except LayoutError as error:
        if error.where:
            raise
        raise LayoutError(error.expected, found=error.found, where=marked.where(()), fix=error.fix) from error
    problem = find_problem(layout)
    if problem is not None:
        raise LayoutError(
            problem.expected, found=problem.found, where=marked.where(_key_of(problem.subject, spec)), fix=problem.fix
        )
    return layout


def _build(spec: LayoutSpec, marked: MarkedYaml, source: str) -> Layout:
    timeline = Timeline(rate_hz=spec.rate_hz, num_steps=max(1, round(spec.duration_s * spec.rate_hz)))
    ground = build_ground(spec, marked)
    return Layout(
        layout_id=spec.id,
        source=source,
        licence=spec.licence,
        timeline=timeline,
        road_map=ground.road_map,
        agents=build_agents(spec, ground, timeline),
        ego=build_ego(spec.ego, ground, timeline),
        environment=Environment(**spec.environment.model_dump()),
        edits=tuple(spec.edits),
        recorded_until_step=spec.recorded_until_step,
    )


def parse_spec(marked: MarkedYaml) -> LayoutSpec:
    """Check the content of a file against the format.

    Raises:
        LayoutError: the first violation, and how many more there are.
    """
    if not isinstance(marked.data, dict):
        raise LayoutError("a mapping of keys", found=type(marked.data).__name__, where=marked.where(()))
    try:
        return LayoutSpec.model_validate(marked.data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=True)
        raise _translate(problems, marked) from error


def _translate(problems: list[Any], marked: MarkedYaml) -> LayoutError:
    """Turn pydantic's problems into one message in the words of this project."""
    problem = next((item for item in problems if _is_mistyped_key(item)), problems[0])
    key = _file_key(problem["loc"], marked)
    more = f"; {len(problems) - 1} more problems in this file" if len(problems) > 1 else ""
    kind, where = problem["type"], marked.where(key)
    if kind == "extra_forbidden":
        name = str(key[-1])
        known = [other for other in _known_keys(problem["loc"]) if other != name]
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]!r}?" if close else "remove it here, or correct its name"
        return LayoutError("a known key", found=f"{name!r}{more}", where=where, fix=hint)
    if kind == "missing":
        return LayoutError(f"the key {str(problem['loc'][-1])!r}", found=f"none{more}", where=where)
    if kind == "literal_error":
        given = str(problem["input"])
        known = [word.strip("' ") for word in problem["ctx"]["expected"].replace(" or ", ", ").split(",")]
        close = difflib.get_close_matches(given, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else ""
        return LayoutError(f"one of {', '.join(known)}", found=f"{given!r}{more}", where=where, fix=hint)
    message = problem["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return LayoutError(message, found=f"{_short(problem['input'])}{more}", where=where)


def _is_mistyped_key(problem: Any) -> bool:
    """Tell an unknown key that resembles a known one: it explains the missing key that comes with it."""
    if problem["type"] != "extra_forbidden":
        return False
    name = str(problem["loc"][-1])
    known = [other for other in _known_keys(problem["loc"]) if other != name]
    return bool(difflib.get_close_matches(name, known, n=1, cutoff=0.75))


def _short(value: Any) -> str:
    text = reprlib.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _file_key(loc: tuple[str | int, ...], marked: MarkedYaml) -> KeyPath:
    """Drop from pydantic's location what is not in the file (names of alternatives), keep the rest."""
    key: KeyPath = ()
    for position, part in enumerate(loc):
        if (*key, part) in marked.lines or position == len(loc) - 1:
            key = (*key, part)
    return key


def _known_keys(loc: tuple[str | int, ...]) -> list[str]:
    """List the keys that the format knows beside an unknown one, from all types it could belong to."""
    from scenegen.layout import yaml_format

    names = {
        name for item in vars(yaml_format).values() if isinstance(item, type) and issubclass(item, yaml_format.Spec)
        for name in item.model_fields
    }  # fmt: skip
    if len(loc) == 1:
        names = set(LayoutSpec.model_fields)
    return sorted(names)


def _key_of(subject: str, spec: LayoutSpec) -> KeyPath:
    """Return where in the file an agent, or the ego, is described."""
    if subject == "ego":
        return ("ego",)
    for idx, agent in enumerate(spec.agents):
        if agent.id == subject:
            return ("agents", idx)
    for idx, row in enumerate(spec.agent_rows):
        if subject.startswith(f"{row.id}_"):
            return ("agent_rows", idx)
    return ()
