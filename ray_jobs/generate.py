"""The main job on a cluster: `ray job submit --working-dir . -- python -m ray_jobs.generate <overrides> run=ray`.

The same overrides and exit codes as `scenegen generate`; works from a bare checkout.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ray_jobs.executor import RayExecutor
from scenegen.cli.command_line import main as run_command_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `scenegen generate` with scenes mapped over Ray actors unless `run=serial` is asked for."""
    overrides = list(sys.argv[1:] if arguments is None else arguments)
    if not any(text.startswith("run=") for text in overrides):
        overrides.insert(0, "run=ray")
    return run_command_line(["generate", *overrides], executors={"ray": RayExecutor})


if __name__ == "__main__":
    sys.exit(main())
