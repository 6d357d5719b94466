"""Nodes that Ray is about to take away: a spot notice, the autoscaler, or `ray drain-node`.

Ray's public functions do not tell (`ray.nodes()` leaves it out, `ray.util.state` needs the dashboard), so this asks the
control store as Ray Serve and Ray Train do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

ASK_EVERY_S = 5.0
ANSWER_WITHIN_S = 5.0


class DrainNotices:
    """Which nodes of the cluster drain, asked once in `ASK_EVERY_S`: one small call to the control store."""

    def __init__(self) -> None:
        import ray
        from ray._raylet import GcsClient  # type: ignore[attr-defined]

        self._control_store = GcsClient(address=ray.get_runtime_context().gcs_address)
        self._deadlines_s: dict[str, float] = {}
        self._asked_s = -ASK_EVERY_S

    def deadlines_s(self) -> Mapping[str, float]:
        """Return node id -> when the node will be gone, in seconds since 1970; infinity where nobody has said."""
        from ray.exceptions import RpcError

        if time.monotonic() - self._asked_s < ASK_EVERY_S:
            return self._deadlines_s
        self._asked_s = time.monotonic()
        try:
            deadlines_ms = self._control_store.get_draining_nodes(timeout=ANSWER_WITHIN_S)
        except RpcError:  # it restarts or is lost; the calls to workers will tell which
            return self._deadlines_s
        self._deadlines_s = {node: ms / 1e3 if ms else float("inf") for node, ms in deadlines_ms.items()}
        return self._deadlines_s


def this_node_id() -> str:
    """Return the id of the node that an actor runs on."""
    import ray

    return ray.get_runtime_context().get_node_id()
