"""References to random layouts: `procedural:[STYLE/][EVENT/][SECONDSs/]SEEDS`; `ring` in place of an event."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace

from scenegen.errors import LayoutError
from scenegen.layout.traffic_mix import DRAWN_MIX, TrafficMix
from scenegen.types.layout import STYLES, Layout
from scenegen.types.seeding import random_generator

LONG_TAIL = "long_tail"
"""In place of an event: one of them, drawn by the seed."""
RING = "ring"
"""In place of an event: a street that closes on itself, and everybody back where they began after a lap."""
DRAWN_S = 30.0
"""Length of a layout whose reference names none."""
MOST_IN_RANGE = 1_000_000
_RANGE = re.compile(r"(\d+)-(\d+)")
_SECONDS = re.compile(r"[1-9]\d{0,4}s")


@dataclass(frozen=True, kw_only=True)
class ProceduralPlace:
    """What a location asks for; None where it says nothing."""

    style: str | None
    event: str | None
    duration_s: int | None
    seeds: range


def parse_procedural(location: str) -> ProceduralPlace:
    """Split the location of a reference.

    >>> parse_procedural("suburb/stroller/120s/7")
    ProceduralPlace(style='suburb', event='stroller', duration_s=120, seeds=range(7, 8))

    Raises:
        LayoutError: neither a style nor an event, an event that does not happen in the style, or no seeds.
    """
    from scenegen.layout.long_tail import EVENT_STYLES, EVENTS

    where = f"layout reference 'procedural:{location}'"
    *heads, seeds = location.split("/")
    duration_s = int(heads.pop()[:-1]) if heads and _SECONDS.fullmatch(heads[-1]) else None
    rest = list(heads)
    style = rest.pop(0) if rest and rest[0] in STYLES else None
    event = rest.pop(0) if rest and rest[0] in (*EVENTS, LONG_TAIL, RING) else None
    if rest:
        known = [*STYLES, *EVENTS, LONG_TAIL, RING]
        close = difflib.get_close_matches(rest[0], known, n=1, cutoff=0.6)
        raise LayoutError(
            f"a style out of {', '.join(STYLES)}, or an event out of {', '.join((*EVENTS, LONG_TAIL, RING))}",
            found=repr("/".join(rest)),
            where=where,
            fix=f"did you mean {close[0]!r}?" if close else "",
        )
    if style is not None and event in EVENTS and style not in EVENT_STYLES[event]:
        happens = [kind for kind in EVENTS if style in EVENT_STYLES[kind]]
        raise LayoutError(f"an event that happens in {style}: {', '.join(happens)}", found=repr(event), where=where)
    return ProceduralPlace(style=style, event=event, duration_s=duration_s, seeds=_seeds(seeds, where))


def read_procedural(location: str, *, mix: TrafficMix = DRAWN_MIX) -> Layout:
    """Draw the layout that a location with one seed names, with traffic of a mix.

    Raises:
        LayoutError: the location makes no sense, or there is no room for its event.
    """
    from scenegen.layout.procedural import build_procedural_layout, build_ring_layout

    place = parse_procedural(location)
    if len(place.seeds) != 1:
        raise LayoutError("one seed", found=f"the range {location!r}", where="procedural", fix="expand the range first")
    seed = place.seeds[0]
    duration_s = DRAWN_S if place.duration_s is None else float(place.duration_s)
    if place.event == RING:
        layout = build_ring_layout(seed, style=place.style, mix=mix, duration_s=duration_s)
    else:
        event = _event_of(place, seed, mix)
        layout = build_procedural_layout(seed, style=place.style, event=event, mix=mix, duration_s=duration_s)
    if place.duration_s is None:
        return layout
    return replace(layout, layout_id=f"{layout.layout_id}_{place.duration_s}s")


def _event_of(place: ProceduralPlace, seed: int, mix: TrafficMix) -> str | None:
    """Return the event that is asked for, else the one that the mix draws, if it happens in the style."""
    from scenegen.layout.long_tail import EVENT_STYLES, EVENTS

    name = "procedural" if place.style is None else f"procedural_{place.style}"
    if place.event == LONG_TAIL:
        possible = [kind for kind in EVENTS if place.style is None or place.style in EVENT_STYLES[kind]]
        return possible[int(random_generator(seed, name, stage="long_tail").integers(len(possible)))]
    if place.event is not None:
        return place.event
    drawn = mix.draw_event(seed, name)
    return drawn if drawn is None or place.style is None or place.style in EVENT_STYLES[drawn] else None


def _seeds(text: str, where: str) -> range:
    if text.isdecimal():
        return range(int(text), int(text) + 1)
    match = _RANGE.fullmatch(text)
    if match is None:
        raise LayoutError("a seed like 7 or a range like 1-100", found=repr(text), where=where)
    first, last = int(match[1]), int(match[2])
    if not first <= last < first + MOST_IN_RANGE:
        raise LayoutError("a range that goes up, of at most a million seeds", found=repr(text), where=where)
    return range(first, last + 1)
