"""Who may be joined. No Ray is started here."""

from __future__ import annotations

import pytest

from ray_jobs.cluster import joins_cluster, open_ray
from ray_jobs.pool import actor_options
from scenegen.errors import ClusterError
from tests.unit.orchestration.fakes import make_run


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "address", ["203.0.113.9:6379", "10.0.0.7:6379", "http://0.0.0.0:8265", "ray://head.example:10001", "head:6379"]
)
def test_a_cluster_elsewhere_without_a_token_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ClusterError, match="RAY_AUTH_MODE"):
        joins_cluster(make_run())
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert joins_cluster(make_run())


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:6379", "http://localhost:8265"])
def test_a_cluster_of_this_machine_needs_none(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert joins_cluster(make_run())


def test_verification_export_and_training_are_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "203.0.113.9:6379")
    with pytest.raises(ClusterError, match="203"), open_ray(num_cpus=1):
        raise AssertionError("joined")


def test_the_check_can_be_waived_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    assert joins_cluster(make_run(require_token="false"))


def test_the_name_of_the_run_says_whose_cluster_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match="no RAY_ADDRESS"):
        joins_cluster(make_run(name="ray_cluster"))
    assert not joins_cluster(make_run(name="ray"))
    monkeypatch.setenv("RAY_ADDRESS", "203.0.113.9:6379")
    assert not joins_cluster(make_run(name="ray_local"))


def test_actors_ask_for_what_the_configuration_says() -> None:
    run = make_run(gpus_per_worker=0.25, memory_gib_per_worker=3.0, placement="spread", threads_per_scene=4)
    options = actor_options(run)
    assert (options["num_cpus"], options["num_gpus"], options["memory"]) == (4, 0.25, 3 * 1024**3)
    assert options["scheduling_strategy"] == "SPREAD" and options["max_restarts"] == 0
