"""BEVFormer's info files: `nuscenes_infos_temporal_<split>.pkl`, with the pictures and sweeps they name.

`gt_boxes` are x, y, z (middle), w, l, h, -yaw - pi/2, as in mmdet3d 0.17. `can_bus` has the 18 signals of one step, its
position on the export's map.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scenegen.dataset.detection_boxes import wlh_rows
from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.info_samples import Sample, write_infos
from scenegen.dataset.export.legacy_infos import build_legacy_info, write_legacy_infos


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    infos = write_infos(job, format="bevformer", build_info=_build_info)
    write_legacy_infos(job.folder, infos, name="nuscenes_infos_temporal_{split}.pkl")


def _build_info(sample: Sample) -> dict[str, Any]:
    can_bus = sample.scene.array("ego/can_bus")[sample.step].astype(np.float64)
    can_bus[:3] = sample.ego2global[:3, 3]
    return {**build_legacy_info(sample, layout=wlh_rows), "can_bus": can_bus}
