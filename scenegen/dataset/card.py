"""The data set card: a README.md that says what a data set is, from its manifest and a template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from scenegen.errors import DatasetError

if TYPE_CHECKING:
    from scenegen.dataset.manifest import Manifest

TEMPLATE_NAME = "CARD_TEMPLATE.md"


def card_text(manifest: Manifest) -> str:
    """Fill in the template.

    Raises:
        DatasetError: the template is not installed.
    """
    scenes, counts = manifest.scenes, manifest.counts
    splits = Counter(scene.split for scene in scenes)
    return Template(_template_path().read_text(encoding="utf-8")).substitute(
        num_scenes=counts["scenes"],
        splits=", ".join(f"{split} {splits[split]}" for split in sorted(splits)) or "none yet",
        duration_s=f"{sum(scene.num_steps / scene.rate_hz for scene in scenes):.0f}",
        num_steps=counts["steps"],
        rates=_join(f"{scene.rate_hz:g}" for scene in scenes),
        num_images=counts["images"],
        sizes=_join(f"{scene.size_px[0]} x {scene.size_px[1]} pixels" for scene in scenes),
        cameras=_join(name for scene in scenes for name in scene.cameras),
        size_mb=f"{counts['bytes'] / 1e6:.1f}",
        schema_version=manifest.schema_version,
        models=_rows((scene.model_id, scene.model_licence) for scene in scenes),
        sources=_rows((scene.source, scene.source_licence) for scene in scenes),
    )


def _join(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names)) or "none yet"


def _rows(pairs: Iterable[tuple[str, str]]) -> str:
    """Return table rows of (name, licence) with their number of scenes."""
    rows = [f"| {name} | {licence} | {count} |" for (name, licence), count in sorted(Counter(pairs).items())]
    return "\n".join(rows) or "| none yet | | 0 |"


def _template_path() -> Path:
    """Find the template: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "datasets", package.parent / "datasets"):
        if (folder / TEMPLATE_NAME).is_file():
            return folder / TEMPLATE_NAME
    raise DatasetError(f"datasets/{TEMPLATE_NAME}", found="no such file", where=str(package), fix="reinstall scenegen")
