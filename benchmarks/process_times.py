"""Processor time of this process and all below it, by what they are in a Ray cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import psutil

ROLES = {
    "gcs_server": "control store",
    "raylet": "raylet",
    "log_monitor": "log monitor",
    "monitor.py": "autoscaler monitor",
    "ray::DashboardAgent": "agents",
    "ray::RuntimeEnvAgent": "agents",
    "dashboard/dashboard": "dashboard",
    "ray::IDLE": "idle workers",
    "ray::": "actors",
}
"""What stands in a process's command line -> role; the first that fits."""


def family() -> list[psutil.Process]:
    """Return this process and all below it."""
    return [psutil.Process(), *psutil.Process().children(recursive=True)]


def cpu_seconds(processes: Sequence[psutil.Process]) -> dict[str, float]:
    """Return processor time, user and system, by role; processes that are gone count nothing."""
    seconds: dict[str, float] = defaultdict(float)
    for process in processes:
        try:
            times = process.cpu_times()
            role = "driver" if process == psutil.Process() else role_of(" ".join(process.cmdline()))
        except psutil.NoSuchProcess:
            continue
        seconds[role] += times.user + times.system
    return seconds


def spent_since(before: Mapping[str, float]) -> dict[str, float]:
    """Return what this process and all below it took since, by role."""
    return {role: seconds - before.get(role, 0.0) for role, seconds in cpu_seconds(family()).items()}


def private_mb(processes: Sequence[psutil.Process], role: str) -> list[float]:
    """Return the memory that would be free without each process of a role, in megabytes."""
    sizes = []
    for process in processes:
        try:
            if role_of(" ".join(process.cmdline())) == role:
                sizes.append(process.memory_full_info().uss / 1e6)
        except psutil.NoSuchProcess:
            continue
    return sizes


def role_of(command_line: str) -> str:
    """Name the role of a process by its command line.

    >>> role_of("/x/ray/core/src/ray/raylet/raylet --raylet_socket_name=..."), role_of("ray::PayloadWorker.make")
    ('raylet', 'actors')
    """
    return next((role for text, role in ROLES.items() if text in command_line), "other")
