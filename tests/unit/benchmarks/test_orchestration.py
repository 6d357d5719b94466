from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fake_scenes import Payload, ThreadWorkers
from benchmarks.orchestration import measure, run_config
from benchmarks.scalability_law import fit_scalability


def test_the_fit_finds_the_law_that_made_the_figures() -> None:
    counts = [1, 2, 4, 8, 16, 32, 64]
    rates = [3.0 * n / (1.0 + 0.002 * (n - 1) + 1e-5 * n * (n - 1)) for n in counts]
    law = fit_scalability(counts, rates)
    assert (law.rate, law.contention, law.coherency) == pytest.approx((3.0, 0.002, 1e-5), rel=1e-3)
    assert law.efficiency(64) == pytest.approx(rates[-1] / 64 / 3.0, rel=1e-3)


def test_sleeping_workers_sleep_at_the_same_time_and_write_their_bytes(tmp_path: Path) -> None:
    payload = Payload(
        cpu_s=0.02, gpu_s=0.2, num_bytes=10, folder=str(tmp_path)
    )  # processor time is counted in ticks of 10 ms
    pool = ThreadWorkers(payload, num_workers=8)
    measured = measure(pool, run_config(8), tmp_path / "ds", num_scenes=16)
    assert 0.4 <= measured.wall_s < 16 * 0.2
    assert measured.cpu_s["driver"] > 16 * 0.01
    assert sum(path.stat().st_size for path in tmp_path.glob("scene-*")) == 160
