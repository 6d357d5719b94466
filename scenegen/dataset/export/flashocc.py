"""FlashOCC's files: those of `bevdet` with `occ_path`, and `gts/<scene>/<sample token>/labels.npz` as in Occ3D."""

from __future__ import annotations

from typing import Any

import numpy as np

from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.bevdet import FILE_NAME
from scenegen.dataset.export.bevdet import build_info as build_bevdet_info
from scenegen.dataset.export.info_samples import DATA_ROOT, Sample, SceneSamples, write_infos
from scenegen.dataset.export.legacy_infos import write_legacy_infos


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    infos = write_infos(job, format="flashocc", build_info=_build_info, write_beside=_write_labels)
    write_legacy_infos(job.folder, infos, name=FILE_NAME)


def _build_info(sample: Sample) -> dict[str, Any]:
    return {**build_bevdet_info(sample), "occ_path": f"{DATA_ROOT}/{_label_folder(sample)}"}


def _write_labels(samples: SceneSamples) -> None:
    for sample in samples.samples():
        occupancy = sample.scene.occupancy(sample.step)
        folder = samples.place.root / _label_folder(sample)
        folder.mkdir(parents=True)
        np.savez_compressed(
            folder / "labels.npz",
            semantics=occupancy.semantics,
            mask_lidar=occupancy.mask_lidar,
            mask_camera=occupancy.mask_camera,
        )


def _label_folder(sample: Sample) -> str:
    return f"gts/{sample.of_scene.place.name}/{sample.token}"
