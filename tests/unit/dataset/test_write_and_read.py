from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scenegen.dataset import ChunkError, Receipt, fold_receipts, open_dataset, open_scene_writer
from scenegen.dataset.columns import measured_columns
from scenegen.dataset.durable import sha256_of_file
from scenegen.dataset.schema import ADDED_ARRAYS
from scenegen.dataset.verify import verify_dataset
from scenegen.errors import ConfigError, DatasetError
from scenegen.types import SceneChunk
from scenegen.types.layout_json import layout_sha256
from tests.unit.dataset.tiny_scene import bare_chunks, tiny_chunk, tiny_chunks, tiny_record, tiny_rig, tiny_world

Write = Callable[..., Receipt]


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256_of_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def scene_folder(dataset_dir: Path) -> Path:
    (folder,) = dataset_dir.glob("scenes/*/*.zarr")
    return folder


def test_what_was_written_is_read(shared_dataset: Path) -> None:
    record = tiny_record()
    dataset = open_dataset(shared_dataset)
    assert dataset.scene_ids == (record.scene_id,)
    scene = dataset[record.scene_id]
    written = np.concatenate([chunk.rgb for chunk in tiny_chunks(record)], axis=1)
    assert scene.cameras == tuple(camera.name for camera in record.rig.cameras)
    for view, camera in enumerate(record.rig.cameras):
        stored = scene.rgb(camera.name)
        assert stored.shape == written[view].shape
        assert np.abs(stored[2:6].astype(int) - written[view, 2:6]).max() <= 4
        assert np.array_equal(scene.cam2img(camera.name), camera.K)
        assert np.array_equal(scene.cam2ego(camera.name), camera.ego_from_cam)
    assert np.array_equal(scene.timestamps_us, record.layout.timeline.timestamps_us())
    assert np.array_equal(scene.is_key_frame, record.layout.timeline.is_key_frame())
    assert np.array_equal(scene.ego2global, record.layout.ego.world_from_ego)


def test_a_sampled_world_comes_back(full_dataset: Path, shared_dataset: Path) -> None:
    (scene,) = open_dataset(full_dataset)
    read, written = scene.world_voxels, tiny_world()
    assert read is not None
    assert np.array_equal(read.solid, written.solid)
    assert np.array_equal(read.ground, written.ground)
    assert (read.origin_world_m, read.voxel_m) == (written.origin_world_m, written.voxel_m)
    (ruled,) = open_dataset(shared_dataset)
    assert ruled.world_voxels is None


def test_voxels_are_exact_on_both_sides_of_shard_and_chunk_borders(shared_dataset: Path) -> None:
    record = tiny_record()
    scene = open_dataset(shared_dataset)[record.scene_id]
    written = tiny_chunk(record, start_step=0, num_steps=7)
    for step in range(7):
        stored = scene.occupancy(step)
        assert np.array_equal(stored.semantics, written.occupancy[step])
        assert np.array_equal(stored.mask_camera, written.mask_camera[step])


def test_layout_and_rig_come_back_whole(shared_dataset: Path) -> None:
    record = tiny_record()
    scene = open_dataset(shared_dataset)[record.scene_id]
    assert layout_sha256(scene.layout) == layout_sha256(record.layout) == scene.attrs["layout_sha256"]
    for stored, camera in zip(scene.rig.cameras, record.rig.cameras, strict=True):
        assert (stored.name, stored.size_px) == (camera.name, camera.size_px)
        assert np.array_equal(stored.K, camera.K)


def test_boxes_are_those_of_the_layout(shared_dataset: Path) -> None:
    scene = open_dataset(shared_dataset)[tiny_record().scene_id]
    assert len(scene.boxes(1)) == 1
    boxes = scene.boxes(3)
    assert [boxes.category_names[code] for code in boxes.category] == ["car", "pedestrian"]
    assert boxes.attribute == ("vehicle.moving", "")
    assert boxes.track_id.tolist() == [0, 1]
    assert boxes.visibility.tolist() == [4, 2]
    assert boxes.visible_height_px.tolist() == [9.0, 14.0]
    np.testing.assert_allclose(boxes.center_world_m, [[16.75, 0.0, 0.8], [12.0, 4.65, 0.875]])
    np.testing.assert_allclose(boxes.velocity_world_mps, [[7.0, 0.0], [0.0, -1.4]])
    np.testing.assert_allclose(boxes.rotation_wxyz[1], [np.sqrt(0.5), 0.0, 0.0, -np.sqrt(0.5)])


def test_boxes_of_all_steps_follow_frame_ptr(shared_dataset: Path) -> None:
    scene = open_dataset(shared_dataset)[tiny_record().scene_id]
    assert scene.array("objects/frame_ptr")[:].tolist() == [0, 1, 2, 4, 6, 8, 10, 12]


def test_found_shares_of_agents_stand_beside_their_boxes(tmp_path: Path) -> None:
    record = tiny_record(num_steps=4)
    with open_scene_writer(tmp_path, record) as writer:
        for chunk in tiny_chunks(record):
            writer.append(chunk)
        writer.commit(scores={}, cost={}, found_share=np.array([0.75, np.nan], np.float32))
    fold_receipts(tmp_path)
    scene = open_dataset(tmp_path)[record.scene_id]
    assert scene.boxes(0).found_share.tolist() == [0.75]
    np.testing.assert_array_equal(scene.boxes(3).found_share, np.array([0.75, np.nan], np.float32))


def test_scenes_from_before_an_array_was_added_are_read_and_whole(tmp_path: Path) -> None:
    record = tiny_record(num_steps=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "scenegen.dataset.write.measured_columns",
            lambda *a, **k: [column for column in measured_columns(*a, **k) if column.path not in ADDED_ARRAYS],
        )
        with open_scene_writer(tmp_path, record) as writer:
            for chunk in bare_chunks(record):
                writer.append(chunk)
            writer.commit(scores={}, cost={})
    fold_receipts(tmp_path)
    scene = open_dataset(tmp_path)[record.scene_id]
    assert not any(scene.has_array(path.replace("<CAM>", "CAM_FRONT")) for path in ADDED_ARRAYS)
    assert np.isnan(scene.boxes(2).found_share).all()
    assert scene.occupancy(2).semantics.shape == (200, 200, 16)
    verify_dataset(tmp_path, deep=True).raise_on_damage()


@pytest.mark.parametrize(
    ("read", "path"),
    [
        (lambda scene: scene.boxes(2).num_lidar_pts, "objects/num_lidar_pts"),
        (lambda scene: scene.boxes2d(2, "CAM_FRONT"), "objects2d/ptr"),
        (lambda scene: scene.lidar(0), "lidar/ptr"),
        (lambda scene: scene.lidar2ego, "lidar/lidar2ego"),
        (lambda scene: scene.occupancy(1).mask_lidar, "occupancy/mask_lidar"),
        (lambda scene: scene.occupancy(1).flow_mps, "occupancy/instance"),
        (lambda scene: scene.depth("CAM_FRONT"), "cameras/CAM_FRONT/depth"),
        (lambda scene: scene.semantic("CAM_FRONT"), "cameras/CAM_FRONT/semantic"),
        (lambda scene: scene.instance("CAM_FRONT"), "cameras/CAM_FRONT/instance"),
        (lambda scene: scene.optical_flow("CAM_FRONT"), "cameras/CAM_FRONT/optical_flow"),
    ],
)
def test_a_label_that_a_scene_lacks_is_an_error_that_says_how_to_get_it(
    bare_dataset: Path, read: Callable[..., object], path: str
) -> None:
    (scene,) = open_dataset(bare_dataset)
    with pytest.raises(DatasetError, match=f"expected an array '{path}'.*scenegen.rerender.open_rendered"):
        read(scene)


def test_chunks_of_a_scene_have_the_same_labels(tmp_path: Path) -> None:
    record = tiny_record()
    with open_scene_writer(tmp_path, record) as writer:
        writer.append(tiny_chunks(record)[0])
        with pytest.raises(ChunkError, match=r"expected the labels .*'lidar'"):
            writer.append(bare_chunks(record)[1])


def test_a_scene_without_agents_has_no_boxes(tmp_path: Path) -> None:
    from dataclasses import replace

    record = tiny_record(num_steps=2)
    record = replace(record, layout=replace(record.layout, agents=()))
    with open_scene_writer(tmp_path, record) as writer:
        writer.append(tiny_chunk(record, start_step=0, num_steps=2))
        writer.commit(scores={}, cost={})
    fold_receipts(tmp_path)
    (scene,) = open_dataset(tmp_path)
    assert len(scene.boxes(1)) == len(scene.boxes2d(1, "CAM_FRONT")) == len(scene.boxes(1).num_lidar_pts) == 0
    assert (scene.lidar(0).box == -1).all()
    assert not scene.occupancy(1).flow_mps.any()


@pytest.mark.parametrize("codec", ["png", "jxl", "zstd"])
def test_lossless_codecs_keep_every_pixel(tmp_path: Path, write: Write, codec: str) -> None:
    record = tiny_record(num_steps=3)
    write(tmp_path, record, image_codec=codec)
    fold_receipts(tmp_path)
    scene = open_dataset(tmp_path)[record.scene_id]
    written = tiny_chunk(record, start_step=0, num_steps=3)
    assert np.array_equal(scene.rgb("CAM_BACK")[:], written.rgb[3])


def test_equal_scenes_have_equal_bytes(tmp_path: Path, write: Write) -> None:
    first, second = write(tmp_path / "a", tiny_record()), write(tmp_path / "b", tiny_record())
    assert hashes(scene_folder(tmp_path / "a")) == hashes(scene_folder(tmp_path / "b"))
    assert first.content_sha256 == second.content_sha256


@pytest.mark.parametrize("chunk_steps", [1, 5])
def test_bytes_do_not_depend_on_how_the_stream_was_cut(
    shared_dataset: Path, tmp_path: Path, write: Write, chunk_steps: int
) -> None:
    write(tmp_path, tiny_record(), chunk_steps=chunk_steps)
    assert hashes(scene_folder(tmp_path)) == hashes(scene_folder(shared_dataset))


def test_cost_and_time_of_day_are_in_the_receipt_alone(shared_dataset: Path) -> None:
    scene = open_dataset(shared_dataset)[tiny_record().scene_id]
    assert scene.receipt.cost == {"seconds": {"paint": 1.0}}
    assert scene.receipt.created_utc.endswith("+00:00")
    assert "cost" not in scene.attrs
    assert "created_utc" not in scene.attrs
    assert scene.attrs["scores"] == {"control": 0.9}


def test_black_pictures_are_stored_like_any_other(tmp_path: Path) -> None:
    from dataclasses import replace

    record = tiny_record(num_steps=2)
    chunk = tiny_chunk(record, start_step=0, num_steps=2)
    chunk = replace(chunk, rgb=np.zeros_like(chunk.rgb), mask_camera=np.zeros_like(chunk.mask_camera))
    with open_scene_writer(tmp_path, record) as writer:
        writer.append(chunk)
        receipt = writer.commit(scores={}, cost={})
    assert "cameras/CAM_FRONT/rgb/c.0.0.0.0" in receipt.files
    assert "occupancy/mask_camera/c.0.0.0.0" in receipt.files
    fold_receipts(tmp_path)
    assert open_dataset(tmp_path)[record.scene_id].rgb("CAM_FRONT")[:].max() == 0


def test_the_caller_may_reuse_its_arrays(shared_dataset: Path, tmp_path: Path) -> None:
    record = tiny_record()
    with open_scene_writer(tmp_path, record, num_steps_per_shard=4) as writer:
        for chunk in tiny_chunks(record):
            writer.append(chunk)
            chunk.rgb[...] = 0
            chunk.occupancy[...] = 0
            chunk.mask_camera[...] = 0
            chunk.visible_fraction[...] = 0.0
            chunk.visible_height_px[...] = 0.0
            overwrite_labels(chunk)
        writer.commit(scores={"control": 0.9}, cost={})
    assert hashes(scene_folder(tmp_path)) == hashes(scene_folder(shared_dataset))


def overwrite_labels(chunk: SceneChunk) -> None:
    lidar, pixels = chunk.lidar, chunk.agent_pixels
    assert lidar is not None and lidar.sweeps is not None
    assert pixels is not None and chunk.occupancy_instance is not None
    arrays = [chunk.occupancy_instance, lidar.mask, lidar.num_points]
    arrays += [pixels.num_px, pixels.xyxy_px, pixels.unoccluded_px]
    for sweep in lidar.sweeps:
        if sweep is not None:
            arrays += [sweep.points_lidar_m, sweep.intensity, sweep.ring, sweep.instance]
    for array in arrays:
        array[...] = 0


def test_chunks_out_of_order_are_our_own_bug(tmp_path: Path) -> None:
    record = tiny_record()
    chunks = tiny_chunks(record)
    with open_scene_writer(tmp_path, record) as writer:
        with pytest.raises(ChunkError, match="from step 0"):
            writer.append(chunks[1])
        writer.append(chunks[0])
        with pytest.raises(ChunkError, match="from step 3"):
            writer.append(chunks[0])
        with pytest.raises(ChunkError, match="3 of 7"):
            writer.commit(scores={}, cost={})
    assert issubclass(ChunkError, AssertionError)


def test_chunks_of_the_wrong_shape_are_our_own_bug(tmp_path: Path) -> None:
    record, other = tiny_record(), tiny_record(rig=tiny_rig(size_px=(32, 24)))
    with open_scene_writer(tmp_path, record) as writer:
        with pytest.raises(ChunkError, match="rgb"):
            writer.append(tiny_chunk(other, start_step=0, num_steps=2))
        with pytest.raises(ChunkError, match="of 7 in all"):
            writer.append(tiny_chunk(tiny_record(num_steps=9), start_step=0, num_steps=9))


@pytest.mark.parametrize(
    ("options", "word"),
    [({"image_codec": "gif"}, "image_codec"), ({"jpeg_quality": 0}, "quality"), ({"num_steps_per_shard": 0}, "step")],
)
def test_options_out_of_range_are_refused_before_any_work(tmp_path: Path, options: dict, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        open_scene_writer(tmp_path / "ds", tiny_record(), **options)
    assert not (tmp_path / "ds").exists()


@pytest.mark.parametrize("scene_id", ["", "../x", "a/b", ".hidden", "x" * 300])
def test_ids_that_are_no_file_names_are_refused(tmp_path: Path, scene_id: str) -> None:
    with pytest.raises(DatasetError, match="scene id"):
        open_scene_writer(tmp_path, tiny_record(scene_id=scene_id))


def test_unknown_scene_camera_step_and_array_are_named(shared_dataset: Path) -> None:
    dataset = open_dataset(shared_dataset)
    with pytest.raises(DatasetError, match="'nowhere'"):
        dataset["nowhere"]
    scene = dataset[dataset.scene_ids[0]]
    with pytest.raises(DatasetError, match="CAM_ROOF"):
        scene.rgb("CAM_ROOF")
    with pytest.raises(DatasetError, match=r"0\.\.6"):
        scene.boxes(7)
    with pytest.raises(DatasetError, match="radar"):
        scene.array("radar/points")


def test_can_bus_follows_the_ego(shared_dataset: Path) -> None:
    scene = open_dataset(shared_dataset)[tiny_record().scene_id]
    can_bus = scene.array("ego/can_bus")[:]
    assert can_bus.shape == (7, 18)
    np.testing.assert_allclose(can_bus[:, 0], 6.0 * np.arange(7) / 12.0, atol=1e-6)
    np.testing.assert_allclose(can_bus[:, 3:7], np.tile([1.0, 0.0, 0.0, 0.0], (7, 1)), atol=1e-7)
    np.testing.assert_allclose(can_bus[:, 7:10], np.tile([0.0, 0.0, 9.81], (7, 1)), atol=1e-6)
    np.testing.assert_allclose(can_bus[:, 13:16], np.tile([6.0, 0.0, 0.0], (7, 1)), atol=1e-6)


def test_can_bus_of_a_circle_has_its_rate_and_its_centripetal_force() -> None:
    from scenegen.dataset.columns import can_bus_of
    from scenegen.geometry.rigid import planar_poses
    from scenegen.types import EgoTrack, Timeline

    timeline = Timeline(rate_hz=100.0, num_steps=200)
    heading = 0.5 * np.arange(200) / 100.0  # 0.5 rad/s
    velocity = 4.0 * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    position = 8.0 * np.stack([np.sin(heading), 1.0 - np.cos(heading), 0.0 * heading], axis=1)
    ego = EgoTrack(world_from_ego=planar_poses(position, heading), velocity_world_mps=velocity)
    can_bus = can_bus_of(ego, timeline)[5:-5]
    np.testing.assert_allclose(can_bus[:, 12], 0.5, atol=1e-4)
    np.testing.assert_allclose(can_bus[:, 8], 2.0, atol=1e-3)  # v^2 / r to the left
    np.testing.assert_allclose(can_bus[:, 13], 4.0, atol=1e-4)
    np.testing.assert_allclose(can_bus[:, 17], np.degrees(can_bus[:, 16]), atol=1e-3)
