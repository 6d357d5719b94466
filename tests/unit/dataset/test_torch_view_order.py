"""Order, resumption and mixing, without reading a picture where none is needed."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from scenegen.dataset import fold_receipts  # noqa: E402
from scenegen.dataset.torch_view import EpochSampler, MixedDataset, SceneDataset, SceneLoader  # noqa: E402
from scenegen.errors import ConfigError, DatasetError  # noqa: E402
from tests.unit.dataset.tiny_scene import tiny_record  # noqa: E402


def test_an_epoch_has_every_sample_once_and_epochs_differ() -> None:
    sampler = EpochSampler([50], seed=1)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert list(EpochSampler([50], seed=1)) == first
    assert list(EpochSampler([50], seed=2)) != first


def test_a_loaded_state_goes_on_where_it_stood() -> None:
    sampler = EpochSampler([20], seed=4)
    whole = list(sampler) + list(sampler)
    sampler = EpochSampler([20], seed=4)
    list(sampler)
    taken = list(islice(iter(sampler), 7))
    resumed = EpochSampler([20], seed=4)
    resumed.load_state_dict(sampler.state_dict())
    assert whole[20:27] == taken
    assert list(resumed) == whole[27:]
    assert resumed.epoch == 2


def test_a_state_of_another_order_is_refused() -> None:
    state = EpochSampler([20], seed=4).state_dict()
    for other in (EpochSampler([21], seed=4), EpochSampler([20], seed=5), EpochSampler([20], seed=4, num_samples=10)):
        with pytest.raises(ConfigError, match="load_state_dict"):
            other.load_state_dict(state)


def test_ranks_share_an_epoch_without_overlap() -> None:
    ranks = [list(EpochSampler([23], seed=0, rank=rank, num_ranks=4)) for rank in range(4)]
    assert [len(rank) for rank in ranks] == [5] * 4
    assert len({index for rank in ranks for index in rank}) == 20


def test_weights_share_epochs_out_and_show_every_sample_of_a_large_data_set() -> None:
    sampler = EpochSampler([10, 60], seed=9, weights=[3, 1], num_samples=40)
    seen: Counter[int] = Counter()
    for _ in range(6):
        epoch = list(sampler)
        assert sum(index < 10 for index in epoch) == 30
        seen.update(epoch)
    assert {seen[index] for index in range(10)} == {18}  # 6 epochs of 3 passes
    assert {seen[index] for index in range(10, 70)} == {1}  # 6 epochs of 10 out of 60


def test_rounding_of_weights_loses_no_sample() -> None:
    assert len(list(EpochSampler([5, 5, 5], seed=0, weights=[1, 1, 1], num_samples=20))) == 20


@pytest.mark.parametrize(
    "options",
    [
        {"lengths": []},
        {"lengths": [3, 0]},
        {"lengths": [3], "weights": [1, 2]},
        {"lengths": [3], "weights": [0]},
        {"lengths": [3], "rank": 2, "num_ranks": 2},
    ],
)
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        EpochSampler(seed=0, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> MixedDataset:
    from tests.unit.dataset.conftest import write_scene

    parts = []
    for name, num_steps in (("real", 7), ("synthetic", 13)):
        folder = tmp_path_factory.mktemp(name)
        write_scene(folder, tiny_record(scene_id=f"{name}-00000001", num_steps=num_steps))
        fold_receipts(folder)
        parts.append(SceneDataset(folder, cameras=["CAM_FRONT"]))
    return MixedDataset(parts)


def test_a_mixture_is_one_data_set_after_the_other(mixed: MixedDataset) -> None:
    assert len(mixed) == 20
    assert [mixed.source_of(n) for n in (0, 6, 7, 19)] == [0, 0, 1, 1]
    assert mixed[6]["meta"]["scene_id"] == "real-00000001"
    assert mixed[7]["meta"]["scene_id"] == "synthetic-00000001"
    assert mixed[19]["meta"]["steps"] == (12,)


def test_a_mixture_of_different_classes_is_refused(mixed: MixedDataset, shared_dataset: Path) -> None:
    other = SceneDataset(shared_dataset, cameras=["CAM_FRONT"], classes=["pedestrian", "car"])
    with pytest.raises(ConfigError, match="classes"):
        MixedDataset([mixed.datasets[0], other])


def test_somebody_elses_reader_may_be_mixed_in_if_its_samples_have_the_same_keys(mixed: MixedDataset) -> None:
    synthetic = mixed.datasets[1]
    real = [{**synthetic[0], "meta": {"scene_id": "recording", "steps": (number,)}} for number in range(5)]
    both = MixedDataset([synthetic, real])
    loader = SceneLoader(both, batch_size=5, seed=0, weights=[1, 1], num_samples=10)
    seen = keys_of(list(loader))
    assert sorted(steps for scene, steps in seen if scene == "recording") == [(number,) for number in range(5)]
    other = MixedDataset([synthetic, [{"img": 0}]])
    with pytest.raises(DatasetError, match="data set 1"):
        other[13]


def keys_of(batches: list[dict[str, object]]) -> list[tuple[str, tuple[int, ...]]]:
    return [(meta["scene_id"], meta["steps"]) for batch in batches for meta in batch["meta"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_resumes_after_the_last_batch_it_delivered(mixed: MixedDataset, num_workers: int) -> None:
    def loader() -> SceneLoader:
        return SceneLoader(mixed, batch_size=3, seed=5, weights=[1, 1], num_workers=num_workers, start_method="fork")

    whole = loader()
    expected = keys_of([*whole, *whole])
    assert len(expected) == 2 * 18
    first = loader()
    taken = keys_of(list(islice(iter(first), 4)))  # workers are ahead by now
    state = first.state_dict()
    second = loader()
    second.load_state_dict(state)
    assert taken + keys_of([*second, *second]) == expected
    assert np.isclose(sum(scene.startswith("real") for scene, _ in expected) / len(expected), 0.5, atol=0.1)


def test_the_order_is_pinned() -> None:
    """A change here would break every saved state."""
    assert EpochSampler([8], seed=0).order(0).tolist() == [2, 7, 6, 5, 4, 3, 1, 0]
