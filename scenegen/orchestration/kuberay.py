"""Manifests for KubeRay 1.6 and later, from the configuration of the job that is to run there.

Every cluster asks for a token that lies in a Secret. Scenes are made on worker pods only, which get SIGTERM and time
when their node is taken away; the head holds the driver, and a RayJob whose head is lost starts anew and goes on from
what is committed.

Source: ray.io/v1 in the API reference of KubeRay v1.6.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from scenegen.config import ClusterConfig, GenerateConfig, RunConfig
from scenegen.errors import ConfigError

KINDS = ("rayjob", "raycluster")
API_VERSION = "ray.io/v1"
OBJECT_STORE_BYTES = 256 * 1024**2
"""Only headers and outcomes travel through Ray."""
SHARED_MEMORY = "512Mi"
STOP_MARGIN_S = 30
"""On top of `run.drain_s`: what Ray needs to end a pod, and the driver to end the job."""
KEPT_AFTER_END_S = 600


def render_manifest(
    kind: str, cluster: ClusterConfig, job: GenerateConfig, *, overrides: Sequence[str]
) -> dict[str, Any]:
    """Return a RayJob that runs the job and ends, or a RayCluster that waits for jobs.

    Args:
        kind: one of `KINDS`.
        cluster: pods, image, token.
        job: what will run there; its workers must fit the pods.
        overrides: the job's, as `scenegen generate` takes them.

    Raises:
        ConfigError: an unknown kind, a worker that fits no pod, more workers than pods can hold, or an output that the
            pods do not share.
    """
    if kind not in KINDS:
        raise ConfigError(f"one of {', '.join(KINDS)}", found=repr(kind), where="--kind")
    check_fit(cluster, job.run)
    _check_output(cluster, job.output)
    metadata = {"name": cluster.name, "namespace": cluster.namespace}
    if kind == "raycluster":
        # `kubectl port-forward` reaches a pod's loopback address, and nothing else does.
        spec = _cluster_spec(cluster, job.run, dashboard_host="127.0.0.1")
        return {"apiVersion": API_VERSION, "kind": "RayCluster", "metadata": metadata, "spec": spec}
    return {
        "apiVersion": API_VERSION,
        "kind": "RayJob",
        "metadata": metadata,
        "spec": {
            "entrypoint": _entrypoint(overrides),
            "backoffLimit": cluster.restarts,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": KEPT_AFTER_END_S,
            # The operator asks the head's service how the job is, so the dashboard listens inside Kubernetes.
            "rayClusterSpec": _cluster_spec(cluster, job.run, dashboard_host="0.0.0.0"),
        },
    }


def workers_per_pod(cluster: ClusterConfig, run: RunConfig) -> int:
    """Return how many scenes one worker pod can make at a time."""
    pods = cluster.workers
    limits = [pods.cpus // run.threads_per_scene]
    if run.gpus_per_worker > 0.0:
        limits.append(int(pods.gpus / run.gpus_per_worker + 1e-9))
    if run.memory_gib_per_worker is not None:
        limits.append(int(pods.memory_gib // run.memory_gib_per_worker))
    return min(limits)


def check_fit(cluster: ClusterConfig, run: RunConfig) -> None:
    """Raise `ConfigError` unless the job's workers fit into the pods."""
    per_pod = workers_per_pod(cluster, run)
    if per_pod == 0:
        raise ConfigError(
            "a worker that fits into a pod",
            found=f"{run.threads_per_scene} CPUs, {run.gpus_per_worker:g} GPUs, {run.memory_gib_per_worker or 0:g} GiB "
            f"in pods of {cluster.workers.cpus} CPUs, {cluster.workers.gpus} GPUs, {cluster.workers.memory_gib:g} GiB",
            where="cluster.workers",
        )
    capacity = per_pod * cluster.workers.max_replicas
    if run.num_workers > capacity:
        raise ConfigError(
            f"run.num_workers of at most {capacity}",
            found=str(run.num_workers),
            where="cluster.workers.max_replicas",
            fix=f"a pod holds {per_pod}; raise max_replicas or lower run.num_workers",
        )


def _check_output(cluster: ClusterConfig, output: str) -> None:
    if "://" in output:
        return
    is_mounted = cluster.volume_claim is not None and PurePosixPath(output).is_relative_to(cluster.mount_path)
    if not is_mounted:
        raise ConfigError(
            "an output that every pod sees",
            found=repr(output),
            where="output",
            fix=f"name a claim with cluster.volume_claim=... and put the output below {cluster.mount_path}",
        )


def _entrypoint(overrides: Sequence[str]) -> str:
    own = [text for text in overrides if not text.startswith(("run=", "progress="))]
    return shlex.join(["python", "-m", "ray_jobs.generate", "run=ray_cluster", "progress=plain", *own])


def _cluster_spec(cluster: ClusterConfig, run: RunConfig, *, dashboard_host: str) -> dict[str, Any]:
    workers = cluster.workers
    start = {"object-store-memory": str(OBJECT_STORE_BYTES)}
    return {
        "rayVersion": cluster.ray_version,
        "authOptions": {"mode": "token", "secretName": cluster.token_secret},
        "enableInTreeAutoscaling": workers.min_replicas < workers.max_replicas,
        "headGroupSpec": {
            "serviceType": "ClusterIP",
            "rayStartParams": {**start, "dashboard-host": dashboard_host, "num-cpus": "0"},
            "template": _pod_template(cluster, run, name="ray-head"),
        },
        "workerGroupSpecs": [
            {
                "groupName": "scenes",
                "replicas": workers.replicas,
                "minReplicas": workers.min_replicas,
                "maxReplicas": workers.max_replicas,
                "rayStartParams": start,
                "template": _pod_template(cluster, run, name="ray-worker"),
            }
        ],
    }


def _pod_template(cluster: ClusterConfig, run: RunConfig, *, name: str) -> dict[str, Any]:
    pods = cluster.workers
    is_head = name == "ray-head"
    size = cluster.head if is_head else pods
    resources: dict[str, Any] = {"cpu": size.cpus, "memory": f"{int(size.memory_gib * 1024)}Mi"}
    if not is_head and pods.gpus:
        resources["nvidia.com/gpu"] = pods.gpus
    stop_s = int(run.drain_s) + STOP_MARGIN_S
    mounts = [{"name": "shared-memory", "mountPath": "/dev/shm"}]
    volumes: list[dict[str, Any]] = [
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}}
    ]
    if cluster.volume_claim is not None:
        mounts.append({"name": "data", "mountPath": cluster.mount_path})
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": cluster.volume_claim}})
    container = {
        "name": name,
        "image": cluster.image,
        "resources": {"requests": resources, "limits": resources},
        "env": [
            {"name": "RAY_JOB_STOP_WAIT_TIME_S", "value": str(stop_s)},
            {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"},
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": mounts,
    }
    spec: dict[str, Any] = {
        "terminationGracePeriodSeconds": stop_s + STOP_MARGIN_S,
        "automountServiceAccountToken": is_head,  # the autoscaler beside the head talks to Kubernetes
        "containers": [container],
        "volumes": volumes,
    }
    if not is_head and pods.node_selector:
        spec["nodeSelector"] = dict(text.split(":", 1) for text in pods.node_selector)
    if not is_head and pods.tolerations:
        spec["tolerations"] = [{"key": key, "operator": "Exists"} for key in pods.tolerations]
    return {"spec": spec}
