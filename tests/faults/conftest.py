"""Counts what the battery did and, where SCENEGEN_FAULT_REPORT names a folder, writes the report there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.report import BatteryCounts, write_report
from tests.faults.tiers import TIER_VARIABLE

REPORT_VARIABLE = "SCENEGEN_FAULT_REPORT"
_counts: dict[str, BatteryCounts] = {}


@pytest.fixture(autouse=True)
def _battery_of_test(request: pytest.FixtureRequest) -> None:
    marker = request.node.get_closest_marker("battery")
    if marker is not None:
        request.node.user_properties.append(("battery", marker.args[0]))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    facts = dict(report.user_properties)
    if "battery" not in facts:
        return
    counts = _counts.setdefault(facts["battery"], BatteryCounts())
    counts.seconds += report.duration
    if report.when == "call":
        counts.num_runs += int(facts.get("runs", 1))
        counts.num_failures += report.failed
        counts.seeds += [facts["seed"]] if "seed" in facts else []


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = os.environ.get(REPORT_VARIABLE)
    if folder and _counts:
        write_report(Path(folder), _counts, tier=os.environ.get(TIER_VARIABLE, "change"))
