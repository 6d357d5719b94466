"""Data sets: write scenes, read them back, verify them. Importing this makes the image codecs known to zarr."""

from scenegen.dataset.fold import committed_scene_ids, fold_receipts
from scenegen.dataset.jpeg_codec import JpegCodec, PngCodec
from scenegen.dataset.labels import Boxes, Boxes2d, LidarSweep, Occupancy
from scenegen.dataset.manifest import Manifest, read_manifest
from scenegen.dataset.open_xarray import open_xarray
from scenegen.dataset.paths import DatasetPaths
from scenegen.dataset.read import Dataset, open_dataset
from scenegen.dataset.receipt import Receipt
from scenegen.dataset.stored_scene import Scene
from scenegen.dataset.write import ChunkError, SceneWriter, open_scene_writer

__all__ = [
    "Boxes",
    "Boxes2d",
    "ChunkError",
    "Dataset",
    "DatasetPaths",
    "JpegCodec",
    "LidarSweep",
    "Manifest",
    "Occupancy",
    "PngCodec",
    "Receipt",
    "Scene",
    "SceneWriter",
    "committed_scene_ids",
    "fold_receipts",
    "open_dataset",
    "open_scene_writer",
    "open_xarray",
    "read_manifest",
]
