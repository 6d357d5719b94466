"""The verbs that look: `layout`, `verify`, `inspect`, `doctor`. They take plain arguments."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

DATASET_HELP = "a folder, or a URL: s3://bucket/prefix, gs://..., az://..."
LAYOUT_EXAMPLES = """examples:
  scenegen layout show crossing_pedestrian
  scenegen layout show av2:path/to/log --json
  scenegen layout show my.yaml --png my.png
  scenegen layout show opendrive:town.xodr --png town.png
  scenegen layout validate my.yaml layouts/*.yaml
  scenegen layout import scenarionet:scene.pkl -o scene.yaml
  scenegen layout export procedural:5 -o roundabout.xodr
"""


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add every verb that only looks."""
    _add_layout_verbs(verbs, common)

    verify = verbs.add_parser("verify", parents=[common], help="check that a data set is whole")
    verify.add_argument("dataset", metavar="DATASET", help=DATASET_HELP)
    verify.add_argument("--deep", action="store_true", help="decode everything, and check that all labels agree")
    verify.set_defaults(verb=run_verify)

    inspect = verbs.add_parser("inspect", parents=[common], help="what a data set or one scene of it contains")
    inspect.add_argument("dataset", metavar="DATASET", help=DATASET_HELP)
    inspect.add_argument("scene", nargs="?", metavar="SCENE")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    inspect.set_defaults(verb=run_inspect)

    doctor = verbs.add_parser("doctor", parents=[common], help="what this machine can run, and what is missing")
    doctor.set_defaults(verb=run_doctor)


def _add_layout_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    layout = verbs.add_parser(
        "layout",
        help="show, validate and import layouts",
        epilog=LAYOUT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = layout.add_subparsers(title="actions", metavar="ACTION", required=True)

    show = actions.add_parser("show", parents=[common], help="print what was understood of one layout")
    show.add_argument("reference", metavar="REF", help="library name, YAML file, or source:location")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.add_argument("--png", type=Path, metavar="FILE", help="draw it from above")
    show.set_defaults(verb=run_layout_show)

    validate = actions.add_parser("validate", parents=[common], help="check layouts; the first bad one ends it")
    validate.add_argument("references", nargs="+", metavar="REF")
    validate.set_defaults(verb=run_layout_validate)

    importer = actions.add_parser("import", parents=[common], help="turn any source into a layout YAML")
    importer.add_argument("reference", metavar="REF")
    importer.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.yaml")
    importer.set_defaults(verb=run_layout_import)

    exporter = actions.add_parser("export", parents=[common], help="write a layout's map as OpenDRIVE")
    exporter.add_argument("reference", metavar="REF")
    exporter.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.xodr")
    exporter.set_defaults(verb=run_layout_export)


def run_layout_show(options: argparse.Namespace) -> None:
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


def run_layout_validate(options: argparse.Namespace) -> None:
    """Read each layout, which validates it."""
    from scenegen.layout.sources import expand_references, read_layout

    for reference in expand_references(options.references):
        read_layout(reference)
        sys.stdout.write(f"{reference}: valid\n")


def run_layout_import(options: argparse.Namespace) -> None:
    """Write a layout as YAML that a person can edit."""
    from scenegen.layout.sources import read_layout
    from scenegen.layout.write_yaml import write_yaml_layout

    write_yaml_layout(read_layout(options.reference), options.output)
    sys.stdout.write(f"{options.output}\n")


def run_layout_export(options: argparse.Namespace) -> None:
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


def run_verify(options: argparse.Namespace) -> None:
    """Check files against receipts, and with --deep every chunk, and every label against the others."""
    from scenegen.dataset.verify import verify_dataset

    report = (options.verifier or verify_dataset)(options.dataset, deep=options.deep)
    for damage in report.damages:
        sys.stdout.write(f"damaged: {damage.scene_id}: {damage.finding}\n")
    report.raise_on_damage()
    sys.stdout.write(
        f"{options.dataset}: {report.num_scenes} scenes, {report.num_files} files, {report.num_bytes} bytes: sound\n"
    )


def run_inspect(options: argparse.Namespace) -> None:
    """Print what is inside."""
    from scenegen.cli.report import describe_dataset, describe_scene

    values = (
        describe_dataset(options.dataset) if options.scene is None else describe_scene(options.dataset, options.scene)
    )
    write_values(values, is_json=options.json)


def run_doctor(options: argparse.Namespace) -> None:
    """Print one line per thing this machine has or lacks."""
    from scenegen.cli.doctor import examine_machine

    for finding in examine_machine():
        mark = "ok     " if finding.is_ok else "missing"
        sys.stdout.write(f"{mark}  {finding.name:<22} {finding.detail}\n")


def write_values(values: dict[str, Any], *, is_json: bool) -> None:
    """Print nested values as JSON, or as indented lines."""
    if is_json:
        sys.stdout.write(json.dumps(values, indent=2, sort_keys=False) + "\n")
        return
    _write_lines(values, indent="")


def _write_lines(values: dict[str, Any], *, indent: str) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            sys.stdout.write(f"{indent}{key}:\n")
            _write_lines(value, indent=indent + "  ")
            continue
        if key == "lost":
            sys.stdout.write(f"{indent}{key}:\n" + "".join(f"{indent}  {item}\n" for item in value))
            continue
        text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        sys.stdout.write(f"{indent}{key}: {text}\n")
