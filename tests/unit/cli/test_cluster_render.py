"""Manifests against what KubeRay's ray.io/v1 types call required, and against what the job needs."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import yaml

from scenegen.cli.command_line import main

PLACE = ("cluster.image=registry.example/scenegen:0.1.0", "cluster.volume_claim=scenes", "output=/data/many")
REQUIRED_OF_CLUSTER = {"headGroupSpec"}
REQUIRED_OF_HEAD = {"rayStartParams", "template"}
REQUIRED_OF_WORKERS = {"groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"}
KNOWN_OF_CLUSTER = REQUIRED_OF_CLUSTER | {"workerGroupSpecs", "rayVersion", "authOptions", "enableInTreeAutoscaling"}
KNOWN_OF_JOB = {
    "entrypoint",
    "backoffLimit",
    "shutdownAfterJobFinishes",
    "ttlSecondsAfterFinished",
    "rayClusterSpec",
}


def render(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["cluster", "render", *PLACE, *arguments]) == 0
    text = capsys.readouterr().out
    assert "&id" not in text
    manifest = yaml.safe_load(text)
    assert isinstance(manifest, dict)
    return manifest


def check_cluster(spec: dict[str, Any]) -> None:
    assert spec.keys() >= REQUIRED_OF_CLUSTER and spec.keys() <= KNOWN_OF_CLUSTER
    assert spec["headGroupSpec"].keys() >= REQUIRED_OF_HEAD
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    assert all(group.keys() >= REQUIRED_OF_WORKERS for group in spec["workerGroupSpecs"])
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert container.keys() >= {"name", "image", "resources"}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in group["template"]["spec"]["volumes"]}


def test_a_ray_job_has_what_kuberay_requires(capsys: pytest.CaptureFixture[str]) -> None:
    manifest = render(capsys, "layouts=[procedural:1-9]")
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayJob")
    assert manifest["metadata"]["name"] == "scenegen"
    assert set(manifest["spec"]) == KNOWN_OF_JOB
    check_cluster(manifest["spec"]["rayClusterSpec"])


def test_a_ray_cluster_has_what_kuberay_requires_and_a_dashboard_on_loopback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifest = render(capsys, "--kind", "raycluster")
    assert manifest["kind"] == "RayCluster"
    check_cluster(manifest["spec"])
    assert manifest["spec"]["headGroupSpec"]["rayStartParams"]["dashboard-host"] == "127.0.0.1"


@pytest.mark.parametrize("kind", ["rayjob", "raycluster"])
def test_every_cluster_asks_for_a_token_from_a_secret(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = render(capsys, "--kind", kind, "cluster.token_secret=mine")
    spec = manifest["spec"] if kind == "raycluster" else manifest["spec"]["rayClusterSpec"]
    assert spec["authOptions"] == {"mode": "token", "secretName": "mine"}
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"


def test_the_entry_point_carries_the_overrides_through_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    manifest = render(capsys, "layouts=[procedural:1-9]", 'prompt="a foggy evening"', "run.gpus_per_worker=0.0")
    words = shlex.split(manifest["spec"]["entrypoint"])
    assert words[:4] == ["python", "-m", "ray_jobs.generate", "run=ray_cluster"]
    assert 'prompt="a foggy evening"' in words and "output=/data/many" in words
    assert not any(word.startswith("cluster.") for word in words)


def test_pods_get_what_the_configuration_says(capsys: pytest.CaptureFixture[str]) -> None:
    manifest = render(
        capsys,
        "cluster.workers.gpus=2",
        "cluster.workers.cpus=16",
        "cluster.workers.node_selector=[spot:true]",
        "cluster.workers.tolerations=[nvidia.com/gpu]",
        "run.gpus_per_worker=0.5",
        "run.drain_s=90",
    )
    (group,) = manifest["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    pod = group["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"] == {"cpu": 16, "memory": "32768Mi", "nvidia.com/gpu": 2}
    assert pod["nodeSelector"] == {"spot": "true"} and pod["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert pod["terminationGracePeriodSeconds"] > 90
    head = manifest["spec"]["rayClusterSpec"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0" and "nodeSelector" not in head["template"]["spec"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run.gpus_per_worker=1.0",), "a worker that fits into a pod"),
        (("run.num_workers=99",), "run.num_workers of at most 32"),
        (("output=out/ds",), "an output that every pod sees"),
        (("--kind", "deployment"), "one of rayjob, raycluster"),
        (("cluster.workers.replicas=9",), "rising order"),
        (("cluster.name=Not_A_Name",), "lower-case letters"),
        (("cluster.imag=x",), "Did you mean 'image'"),
        (("sed=1",), "Did you mean 'seed'"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cluster", "render", *PLACE, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and message in captured.err and captured.err.count("\n") == 1


def test_an_image_has_no_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "render", "output=s3://bucket/ds"]) == 2
    assert "image" in capsys.readouterr().err
