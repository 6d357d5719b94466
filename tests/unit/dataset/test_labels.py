"""The labels beyond boxes and voxels: 2-D boxes, sweeps, masks, flow, maps per pixel, the raster from above."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scenegen.dataset import Scene, fold_receipts, open_dataset, open_scene_writer
from scenegen.dataset.bev_raster import CELL_M, ORIGIN_M, SHAPE, mark_line, mark_polygon
from scenegen.errors import DatasetError
from tests.unit.dataset.tiny_scene import (
    full_chunks,
    tiny_chunk,
    tiny_chunks,
    tiny_record,
    tiny_rig,
    voxel_of_agents,
)


@pytest.fixture(scope="module")
def scene(full_dataset: Path) -> Scene:
    return open_dataset(full_dataset)[tiny_record().scene_id]


def test_2d_boxes_are_those_written_with_the_projected_centre(scene: Scene) -> None:
    record = tiny_record()
    written = tiny_chunk(record, start_step=0, num_steps=7).agent_pixels
    assert written is not None
    seen = 0
    for step in range(7):
        boxes = scene.boxes(step)
        for view, camera in enumerate(record.rig.cameras):
            found = scene.boxes2d(step, camera.name)
            agents = boxes.track_id[found.box]
            assert agents.tolist() == np.flatnonzero(written.num_px[view, step]).tolist()
            assert np.array_equal(found.xyxy_px, written.xyxy_px[view, step, agents])
            assert np.array_equal(found.num_px, written.num_px[view, step, agents])
            np.testing.assert_allclose(found.visible_fraction, np.array([1.0, 0.5])[agents])
            seen += len(found)
    assert seen > 10
    front = scene.boxes2d(0, "CAM_FRONT")
    # the car's centre: 14 m before the camera, 0.7 m below; focal length 20 / tan 35 degrees = 28.563 px
    np.testing.assert_allclose(front.depth_m, [14.0], rtol=1e-6)
    np.testing.assert_allclose(front.center_px, [[20.0, 12.0 + 28.563 * 0.7 / 14.0]], rtol=1e-4)


def test_sweeps_of_key_frames_come_back_with_the_box_they_hit(scene: Scene) -> None:
    record = tiny_record()
    written = tiny_chunk(record, start_step=0, num_steps=7).lidar
    assert written is not None and written.sweeps is not None
    for step in (0, 6):
        sweep, expected = scene.lidar(step), written.sweeps[step]
        assert expected is not None
        assert np.array_equal(sweep.points_lidar_m, expected.points_lidar_m)
        assert np.array_equal(sweep.intensity, expected.intensity)
        assert np.array_equal(sweep.ring, expected.ring)
        assert np.array_equal(sweep.instance, expected.instance)
        track_id = scene.boxes(step).track_id
        assert np.array_equal(np.where(sweep.box >= 0, track_id[sweep.box] + 1, 0), sweep.instance)
    assert len(scene.lidar(6)) == len(scene.lidar(0)) + 2
    assert np.array_equal(scene.lidar2ego, written.lidar2ego)
    assert scene.boxes(6).num_lidar_pts.tolist() == [2, 2]


def test_a_sweep_between_key_frames_is_an_error_that_names_the_key_frames(scene: Scene) -> None:
    with pytest.raises(DatasetError, match=r"a key frame, 0, 6, found step 3.*open_rendered"):
        scene.lidar(3)


def test_sweeps_longer_than_a_shard_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenegen.dataset.store.ROWS_PER_CHUNK", 8)
    monkeypatch.setattr("scenegen.dataset.store.ROWS_PER_SHARD", 16)
    record = tiny_record()
    chunks = tiny_chunks(record)
    with open_scene_writer(tmp_path, record) as writer:
        for chunk in chunks:
            writer.append(chunk)
        writer.commit(scores={}, cost={})
    fold_receipts(tmp_path)
    (scene,) = open_dataset(tmp_path)
    sweeps = [sweep for chunk in chunks for sweep in chunk.lidar.sweeps if sweep is not None]
    for step, sweep in zip((0, 6), sweeps, strict=True):
        assert np.array_equal(scene.lidar(step).points_lidar_m, sweep.points_lidar_m)
        assert np.array_equal(scene.lidar(step).instance, sweep.instance)


def test_a_scene_may_keep_no_sweeps_and_still_count_their_points(tmp_path: Path) -> None:
    record = tiny_record(num_steps=2)
    chunk = tiny_chunk(record, start_step=0, num_steps=2)
    with open_scene_writer(tmp_path, record) as writer:
        writer.append(replace(chunk, lidar=replace(chunk.lidar, sweeps=None)))
        writer.commit(scores={}, cost={})
    fold_receipts(tmp_path)
    (scene,) = open_dataset(tmp_path)
    assert scene.boxes(0).num_lidar_pts.tolist() == [2]
    assert scene.occupancy(0).mask_lidar.any()
    with pytest.raises(DatasetError, match="lidar/ptr"):
        scene.lidar(0)


def test_masks_and_flow_stand_beside_the_voxels(scene: Scene) -> None:
    written = tiny_chunk(tiny_record(), start_step=0, num_steps=7)
    for step in (0, 4):
        occupancy = scene.occupancy(step)
        assert np.array_equal(occupancy.mask_lidar, written.lidar.mask[step])
        assert np.array_equal(occupancy.instance, written.occupancy_instance[step])
        voxel_of_agent = voxel_of_agents(tiny_record(), step)
        assert sorted(map(tuple, np.argwhere(occupancy.flow_mps.any(axis=-1)).tolist())) == sorted(
            voxel_of_agent.values()
        )
        for agent, voxel in voxel_of_agent.items():
            np.testing.assert_allclose(occupancy.flow_mps[voxel], [[7.0, 0.0], [0.0, -1.4]][agent])


def test_flow_is_in_ego_axes(tmp_path: Path) -> None:
    record = tiny_record(num_steps=1)
    turned = np.array([[[0.0, -1.0, 0, 0], [1.0, 0.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]]])
    ego = replace(record.layout.ego, world_from_ego=turned)
    record = replace(record, layout=replace(record.layout, ego=ego))
    with open_scene_writer(tmp_path, record) as writer:
        writer.append(tiny_chunk(record, start_step=0, num_steps=1))
        writer.commit(scores={}, cost={})
    fold_receipts(tmp_path)
    (scene,) = open_dataset(tmp_path)
    # the ego looks along world y, so a car that drives along world x goes to its right
    np.testing.assert_allclose(scene.occupancy(0).flow_mps[voxel_of_agents(record, 0)[0]], [0.0, -7.0], atol=1e-6)


def test_maps_per_pixel_are_read_lazily_and_exactly(scene: Scene) -> None:
    record = tiny_record()
    written = full_chunks(record, chunk_steps=7)[0].dense
    assert written is not None
    for view, camera in enumerate(record.rig.cameras):
        assert np.array_equal(scene.depth(camera.name)[1:6], written.depth_mm[view, 1:6])
        assert np.array_equal(scene.semantic(camera.name)[3], written.semantic[view, 3])
        assert np.array_equal(scene.instance(camera.name)[:], written.instance[view])
        flow = scene.optical_flow(camera.name)
        assert (flow.shape, flow.dtype) == ((7, 24, 40, 2), np.float16)
        assert flow[:].tobytes() == np.ascontiguousarray(written.optical_flow_px[view]).tobytes()


def test_maps_of_a_smaller_view_have_its_size(tmp_path: Path) -> None:
    rig = tiny_rig()
    small = replace(rig.cameras[0], size_px=(30, 20))
    record = tiny_record(num_steps=1, rig=replace(rig, cameras=(small, *rig.cameras[1:])))
    with open_scene_writer(tmp_path, record) as writer:
        writer.append(full_chunks(record)[0])
        writer.commit(scores={}, cost={})
    fold_receipts(tmp_path)
    (scene,) = open_dataset(tmp_path)
    assert scene.depth("CAM_FRONT").shape == (1, 20, 30)


def test_raster_shows_map_and_boxes_in_ego_cells(scene: Scene) -> None:
    raster = scene.bev_raster(3)
    channel = dict(zip(scene.bev_channels, raster, strict=True))
    assert raster.shape == (len(scene.bev_channels), 200, 200)
    ego_x = scene.ego2global[3, 0, 3]

    def cells(name: str) -> np.ndarray:
        return (np.argwhere(channel[name]) + 0.5) * 0.4 - 40.0 + [ego_x, 0.0]

    # the road is 12 m wide, the car 4.5 x 1.9 m about (16.75, 0), the walker 0.6 m about (12, 4.65)
    assert channel["drivable"].sum() == 200 * 30
    assert np.abs(cells("vehicle") - [16.75, 0.0]).max(axis=0) == pytest.approx([2.25, 0.95], abs=0.4)
    assert channel["vehicle"].sum() * 0.16 == pytest.approx(4.5 * 1.9, rel=0.15)
    assert np.linalg.norm(cells("pedestrian") - [12.0, 4.65], axis=1).max() < 0.43
    # the building of 10 x 8 m has a courtyard of a quarter of its area
    assert channel["building"].sum() * 0.16 == pytest.approx(60.0, rel=0.05)
    # a painted line is one cell wide where it is narrower: two rows share the line through their border
    assert 200 <= channel["lane_line"].sum() <= 400
    assert not channel["cycle"].any()


def test_polygons_agree_with_shapely() -> None:
    shapely = pytest.importorskip("shapely")
    rng = np.random.default_rng(5)
    middle = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1) * CELL_M + ORIGIN_M + 0.2
    for _ in range(5):
        angle = np.sort(rng.uniform(0.0, 2.0 * np.pi, 9))
        ring = rng.uniform(5.0, 60.0, (9, 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=1) + rng.uniform(-9, 9, 2)
        hole = 0.3 * ring
        mask = np.zeros(SHAPE, np.bool_)
        mark_polygon(mask, [ring, hole])
        polygon = shapely.Polygon(ring).symmetric_difference(shapely.Polygon(hole))
        assert np.array_equal(mask, shapely.contains_xy(polygon, middle[..., 0], middle[..., 1]))
        line = shapely.LineString(ring)
        near = np.zeros(SHAPE, np.bool_)
        mark_line(near, ring, width_m=1.1)
        distance = shapely.distance(line, shapely.points(middle.reshape(-1, 2))).reshape(SHAPE)
        assert np.array_equal(near, distance <= 0.55)
