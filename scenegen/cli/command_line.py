"""Arguments in, exit code out: 0 done, 2 bad input, 3 some scenes failed, 130 interrupted and resumable."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import scenegen
from scenegen.errors import SceneGenError
from scenegen.video.threads import let_waiting_threads_sleep

if TYPE_CHECKING:
    from scenegen.config import TrainConfig
    from scenegen.dataset.export import ExportSummary
    from scenegen.dataset.verify import VerifyReport
    from scenegen.pipeline import Executor

EXIT_INTERNAL = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

EXAMPLES = """examples:
  scenegen generate
  scenegen generate layouts=[crossing_pedestrian,my.yaml] rig=nuscenes6 seed=7 duration_s=30 output=out/ds
  scenegen generate layouts=[procedural:1-100] run=ray run.num_workers=8 output=out/many
  scenegen generate video=preview duration_s=2        # no model: a shaded ray cast, in seconds
  scenegen generate --cfg                             # print the configuration and stop
  scenegen layout show crossing_pedestrian --png layout.png
  scenegen inspect out/ds
  scenegen eval out/ds --html scores.html             # how well it obeys, holds still and looks

exit codes: 0 all committed, 2 bad input, 3 some scenes failed, 130 interrupted (the same command continues)
"""


def main(
    arguments: Sequence[str] | None = None,
    *,
    executors: Mapping[str, Callable[[], Executor]] | None = None,
    trainer: Callable[[TrainConfig], Path] | None = None,
    verifier: Callable[..., VerifyReport] | None = None,
    exporter: Callable[..., ExportSummary] | None = None,
) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: those of the process by default.
        executors: ways to run scenes beside the serial one and those registered as entry points.
        trainer: what runs a training instead of this process.
        verifier: what checks a data set instead of `verify_dataset`, which has the same arguments.
        exporter: what exports one instead of `export_dataset`, likewise.
    """
    let_waiting_threads_sleep()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    overrides = [text for text in rest if not text.startswith("-")]
    if len(overrides) < len(rest) or (rest and not hasattr(options, "overrides")):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if hasattr(options, "overrides"):
        options.overrides = [*options.overrides, *overrides]
    options.executors = executors or {}
    options.trainer = trainer
    options.verifier = verifier
    options.exporter = exporter
    options.command = " ".join(["scenegen", *arguments])
    return run_verb(options)


def run_verb(options: argparse.Namespace) -> int:
    """Call a verb and turn what it raises into one line and an exit code."""
    is_debug = options.debug
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        options.verb(options)
    except SceneGenError as error:
        return _fail(str(error), code=error.exit_code, is_debug=is_debug)
    except KeyboardInterrupt:
        return _fail(
            f"interrupted. {options.after_interrupt}: {options.command}",
            code=EXIT_INTERRUPTED,
            is_debug=False,
        )
    except BrokenPipeError:
        # The reader of our output (`| head`) has left. Point stdout elsewhere so that the flush at exit is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(str(error), code=EXIT_BAD_INPUT, is_debug=is_debug)
    except Exception as error:
        text = f"internal error, please report it: {type(error).__name__}: {error}. --debug shows where"
        return _fail(text, code=EXIT_INTERNAL, is_debug=is_debug)
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Describe every verb."""
    from scenegen.cli import clean, cluster, evaluate, export, import_log, jobs, look, status

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show a traceback when something goes wrong")
    parser = argparse.ArgumentParser(
        prog="scenegen",
        description="Draw a road scene, get a labelled multi-camera driving data set.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(after_interrupt="The same command begins anew")
    parser.add_argument("--version", action="version", version=f"scenegen {scenegen.__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    jobs.add_verbs(verbs, common)
    import_log.add_verbs(verbs, common)
    evaluate.add_verbs(verbs, common)
    export.add_verbs(verbs, common)
    look.add_verbs(verbs, common)
    status.add_verbs(verbs, common)
    cluster.add_verbs(verbs, common)
    clean.add_verbs(verbs, common)
    return parser


def _fail(text: str, *, code: int, is_debug: bool) -> int:
    if is_debug:
        traceback.print_exc()
    sys.stderr.write(f"scenegen: {' '.join(text.split())}\n")
    return code


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
