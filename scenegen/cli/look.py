"""The verbs that look: `verify`, `inspect`, `doctor`, and `layout` (`cli.layouts`). They take plain arguments."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from scenegen.cli import layouts
from scenegen.cli.values import write_values

DATASET_HELP = "a folder, or a URL: s3://bucket/prefix, gs://..., az://..."


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add every verb that only looks."""
    layouts.add_verbs(verbs, common)

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
