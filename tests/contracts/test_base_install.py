"""What the base install promises: data sets are read, whole, without the packages of the extras."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

BLOCK = """
import sys
BLOCKED = {'torch', 'ray', 'hydra', 'omegaconf', 'numba', 'av', 'safetensors', 'pyarrow', 'open3d', 'nuscenes',
           'cv2', 'pandas', 'xarray', 'obstore'}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in BLOCKED:
            raise ImportError(f'{name} is blocked')
sys.meta_path.insert(0, Blocker())
"""
READ = """
import numpy as np
from scenegen.dataset import open_dataset
from scenegen.dataset.schema import ANNOTATED2D_ARRAYS, ARRAYS, LIDAR_TIMES
(scene,) = open_dataset(sys.argv[1])
read = set()
for spec in ARRAYS:
    if spec.path in (*ANNOTATED2D_ARRAYS, LIDAR_TIMES):  # of recordings, of rolling sensors
        continue
    for camera in scene.cameras if '<CAM>' in spec.path else ('',):
        array = scene.array(spec.for_camera(camera))
        assert array[...].dtype == np.dtype(spec.dtype), spec.path
    read.add(spec.path)
for step in range(scene.num_steps):
    boxes = scene.boxes(step)
    assert (boxes.num_lidar_pts >= 1).all()
    occupancy = scene.occupancy(step)
    assert occupancy.mask_lidar.any() and occupancy.flow_mps.any()
    assert scene.bev_raster(step).shape == (len(scene.bev_channels), 200, 200)
    if scene.is_key_frame[step]:
        assert (scene.lidar(step).box >= 0).any()
    for camera in scene.cameras:
        assert scene.boxes2d(step, camera).num_px.shape == scene.boxes2d(step, camera).box.shape
        for maps in (scene.rgb, scene.depth, scene.semantic, scene.instance, scene.optical_flow):
            assert maps(camera)[step].shape[:2] == scene.rig.cameras[0].size_px[::-1]
assert len(scene.layout.agents) == 2
print(len(read), sorted(BLOCKED & {name.split('.')[0] for name in sys.modules}))
"""
VERIFY = """
from scenegen.cli import main
sys.exit(main(['verify', sys.argv[1], '--deep']))
"""


def run(script: str, dataset_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCK + script, str(dataset_dir)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def test_every_label_is_read_without_the_packages_of_the_extras(dataset_dir: Path) -> None:
    from scenegen.dataset.schema import ANNOTATED2D_ARRAYS, ARRAYS

    finished = run(READ, dataset_dir)
    assert finished.stdout.strip() == f"{len(ARRAYS) - len(ANNOTATED2D_ARRAYS) - 1} []", finished.stderr


def test_deep_verification_needs_none_of_them_either(dataset_dir: Path) -> None:
    finished = run(VERIFY, dataset_dir)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.rstrip().endswith("sound")


def test_blocked_packages_are_blocked(dataset_dir: Path) -> None:
    assert "torch is blocked" in run("import torch", dataset_dir).stderr
