"""How far a data set is, from its files alone: receipts, manifest, and the events of its runs in any process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scenegen.orchestration.ledger import alive_s, list_runs, read_events

if TYPE_CHECKING:
    from scenegen.dataset.storage import Location

MISSED_SIGNS = 4
"""A run without a `finished` event that was due to give so many signs of life, and gave none, is dead."""
RATE_WINDOW_S = 600.0
"""The speed of a run is that of its last ten minutes."""


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """One run of the job.

    Attributes:
        state: `running`, `silent` (killed, or cut off from the disk), or its result: `complete`, `failed`,
            `over_budget`, `interrupted`, `crashed`.
        num_planned: scenes that it set out to make; those that were there already are not among them.
        running: scenes that are being made; empty unless the run is running.
        frames_per_s: over the last ten minutes of the run; None before the first frame.
        eta_s: what is left of a running run at that speed.
        silent_s: since its last event; None where it has none.
    """

    run_id: str
    state: str
    num_planned: int
    num_committed: int
    num_failed: int
    num_retries: int
    running: tuple[str, ...]
    frames_per_s: float | None
    scenes_per_hour: float | None
    eta_s: float | None
    silent_s: float | None


@dataclass(frozen=True, kw_only=True)
class DatasetStatus:
    """How far a data set is.

    Attributes:
        committed: scenes with a valid receipt.
        running: scenes that a living run is making.
        failed: error of every scene whose last attempt in any run failed.
        not_started: scenes that the living runs, or the last run where none lives, have planned and not begun.
        num_steps, num_images, num_bytes: of the scenes that are committed or in the manifest.
        damaged: scenes of the manifest whose files are not as they were written.
        frames_per_s, eta_s: of the living runs together; None where none lives or nothing is known.
        cost: seconds per stage that all committed scenes took, by clock, processor and GPU.
    """

    dataset: str
    num_steps: int
    num_images: int
    num_bytes: int
    committed: tuple[str, ...]
    running: tuple[str, ...]
    failed: dict[str, str]
    not_started: tuple[str, ...]
    damaged: tuple[str, ...]
    frames_per_s: float | None
    scenes_per_hour: float | None
    eta_s: float | None
    cost: dict[str, dict[str, float]]
    runs: tuple[RunStatus, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, with counts beside the lists."""
        values = asdict(self)
        for name in ("committed", "running", "failed", "not_started", "damaged"):
            values[f"num_{name}"] = len(getattr(self, name))
        return values


def read_status(dataset_dir: Location, *, now: datetime | None = None) -> DatasetStatus:
    """Read how far a data set is.

    Raises:
        DatasetError: no data set is there, or its manifest is damaged.
    """
    from scenegen.dataset import read_manifest
    from scenegen.dataset.fold import committed_entries
    from scenegen.dataset.storage import open_storage

    manifest = read_manifest(dataset_dir)
    entries = committed_entries(dataset_dir)
    committed = frozenset(entries)
    listed = {scene.scene_id: scene for scene in manifest.scenes}
    # A running job lists new scenes with a delay; what has a receipt is there all the same.
    counts = replace(manifest, scenes=tuple({**listed, **entries}.values())).counts
    now = now or datetime.now(UTC)
    storage = open_storage(dataset_dir)
    events_of_run = {run_id: read_events(storage, run_id) for run_id in list_runs(storage)}
    silent_s = MISSED_SIGNS * alive_s(storage)
    runs = tuple(_read_run(run_id, events, now, dead_after_s=silent_s) for run_id, events in events_of_run.items())
    alive = [run for run in runs if run.state == "running"]
    running = {scene_id for run in alive for scene_id in run.running} - committed
    failed = _last_failures(events_of_run.values())
    failed = {scene_id: error for scene_id, error in failed.items() if scene_id not in committed | running}
    planned: dict[str, None] = {}
    for run in alive or runs[-1:]:
        planned |= dict.fromkeys(_planned_ids(events_of_run[run.run_id]))
    begun = committed | running | set(failed)
    return DatasetStatus(
        dataset=str(dataset_dir),
        num_steps=counts["steps"],
        num_images=counts["images"],
        num_bytes=counts["bytes"],
        committed=tuple(sorted(committed)),
        running=tuple(sorted(running)),
        failed=failed,
        not_started=tuple(scene_id for scene_id in planned if scene_id not in begun),
        damaged=tuple(scene.scene_id for scene in manifest.scenes if scene.scene_id not in committed),
        frames_per_s=_sum_known(run.frames_per_s for run in alive),
        scenes_per_hour=_sum_known(run.scenes_per_hour for run in alive),
        eta_s=max((run.eta_s for run in alive if run.eta_s is not None), default=None),
        cost=_sum_costs(events_of_run.values()),
        runs=runs,
    )


def _read_run(run_id: str, events: Sequence[dict[str, Any]], now: datetime, *, dead_after_s: float) -> RunStatus:
    counts = Counter(event["event"] for event in events)
    silent_s = (now - _time_of(events[-1])).total_seconds() if events else None
    result = next((event["result"] for event in events if event["event"] == "finished"), None)
    is_alive = silent_s is not None and silent_s < dead_after_s
    state = result or ("running" if is_alive else "silent")
    frames_per_s = _frames_per_second(events)
    num_frames_left = _num_frames_left(events)
    mean_frames = _mean_frames(events)
    return RunStatus(
        run_id=run_id,
        state=state,
        num_planned=len(_planned_ids(events)),
        num_committed=counts["committed"],
        num_failed=counts["failed"],
        num_retries=counts["abandoned"],
        running=_begun_and_not_ended(events) if state == "running" else (),
        frames_per_s=frames_per_s,
        scenes_per_hour=3600.0 * frames_per_s / mean_frames if frames_per_s and mean_frames else None,
        eta_s=num_frames_left / frames_per_s if state == "running" and frames_per_s else None,
        silent_s=silent_s,
    )


def _planned_ids(events: Sequence[dict[str, Any]]) -> list[str]:
    return [scene_id for event in events if event["event"] == "planned" for scene_id in event["scene_ids"]]


def _begun_and_not_ended(events: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    running: dict[str, None] = {}
    for event in events:
        if event["event"] == "started":
            running[event["scene_id"]] = None
        elif event["event"] in ("abandoned", "committed", "failed"):
            running.pop(event["scene_id"], None)
    return tuple(running)


def _last_failures(runs: Any) -> dict[str, str]:
    """Return the error of every scene whose last attempt failed, runs taken in order."""
    failed: dict[str, str] = {}
    for event in (event for events in runs for event in events):
        if event["event"] == "failed":
            failed[event["scene_id"]] = event["error"]
        elif event["event"] in ("started", "committed"):
            failed.pop(event["scene_id"], None)
    return failed


def _frames_per_second(events: Sequence[dict[str, Any]]) -> float | None:
    """Return the speed between the first and the last `chunk` event of the last ten minutes."""
    points = [(_time_of(event), event["num_frames"]) for event in events if event["event"] == "chunk"]
    points = [(_time_of(event), 0) for event in events if event["event"] == "planned"][:1] + points
    if len(points) < 2:
        return None
    last_time, last_frames = points[-1]
    recent = [point for point in points if (last_time - point[0]).total_seconds() <= RATE_WINDOW_S]
    first_time, first_frames = recent[0]
    span_s = (last_time - first_time).total_seconds()
    return (last_frames - first_frames) / span_s if span_s > 0.0 and last_frames > first_frames else None


def _num_frames_left(events: Sequence[dict[str, Any]]) -> int:
    """Count the frames that are still to be made; those of failed scenes, taken as average ones, are not."""
    planned = sum(event["num_frames"] for event in events if event["event"] == "planned")
    done = max((event["num_frames"] for event in events if event["event"] == "chunk"), default=0)
    num_failed = sum(event["event"] == "failed" for event in events)
    return max(planned - done - round(num_failed * (_mean_frames(events) or 0.0)), 0)


def _mean_frames(events: Sequence[dict[str, Any]]) -> float | None:
    num_frames = sum(event["num_frames"] for event in events if event["event"] == "planned")
    num_scenes = len(_planned_ids(events))
    return num_frames / num_scenes if num_scenes else None


def _sum_costs(runs: Any) -> dict[str, dict[str, float]]:
    totals: dict[str, dict[str, float]] = {}
    for event in (event for events in runs for event in events):
        for unit, stages in event.get("cost", {}).items():
            of_unit = totals.setdefault(unit, {})
            for stage, seconds in stages.items():
                of_unit[stage] = round(of_unit.get(stage, 0.0) + seconds, 3)
    return totals


def _sum_known(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _time_of(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["time_utc"])
