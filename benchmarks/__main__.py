r"""All benchmarks of speed and size, one after the other, each in a process of its own: `make bench`.

    python -m benchmarks [NAME ...] [--full] [--json FILE] [--readme FILE]
    python -m benchmarks --from FILE --readme README.md      # only write the table again

Prints every figure with its bound and whether it holds, and writes all to one JSON file, `{module: {figure: ...}}`.
`--readme` puts the table between the two marks of a document. Exit code 1 where a bound is missed, 2 where a module
could not run (an optional package is missing, for example); the others run all the same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figure import Figure, table_of

MODULES = ("renderer", "scaling", "storage", "loader", "sampler", "clip", "memory", "lidar")
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

Figures = dict[str, dict[str, Figure]]


def run_module(name: str, *, quick: bool) -> dict[str, Figure] | None:
    """Run one benchmark; None where it could not."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        quickly = ["--quick"] if quick else []
        finished = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *quickly, "--json", str(file)], capture_output=True, text=True
        )
        if not file.is_file():
            print(finished.stderr.strip()[-500:], file=sys.stderr)
            return None
        return {key: Figure(**value) for key, value in json.loads(file.read_text()).items()}


def markdown_of(figures: Figures) -> str:
    """Return the table of a document."""
    lines = ["| benchmark | figure | median | min | max | bound | |", "|---|---|---|---|---|---|---|"]
    for module, rows in figures.items():
        for name, figure in rows.items():
            verdict = "" if figure.floor is None else "holds" if figure.holds else "**missed**"
            numbers = " | ".join(f"{value:.3g}" for value in (figure.ratio, figure.min, figure.max))
            lines.append(f"| `{module}` | `{name}` | {numbers} | {figure.bound} | {verdict} |")
    return "\n".join(lines)


def replace_table(document: Path, table: str) -> None:
    """Put a table between the marks of a document.

    Raises:
        ValueError: the document has not both marks, in order.
    """
    text = document.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{document}: expected {BEGIN} and {END}")
    document.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}")


def read_figures(file: Path) -> Figures:
    """Read what an earlier run wrote."""
    document: Mapping[str, Mapping[str, Mapping[str, float | bool | None]]] = json.loads(file.read_text())
    return {
        module: {name: Figure(**value) for name, value in rows.items()}  # type: ignore[arg-type]
        for module, rows in document.items()
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks that are asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*MODULES, []], help=f"out of {', '.join(MODULES)}; all by default")
    parser.add_argument("--full", action="store_true", help="more rounds, not within a minute each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="write the table between this document's marks")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="source", help="run nothing: take these figures")
    options = parser.parse_args(arguments)
    figures: Figures = {} if options.source is None else read_figures(options.source)
    failed = []
    for name in [] if options.source else options.names or MODULES:
        print(f"benchmarks.{name} ...", file=sys.stderr, flush=True)
        measured = run_module(name, quick=not options.full)
        if measured is None:
            failed.append(name)
            continue
        figures[name] = measured
        print(table_of(measured), flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        rows = {module: {name: vars(figure) for name, figure in own.items()} for module, own in figures.items()}
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    if options.readme:
        replace_table(options.readme, markdown_of(figures))
    if failed:
        print(f"could not run: {', '.join(failed)}", file=sys.stderr)
        return 2
    return 0 if all(figure.holds for rows in figures.values() for figure in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
