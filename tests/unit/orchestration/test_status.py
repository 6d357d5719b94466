from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scenegen.cli.command_line import main
from scenegen.dataset import fold_receipts
from scenegen.errors import DatasetError
from scenegen.orchestration.ledger import ALIVE_S
from scenegen.orchestration.status import MISSED_SIGNS, read_status

SILENT_S = MISSED_SIGNS * ALIVE_S

START = datetime(2026, 1, 1, tzinfo=UTC)
Event = tuple[float, str, dict[str, Any]]


def write_run(dataset: Path, run_id: str, events: Sequence[Event]) -> None:
    """Write a run whose events are (seconds after START, name, values)."""
    folder = dataset / "runs" / run_id
    folder.mkdir(parents=True)
    lines = [
        json.dumps({"time_utc": (START + timedelta(seconds=at_s)).isoformat(), "event": name, **values})
        for at_s, name, values in events
    ]
    (folder / "events.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "ds"
    folder.mkdir()
    fold_receipts(folder)
    return folder


def planned(*scene_ids: str) -> tuple[str, dict[str, Any]]:
    return "planned", {"scene_ids": list(scene_ids), "num_frames": 100 * len(scene_ids), "num_skipped": 0}


HALF_WAY: list[Event] = [
    (0, *planned("a", "b", "c", "d")),
    (0, "started", {"scene_id": "a", "attempt": 1}),
    (0, "started", {"scene_id": "b", "attempt": 1}),
    (40, "abandoned", {"scene_id": "a", "attempt": 1, "reason": "its worker was lost"}),
    (50, "failed", {"scene_id": "b", "error": "burnt down", "kind": "error"}),
    (60, "started", {"scene_id": "a", "attempt": 2}),
    (100, "chunk", {"num_frames": 50}),
]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_running_job_is_told_from_its_events_alone(dataset: Path) -> None:
    write_run(dataset, "1", HALF_WAY)
    status = read_status(dataset, now=at(110))
    assert (status.committed, status.running, status.not_started) == ((), ("a",), ("c", "d"))
    assert status.failed == {"b": "burnt down"}
    (run,) = status.runs
    assert (run.state, run.num_planned, run.num_retries) == ("running", 4, 1)
    assert status.frames_per_s == pytest.approx(0.5)
    assert status.eta_s == pytest.approx((400 - 50 - 100) / 0.5)  # the failed scene's frames will not come
    assert status.scenes_per_hour == pytest.approx(18.0)


def test_a_job_that_is_silent_runs_nothing(dataset: Path) -> None:
    write_run(dataset, "1", HALF_WAY)
    status = read_status(dataset, now=at(101 + SILENT_S))
    assert status.runs[0].state == "silent" and status.running == ()
    assert status.not_started == ("a", "c", "d")
    assert status.frames_per_s is None and status.eta_s is None


def test_the_last_word_on_a_scene_counts(dataset: Path) -> None:
    write_run(dataset, "1", [*HALF_WAY, (120, "finished", {"result": "failed"})])
    write_run(dataset, "2", [(200, *planned("b", "c")), (201, "started", {"scene_id": "b", "attempt": 1})])
    status = read_status(dataset, now=at(205))
    assert [run.state for run in status.runs] == ["failed", "running"]
    assert (status.failed, status.running, status.not_started) == ({}, ("b",), ("c",))


def test_a_line_that_is_still_being_written_is_left_out(dataset: Path) -> None:
    write_run(dataset, "1", HALF_WAY)
    with (dataset / "runs" / "1" / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"time_utc": "2026-01-01T00:01:45+00:00", "event": "comm')
    assert read_status(dataset, now=at(110)).running == ("a",)


def test_the_speed_is_that_of_the_last_ten_minutes(dataset: Path) -> None:
    slow: list[Event] = [(60.0 * minute, "chunk", {"num_frames": minute}) for minute in range(1, 60)]
    fast: list[Event] = [(3600.0 + 60.0 * minute, "chunk", {"num_frames": 60 + 60 * minute}) for minute in range(11)]
    write_run(dataset, "1", [(0, *planned(*map(str, range(99)))), *slow, *fast])
    assert read_status(dataset, now=at(4201)).frames_per_s == pytest.approx(1.0)


def test_costs_of_committed_scenes_add_up(dataset: Path) -> None:
    cost = {"seconds": {"paint": 2.0}, "cpu_seconds": {"paint": 3.0, "write": 0.5}, "gpu_seconds": {"paint": 0.0}}
    done: list[Event] = [(5, "committed", {"scene_id": name, "num_frames": 9, "cost": cost}) for name in "ab"]
    write_run(dataset, "1", [(0, *planned("a", "b")), *done])
    assert read_status(dataset, now=at(6)).cost["cpu_seconds"] == {"paint": 6.0, "write": 1.0}


def test_the_verb_prints_json_that_counts(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(dataset, "1", HALF_WAY)
    assert main(["status", str(dataset), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["num_committed"], values["num_running"], values["num_failed"], values["num_not_started"]) == (
        0, 0, 1, 3,
    )  # fmt: skip
    assert main(["status", str(dataset)]) == 0
    out = capsys.readouterr().out
    assert "not started" in out and "failed: b: burnt down" in out and "silent" in out


def test_no_data_set_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"manifest\.json"):
        read_status(tmp_path)
