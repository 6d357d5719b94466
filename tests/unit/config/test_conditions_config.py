"""Which ray caster a job uses: what goes together, and what a scene is named after."""

from __future__ import annotations

import pytest
import torch

from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.errors import ConfigError, DependencyError
from scenegen.painting import require_device


def compose(*overrides: str) -> GenerateConfig:
    return compose_config(GenerateConfig, "generate", overrides)


def test_the_default_is_the_compiled_caster() -> None:
    assert compose().conditions.torch_device is None
    assert compose("conditions=torch").conditions.torch_device == "cuda"
    assert compose("conditions=torch", "conditions.device=cpu").conditions.torch_device == "cpu"


def test_compiled_code_runs_on_no_gpu() -> None:
    with pytest.raises(ConfigError, match="compiled ray caster"):
        compose("conditions.device=cuda")


def test_actors_need_a_gpu_to_cast_on_one() -> None:
    with pytest.raises(ConfigError, match="gpus_per_worker"):
        compose("conditions=torch", "run=ray_local")
    compose("conditions=torch", "run=ray_local", "run.gpus_per_worker=0.5")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here: this is what asking without one says")
def test_a_job_without_its_device_ends_before_any_work() -> None:
    with pytest.raises(DependencyError, match="a CUDA device"):
        require_device(compose("conditions=torch"))
