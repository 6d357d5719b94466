"""Scenes over Ray actors: the same bytes as in one process, also when an actor is killed."""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import psutil
import pytest

from ray_jobs.executor import RayExecutor, ray_session, with_absolute_paths
from ray_jobs.export import export_on_ray
from ray_jobs.train import train_on_ray
from ray_jobs.verify import verify_on_ray
from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig, TrainConfig
from scenegen.dataset.export import export_dataset
from scenegen.dataset.verify import verify_dataset
from scenegen.errors import ConfigError
from scenegen.orchestration.status import read_status
from scenegen.pipeline import JobReport, generate
from tests.conftest import REPOSITORY, TINY_JOB
from tests.e2e.test_main_job import content_of
from tests.unit.pipeline.conftest import SilentReporter

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def ray_config() -> Iterator[GenerateConfig]:
    """The tiny job on two actors, and one cluster for all tests of this module."""
    config = compose_config(GenerateConfig, "generate", [*TINY_JOB, "run=ray", "run.num_workers=2"])
    with ray_session(config):
        yield config


@pytest.mark.usefixtures("ray_config")
def test_a_local_cluster_listens_on_loopback_alone() -> None:
    listeners = {
        (process.name(), connection.laddr.ip.removeprefix("::ffff:"))
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]
        if process.status() != psutil.STATUS_ZOMBIE
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {"gcs_server", "raylet"} <= {name for name, _ in listeners}
    assert all(ipaddress.ip_address(ip).is_loopback for _, ip in listeners), listeners


def test_two_workers_make_the_same_bytes_as_one_process(
    ray_config: GenerateConfig, whole_dataset: Path, tmp_path: Path
) -> None:
    reporter = SilentReporter()
    report = generate(replace(ray_config, output=str(tmp_path / "ds")), executor=RayExecutor(), reporter=reporter)
    report.raise_on_failure()
    assert content_of(tmp_path / "ds") == content_of(whole_dataset)
    assert reporter.num_frames == 48


def test_a_killed_worker_is_replaced_and_its_scene_made_again(
    ray_config: GenerateConfig, whole_dataset: Path, tmp_path: Path
) -> None:
    output = tmp_path / "ds"
    reports: list[JobReport] = []
    config = replace(ray_config, output=str(output))
    job = Thread(target=lambda: reports.append(generate(config, executor=RayExecutor(), reporter=SilentReporter())))
    job.start()
    deadline_s = time.monotonic() + 200.0
    while not any(output.glob("staging/*/scene.zarr/cameras")) and time.monotonic() < deadline_s:
        time.sleep(0.005)
    victims = [p for p in psutil.Process().children(recursive=True) if "SceneWorker" in " ".join(p.cmdline())]
    if victims:
        victims[0].kill()
    job.join()
    assert victims, "no actor was at work"
    assert reports and not reports[0].failed
    assert content_of(output) == content_of(whole_dataset)
    assert sum(outcome.num_attempts for outcome in reports[0].committed) == 3
    status = read_status(output)
    assert status.runs[0].num_retries == 1 and status.runs[0].state == "complete"


@pytest.mark.usefixtures("ray_config")
def test_verification_over_tasks_finds_what_the_serial_one_finds(whole_dataset: Path, tmp_path: Path) -> None:
    sound = verify_on_ray(str(whole_dataset), deep=True, num_workers=2)
    assert sound == verify_dataset(whole_dataset, deep=False) and sound.damages == ()
    hurt = tmp_path / "hurt"
    shutil.copytree(whole_dataset, hurt)
    victim = sorted(hurt.glob("scenes/*/*/occupancy/semantics/c.*"))[0]
    victim.write_bytes(b"x" * victim.stat().st_size)
    report = verify_on_ray(str(hurt), deep=False, num_workers=2)
    assert report == verify_dataset(hurt, deep=False) and len(report.damages) == 1


@pytest.mark.usefixtures("ray_config")
@pytest.mark.parametrize("format", ["mcap", "coco"])
def test_an_export_over_tasks_is_the_serial_one(format: str, whole_dataset: Path, tmp_path: Path) -> None:
    serial, tasks = tmp_path / "serial", tmp_path / "tasks"
    export_dataset(whole_dataset, format=format, out=serial)
    summary = export_on_ray(str(whole_dataset), format=format, out=tasks, num_workers=2)
    files = {path.relative_to(serial): path.read_bytes() for path in serial.rglob("*") if path.is_file()}
    assert {path.relative_to(tasks): path.read_bytes() for path in tasks.rglob("*") if path.is_file()} == files
    assert summary.num_files == len(files) and summary.num_scenes == 2


@pytest.mark.usefixtures("ray_config")
def test_two_workers_go_on_with_a_training_run(whole_dataset: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
    from scenegen.training.video import start_run

    overrides = [
        "recipe=video",
        "size=nano",
        f"data={whole_dataset}",
        f"output={tmp_path}",
        "recipe.steps=4",
        "recipe.batch_size=2",
        "device=cpu",
        "progress=plain",
        "run.num_workers=2",
        "run.num_threads=1",
    ]
    config = compose_config(TrainConfig, "train", overrides)
    run = start_run(config, device=torch.device("cpu"))
    # A run that has passed the pointwise encoder's stage, which would take minutes.
    save_checkpoint(tmp_path, step=2, modules=run.modules, optimizers=run.optimizers)
    handler = signal.getsignal(signal.SIGINT)
    weights = load_file(train_on_ray(config))
    assert signal.getsignal(signal.SIGINT) is handler
    before = run.network.head_out.weight.detach().clone()
    assert load_checkpoint(tmp_path, modules=run.modules, optimizers=run.optimizers) == 4
    assert all(value.isfinite().all() for value in weights.values())
    assert not torch.equal(run.network.head_out.weight, before)


def test_a_relative_output_is_refused_on_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose_config(GenerateConfig, "generate", ["run=ray", "output=out/ds"])
    assert Path(with_absolute_paths(config).output).is_absolute()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    with pytest.raises(ConfigError, match="absolute"):
        with_absolute_paths(config)


def test_the_module_entry_point_refuses_a_bad_key_with_one_line() -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    answer = subprocess.run(
        [sys.executable, "-m", "ray_jobs.generate", "sed=1"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert answer.returncode == 2
    assert answer.stderr == "scenegen: expected a known key, found 'sed'. Did you mean 'seed'?\n"
