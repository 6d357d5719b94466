"""Training on a cluster: `python -m ray_jobs.train recipe=video data=... output=... run.num_workers=2`.

The same overrides and exit codes as `scenegen train`; Ray Train starts the processes and joins them, the rest is
`scenegen.training`. Checkpoints are the run's own, so the same command continues after anything. What is shown are the
records of `log.jsonl`: Ray's own stream of its actors' logs would bury them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

from ray_jobs.cluster import is_on_cluster, kept_handlers, open_ray
from scenegen.cli.command_line import main as run_command_line
from scenegen.config import TrainConfig
from scenegen.errors import ConfigError, SceneGenError
from scenegen.training.recipes import log_to_stderr, run_recipe

POLL_S = 2.0


def train_on_ray(config: TrainConfig) -> Path:
    """Run a recipe on `run.num_workers` Ray Train workers; returns the file of weights.

    Raises:
        ConfigError: a relative output on a cluster, or a recipe for one process.
        SceneGenError: what a worker raised.
    """
    if config.recipe.name != "video":
        raise ConfigError("recipe=video, which several processes can train", found=config.recipe.name, where="recipe")
    config = with_absolute_paths(config)
    with open_ray(num_cpus=config.run.num_workers * config.run.num_threads), shown(Path(config.output) / "log.jsonl"):
        import ray
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        num_gpus = int(resources.get("GPU", 0))
        use_gpu = config.device == "cuda" or (config.device == "auto" and num_gpus >= config.run.num_workers)
        trainer = TorchTrainer(
            train_worker,
            train_loop_config={"config": config},
            torch_config=TorchConfig(timeout_s=6 * 3600),
            scaling_config=ScalingConfig(
                num_workers=config.run.num_workers,
                use_gpu=use_gpu,
                resources_per_worker={"CPU": config.run.num_threads, "GPU": int(use_gpu)},
            ),
            run_config=RunConfig(name="ray", storage_path=config.output),
        )
        try:
            with kept_handlers():
                trainer.fit()
        except Exception as error:
            raise find_cause(error) from None
    from scenegen.training.video import WEIGHTS_NAME

    return Path(config.output) / WEIGHTS_NAME


@contextmanager
def shown(log: Path) -> Iterator[None]:
    """Write what is added to a log to stderr while the block runs."""
    is_over = Event()

    def follow() -> None:
        position = log.stat().st_size if log.is_file() else 0
        while True:
            was_over = is_over.wait(POLL_S)
            if log.is_file():
                with log.open() as file:
                    file.seek(position)
                    sys.stderr.write(file.read())
                    position = file.tell()
            if was_over:
                return

    follower = Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        is_over.set()
        follower.join()


def train_worker(arguments: dict[str, Any]) -> None:
    """Train as one of the processes."""
    log_to_stderr()
    run_recipe(arguments["config"])


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """Resolve paths here: a worker's working folder is another one.

    Raises:
        ConfigError: a relative output on a cluster.
    """
    if is_on_cluster() and not Path(config.output).is_absolute():
        raise ConfigError(
            "an absolute `output` that every node of the cluster sees",
            found=repr(config.output),
            where="ray_jobs.train",
        )
    held_out = None if config.held_out is None else str(Path(config.held_out).resolve())
    return replace(
        config,
        held_out=held_out,
        data=str(Path(config.data).resolve()),
        output=str(Path(config.output).resolve()),
        windows=str(Path(config.windows).resolve()),
    )


def find_cause(error: BaseException) -> BaseException:
    """Return the deliberate error that a worker raised, or what Ray made of another one."""
    failures = [error, *getattr(error, "worker_failures", {}).values()]
    for failure in failures:
        cause = getattr(failure, "cause", None) or failure
        if isinstance(cause, SceneGenError):
            return cause
    return error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `scenegen train` on Ray Train workers."""
    overrides = list(sys.argv[1:] if arguments is None else arguments)
    return run_command_line(["train", *overrides], trainer=train_on_ray)


if __name__ == "__main__":
    sys.exit(main())
