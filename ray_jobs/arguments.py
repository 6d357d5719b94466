"""The one argument that the plain-argument jobs have beside those of their verb."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

DEFAULT_WORKERS = 2


def split_workers(arguments: Sequence[str]) -> tuple[int, list[str]]:
    """Take `--workers N` out of the arguments; all others belong to the verb.

    >>> split_workers(["out/ds", "--workers", "8", "--deep"])
    (8, ['out/ds', '--deep'])
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--workers", type=int, default=DEFAULT_WORKERS)
    options, rest = parser.parse_known_args(list(arguments))
    if options.workers < 1:
        parser.error(f"--workers of one or more, found {options.workers}")
    return options.workers, rest
