"""Rare events, each a template with drawn parameters on a drawn road, staged in front of the ego."""

from scenegen.layout.long_tail.event import Event
from scenegen.layout.long_tail.stage import EVENT_STYLES, EVENTS, SEEN_WITHIN_M, seen_steps, stage_event

__all__ = ["EVENTS", "EVENT_STYLES", "SEEN_WITHIN_M", "Event", "seen_steps", "stage_event"]
