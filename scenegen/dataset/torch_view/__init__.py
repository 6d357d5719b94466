"""Data sets as torch sees them: `SceneDataset`, presets of BEV code bases, batches, order, mixing. Needs torch.

loader = SceneLoader(SceneDataset("out/ds", preset="bevformer"), batch_size=1, seed=0, num_workers=2)
for batch in loader: ...
"""

from scenegen.dataset.torch_view.collate import collate
from scenegen.dataset.torch_view.dataset import SceneDataset
from scenegen.dataset.torch_view.loader import SceneLoader
from scenegen.dataset.torch_view.mix import MixedDataset
from scenegen.dataset.torch_view.normalization import CAFFE_BGR, IMAGENET_RGB, Normalization
from scenegen.dataset.torch_view.presets import PRESETS
from scenegen.dataset.torch_view.sampler import EpochSampler

__all__ = [
    "CAFFE_BGR",
    "IMAGENET_RGB",
    "PRESETS",
    "EpochSampler",
    "MixedDataset",
    "Normalization",
    "SceneDataset",
    "SceneLoader",
    "collate",
]
