"""The verbs that work: `generate` and `train`. They take Hydra overrides."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenegen.cli.compose import compose_config, compose_dict
from scenegen.config import GenerateConfig, TrainConfig, known_keys
from scenegen.errors import DependencyError

if TYPE_CHECKING:
    from scenegen.pipeline import Executor

GENERATE_EXAMPLES = """examples:
  scenegen generate layouts=[crossing_pedestrian] output=out/dataset
  scenegen generate layouts=[my.yaml,procedural:1-20] rig=front1 seed=7 duration_s=30
  scenegen generate layouts=[av2:path/to/log] video.steps=8 run=ray_local run.num_workers=4
  scenegen generate layouts=[procedural:7] num_steps_per_chunk=1 stream=true | ffplay -
  scenegen generate layouts=[procedural:1-50] sweep.weather=[clear,rain,night] sweep.seed=[0,1] split=auto
"""
TRAIN_EXAMPLES = """examples:
  python -m scenegen.training.excerpts --layouts procedural:1001-1300 --output out/excerpts
  scenegen train recipe=video data=out/excerpts output=out/video
  scenegen train recipe=video size=small data=out/excerpts output=out/small
  torchrun --no-python --nproc-per-node 2 scenegen train recipe=video data=out/excerpts output=out/two
  python -m ray_jobs.train recipe=video run.num_workers=2 data=out/excerpts output=out/two
  scenegen generate video.weights=out/video/native.safetensors

The same command again goes on from the last checkpoint in `output`. More: docs/training.md.
"""
COMMITTED = "What is committed stays; the same command makes the rest"
SAVED = "The last checkpoint stays; the same command goes on from it"


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add `generate` and `train`."""
    for name, verb, help_text, examples, after_interrupt in (
        ("generate", run_generate, "layouts in, a labelled multi-camera data set out", GENERATE_EXAMPLES, COMMITTED),
        ("train", run_train, "learn a model from a scenegen data set", TRAIN_EXAMPLES, SAVED),
    ):
        parser = verbs.add_parser(
            name,
            help=help_text,
            description=help_text,
            parents=[common],
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("overrides", nargs="*", metavar="key=value", help="Hydra overrides; --cfg lists the keys")
        parser.add_argument("--cfg", action="store_true", help="print the resolved configuration and stop")
        parser.add_argument("--config-dir", type=Path, help="a folder with config groups of your own: rig/mine.yaml")
        parser.add_argument("--plain", action="store_true", help="progress as lines instead of a bar")
        parser.set_defaults(verb=verb, after_interrupt=after_interrupt)


def run_generate(options: argparse.Namespace) -> None:
    """Generate scenes and say where they are."""
    if options.cfg:
        print_config("generate", GenerateConfig, options)
        return
    config = compose_config(GenerateConfig, "generate", with_flags(options), search=options.config_dir)
    if config.stream:
        from scenegen.cli.stream import run_stream

        run_stream(config)
        return
    generate_and_report(config, executor=find_executor(config.run.name, options.executors))


def generate_and_report(config: GenerateConfig, *, executor: Executor) -> None:
    """Run the main job, then print its results.

    Raises:
        SceneFailedError: after the report, when a scene failed.
    """
    from scenegen.cli.report import write_report
    from scenegen.orchestration.progress import open_reporter
    from scenegen.pipeline import generate

    reporter = open_reporter(config.progress)
    try:
        report = generate(config, executor=executor, reporter=reporter)
    finally:
        reporter.close()
    write_report(report, sys.stdout)
    report.raise_on_failure()


def find_executor(name: str, executors: Mapping[str, Callable[[], Executor]]) -> Executor:
    """Return the serial executor, one that the caller brought, or one registered as an entry point.

    Raises:
        DependencyError: nothing is registered under that name, or its packages are missing.
    """
    from scenegen.pipeline import SerialExecutor

    if name == "serial":
        return SerialExecutor()
    family = name.partition("_")[0]  # ray_local and ray_cluster are ways of `ray`
    if family in executors:
        return executors[family]()
    for entry in metadata.entry_points(group="scenegen.executors", name=family):
        try:
            executor: Executor = entry.load()()
        except ImportError as error:
            raise DependencyError(
                f"the packages of run={name}", found=str(error), fix=f"run pip install 'scenegen[{family}]'"
            ) from error
        return executor
    raise DependencyError(
        f"an executor {family!r} in the entry points scenegen.executors",
        found="none",
        fix=f"install the package, or run python -m ray_jobs.generate ... run={name}",
    )


def run_train(options: argparse.Namespace) -> None:
    """Run a training recipe and print the file of weights it wrote."""
    if options.cfg:
        print_config("train", TrainConfig, options)
        return
    config = compose_config(TrainConfig, "train", with_flags(options), search=options.config_dir)
    from scenegen.training.recipes import log_to_stderr, run_recipe

    log_to_stderr()
    weights = (options.trainer or run_recipe)(config)
    if os.environ.get("RANK", "0") == "0":
        sys.stdout.write(f"{weights}\n")


def with_flags(options: argparse.Namespace) -> list[str]:
    """Return the overrides, flags included."""
    return [*options.overrides, *(["progress=plain"] if options.plain else [])]


def print_config(job: str, kind: type[Any], options: argparse.Namespace) -> None:
    """Print the resolved configuration as YAML; a key that still needs a value shows ???."""
    import yaml

    values = compose_dict(job, with_flags(options), known=known_keys(kind), search=options.config_dir)
    sys.stdout.write(yaml.safe_dump(values, sort_keys=False))
