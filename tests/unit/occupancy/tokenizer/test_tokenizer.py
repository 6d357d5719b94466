"""The shipped tokenizer on worlds that it was not trained on, and what it refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scenegen.diffusion.tensor_file import write_tensors
from scenegen.errors import WeightsError, WorldError
from scenegen.layout.procedural import build_procedural_layout
from scenegen.occupancy.build import begin_world
from scenegen.occupancy.channels import layout_channels
from scenegen.occupancy.fixed import fixed_voxels
from scenegen.occupancy.streets import line_streets
from scenegen.occupancy.tokenizer.network import TokenizerNetwork, TokenizerSize
from scenegen.occupancy.tokenizer.planes import is_coded
from scenegen.occupancy.tokenizer.score import Reconstruction, count_everything, count_open
from scenegen.occupancy.tokenizer.tokenizer import OccupancyTokenizer, load_tokenizer
from scenegen.occupancy.tokenizer.weights import load_network, save_network, vocabulary_of
from scenegen.occupancy.voxels import voxelise_world
from scenegen.training.world_cache import WorldExcerpt
from scenegen.types.layout import STYLES

SMALL = TokenizerSize(width=16, column_width=8, num_decoder=1)
FRESH_SEED = 9001
"""Seeds of layouts from here on are never trained on."""


def cut(world: WorldExcerpt, size_x: int, size_y: int) -> WorldExcerpt:
    def crop(columns: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(columns[:size_x, :size_y])

    fixed = replace(
        world.fixed,
        given=replace(world.fixed.given, solid=crop(world.fixed.given.solid), ground=crop(world.fixed.given.ground)),
        **{
            name: crop(getattr(world.fixed, name))
            for name in ("is_ground_fixed", "is_column_fixed", "free_levels", "swept_levels")
        },
    )
    voxels = replace(world.voxels, solid=crop(world.voxels.solid), ground=crop(world.voxels.ground))
    return WorldExcerpt(voxels=voxels, fixed=fixed, channels=crop(world.channels))


@pytest.fixture(scope="module")
def worlds() -> list[WorldExcerpt]:
    found = []
    for style in STYLES:
        layout = build_procedural_layout(FRESH_SEED, style=style, duration_s=2.0)
        beginning = begin_world(layout, seed=0)
        fixed = fixed_voxels(beginning.draft)
        channels = layout_channels(beginning.draft.site, fixed)
        line_streets(beginning.draft, beginning.district, beginning.key.at("streets"))
        voxels = voxelise_world(beginning.draft.finish())
        found.append(WorldExcerpt(voxels=voxels, fixed=fixed, channels=channels))
    return found


@pytest.fixture(scope="module")
def shipped() -> OccupancyTokenizer:
    return load_tokenizer()


def test_shipped_weights_give_worlds_back(worlds: list[WorldExcerpt], shipped: OccupancyTokenizer) -> None:
    empty = Reconstruction(solid=np.zeros((3, 3), np.int64), ground=np.zeros((2, 2), np.int64))
    everything, left_open = empty, empty
    for world in worlds:
        codes = shipped.encode(world.voxels, world.fixed, world.channels)
        found = world.fixed.clamp(shipped.decode(codes, world.channels, world.fixed))
        everything += count_everything(world.voxels, found)
        left_open += count_open(world.voxels, found, world.fixed)
        assert world.fixed.obedience(found) == 1.0
    assert everything.miou >= 0.90
    assert everything.iou >= 0.81
    assert left_open.iou >= 0.81


@pytest.mark.parametrize("shape", [(40, 40), (37, 42), (4, 4), (3, 130), (113, 9)])
def test_any_extent_is_coded_and_decoded(
    worlds: list[WorldExcerpt], shipped: OccupancyTokenizer, shape: tuple[int, int]
) -> None:
    world = cut(worlds[0], *shape)
    codes = shipped.encode(world.voxels, world.fixed, world.channels)
    assert codes.shape == (-(-shape[0] // 4), -(-shape[1] // 4))
    assert codes.min() >= 0
    assert codes.max() < shipped.num_codes
    found = shipped.decode(codes, world.channels, world.fixed)
    assert found.solid.shape == world.voxels.solid.shape
    assert found.origin_world_m == world.voxels.origin_world_m
    again = shipped.decode(codes, world.channels, world.fixed)
    np.testing.assert_array_equal(found.solid, again.solid)


def test_codes_of_fixed_patches_and_swept_space_do_not_matter(
    worlds: list[WorldExcerpt], shipped: OccupancyTokenizer
) -> None:
    world = worlds[1]
    codes = shipped.encode(world.voxels, world.fixed, world.channels)
    coded = is_coded(world.fixed, patch=shipped.patch)
    assert 0 < coded.sum() < coded.size
    marked = np.where(coded, codes, shipped.num_codes + 1).astype(np.int32)
    unswept = replace(world.fixed, swept_levels=np.zeros_like(world.fixed.swept_levels))
    found = shipped.decode(codes, world.channels, world.fixed)
    np.testing.assert_array_equal(shipped.decode(marked, world.channels, unswept).solid, found.solid)


def test_strips_change_nothing(
    worlds: list[WorldExcerpt], shipped: OccupancyTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = cut(worlds[0], 120, 60)
    codes = shipped.encode(world.voxels, world.fixed, world.channels)
    found = shipped.decode(codes, world.channels, world.fixed)
    monkeypatch.setattr("scenegen.occupancy.tokenizer.tokenizer.STRIP_PATCHES", 7)
    np.testing.assert_array_equal(shipped.encode(world.voxels, world.fixed, world.channels), codes)
    assert (shipped.decode(codes, world.channels, world.fixed).solid != found.solid).mean() < 1e-5


def test_masks_and_other_grids_are_refused(worlds: list[WorldExcerpt], shipped: OccupancyTokenizer) -> None:
    world = cut(worlds[0], 40, 40)
    codes = shipped.encode(world.voxels, world.fixed, world.channels)
    coded = is_coded(world.fixed, patch=4)
    masked = np.where(coded, shipped.num_codes, codes).astype(np.int32)
    with pytest.raises(WorldError, match="codes from 0 to 999"):
        shipped.decode(masked, world.channels, world.fixed)
    with pytest.raises(WorldError, match="patches"):
        shipped.decode(codes[1:], world.channels, world.fixed)
    with pytest.raises(WorldError, match="channels of shape"):
        shipped.encode(world.voxels, world.fixed, world.channels[1:])
    with pytest.raises(WorldError, match="voxels of grid"):
        shipped.encode(worlds[0].voxels, world.fixed, world.channels)


def test_damaged_files_and_other_vocabularies_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(WeightsError, match="found no file"):
        load_network(path)
    network = TokenizerNetwork(SMALL)
    save_network(network, path, notes={})
    loaded, sha256 = load_network(path)
    assert loaded.size == SMALL
    assert len(sha256) == 64
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(WeightsError, match="damaged"):
        load_network(path)
    path.write_bytes(content.replace(b'num_codes\\": 1000', b'num_codes\\": 1024'))
    with pytest.raises(WeightsError, match="vocabulary"):
        load_network(path)
    write_tensors(path, {"x": torch.zeros(1)}, metadata={})
    with pytest.raises(WeightsError, match="does not name"):
        load_network(path)
    torch.nn.init.constant_(network.code.bias, float("nan"))
    save_network(network, path, notes={})
    with pytest.raises(WeightsError, match=r"NaN or infinity in code\.bias"):
        load_network(path)
    assert vocabulary_of(network)["num_codes"] == 1000
