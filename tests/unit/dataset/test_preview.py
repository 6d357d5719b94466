from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from scenegen.dataset import fold_receipts, open_scene_writer
from scenegen.dataset.preview import Mosaic, PreviewWriter
from scenegen.dataset.verify import verify_dataset
from scenegen.dataset.wireframe import box_corners_world_m, project_edges
from scenegen.errors import DependencyError, OutputError
from scenegen.types import SceneRecord
from tests.unit.dataset.tiny_scene import tiny_chunk, tiny_chunks, tiny_record, tiny_rig


def write_preview(folder: Path, record: SceneRecord) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    with PreviewWriter(folder, record) as preview:
        for chunk in tiny_chunks(record):
            preview.append(chunk)
        preview.close()
    return folder / f"{record.scene_id}.mp4", folder / f"{record.scene_id}.jpg"


def test_video_has_every_step_at_the_rate_of_the_scene(tmp_path: Path) -> None:
    video, picture = write_preview(tmp_path, tiny_record())
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert stream.average_rate == 12
        assert len(list(container.decode(video=0))) == 7
        size = (stream.width, stream.height)
    assert Image.open(picture).size == size


def test_equal_scenes_give_equal_previews(tmp_path: Path) -> None:
    first, second = (write_preview(tmp_path / name, tiny_record()) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_six_cameras_stand_where_they_look() -> None:
    record = tiny_record()
    colors = np.arange(6, dtype=np.uint8)[:, None, None, None] * 40
    rgb = np.broadcast_to(colors, (6, 24, 40, 3))
    picture = Mosaic(record).draw(np.ascontiguousarray(rgb), step=0)
    order = [camera.name for camera in record.rig.cameras]
    top = (picture.shape[0] - (2 * 48 + 4)) // 2
    for row, names in enumerate(("FRONT_LEFT FRONT FRONT_RIGHT", "BACK_LEFT BACK BACK_RIGHT")):
        for column, name in enumerate(names.split()):
            pixel = picture[top + row * 52 + 40, column * 84 + 70]
            assert pixel.tolist() == [40 * order.index(f"CAM_{name}")] * 3


@pytest.mark.parametrize(
    "names", [("CAM_FRONT",), ("CAM_FRONT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT", "CAM_BACK_RIGHT")]
)
def test_any_other_rig_is_a_grid(tmp_path: Path, names: tuple[str, ...]) -> None:
    record = tiny_record(num_steps=2, rig=tiny_rig(size_px=(41, 25), names=names))
    video, _ = write_preview(tmp_path, record)
    with av.open(str(video)) as container:
        assert len(list(container.decode(video=0))) == 2


def test_picture_shows_the_step_with_most_pedestrians(tmp_path: Path) -> None:
    record = tiny_record()
    chunk = tiny_chunk(record, start_step=0, num_steps=7)
    height_px = np.zeros_like(chunk.visible_height_px)
    height_px[5, 1] = 20.0
    with PreviewWriter(tmp_path, record) as preview:
        preview.append(replace(chunk, visible_height_px=height_px))
        preview.close()
    stored = np.asarray(Image.open(tmp_path / f"{record.scene_id}.jpg")).astype(int)
    mosaic = Mosaic(record)
    differences = [np.abs(mosaic.draw(chunk.rgb[:, step], step=step) - stored).mean() for step in range(7)]
    assert int(np.argmin(differences)) == 5


def test_box_of_a_car_ahead_projects_where_it_is() -> None:
    """A 2 m wide face 10 m ahead of a camera with f = 100 px spans 20 px around the principal point."""
    camera = tiny_rig(size_px=(200, 100)).cameras[0]
    camera = replace(camera, K=np.array([[100.0, 0.0, 100.0], [0.0, 100.0, 50.0], [0.0, 0.0, 1.0]]))
    corners = box_corners_world_m(np.array([13.0, 0.0, 1.5]), np.array([4.0, 2.0, 2.0]), heading_rad=0.0)
    ends_px, is_front = project_edges(corners, camera, world_from_ego=np.eye(4))
    assert len(ends_px) == 12
    assert is_front.sum() == 4
    back = ends_px[~is_front].reshape(-1, 2)  # the nearer face, 11 - 1 = 10 m ahead of the camera at x = 1
    np.testing.assert_allclose([back.min(axis=0), back.max(axis=0)], [[90.0, 40.0], [110.0, 60.0]])


def test_edges_behind_the_camera_are_cut_or_dropped() -> None:
    camera = tiny_rig().cameras[0]
    astride = box_corners_world_m(np.array([1.0, 0.5, 1.0]), np.array([10.0, 2.0, 2.0]), heading_rad=0.0)
    ends_px, _ = project_edges(astride, camera, world_from_ego=np.eye(4))
    assert 0 < len(ends_px) < 12
    assert np.isfinite(ends_px).all()
    behind = box_corners_world_m(np.array([-20.0, 0.0, 1.0]), np.array([4.0, 2.0, 2.0]), heading_rad=0.0)
    assert len(project_edges(behind, camera, world_from_ego=np.eye(4))[0]) == 0


def test_previews_are_committed_and_verified_with_the_scene(tmp_path: Path) -> None:
    record = tiny_record()
    with open_scene_writer(tmp_path, record) as writer, PreviewWriter(writer.preview_dir, record) as preview:
        for chunk in tiny_chunks(record):
            writer.append(chunk)
            preview.append(chunk)
        assert not (tmp_path / "previews").exists()
        preview.close()
        receipt = writer.commit(scores={}, cost={})
    names = [f"previews/{record.scene_id}{suffix}" for suffix in (".jpg", ".mp4")]
    assert sorted(receipt.previews) == names
    assert all((tmp_path / name).is_file() for name in names)
    fold_receipts(tmp_path)
    assert verify_dataset(tmp_path, deep=False).damages == ()
    (tmp_path / names[0]).write_bytes(b"another picture")
    assert [damage.finding.partition(":")[0] for damage in verify_dataset(tmp_path, deep=False).damages] == [names[0]]


def test_an_aborted_preview_lets_go(tmp_path: Path) -> None:
    record = tiny_record()
    with pytest.raises(RuntimeError), PreviewWriter(tmp_path, record) as preview:
        preview.append(tiny_chunks(record)[0])
        raise RuntimeError("the model broke")
    assert not (tmp_path / f"{record.scene_id}.jpg").exists()


def test_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        PreviewWriter(tmp_path / "nowhere", tiny_record())


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DependencyError, match="generate"):
        PreviewWriter(tmp_path, tiny_record())


def test_memory_holds_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[Callable[[], object]] = []
    import weakref

    record = tiny_record()
    draw = Mosaic.draw

    def remember(self: Mosaic, rgb: np.ndarray, *, step: int) -> np.ndarray:
        picture = draw(self, rgb, step=step).copy()
        frames.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr(Mosaic, "draw", remember)
    with PreviewWriter(tmp_path, record) as preview:
        for chunk in tiny_chunks(record):
            preview.append(chunk)
        assert sum(frame() is not None for frame in frames) <= 1
