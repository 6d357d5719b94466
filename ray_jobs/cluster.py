"""Joining a Ray cluster, or starting one on this machine: always with a token, and never an unguarded one elsewhere.

Whoever reaches an unguarded Ray cluster runs code on it, so a token is no option but the default.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

from scenegen.config import RunConfig
from scenegen.errors import ClusterError

OBJECT_STORE_BYTES = 256 * 1024**2
"""Only headers and outcomes travel, so the store can be small."""
LOCAL_ADDRESSES = ("auto", "local")
"""What Ray takes for the cluster of this machine."""


def is_on_cluster() -> bool:
    """Say whether Ray was started by somebody else: `ray job submit` and RAY_ADDRESS both set the address."""
    return bool(os.environ.get("RAY_ADDRESS"))


def joins_cluster(run: RunConfig) -> bool:
    """Say whether a job runs on a cluster that it did not start.

    Raises:
        ClusterError: `run=ray_cluster` without an address, or one beyond this machine that asks for no token.
    """
    if run.name == "ray_local":
        return False
    if not is_on_cluster():
        if run.name == "ray_cluster":
            raise ClusterError(
                "a running Ray cluster",
                found="no RAY_ADDRESS",
                where="run=ray_cluster",
                fix="set RAY_ADDRESS=HOST:6379, submit with `ray job submit`, or say run=ray_local",
            )
        return False
    if run.require_token:
        check_guarded(os.environ["RAY_ADDRESS"])
    return True


def check_guarded(address: str) -> None:
    """Refuse an address beyond this machine unless Ray's token authentication is on.

    Raises:
        ClusterError: the address is not of this machine, and RAY_AUTH_MODE is not `token`.
    """
    if is_of_this_machine(address) or os.environ.get("RAY_AUTH_MODE") == "token":
        return
    raise ClusterError(
        "a Ray cluster that asks for a token",
        found=f"RAY_AUTH_MODE={os.environ.get('RAY_AUTH_MODE', '')!r} for {address}, which is not this machine",
        where="RAY_ADDRESS",
        fix="set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN on every node and here (docs/operations.md); "
        "run.require_token=false where something else guards the cluster",
    )


def is_of_this_machine(address: str) -> bool:
    """Say whether an address of Ray (`auto`, HOST:PORT, or a URL) cannot be reached from elsewhere.

    >>> [is_of_this_machine(a) for a in ("auto", "127.0.0.1:6379", "http://localhost:8265", "ray://[::1]:10001")]
    [True, True, True, True]
    >>> [is_of_this_machine(a) for a in ("10.0.0.7:6379", "http://0.0.0.0:8265", "head:6379")]
    [False, False, False]
    """
    if address in LOCAL_ADDRESSES:
        return True
    location = address.partition("://")[2] or address
    location = location.partition("/")[0].rpartition("@")[2]
    host = location[1:].partition("]")[0] if location.startswith("[") else location.rpartition(":")[0] or location
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def open_ray(*, num_cpus: int, is_own: bool | None = None, require_token: bool = True) -> Iterator[None]:
    """Join the running cluster, or start one on this machine alone: loopback, token, no dashboard.

    Args:
        num_cpus: of a cluster that is started.
        is_own: start one whether or not RAY_ADDRESS names another; None starts one where it names none.
        require_token: refuse a cluster beyond this machine that asks for none.

    Raises:
        ClusterError: the cluster at RAY_ADDRESS is refused.
    """
    starts_own = not is_on_cluster() if is_own is None else is_own
    if starts_own:
        protect_own_cluster()
    elif require_token:
        check_guarded(os.environ["RAY_ADDRESS"])
    import ray

    if ray.is_initialized():
        yield
        return
    with kept_handlers():
        if starts_own:
            ray.init(
                address="local",
                num_cpus=num_cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=OBJECT_STORE_BYTES,
                _node_ip_address="127.0.0.1",
            )
        else:
            ray.init(log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def kept_handlers() -> Iterator[None]:
    """Put back the process's handlers of Ctrl-C and SIGTERM after the block: Ray puts its own in their place."""
    if current_thread() is not main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def protect_own_cluster() -> None:
    """Give a cluster of our own a secret token, and loopback alone. Ray reads these variables when it is imported.

    Unless told that it is alone on its machine, Ray puts the machine's address in the place of 127.0.0.1; the variable
    is named after the systems on which that is its default.
    """
    if "ray" in sys.modules:
        return
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # this job is what the user asked for
