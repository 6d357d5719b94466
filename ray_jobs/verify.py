"""Verification on a cluster: `python -m ray_jobs.verify DATASET --deep --workers 8`, the same as `scenegen verify`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from ray_jobs.arguments import split_workers
from ray_jobs.cluster import open_ray
from ray_jobs.tasks import map_on_ray
from scenegen.cli.command_line import main as run_command_line
from scenegen.dataset import read_manifest
from scenegen.dataset.storage import absolute_location
from scenegen.dataset.verify import VerifyReport, join_reports, verify_dataset


def verify_on_ray(dataset: str, *, deep: bool, num_workers: int) -> VerifyReport:
    """Check the scenes of a data set, one task each.

    Raises:
        DatasetError: no data set at all, or its manifest is damaged. What is wrong with scenes is reported instead.
    """
    dataset = absolute_location(dataset)  # a task's working folder is another one
    scene_ids = [scene.scene_id for scene in read_manifest(dataset).scenes]
    with open_ray(num_cpus=num_workers):
        arguments = [(dataset, deep, scene_id) for scene_id in scene_ids]
        return join_reports(list(map_on_ray(verify_scene, arguments, num_workers=num_workers)))


def verify_scene(dataset: str, deep: bool, scene_id: str) -> VerifyReport:
    """Check one scene, in a task."""
    return verify_dataset(dataset, deep=deep, scene_ids=(scene_id,))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `scenegen verify` over Ray tasks."""
    num_workers, rest = split_workers(sys.argv[1:] if arguments is None else arguments)
    return run_command_line(["verify", *rest], verifier=partial(verify_on_ray, num_workers=num_workers))


if __name__ == "__main__":
    sys.exit(main())
