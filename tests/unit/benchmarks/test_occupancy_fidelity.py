"""The side-by-side of world sources, on one short drive: rules obey and stay, and are near themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.occupancy_fidelity import HELD_OUT, TRAIN, main
from scenegen.checks.world_encoder import WorldEncoder, encoder_sha256, load_encoder
from scenegen.evaluation.occupancy.fidelity import measure_fidelity, world_distances
from scenegen.layout.sources import expand_references, read_layout
from scenegen.occupancy.build import begin_world, build_world
from scenegen.occupancy.crops import Crops, crop_world
from scenegen.occupancy.latent_ar.autoencoder import AutoencoderSize, OccupancyAutoencoder
from scenegen.occupancy.latent_ar.frames import frame_steps, picture_layout
from scenegen.occupancy.latent_ar.network import LatentArNetwork, NetworkSize
from scenegen.occupancy.latent_ar.weights import LatentArModel, save_model
from scenegen.occupancy.voxels import voxelise_world
from scenegen.training.world_cache import is_held_out

SCENE = "crossing_pedestrian"


@pytest.fixture(scope="module")
def encoder() -> WorldEncoder:
    """The shipped one."""
    return load_encoder()


@pytest.fixture(scope="module")
def crops() -> Crops:
    layout = read_layout("procedural:suburb/2")
    told = picture_layout(begin_world(layout, seed=0).draft.site, steps=frame_steps(layout)[::3])
    return crop_world(voxelise_world(build_world(layout, seed=0)), told)


def test_rules_obey_and_stay(tmp_path: Path) -> None:
    main(["--quick", "--held-out", SCENE, "--train", SCENE, "--sources", "rules",
          "--json", str(tmp_path / "out.json")])  # fmt: skip
    found = json.loads((tmp_path / "out.json").read_text())
    row = found["sources"]["rules"]
    assert row["obedience"]["accuracy"] == row["obedience"]["miou"] == 1.0
    assert row["static_consistency"]["occupied"] == row["static_consistency"]["throughout"] == 1.0
    assert found["encoder_sha256"] == encoder_sha256()


def test_frames_of_an_untrained_reference_are_far_from_everything(tmp_path: Path) -> None:
    weights = tmp_path / "untrained.safetensors"
    torch.manual_seed(0)
    autoencoder, network = OccupancyAutoencoder(AutoencoderSize()), LatentArNetwork(NetworkSize())
    save_model(LatentArModel(autoencoder=autoencoder, network=network), weights, notes={})
    main(["--quick", "--held-out", SCENE, "--train", SCENE, "--sources", "latent_ar_coded",
          "--latent-ar", str(weights), "--json", str(tmp_path / "out.json")])  # fmt: skip
    row = json.loads((tmp_path / "out.json").read_text())["sources"]["latent_ar_coded"]
    assert row["obedience"]["accuracy"] < 0.9
    assert row["fidelity.frame"]["distances"]["histogram"] > 0.1
    assert row["fidelity.frame"]["distances"]["components"] > 10.0
    assert "fidelity.whole" not in row


def test_no_model_was_trained_on_the_layouts_that_measure() -> None:
    held_out, train = (
        [read_layout(reference).layout_id for reference in expand_references(references)]
        for references in (HELD_OUT, TRAIN)
    )
    assert all(is_held_out(layout_id) for layout_id in held_out)
    assert not any(is_held_out(layout_id) for layout_id in train)


def test_damaged_worlds_are_farther_than_the_floor(crops: Crops, encoder: WorldEncoder) -> None:
    held_out, train = crops.take(np.arange(0, 20, 2)), crops.take(np.arange(1, 20, 2))
    order = np.random.default_rng(0).permutation(14)
    shuffled = Crops(solid=held_out.solid[..., [*order, *range(14, 64)]], ground=held_out.ground)
    found = measure_fidelity(shuffled, held_out=held_out, train=train, encoder=encoder)
    assert found.num_crops == 10
    assert found.distances.frechet > 2.0 * found.floor.frechet
    assert found.distances.kernel > found.floor.kernel
    assert found.distances.histogram > found.floor.histogram
    assert found.distances.components > found.floor.components


def test_a_set_has_no_distance_to_itself(crops: Crops, encoder: WorldEncoder) -> None:
    found = world_distances(crops, crops, encoder=encoder)
    assert found.frechet == pytest.approx(0.0, abs=1e-4)
    assert found.histogram == found.components == 0.0
