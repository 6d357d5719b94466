"""A Ray cluster of two simulated nodes on this machine: with a token, quick to notice what is gone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from ray_jobs.cluster import OBJECT_STORE_BYTES, protect_own_cluster

REPOSITORY = Path(__file__).parent.parent.parent
QUICK_TO_NOTICE = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 4,
    "gcs_rpc_server_reconnect_timeout_s": 5,
}
GCS, RAYLET = "gcs_server", "raylet"


class TwoNodes:
    """The nodes. `ray.init` is the caller's, in this process or in another."""

    def __init__(self, *, num_cpus: int) -> None:
        protect_own_cluster()
        from ray.cluster_utils import Cluster

        self._options: dict[str, Any] = {
            "num_cpus": num_cpus,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES // 2,
        }
        self._cluster = Cluster(
            head_node_args={**self._options, "_system_config": QUICK_TO_NOTICE}, initialize_head=True
        )
        self.second = self._cluster.add_node(**self._options)

    @property
    def address(self) -> str:
        """Return what RAY_ADDRESS must say."""
        return str(self._cluster.address)

    def environment(self) -> dict[str, str]:
        """Return the environment of a driver."""
        return {**os.environ, "RAY_ADDRESS": self.address, "PYTHONPATH": str(REPOSITORY)}

    def workers(self, class_name: str) -> list[psutil.Process]:
        """Return the processes of actors of a class, on both nodes."""
        return [process for node in self._nodes() for process in actors_of(node, class_name)]

    def kill_second(self) -> None:
        """Kill the raylet of the second node; its workers die with it."""
        self.second.all_processes[RAYLET][0].process.kill()

    def replace_second(self) -> None:
        """Clear away what is left of the second node and start another."""
        self._cluster.remove_node(self.second, allow_graceful=False)
        self.second = self._cluster.add_node(**self._options)

    def kill_control_store(self) -> None:
        """Kill the process that knows nodes and actors; it has no memory beyond its own, so the cluster is over."""
        self._cluster.head_node.all_processes[GCS][0].process.kill()

    def kill_head(self) -> None:
        """Kill the control store and the head's raylet, to which the driver is connected."""
        self.kill_control_store()
        self._cluster.head_node.all_processes[RAYLET][0].process.kill()

    def has_second(self) -> bool:
        """Say whether the second node's raylet lives."""
        return is_alive(self.second, RAYLET)

    def has_control_store(self) -> bool:
        """Say whether the control store lives."""
        return is_alive(self._cluster.head_node, GCS)

    def end(self) -> None:
        """End every process of the cluster."""
        for node in self._nodes():
            node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)

    def drain_second(self, *, within_s: float) -> None:
        """Tell Ray that the second node will be taken away, as a cloud's notice or the autoscaler does."""
        from ray._raylet import GcsClient
        from ray.core.generated import autoscaler_pb2

        is_accepted, reason = GcsClient(address=self.address).drain_node(
            self.second.node_id,
            autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"),
            "spot",
            int(1000 * (time.time() + within_s)),
        )
        assert is_accepted, reason

    def _nodes(self) -> list[Any]:
        return [self._cluster.head_node, *self._cluster.worker_nodes]


def is_alive(node: Any, process_type: str) -> bool:
    """Say whether a node's process lives."""
    return node.all_processes[process_type][0].process.poll() is None


def actors_of(node: Any, class_name: str) -> list[psutil.Process]:
    """Return the processes of a node's actors of a class."""
    try:
        children = psutil.Process(node.all_processes[RAYLET][0].process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    found = []
    for process in children:
        try:
            if class_name in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@contextmanager
def two_nodes(*, num_cpus: int) -> Iterator[TwoNodes]:
    """Start the cluster, and end it after the block."""
    nodes = TwoNodes(num_cpus=num_cpus)
    try:
        yield nodes
    finally:
        nodes.end()
