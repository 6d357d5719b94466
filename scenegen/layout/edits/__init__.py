"""Edits: pure functions from a layout to another valid one, one file per idea.

Every function takes a layout, what it is about, and keywords; it raises `LayoutError` where the result would not make
sense. `apply_edits` does the same by text, such as `remove(car_3)`, and notes the text in `Layout.edits`. The id of the
layout and those of its agents stay, so an edit moves nothing but what it says: worlds are keyed by layout id and seed.
"""

from scenegen.layout.edits.apply import EDITS, apply_edits
from scenegen.layout.edits.category import change_category
from scenegen.layout.edits.cut_in import cut_in
from scenegen.layout.edits.environment import change_environment
from scenegen.layout.edits.insert import insert_agent
from scenegen.layout.edits.mirror import mirror_layout
from scenegen.layout.edits.move import move_agent
from scenegen.layout.edits.occlude import occlude_agent
from scenegen.layout.edits.remove import remove_agents
from scenegen.layout.edits.retarget import view_from
from scenegen.layout.edits.retime import retime_agent

__all__ = [
    "EDITS",
    "apply_edits",
    "change_category",
    "change_environment",
    "cut_in",
    "insert_agent",
    "mirror_layout",
    "move_agent",
    "occlude_agent",
    "remove_agents",
    "retime_agent",
    "view_from",
]
