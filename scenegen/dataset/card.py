"""The data set card: a README.md that says what a data set is, from its manifest and a template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from scenegen.errors import DatasetError
from scenegen.types.record import RECORDED_MODEL_ID

if TYPE_CHECKING:
    from scenegen.dataset.manifest import Manifest

TEMPLATE_NAME = "CARD_TEMPLATE.md"
SYNTHETIC_TITLE = "Synthetic driving scenes made by scenegen"
RECORDED_TITLE = "Recorded driving scenes in the store of scenegen"
SYNTHETIC = (
    "Every picture in this data set is synthetic. The labels come from the world that was painted, not from a "
    "detector:\nboxes, tracks, occupancy and calibration are exact by construction."
)
RECORDED = (
    "{pictures} were recorded by real cameras. Boxes are annotators', calibration and points the instruments';\n"
    "each scene's attribute `recording` says which labels were derived from them, and what of the source was lost."
)


def card_text(manifest: Manifest) -> str:
    """Fill in the template.

    Raises:
        DatasetError: the template is not installed.
    """
    scenes, counts = manifest.scenes, manifest.counts
    num_recorded = sum(scene.model_id == RECORDED_MODEL_ID for scene in scenes)
    splits = Counter(scene.split for scene in scenes)
    return Template(_template_path().read_text(encoding="utf-8")).substitute(
        title=RECORDED_TITLE if num_recorded == len(scenes) > 0 else SYNTHETIC_TITLE,
        nature=nature_of(len(scenes) - num_recorded, num_recorded),
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


def nature_of(num_synthetic: int, num_recorded: int) -> str:
    """Say whether pictures are synthetic.

    >>> nature_of(0, 2).partition(".")[0]
    'All pictures in this data set were recorded by real cameras'
    """
    if not num_recorded:
        return SYNTHETIC
    if not num_synthetic:
        return RECORDED.format(pictures="All pictures in this data set")
    part = RECORDED.format(pictures=f"The pictures of {num_recorded} scenes, those of model `{RECORDED_MODEL_ID}`,")
    return f"{num_synthetic} scenes are synthetic. {part}"


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
