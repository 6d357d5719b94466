"""The verb `eval`: does a data set show what its layouts say, without flicker, drift or leak?"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenegen.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from scenegen.evaluation.evaluate import EvaluationPlan

EVAL_EXAMPLES = """examples:
  scenegen eval out/ds --json scores.json --html scores.html
  scenegen eval out/ds --weights out/video/native.safetensors     # painted by weights of your own
  scenegen eval out/ds --reference out/preview --every 12 --scenes 3

docs/evaluation.md says what every figure means.
"""


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add `eval`."""
    parser = verbs.add_parser(
        "eval",
        help="score a data set against its own layouts",
        description="Score a data set against its own layouts.",
        parents=[common],
        epilog=EVAL_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", metavar="DATASET", help="a folder or a URL")
    parser.add_argument("--reference", metavar="DATASET", help="the same scenes with true frames; default: the preview")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with the worst frames")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables for a document")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="what painted the scenes, where it is not shipped")
    parser.add_argument("--every", type=int, default=6, metavar="N", help="judge every Nth step (default 6)")
    parser.add_argument("--scenes", type=int, metavar="N", help="only the first N scenes")
    parser.add_argument("--plain", action="store_true", help="progress as lines instead of a bar")
    parser.set_defaults(verb=run_eval)


def run_eval(options: argparse.Namespace) -> None:
    """Look at the data set, print a table, write the report."""
    plan = _plan_of(options)
    outputs = [path for path in (options.json, options.html, options.markdown) if path is not None]
    for path in outputs:
        _check_writable(path)
    from scenegen.evaluation.evaluate import evaluate_dataset
    from scenegen.evaluation.judging import LearnedJudge
    from scenegen.evaluation.markdown import write_tables
    from scenegen.evaluation.page import write_page
    from scenegen.evaluation.report import build_report
    from scenegen.evaluation.targets import describe_rows, table_rows
    from scenegen.evaluation.watch import open_watcher

    watcher = open_watcher(is_plain=options.plain)
    try:
        evaluation = evaluate_dataset(plan, judge=LearnedJudge(), watcher=watcher)
    finally:
        watcher.close()
    report = build_report(evaluation)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if options.html is not None:
        options.html.write_text(write_page(report, evaluation.worst), encoding="utf-8")
    if options.markdown is not None:
        options.markdown.write_text(write_tables(report), encoding="utf-8")
    sys.stdout.write(describe_rows(table_rows(report)))
    for text in report["warnings"]:
        sys.stdout.write(f"warning: {text}\n")
    for path in outputs:
        sys.stdout.write(f"{path}\n")


def _plan_of(options: argparse.Namespace) -> EvaluationPlan:
    for name in ("every", "scenes"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name} of one or more", found=str(value))
    from scenegen.evaluation.evaluate import EvaluationPlan

    return EvaluationPlan(
        dataset_dir=options.dataset,
        reference_dir=options.reference,
        weights=options.weights,
        every=options.every,
        max_scenes=options.scenes,
    )


def _check_writable(path: Path) -> None:
    """Find out before minutes of work, not after."""
    if not path.parent.is_dir():
        raise OutputError("a file in an existing folder", found=str(path), fix=f"run mkdir -p {path.parent}")
