"""The verb that writes real logs as data sets."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from scenegen.cli.compose import compose_config
from scenegen.cli.jobs import COMMITTED, print_config
from scenegen.config import ImportLogConfig

IMPORT_LOG_EXAMPLES = """examples:
  scenegen import-log dgp:path/to/scene_01 output=out/logs
  scenegen import-log dgp:path/to/scene_01 width_px=400 output=out/logs
  scenegen train recipe=video size=nano data=out/logs output=out/video

What each source keeps and loses, and how its world is made: docs/real-logs.md.
"""


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add `import-log`."""
    help_text = "a real sensor log in, a data set with its pictures and labels out"
    parser = verbs.add_parser(
        "import-log",
        help=help_text,
        description=help_text,
        parents=[common],
        epilog=IMPORT_LOG_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", help="dgp:DIR, kitti:DIR, nuscenes:ROOT, nuscenes_keyframe:DIR")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="Hydra overrides; --cfg lists the keys")
    parser.add_argument("--cfg", action="store_true", help="print the resolved configuration and stop")
    parser.add_argument("--config-dir", type=Path, help="a folder with config groups of your own")
    parser.set_defaults(verb=run_import_log, after_interrupt=COMMITTED, plain=False)


def run_import_log(options: argparse.Namespace) -> None:
    """Import and say what is where."""
    from scenegen.logs.import_log import import_logs

    options.overrides = [f'source="{options.source}"', *options.overrides]
    if options.cfg:
        print_config("import_log", ImportLogConfig, options)
        return
    config = compose_config(ImportLogConfig, "import_log", options.overrides, search=options.config_dir)
    report = import_logs(config, on_scene=_say)
    for scene_id in report.committed:
        sys.stdout.write(f"{scene_id}\n")
    sys.stdout.write(
        f"{config.output}: {len(report.committed)} scenes written, {len(report.skipped)} were there already\n"
    )


def _say(scene_id: str, number: int, total: int) -> None:
    sys.stderr.write(f"{number} of {total}: {scene_id}\n")
