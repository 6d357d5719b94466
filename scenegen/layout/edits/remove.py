"""Take agents out of a layout."""

from __future__ import annotations

import fnmatch
from dataclasses import replace

from scenegen.layout.edits.subject import find_agent
from scenegen.types.layout import Layout


def remove_agents(layout: Layout, agent: str) -> Layout:
    """Remove the agent of an id, or all that match a pattern like `parked_*`; the others keep their ids and places.

    Raises:
        LayoutError: there is no such agent.
    """
    gone = {other.agent_id for other in layout.agents if other.agent_id == agent}
    gone = gone or {other.agent_id for other in layout.agents if fnmatch.fnmatchcase(other.agent_id, agent)}
    if not gone:
        find_agent(layout, agent)
    return replace(layout, agents=tuple(other for other in layout.agents if other.agent_id not in gone))
