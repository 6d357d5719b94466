"""Many worlds as voxel classes on disk: what occupancy models learn from.

A world is one memory-mapped array of columns, so that a training step reads only the crop it needs, and processes
share pages. Worlds of one layout, whatever their style, are all learned from or all held out.

    python -m scenegen.training.world_cache --layouts procedural:suburb/1-80 procedural:rural/1-80 --output out/worlds
    python -m scenegen.training.world_cache --layouts av2:DIR --styles dense_city suburb --output out/worlds
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from scenegen.errors import DatasetError
from scenegen.occupancy.channels import CHANNELS, layout_channels, turn_channels, turn_columns
from scenegen.occupancy.fixed import FixedVoxels, divide_columns, fixed_voxels
from scenegen.occupancy.site import NUM_LEVELS
from scenegen.occupancy.voxels import SolidClass, WorldVoxels, voxelise_world
from scenegen.types import Layout, random_generator, random_key
from scenegen.types.layout import STYLES

log = logging.getLogger(__name__)

SECONDS = 4.0
"""Length of the ego path of a world; the world reaches 75 m farther on all sides."""
HELD_OUT_EVERY = 10
CHANNEL_SCALE = 127.0
"""Channels lie within -1..1 and are stored as whole shares of this."""


def column_type(num_levels: int) -> np.dtype[np.void]:
    """Return how a column of voxels is stored: bits along z, lowest first."""
    bits = (num_levels // 8,)
    return np.dtype(
        [
            ("manmade", "u1", bits), ("vegetation", "u1", bits), ("ground", "u1"),
            ("given_manmade", "u1", bits), ("given_vegetation", "u1", bits), ("given_ground", "u1"),
            ("is_ground_fixed", "?"), ("is_column_fixed", "?"), ("free_levels", "u1"), ("swept_levels", "u1"),
            ("channels", "i1", (len(CHANNELS),)),
        ]
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class WorldRecord:
    """What is known of a stored world beside its voxels.

    Attributes:
        file: name of its array, (X, Y) of `column_type`.
        layout_id: decides whether it is held out.
        style: see `Environment`.
    """

    file: str
    layout_id: str
    style: str | None
    weather: str
    time_of_day: str
    seed: int
    origin_world_m: tuple[float, float]
    voxel_m: float
    is_held_out: bool


@dataclass(frozen=True, kw_only=True)
class WorldExcerpt:
    """A rectangle of a world: its voxels, what the layout fixes of them, and the channels of its columns."""

    voxels: WorldVoxels
    fixed: FixedVoxels
    channels: Float32[np.ndarray, "X Y C"]

    def turned(self, *, quarter_turns: int, mirrored: bool) -> WorldExcerpt:
        """Return the excerpt mirrored in y, then turned counter-clockwise about its corner."""

        def turn(columns: np.ndarray) -> np.ndarray:
            return turn_columns(columns, quarter_turns=quarter_turns, mirrored=mirrored)

        def turn_voxels(voxels: WorldVoxels) -> WorldVoxels:
            return replace(voxels, solid=turn(voxels.solid), ground=turn(voxels.ground))

        fixed = FixedVoxels(
            given=turn_voxels(self.fixed.given),
            is_ground_fixed=turn(self.fixed.is_ground_fixed),
            is_column_fixed=turn(self.fixed.is_column_fixed),
            free_levels=turn(self.fixed.free_levels),
            swept_levels=turn(self.fixed.swept_levels),
        )
        channels = turn_channels(self.channels, quarter_turns=quarter_turns, mirrored=mirrored)
        return WorldExcerpt(voxels=turn_voxels(self.voxels), fixed=fixed, channels=channels)


@dataclass(frozen=True, kw_only=True)
class StoredWorld:
    """A world of a cache."""

    folder: Path
    record: WorldRecord

    @cached_property
    def columns(self) -> np.ndarray:
        """All columns, (X, Y) of `column_type`, memory-mapped."""
        path = self.folder / self.record.file
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DatasetError(
                "a whole stored world",
                found=f"a damaged file ({error})",
                where=str(path),
                fix="delete the file and store the worlds again",
            ) from error

    def whole(self) -> WorldExcerpt:
        """Return all of it."""
        return self.cut((0, 0), self.columns.shape)

    def cut(self, corner: tuple[int, int], shape: tuple[int, ...]) -> WorldExcerpt:
        """Return the columns from `corner` on."""
        (i, j), (size_x, size_y) = corner, shape
        columns = np.asarray(self.columns[i : i + size_x, j : j + size_y])
        x, y = self.record.origin_world_m
        origin = (x + i * self.record.voxel_m, y + j * self.record.voxel_m)

        def voxels(prefix: str) -> WorldVoxels:
            return WorldVoxels(
                solid=_unpack(columns[f"{prefix}manmade"], columns[f"{prefix}vegetation"]),
                ground=columns[f"{prefix}ground"].copy(),
                origin_world_m=origin,
                voxel_m=self.record.voxel_m,
            )

        return WorldExcerpt(
            voxels=voxels(""),
            fixed=FixedVoxels(
                given=voxels("given_"),
                is_ground_fixed=columns["is_ground_fixed"].copy(),
                is_column_fixed=columns["is_column_fixed"].copy(),
                free_levels=columns["free_levels"].copy(),
                swept_levels=columns["swept_levels"].copy(),
            ),
            channels=columns["channels"].astype(np.float32) / np.float32(CHANNEL_SCALE),
        )

    def draw_crop(self, generator: np.random.Generator, *, size: int) -> WorldExcerpt:
        """Return a square of `size` columns at a random place, turned and mirrored at random."""
        size_x, size_y = self.columns.shape
        corner = (int(generator.integers(size_x - size + 1)), int(generator.integers(size_y - size + 1)))
        turns, mirrored = int(generator.integers(4)), bool(generator.integers(2))
        return self.cut(corner, (size, size)).turned(quarter_turns=turns, mirrored=mirrored)


@dataclass(frozen=True, kw_only=True)
class WorldCache:
    """Stored worlds, sorted by name.

    Attributes:
        train, held_out: a layout is in one of them, in all its styles.
        sha256: hash of what the worlds are of; names the data of a training run.
    """

    train: tuple[StoredWorld, ...]
    held_out: tuple[StoredWorld, ...]
    sha256: str

    def draw_crops(self, generator: np.random.Generator, *, count: int, size: int) -> list[WorldExcerpt]:
        """Return crops of random worlds that are learned from."""
        chosen = generator.integers(len(self.train), size=count)
        return [self.train[int(index)].draw_crop(generator, size=size) for index in chosen]


def is_held_out(layout_id: str) -> bool:
    """Return whether worlds of a layout are kept for measuring; one layout in HELD_OUT_EVERY is."""
    return random_key("held-out", layout_id) % HELD_OUT_EVERY == 0


def open_world_cache(folder: Path) -> WorldCache:
    """Return the worlds of a folder.

    Raises:
        DatasetError: there is no index, it is of another format, or there is nothing to learn from.
    """
    path = folder / "index.json"
    how = "python -m scenegen.training.world_cache --layouts procedural:suburb/1-80 --output FOLDER"
    if not path.is_file():
        raise DatasetError("stored worlds", found="no index.json", where=str(folder), fix=how)
    text = path.read_text()
    index = json.loads(text)
    if index["columns"] != repr(column_type(NUM_LEVELS * int(index.get("parts", 1))).descr):
        raise DatasetError("worlds of this version's format", found="another", where=str(folder), fix=how)
    records = [WorldRecord(**{**entry, "origin_world_m": tuple(entry["origin_world_m"])}) for entry in index["worlds"]]
    worlds = [StoredWorld(folder=folder, record=record) for record in records]
    train = tuple(world for world in worlds if not world.record.is_held_out)
    if not train:
        raise DatasetError("worlds to learn from", found="none", where=str(folder), fix=how)
    held_out = tuple(world for world in worlds if world.record.is_held_out)
    return WorldCache(train=train, held_out=held_out, sha256=hashlib.sha256(text.encode()).hexdigest())


def worlds_of(references: str, folder: Path, *, parts: int = 1) -> WorldCache:
    """Return the worlds of layout references joined by `+`, building them into `folder` on the first call.

    Raises:
        DatasetError: the folder holds worlds of other layouts.
        LayoutError: a reference that names nothing.
    """
    from scenegen.layout.sources import expand_references

    requests = [
        WorldRequest(reference=reference, style=None, seed=0, parts=parts)
        for reference in expand_references(references.split("+"))
    ]
    if not (folder / "index.json").is_file():
        return store_worlds(requests, folder, num_workers=1)
    cache = open_world_cache(folder)
    found = {world.record.file for world in (*cache.train, *cache.held_out)}
    if found != {request.file for request in requests}:
        raise DatasetError(
            f"worlds of {references}", found="those of other layouts", where=str(folder),
            fix="name another folder with windows=",
        )  # fmt: skip
    return cache


@dataclass(frozen=True, kw_only=True)
class WorldRequest:
    """A world to store: which layout, in which style (None: its own), with which seed, in voxels of 0.4 m / `parts`."""

    reference: str
    style: str | None
    seed: int
    parts: int = 1

    @property
    def file(self) -> str:
        """Name of its array."""
        name = "".join(letter if letter.isalnum() else "_" for letter in self.reference)
        fine = "" if self.parts == 1 else f"-{self.parts}"
        tail = hashlib.sha256(self.reference.encode()).hexdigest()[:8]
        return f"{name[-60:]}-{tail}-{self.style or 'own'}-{self.seed}{fine}.npy"


def store_worlds(requests: Iterable[WorldRequest], folder: Path, *, num_workers: int) -> WorldCache:
    """Build worlds and write them below `folder`, then the index of all of them; files that exist stay.

    Raises:
        DatasetError: nothing to learn from.
        LayoutError: a reference that names nothing.
        WorldError: a layout that no world can be built of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = sorted(requests, key=lambda request: request.file)
    parts = wanted[0].parts
    records = []
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(store_world, request, folder) for request in wanted]
        for number, job in enumerate(jobs, 1):
            records.append(asdict(job.result()))
            if number % 20 == 0:
                log.info("stored world %d of %d", number, len(jobs))
    staged = folder / "index.json.tmp"
    staged.write_text(
        json.dumps(
            {"columns": repr(column_type(NUM_LEVELS * parts).descr), "parts": parts, "worlds": records}, indent=1
        )
    )
    staged.replace(folder / "index.json")
    return open_world_cache(folder)


def store_world(request: WorldRequest, folder: Path) -> WorldRecord:
    """Build one world and write its columns."""
    from scenegen.occupancy.build import begin_world
    from scenegen.occupancy.streets import line_streets

    layout = _read_short(request.reference)
    layout_id = layout.layout_id
    if request.style is not None:
        layout = replace(layout, environment=replace(layout.environment, style=request.style))
    beginning = begin_world(layout, seed=request.seed)
    channels = layout_channels(beginning.draft.site, fixed_voxels(beginning.draft))
    fixed = fixed_voxels(beginning.draft, parts=request.parts)
    line_streets(beginning.draft, beginning.district, beginning.key.at("streets"))
    voxels = voxelise_world(beginning.draft.finish(), parts=request.parts)
    record = WorldRecord(
        file=request.file,
        layout_id=layout_id,
        style=layout.environment.style,
        weather=layout.environment.weather,
        time_of_day=layout.environment.time_of_day,
        seed=request.seed,
        origin_world_m=voxels.origin_world_m,
        voxel_m=voxels.voxel_m,
        is_held_out=is_held_out(layout_id),
    )
    if not (folder / request.file).is_file():
        staged = folder / f"{request.file}.tmp"
        with staged.open("wb") as file:
            np.save(
                file, pack_columns(voxels, fixed, divide_columns(channels, parts=request.parts)), allow_pickle=False
            )
        staged.replace(folder / request.file)
    return record


def pack_columns(voxels: WorldVoxels, fixed: FixedVoxels, channels: Float32[np.ndarray, "X Y C"]) -> np.ndarray:
    """Return a world as (X, Y) of `column_type`."""
    columns = np.zeros(voxels.ground.shape, column_type(voxels.solid.shape[2]))
    for prefix, part in (("", voxels), ("given_", fixed.given)):
        columns[f"{prefix}manmade"] = _pack(part.solid == SolidClass.MANMADE)
        columns[f"{prefix}vegetation"] = _pack(part.solid == SolidClass.VEGETATION)
        columns[f"{prefix}ground"] = part.ground
    for name in ("is_ground_fixed", "is_column_fixed", "free_levels", "swept_levels"):
        columns[name] = getattr(fixed, name)
    columns["channels"] = np.round(channels * CHANNEL_SCALE).clip(-CHANNEL_SCALE, CHANNEL_SCALE)
    return columns


def _pack(is_there: np.ndarray) -> UInt8[np.ndarray, "X Y 8"]:
    return np.packbits(is_there, axis=2, bitorder="little")


def _unpack(manmade: np.ndarray, vegetation: np.ndarray) -> UInt8[np.ndarray, "X Y Z"]:
    solid = np.unpackbits(manmade, axis=2, bitorder="little") * np.uint8(SolidClass.MANMADE)
    return solid | np.unpackbits(vegetation, axis=2, bitorder="little") * np.uint8(SolidClass.VEGETATION)


def _read_short(reference: str) -> Layout:
    """Return a layout of SECONDS: a random one drawn at that length, of any other a piece from a moment of its own."""
    from scenegen.layout.edits.grammar import split_edits
    from scenegen.layout.procedural import build_procedural_layout
    from scenegen.layout.procedural_reference import parse_procedural
    from scenegen.layout.sources import read_layout, split_reference
    from scenegen.training.excerpts import cut_excerpt

    plain, edits = split_edits(reference)
    source, location = split_reference(plain)
    place = parse_procedural(location) if source == "procedural" and not edits else None
    if place is not None and place.event is None:
        return build_procedural_layout(place.seeds[0], style=place.style, duration_s=SECONDS)
    layout = read_layout(reference)
    steps = min(layout.timeline.num_steps, round(SECONDS * layout.timeline.rate_hz))
    generator = random_generator(0, layout.layout_id, stage="world-excerpt")
    start = int(generator.integers(layout.timeline.num_steps - steps + 1))
    return replace(cut_excerpt(layout, start_step=start, num_steps=steps), layout_id=layout.layout_id)


def main(arguments: Sequence[str] | None = None) -> None:
    """Store the worlds of layouts."""
    from scenegen.layout.sources import expand_references

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", nargs="+", required=True, help="layout references")
    parser.add_argument("--styles", nargs="*", choices=STYLES, help="build every layout in each; default: its own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1, help="2 for voxels of 0.2 m; default: 0.4 m")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, required=True, help="for windows=... of scenegen train")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    requests = [
        WorldRequest(reference=reference, style=style, seed=options.seed, parts=options.parts)
        for reference in expand_references(options.layouts)
        for style in options.styles or [None]
    ]
    cache = store_worlds(requests, options.output, num_workers=options.workers)
    log.info("%d worlds to learn from, %d held out", len(cache.train), len(cache.held_out))


if __name__ == "__main__":
    main()
