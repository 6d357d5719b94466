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
  scenegen layout export procedural:5 -o roundabout.xosc     # and roundabout.xodr beside it
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
    for kind, what in (("png", "draw it from above"), ("svg", "the same as SVG"), ("gif", "the same as a film")):
        show.add_argument(f"--{kind}", type=Path, metavar="FILE", help=what)
    _add_view_options(show)
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
    _add_view_options(editor)
    editor.set_defaults(verb=run_edit)

    exporter = actions.add_parser("export", parents=[common], help="write a layout as OpenDRIVE or OpenSCENARIO")
    exporter.add_argument("reference", metavar="REF")
    exporter.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.xodr|FILE.xosc")
    exporter.set_defaults(verb=run_export)


def run_show(options: argparse.Namespace) -> None:
    """Print a summary at the source's own rate, before any extension."""
    from scenegen.layout.sources import read_layout
    from scenegen.layout.summary import summarise_layout

    layout = read_layout(options.reference)
    summary = summarise_layout(layout)
    if options.png is not None:
        _write_picture([layout], options)
    if options.svg is not None:
        from scenegen.layout.picture import layout_to_svg

        text = layout_to_svg(layout, step=_step(layout, options), around_m=options.around)
        options.svg.write_text(text, encoding="utf-8")
    if options.gif is not None:
        from scenegen.layout.picture import write_gif

        write_gif(layout, options.gif, around_m=options.around)
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
        _write_picture([before, after], options)
    if options.output is not None:
        write_yaml_layout(after, options.output)
    for line in describe_changes(before, after) or ["nothing changed"]:
        sys.stdout.write(f"{line}\n")
    for path in (options.png, options.output):
        if path is not None:
            sys.stdout.write(f"{path}\n")


def run_export(options: argparse.Namespace) -> None:
    """Write a layout's map as OpenDRIVE, or its map and who moves how as OpenSCENARIO."""
    from scenegen.errors import OutputError
    from scenegen.layout.exporters import layout_to_opendrive, layout_to_openscenario
    from scenegen.layout.sources import read_layout

    if options.output.suffix not in (".xodr", ".xosc"):
        raise OutputError("an output file *.xodr or *.xosc", found=repr(options.output.name), where=str(options.output))
    layout = read_layout(options.reference)
    road_file = options.output.with_suffix(".xodr")
    texts = {road_file: layout_to_opendrive(layout)}
    if options.output.suffix == ".xosc":
        texts[options.output] = layout_to_openscenario(layout, road_file=road_file.name)
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError("a writable file", found=error.strerror or str(error), where=str(path)) from error
        sys.stdout.write(f"{path}\n")


def _add_view_options(action: argparse.ArgumentParser) -> None:
    time = action.add_mutually_exclusive_group()
    time.add_argument("--at", type=float, metavar="SECONDS", help="time of the picture, the begin by default")
    time.add_argument("--step", type=int, metavar="N", help="step of the picture")
    action.add_argument(
        "--around", type=float, metavar="METRES", help="show this far around the ego, not its whole way"
    )


def _step(layout: Layout, options: argparse.Namespace) -> int:
    """Return the step that `--at` or `--step` means."""
    if options.at is None:
        return options.step or 0
    from scenegen.layout.edits.subject import step_at

    return step_at(layout, options.at, key="--at")


def _write_picture(layouts: list[Layout], options: argparse.Namespace) -> None:
    """Draw layouts below each other, or beside each other where they are higher than wide."""
    import numpy as np
    from PIL import Image

    from scenegen.layout.picture import draw_layout

    pictures = [draw_layout(layout, step=_step(layout, options), around_m=options.around) for layout in layouts]
    axis = 1 if all(len(picture) >= 0.8 * picture.shape[1] for picture in pictures) else 0
    size = max(picture.shape[1 - axis] for picture in pictures)
    room = [[(0, 0), (0, 0), (0, 0)] for _ in pictures]
    for picture, pad in zip(pictures, room, strict=True):
        pad[1 - axis] = (0, size - picture.shape[1 - axis])
    both = np.concatenate([np.pad(picture, pad) for picture, pad in zip(pictures, room, strict=True)], axis=axis)
    Image.fromarray(both).save(options.png)
