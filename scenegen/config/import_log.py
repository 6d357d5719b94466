"""An import of real logs: which recording, where to, and in which size."""

from __future__ import annotations

from dataclasses import dataclass

from scenegen.config.generate import DatasetConfig
from scenegen.config.require import require_choice
from scenegen.config.split import SPLITS
from scenegen.errors import ConfigError

WORLDS = ("auto", "occ3d", "lidar", "none")


@dataclass(frozen=True, kw_only=True)
class ImportLogConfig:
    """What `scenegen import-log` is told.

    Attributes:
        source: `dgp:DIR`, `kitti:DIR`, `nuscenes:ROOT` or `nuscenes_keyframe:DIR`.
        output: the data set, a folder or a URL.
        width_px: of the stored pictures, a multiple of 8; None keeps the recorded size.
        world: where the static world comes from; `auto` takes Occ3D labels where there are some, else sweeps.
        occ3d: folder of Occ3D labels, `gts/<scene>/<token>/labels.npz`; None looks beside the source's tables.
        split: recorded with every scene.
        seed: of what nothing decides: colours of things, which only renderings of the world show.
        dataset: how it is stored; `labels` stays `rendered`.
    """

    source: str
    output: str
    width_px: int | None
    world: str
    occ3d: str | None
    split: str
    seed: int
    dataset: DatasetConfig

    def __post_init__(self) -> None:
        require_choice(self, "world", WORLDS)
        require_choice(self, "split", SPLITS)
        if self.width_px is not None and (self.width_px < 8 or self.width_px % 8):
            raise ConfigError("a width that is a multiple of 8", found=str(self.width_px), where="width_px")
        if self.dataset.labels != "rendered":
            raise ConfigError(
                "dataset.labels=rendered: no instrument recorded maps per pixel",
                found=repr(self.dataset.labels),
                where="dataset.labels",
                fix="open the data set with scenegen.rerender.open_rendered for maps of its world",
            )
