"""What is printed about a finished job or an existing data set."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from scenegen.dataset.storage import Location
    from scenegen.pipeline import JobReport

STAGES = ("world", "conditions", "occupancy", "lidar", "paint", "judge", "write")
MAX_LISTED = 10


def write_report(report: JobReport, out: TextIO) -> None:
    """Say what was made, what it cost, where the previews are, and how to load the result."""
    num_frames = sum(outcome.num_frames for outcome in report.committed)
    out.write(
        f"\n{len(report.committed)} scenes committed ({num_frames} frames in {report.wall_s:.1f} s), "
        f"{len(report.skipped)} were there already, {len(report.failed)} failed"
        + (f", {report.not_started} not started\n" if report.not_started else "\n")
    )
    if report.committed:
        _write_cost(report, out)
    for outcome in report.failed[:MAX_LISTED]:
        out.write(f"failed: {outcome.scene_id}: {outcome.error}\n")
    for outcome in [made for made in report.committed if made.warning][:MAX_LISTED]:
        out.write(f"under the bar: {outcome.scene_id}: {outcome.warning}\n")
    ready = [*(outcome.scene_id for outcome in report.committed), *report.skipped]
    if not ready:
        return
    out.write("\nlook at it:\n")
    for place in _films_of(report.dataset_dir, ready[:MAX_LISTED]):
        out.write(f"  {place}\n")
    if len(ready) > MAX_LISTED:
        out.write(f"  ... and {len(ready) - MAX_LISTED} more\n")
    out.write(
        "\nload it:\n"
        "  from scenegen.dataset import open_dataset\n"
        f"  scene = open_dataset({str(report.dataset_dir)!r})[{ready[0]!r}]\n"
        "  frames, boxes = scene.rgb(scene.cameras[0])[0:12], scene.boxes(0)\n"
    )


def _films_of(dataset_dir: Location, scene_ids: Sequence[str]) -> list[str]:
    """Return where the previews of scenes lie, as their receipts say."""
    from scenegen.dataset.receipt import read_receipt
    from scenegen.dataset.storage import open_storage

    storage = open_storage(dataset_dir)
    keys = [key for scene_id in scene_ids for key in read_receipt(storage, scene_id).previews]
    return [storage.where(key) for key in keys if key.endswith(".mp4")]


def _write_cost(report: JobReport, out: TextIO) -> None:
    """Print seconds per stage. Stages overlap, so they may add up to more than the wall time."""
    num_frames = max(sum(outcome.num_frames for outcome in report.committed), 1)
    wall_s = sum(outcome.wall_s for outcome in report.committed)
    out.write("\n  stage       seconds  ms/frame\n")
    for stage in STAGES:
        seconds = sum(outcome.cost.seconds.get(stage, 0.0) for outcome in report.committed)
        if seconds == 0.0:
            continue
        out.write(f"  {stage:<10} {seconds:>8.1f} {1000.0 * seconds / num_frames:>9.2f}\n")
    out.write(f"  {'wall':<10} {wall_s:>8.1f} {1000.0 * wall_s / num_frames:>9.2f}  (labels overlap painting)\n")
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # Linux counts in kilobytes
    out.write(f"  peak memory of this process: {peak_gb:.2f} GB\n")


def describe_dataset(dataset_dir: Location) -> dict[str, Any]:
    """Say what a data set contains, from its manifest alone."""
    from scenegen.dataset import read_manifest

    manifest = read_manifest(dataset_dir)
    return {
        "dataset": str(dataset_dir),
        "schema_version": manifest.schema_version,
        **manifest.counts,
        "splits": _count(scene.split for scene in manifest.scenes),
        "models": _count(scene.model_id for scene in manifest.scenes),
        "scene_ids": [scene.scene_id for scene in manifest.scenes],
    }


def describe_scene(dataset_dir: Location, scene_id: str) -> dict[str, Any]:
    """Say what one scene contains and where it comes from."""
    from scenegen.dataset import open_dataset

    scene = open_dataset(dataset_dir)[scene_id]
    attributes = {key: value for key, value in scene.attrs.items() if key not in ("layout", "taxonomy", "rig")}
    width_px, height_px = scene.rig.size_px
    return {
        **attributes,
        "cameras": list(scene.cameras),
        "lenses": _count(camera.lens.model for camera in scene.rig.cameras),
        "image_size_px": [width_px, height_px],
        "views_of_size": _count(f"{camera.size_px[0]}x{camera.size_px[1]}" for camera in scene.rig.cameras),
        "agents": _count(agent.category.label for agent in scene.layout.agents),
        "bytes": scene.receipt.num_bytes,
        "created_utc": scene.receipt.created_utc,
        "cost": scene.receipt.cost,
        "content_sha256": scene.receipt.content_sha256,
    }


def _count(names: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))
