"""Agents and the ego at one step: boxes with headings, velocity arrows, trails and ids."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from scenegen.layout.overlap import ego_as_agent
from scenegen.layout.picture.pen import Pen, Rgb, text_width
from scenegen.layout.picture.view import View
from scenegen.types.layout import MOVING_MPS, AgentTrack, Layout
from scenegen.types.taxonomy import AgentCategory

CATEGORY_RGB: dict[AgentCategory, Rgb] = {
    AgentCategory.CAR: (70, 140, 230),
    AgentCategory.TRUCK: (150, 96, 200),
    AgentCategory.BUS: (36, 180, 180),
    AgentCategory.TRAILER: (120, 90, 160),
    AgentCategory.CONSTRUCTION_VEHICLE: (214, 150, 30),
    AgentCategory.PEDESTRIAN: (236, 64, 72),
    AgentCategory.MOTORCYCLE: (240, 120, 190),
    AgentCategory.BICYCLE: (250, 150, 60),
    AgentCategory.TRAFFIC_CONE: (255, 110, 20),
    AgentCategory.BARRIER: (236, 90, 60),
    AgentCategory.ANIMAL: (130, 90, 60),
    AgentCategory.OTHER: (150, 150, 150),
}
EGO_RGB: Rgb = (40, 200, 90)
EDGE_RGB: Rgb = (25, 25, 30)
ARROW_RGB: Rgb = (15, 15, 20)
LABEL_PX = 11.0
SMALLEST_PX = 5.0
"""People would be dots on large maps: boxes are drawn at least this long and wide."""
TRAIL_S = 2.0
LONGEST_ID = 18


def draw_agents(pen: Pen, view: View, layout: Layout, step: int) -> int:
    """Draw everybody who is there; return how many ids had no room."""
    ego = ego_as_agent(layout.ego)
    pen.line(view.pixels(layout.ego.position_world_m), color=EGO_RGB, width=max(view.px(0.35), 1.5))
    shown = shown_agents(view, layout, step)
    for agent in shown:
        _draw_trail(pen, view, agent, step, layout.timeline.rate_hz)
    for agent in shown:
        _draw_box(pen, view, agent, step, CATEGORY_RGB[agent.category])
    _draw_box(pen, view, ego, step, EGO_RGB)
    for agent in (*shown, ego):
        _draw_arrow(pen, view, agent, step)
    return _draw_ids(pen, view, shown, ego, step, agent_ids=[agent.agent_id for agent in layout.agents])


def shown_agents(view: View, layout: Layout, step: int) -> list[AgentTrack]:
    """Return who is there and in the picture."""
    return [
        agent
        for agent in layout.agents
        if agent.valid[step] and view.shows(agent.center_world_m[step][None], margin_m=float(agent.size_lwh_m[0]))
    ]


def _draw_trail(pen: Pen, view: View, agent: AgentTrack, step: int, rate_hz: float) -> None:
    begin = max(0, step - round(TRAIL_S * rate_hz))
    seen = agent.valid[begin : step + 1]
    trail_m = agent.center_world_m[begin : step + 1, :2][seen]
    if len(trail_m) > 1 and float(np.ptp(trail_m, axis=0).max()) > 0.3:
        red, green, blue = CATEGORY_RGB[agent.category]
        pale = ((red + 200) // 2, (green + 200) // 2, (blue + 200) // 2)
        pen.line(view.pixels(trail_m), color=pale, width=max(view.px(0.25), 1.0))


def _draw_box(pen: Pen, view: View, agent: AgentTrack, step: int, rgb: Rgb) -> None:
    """Draw a box with a lighter front."""
    ahead, left = _axes(agent, step)
    center_m = agent.center_world_m[step, :2]
    length_m, width_m = np.maximum(agent.size_lwh_m[:2], SMALLEST_PX / view.scale)
    front, side = 0.5 * length_m * ahead, 0.5 * width_m * left
    corners = center_m + np.stack([front + side, side - front, -front - side, front - side])
    speed_mps = float(np.linalg.norm(agent.velocity_world_mps[step]))
    hint = f"{agent.agent_id}: {agent.category.label}, {speed_mps:.1f} m/s at {center_m[0]:.1f}, {center_m[1]:.1f}"
    pen.polygon(view.pixels(corners), fill=rgb, outline=EDGE_RGB, hint=hint)
    nose = center_m + np.stack([front + side, 0.55 * front + side, 0.55 * front - side, front - side])
    red, green, blue = (min(value + 80, 255) for value in rgb)
    pen.polygon(view.pixels(nose), fill=(red, green, blue))


def _draw_arrow(pen: Pen, view: View, agent: AgentTrack, step: int) -> None:
    """Draw one second of velocity from the middle of the box."""
    velocity_mps = agent.velocity_world_mps[step]
    speed_mps = float(np.linalg.norm(velocity_mps))
    if speed_mps < MOVING_MPS or view.px(speed_mps) < 3.0:
        return
    center_m = agent.center_world_m[step, :2]
    tip_m = center_m + velocity_mps
    ahead = velocity_mps / speed_mps
    left = np.array([-ahead[1], ahead[0]])
    head_m = min(6.0 / view.scale, 0.6 * speed_mps)
    pen.line(view.pixels(np.stack([center_m, tip_m - 0.8 * head_m * ahead])), color=ARROW_RGB, width=1.4)
    base_m, wing_m = tip_m - head_m * ahead, 0.45 * head_m * left
    head = np.stack([tip_m, base_m + wing_m, base_m - wing_m])
    pen.polygon(view.pixels(head), fill=ARROW_RGB)


def _axes(agent: AgentTrack, step: int) -> tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]]:
    cos, sin = np.cos(agent.heading_rad[step]), np.sin(agent.heading_rad[step])
    return np.array([cos, sin]), np.array([-sin, cos])


def _draw_ids(
    pen: Pen, view: View, shown: list[AgentTrack], ego: AgentTrack, step: int, *, agent_ids: list[str]
) -> int:
    """Write ids beside their boxes where there is room: the ego's first, then who moves, those near the ego before."""
    boxes = [_footprint(view, agent, step) for agent in (*shown, ego)]
    taken: list[tuple[float, float, float, float]] = []
    ego_m = ego.center_world_m[step, :2]

    def rank(agent: AgentTrack) -> tuple[bool, float]:
        is_standing = float(np.linalg.norm(agent.velocity_world_mps[step])) < MOVING_MPS
        return is_standing, float(np.linalg.norm(agent.center_world_m[step, :2] - ego_m))

    without = 0
    short = short_ids(agent_ids)
    for agent in (ego, *sorted(shown, key=rank)):
        words = "EGO" if agent is ego else short[agent.agent_id]
        place = _room_for(words, _footprint(view, agent, step), [*taken, *boxes], view)
        if place is None:
            without += 1
            continue
        taken.append(place)
        at = 0.5 * (place[0] + place[2]), 0.5 * (place[1] + place[3])
        color = (0, 105, 40) if agent is ego else EDGE_RGB
        pen.text(at, words, size=LABEL_PX, color=color, anchor="middle", halo=(255, 255, 255))
    return without


def short_ids(agent_ids: list[str]) -> dict[str, str]:
    """Shorten long ids to patterns that mean one of them, which edits take too.

    >>> short_ids(["walker", "0e31b7e27a5d4f4e8b4a3fd4", "0e31b7f1a5d4f4e8b4a3fd411"])
    {'walker': 'walker', '0e31b7e27a5d4f4e8b4a3fd4': '0e31b7e*', '0e31b7f1a5d4f4e8b4a3fd411': '0e31b7f*'}
    """
    short = {}
    for agent_id in agent_ids:
        length = 6
        while length < len(agent_id) and sum(other.startswith(agent_id[:length]) for other in agent_ids) > 1:
            length += 1
        short[agent_id] = agent_id if len(agent_id) <= LONGEST_ID else f"{agent_id[:length]}*"
    return short


def _footprint(view: View, agent: AgentTrack, step: int) -> tuple[float, float, float, float]:
    """Return the rectangle around an agent's box, in pixels."""
    ahead, left = _axes(agent, step)
    reach = 0.5 * (np.abs(ahead) * agent.size_lwh_m[0] + np.abs(left) * agent.size_lwh_m[1]) * view.scale
    half_x, half_y = np.maximum(reach, 0.5 * SMALLEST_PX)
    ((x, y),) = view.pixels(agent.center_world_m[step][None])
    return x - float(half_x), y - float(half_y), x + float(half_x), y + float(half_y)


def _room_for(
    words: str, box: tuple[float, float, float, float], taken: list[tuple[float, float, float, float]], view: View
) -> tuple[float, float, float, float] | None:
    """Return a free rectangle for a line of text above, below, right or left of a box; None without one."""
    width, height = text_width(words, LABEL_PX) + 4.0, LABEL_PX + 2.0
    left, top, right, bottom = box
    x, y = 0.5 * (left + right), 0.5 * (top + bottom)
    low_x, low_y, high_x, high_y = view.map_px
    for middle_x, middle_y in (
        (x, top - 0.5 * height - 1.0),
        (x, bottom + 0.5 * height + 1.0),
        (right + 0.5 * width + 1.0, y),
        (left - 0.5 * width - 1.0, y),
        (right + 0.4 * width, top - 0.5 * height - 1.0),
        (left - 0.4 * width, top - 0.5 * height - 1.0),
        (right + 0.4 * width, bottom + 0.5 * height + 1.0),
        (left - 0.4 * width, bottom + 0.5 * height + 1.0),
    ):
        place = middle_x - 0.5 * width, middle_y - 0.5 * height, middle_x + 0.5 * width, middle_y + 0.5 * height
        is_inside = place[0] >= low_x and place[1] >= low_y and place[2] <= high_x and place[3] <= high_y
        if is_inside and not any(
            place[0] < other[2] and place[2] > other[0] and place[1] < other[3] and place[3] > other[1]
            for other in taken
        ):
            return place
    return None
