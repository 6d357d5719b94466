"""The report of the battery: runs, failures, seeds, time, and what zero failures say about the rate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(kw_only=True)
class BatteryCounts:
    """What one battery did. Seeds are those of random ones; enumerated cases have none."""

    num_runs: int = 0
    num_failures: int = 0
    seeds: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate_below(self) -> float | None:
        """Bound of the failure rate at 95 % after random runs without failure, 3/n; None for three runs or less."""
        return 3.0 / self.num_runs if self.seeds and not self.num_failures and self.num_runs > 3 else None


def write_report(folder: Path, counts: Mapping[str, BatteryCounts], *, tier: str) -> None:
    """Write `report.json` and `report.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {name: {**asdict(entry), "rate_below": entry.rate_below} for name, entry in sorted(counts.items())}
    (folder / "report.json").write_text(json.dumps({"tier": tier, "batteries": document}, indent=1) + "\n")
    (folder / "report.md").write_text(report_text(counts, tier=tier))


def report_text(counts: Mapping[str, BatteryCounts], *, tier: str) -> str:
    """Return the report as a table."""
    lines = [f"# Fault battery, tier {tier}", ""]
    lines += ["| battery | runs | failures | seeds | seconds | rate below, at 95 % |", "|---|---|---|---|---|---|"]
    for name, entry in sorted(counts.items()):
        bound = "" if entry.rate_below is None else f"{100.0 * entry.rate_below:.2g} %"
        seeds = " ".join(map(str, sorted(set(entry.seeds))))
        lines.append(f"| {name} | {entry.num_runs} | {entry.num_failures} | {seeds} | {entry.seconds:.0f} | {bound} |")
    return "\n".join(lines) + "\n"
