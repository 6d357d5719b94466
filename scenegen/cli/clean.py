"""The verb that deletes: `gc`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from scenegen.errors import ConfigError

MAX_LISTED = 20
SECONDS_PER_HOUR = 3600.0


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add `gc`."""
    text = "delete what interrupted writers left behind; never a committed scene"
    parser = verbs.add_parser("gc", parents=[common], help=text, description=text)
    parser.add_argument("dataset", metavar="DATASET", help="a folder or a URL")
    parser.add_argument(
        "--grace-hours", type=float, default=24.0, metavar="H", help="keep what is younger (default 24)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.set_defaults(verb=run_gc)


def run_gc(options: argparse.Namespace) -> None:
    """Delete, or only list, and say how much."""
    from scenegen.dataset.collect_garbage import collect_garbage, find_garbage

    if not options.grace_hours >= 0.0:
        raise ConfigError("--grace-hours of zero or more", found=str(options.grace_hours))
    search = find_garbage if options.dry_run else collect_garbage
    garbage = search(options.dataset, grace_s=options.grace_hours * SECONDS_PER_HOUR)
    for item in garbage[:MAX_LISTED]:
        sys.stdout.write(f"{item.where}  {item.num_bytes} bytes\n")
    if len(garbage) > MAX_LISTED:
        sys.stdout.write(f"... and {len(garbage) - MAX_LISTED} more\n")
    verb = "would be deleted" if options.dry_run else "deleted"
    num_bytes = sum(item.num_bytes for item in garbage)
    sys.stdout.write(f"{options.dataset}: {len(garbage)} leftovers, {num_bytes / 1e6:.1f} MB {verb}\n")
