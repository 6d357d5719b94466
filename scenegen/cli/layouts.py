"""The verb `layout`: show, validate, edit, import and export. It takes plain arguments."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenegen.cli.values import write_values

if TYPE_CHECKING:
    from scenegen.types import Layout

LAYOUT_EXAMPLES = """examples:
  scenegen layout show crossing_pedestrian
  scenegen layout show av2:path/to/log --json
  scenegen layout show my.yaml --png my.png
  scenegen layout show opendrive:town.xodr --png town.png
  scenegen layout validate my.yaml layouts/*.yaml
  scenegen layout import scenarionet:scene.pkl -o scene.yaml
  scenegen layout edit cut_in 'remove(left_*)' 'environment(rain)' --png before_and_after.png
  scenegen layout edit cut_in 'cut_in(at_s=20, gap_m=6)' -o mine.yaml
  scenegen layout export procedural:5 -o roundabout.xodr
"""
EDIT_HELP = """each EDIT is name(subject, key=value, ...), in quotes; they apply in order. Edits:
  insert(CATEGORY, x_m=, y_m=, [heading_deg=, speed_mps=, from_s=, to_s=, agent=])
  remove(AGENT)                              an id, or a pattern like parked_*
  move(AGENT, x_m=, y_m=, heading_deg=)      or move(AGENT, forward_m=, left_m=)
  retime(AGENT, later_s=, speed_factor=)     negative later_s is earlier
  category(AGENT, to=CATEGORY)
  cut_in([AGENT], at_s=, gap_m=, [side=left|right, over_s=])
  occlude(AGENT, at_s=, [category=truck])
  environment([WEATHER], [time_of_day=, prompt=, style=])
  mirror                                     left-hand traffic
  view_from(AGENT)                           the rig moves to that vehicle

the same behind a layout reference, also for `generate`: "layouts=['cut_in | remove(left_*) | mirror']"
more in docs/editing.md
"""


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add `layout` and its actions."""
    layout = verbs.add_parser(
        "layout",
        help="show, validate, edit, import and export layouts",
        epilog=LAYOUT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = layout.add_subparsers(title="actions", metavar="ACTION", required=True)

    show = actions.add_parser("show", parents=[common], help="print what was understood of one layout")
    show.add_argument("reference", metavar="REF", help="library name, YAML file, or source:location")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.add_argument("--png", type=Path, metavar="FILE", help="draw it from above")
    show.set_defaults(verb=run_show)

    validate = actions.add_parser("validate", parents=[common], help="check layouts; the first bad one ends it")
    validate.add_argument("references", nargs="+", metavar="REF")
    validate.set_defaults(verb=run_validate)

    importer = actions.add_parser("import", parents=[common], help="turn any source into a layout YAML")
    importer.add_argument("reference", metavar="REF")
    importer.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.yaml")
    importer.set_defaults(verb=run_import)

    editor = actions.add_parser(
        "edit",
        parents=[common],
        help="change who is there and how they move, weather, side of the road",
        epilog=EDIT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    editor.add_argument("reference", metavar="REF")
    editor.add_argument("edits", nargs="+", metavar="EDIT")
    editor.add_argument("-o", "--output", type=Path, metavar="FILE.yaml", help="write the edited layout")
    editor.add_argument("--png", type=Path, metavar="FILE", help="draw before and after side by side")
    editor.add_argument("--at", type=float, default=0.0, metavar="SECONDS", help="time of the picture")
    editor.set_defaults(verb=run_edit)

    exporter = actions.add_parser("export", parents=[common], help="write a layout's map as OpenDRIVE")
    exporter.add_argument("reference", metavar="REF")
    exporter.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.xodr")
    exporter.set_defaults(verb=run_export)


def run_show(options: argparse.Namespace) -> None:
    """Print a summary at the source's own rate, before any extension."""
    from scenegen.layout.sources import read_layout
    from scenegen.layout.summary import summarise_layout

    layout = read_layout(options.reference)
    summary = summarise_layout(layout)
    if options.png is not None:
        from PIL import Image

        from scenegen.layout.picture import draw_layout

        Image.fromarray(draw_layout(layout)).save(options.png)
    write_values(summary, is_json=options.json)


def run_validate(options: argparse.Namespace) -> None:
    """Read each layout, which validates it."""
    from scenegen.layout.sources import expand_references, read_layout

    for reference in expand_references(options.references):
        read_layout(reference)
        sys.stdout.write(f"{reference}: valid\n")


def run_import(options: argparse.Namespace) -> None:
    """Write a layout as YAML that a person can edit."""
    from scenegen.layout.sources import read_layout
    from scenegen.layout.write_yaml import write_yaml_layout

    write_yaml_layout(read_layout(options.reference), options.output)
    sys.stdout.write(f"{options.output}\n")


def run_edit(options: argparse.Namespace) -> None:
    """Apply edits and say what changed; write the result, where it is asked for."""
    from scenegen.layout.edits import apply_edits
    from scenegen.layout.edits.changes import describe_changes
    from scenegen.layout.sources import read_layout
    from scenegen.layout.write_yaml import write_yaml_layout

    before = read_layout(options.reference)
    after = apply_edits(before, options.edits)
    if options.png is not None:
        _draw_both(before, after, options)
    if options.output is not None:
        write_yaml_layout(after, options.output)
    for line in describe_changes(before, after) or ["nothing changed"]:
        sys.stdout.write(f"{line}\n")
    for path in (options.png, options.output):
        if path is not None:
            sys.stdout.write(f"{path}\n")


def run_export(options: argparse.Namespace) -> None:
    """Write a layout's map as OpenDRIVE."""
    from scenegen.errors import OutputError
    from scenegen.layout.exporters import layout_to_opendrive
    from scenegen.layout.sources import read_layout

    if options.output.suffix != ".xodr":
        raise OutputError("an output file *.xodr", found=repr(options.output.name), where=str(options.output))
    text = layout_to_opendrive(read_layout(options.reference))
    try:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError("a writable file", found=error.strerror or str(error), where=str(options.output)) from error
    sys.stdout.write(f"{options.output}\n")


def _draw_both(before: Layout, after: Layout, options: argparse.Namespace) -> None:
    import numpy as np
    from PIL import Image

    from scenegen.layout.picture import draw_layout

    pictures = [
        draw_layout(layout, step=min(round(options.at * layout.timeline.rate_hz), layout.timeline.num_steps - 1))
        for layout in (before, after)
    ]
    Image.fromarray(np.concatenate(pictures, axis=1)).save(options.png)
