"""What this machine can run."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

GIB = 1024**3
PACKAGES = (
    ("numpy", "numpy", "reading data sets"),
    ("zarr", "zarr", "reading data sets"),
    ("torch", "torch", "video=native: pip install 'scenegen[generate]'"),
    ("numba", "numba", "rendering: pip install 'scenegen[generate]'"),
    ("hydra-core", "hydra", "scenegen generate: pip install 'scenegen[generate]'"),
    ("av", "av", "mp4 previews: pip install 'scenegen[generate]'"),
    ("shapely", "shapely", "worlds: pip install 'scenegen[generate]'"),
    ("pyarrow", "pyarrow", "av2 layouts: pip install 'scenegen[generate]'"),
    ("ray", "ray", "run=ray: pip install 'scenegen[ray]'"),
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    is_ok: bool
    detail: str


def examine_machine() -> Iterator[Finding]:
    """Look at Python, packages, cores, memory, disk and shipped weights; nothing heavy is imported."""
    yield Finding(name="python", is_ok=True, detail=platform.python_version())
    for package, module, purpose in PACKAGES:
        found = importlib.util.find_spec(module) is not None
        yield Finding(name=package, is_ok=found, detail=metadata.version(package) if found else f"needed for {purpose}")
    num_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding(name="cpu cores", is_ok=num_cpus >= 2, detail=f"{num_cpus}; 2 or more are recommended")
    yield from _examine_memory()
    free_gib = shutil.disk_usage(Path.cwd()).free / GIB
    yield Finding(
        name="free disk here", is_ok=free_gib > 1.0, detail=f"{free_gib:.1f} GiB; a 30 s scene takes about 0.1"
    )
    yield from _examine_weights()


def _examine_memory() -> Iterator[Finding]:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    yield Finding(name="memory", is_ok=memory_gib > 4.0, detail=f"{memory_gib:.1f} GiB; a job needs up to 4")


def _examine_weights() -> Iterator[Finding]:
    import scenegen

    folder = Path(scenegen.__file__).parent / "weights"
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        yield Finding(name="shipped weights", is_ok=False, detail="none; video=native needs weights of your own")
    for path in files:
        yield Finding(name=path.stem, is_ok=True, detail=f"{path.stat().st_size / 1e6:.1f} MB of weights")
