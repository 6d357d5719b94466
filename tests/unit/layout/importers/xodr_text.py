"""Small OpenDRIVE files as text, for tests to bend."""

from __future__ import annotations

LINE = '<geometry s="0" x="0" y="0" hdg="0" length="100"><line/></geometry>'
WIDTH = '<width sOffset="0" a="3.5" b="0" c="0" d="0"/>'


def lane(lane_id: int, *, kind: str = "driving", width: str = WIDTH, inside: str = "") -> str:
    return f'<lane id="{lane_id}" type="{kind}">{inside}{width if lane_id else ""}</lane>'


def section(*, s: float = 0.0, left: str | None = None, right: str | None = None, center: str | None = None) -> str:
    left = lane(1) if left is None else left
    right = lane(-1) if right is None else right
    center = lane(0, kind="none") if center is None else center
    return f'<laneSection s="{s}"><left>{left}</left><center>{center}</center><right>{right}</right></laneSection>'


def road(
    road_id: str = "1",
    *,
    length: str = "100",
    plan: str = LINE,
    sections: str | None = None,
    link: str = "",
    extra: str = "",
    junction: str = "-1",
    rule: str = "",
) -> str:
    lanes = section() if sections is None else sections
    return (
        f'<road id="{road_id}" length="{length}" junction="{junction}" {rule}>{link}'
        f"<planView>{plan}</planView><lanes>{lanes}</lanes>{extra}</road>"
    )


def network(*roads: str, header: str = '<header revMajor="1" revMinor="6"/>', tail: str = "") -> str:
    return f'<?xml version="1.0"?><OpenDRIVE>{header}{"".join(roads) or road()}{tail}</OpenDRIVE>'
