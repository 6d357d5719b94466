"""What every benchmark of speed shares: a figure, how it is measured in turns, and how figures are printed."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Figure:
    """The median of a ratio over rounds, its range, and the bound that it is held against.

    Attributes:
        ratio, min, max: over rounds.
        floor: the bound; None for a figure that is only shown.
        holds: whether `ratio` keeps it.
    """

    ratio: float
    min: float
    max: float
    floor: float | None
    holds: bool

    @property
    def bound(self) -> str:
        """The bound in words, empty where there is none; on which side it lies follows from whether it is kept."""
        if self.floor is None:
            return ""
        return f"{'at least' if (self.ratio >= self.floor) == self.holds else 'at most'} {self.floor:g}"


def figure_of(ratios: Sequence[float], *, least: float | None = None, most: float | None = None) -> Figure:
    """Return the median of a ratio; it holds at `least` or more, or at `most` or less.

    >>> figure_of([1.0, 2.0, 4.0], least=2.0)
    Figure(ratio=2.0, min=1.0, max=4.0, floor=2.0, holds=True)
    """
    middle = median(ratios)
    holds = (least is None or middle >= least) and (most is None or middle <= most)
    return Figure(
        ratio=round(middle, 4),
        min=round(min(ratios), 4),
        max=round(max(ratios), 4),
        floor=most if least is None else least,
        holds=holds,
    )


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return what some work costs in all threads of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def take_turns(works: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Return the CPU seconds of each work in each round; works take turns, in an order that turns round too."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(-warm_up, rounds):
        for name in list(works)[:: 1 if number % 2 == 0 else -1]:
            cost = cpu_seconds(works[name])
            if number >= 0:
                seconds[name].append(cost)
    return seconds


def ratios_of(seconds: Mapping[str, Sequence[float]], over: str, under: str) -> list[float]:
    """Return the ratio of two works in each round."""
    return [a / b for a, b in zip(seconds[over], seconds[under], strict=True)]


def parse_options(module: str, description: str | None, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse `--quick` and `--json FILE`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="less of everything: within a minute")
    parser.add_argument("--json", metavar="FILE", help="write the figures; - prints them, and the table to stderr")
    return parser.parse_args(arguments)


def table_of(figures: Mapping[str, Figure]) -> str:
    """Return one line per figure."""
    width = max(map(len, figures), default=0) + 2
    lines = [f"{'':{width}}{'median':>9}{'min':>9}{'max':>9}  {'bound':14}"]
    for name, figure in figures.items():
        verdict = "" if figure.floor is None else "holds" if figure.holds else "FAILS"
        lines.append(
            f"{name:{width}}{figure.ratio:9.3f}{figure.min:9.3f}{figure.max:9.3f}  {figure.bound:14} {verdict}".rstrip()
        )
    return "\n".join(lines)


def print_figures(figures: Mapping[str, Figure], json_file: str | None) -> int:
    """Print table and JSON; return the exit code, 1 where a bound is missed."""
    document = json.dumps({name: asdict(figure) for name, figure in figures.items()}, indent=2)
    if json_file == "-":
        print(document)
        print(table_of(figures), file=sys.stderr)
    else:
        print(table_of(figures))
        if json_file:
            Path(json_file).write_text(document + "\n")
    return 0 if all(figure.holds for figure in figures.values()) else 1
