"""Frames as they are made: those that would be stored, one chunk at a time, and an end where the road ends."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from scenegen.cli.stream import run_stream
from scenegen.config import GenerateConfig
from scenegen.dataset import open_dataset
from scenegen.dataset.y4m import Y4mWriter
from scenegen.errors import ConfigError, LayoutError, OutputError
from scenegen.geometry.rigid import planar_poses
from scenegen.layout.road_end import road_end_s
from scenegen.layout.sources import expand_references, read_layout
from scenegen.pipeline import SerialExecutor, generate
from scenegen.streaming import require_road, stream
from scenegen.types import EgoTrack, Layout, Timeline
from scenegen.video.backbones.preview import PreviewBackbone
from tests.unit.pipeline.conftest import STEPS, GreyBackbone, GreySession, SilentReporter, make_street

Install = Callable[[GreyBackbone], None]


def test_a_stream_is_what_would_be_stored(config: GenerateConfig, use_streets: Install) -> None:
    use_streets(GreyBackbone())
    config = replace(config, layouts=("a", "b"), dataset=replace(config.dataset, image_codec="png", labels="stored"))
    generate(config, executor=SerialExecutor(), reporter=SilentReporter())
    dataset = open_dataset(config.output)
    moments = list(stream(config))
    assert [m.record.scene_id for m in moments[::STEPS]] == list(dataset.scene_ids)
    assert [m.step for m in moments] == 2 * list(range(STEPS))
    for moment in (moments[0], moments[STEPS - 1], moments[-1]):
        scene, step, chunk = dataset[moment.record.scene_id], moment.step, moment.chunk
        assert chunk.start_step == step and chunk.rgb.shape[1] == 1 and moment.timestamp_us == round(step * 1e6 / 12)
        np.testing.assert_array_equal(chunk.rgb[0, 0], scene.rgb("CAM_FRONT")[step])
        np.testing.assert_array_equal(chunk.occupancy[0], scene.occupancy(step).semantics)
        assert chunk.dense is not None and chunk.lidar is not None
        np.testing.assert_array_equal(chunk.dense.semantic[0, 0], scene.semantic("CAM_FRONT")[step])
        (box,), stored = moment.boxes(), scene.boxes(step)
        np.testing.assert_allclose(box["center"], stored.center_world_m[0])
        assert box["category"] == "pedestrian" and set(box["boxes2d"]) == {"CAM_FRONT"}


def test_a_step_comes_before_the_next_chunk_is_painted(config: GenerateConfig, use_streets: Install) -> None:
    painted: list[int] = []

    class Watched(GreyBackbone):
        def open_session(self, scene: Any) -> GreySession:
            session = super().open_session(scene)
            paint = session.paint

            def watch(conditions: Any, *, start_step: int) -> np.ndarray:
                painted.append(start_step)
                return paint(conditions, start_step=start_step)

            session.paint = watch  # type: ignore[method-assign]
            return session

    use_streets(Watched())
    steps = stream(replace(config, layouts=("a",), num_steps_per_chunk=1))
    assert painted == []
    for expected in range(3):
        assert next(steps).step == expected and painted == list(range(expected + 1))
    steps.close()
    assert not (Path(config.output)).exists()


def test_the_command_line_writes_a_video_and_labels(
    config: GenerateConfig, use_streets: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_streets(GreyBackbone())
    output = io.BytesIO()
    monkeypatch.setattr("sys.stdout", type("Out", (), {"isatty": lambda self: False, "buffer": output})())
    labels = tmp_path / "labels.jsonl"
    run_stream(replace(config, layouts=("a", "b"), stream=True, stream_labels=str(labels)))
    output.seek(0)
    with av.open(output, format="yuv4mpegpipe") as video:
        pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert float(video.streams.video[0].average_rate) == 12.0
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    assert len(pictures) == len(lines) == 2 * STEPS
    assert [line["step"] for line in lines] == 2 * list(range(STEPS))
    assert lines[3]["timestamp_us"] == 250000 and lines[0]["objects"][0]["category"] == "pedestrian"
    assert not Path(config.output).exists()
    with pytest.raises(OutputError, match="stream_labels"):
        run_stream(replace(config, layouts=("a",), stream=True, stream_labels=str(tmp_path / "none" / "labels")))
    monkeypatch.setattr("sys.stdout", type("Terminal", (), {"isatty": lambda self: True})())
    with pytest.raises(ConfigError, match=r"a terminal.*ffplay"):
        run_stream(config)


def test_a_ring_is_driven_round_and_round_as_one_drive(config: GenerateConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenegen.streaming.open_backbone", lambda config: PreviewBackbone())
    config = replace(
        config, layouts=("procedural:ring/20s/3",), duration_s=20.0, rate_hz=1.0, num_steps_per_chunk=4, stream=True
    )
    once = list(stream(config))
    endless = stream(replace(config, stream_laps=0))
    with closing(endless):
        laps = [next(endless) for _ in range(2 * len(once) + 4)]
    assert len(once) == 20 and [moment.count for moment in laps] == list(range(44))
    assert [moment.timestamp_us for moment in laps] == [1_000_000 * count for count in range(44)]
    for first, second in zip(once, laps[20:40], strict=True):
        assert (second.step, second.lap, second.chunk.start_step) == (first.step, 1, first.step)
        assert second.boxes()[0]["center"] == first.boxes()[0]["center"]
        # But for the legs of who walks: gaits follow the way walked so far.
        assert (second.chunk.occupancy != first.chunk.occupancy).mean() < 1e-4
        assert (second.chunk.rgb != first.chunk.rgb).mean() < 0.02
    for second, third in zip(laps[20:24], laps[40:], strict=True):
        np.testing.assert_array_equal(third.chunk.occupancy, second.chunk.occupancy)
        np.testing.assert_array_equal(third.chunk.rgb, second.chunk.rgb)
    # Things move from the last step of a lap to the first of the next; a drive that starts has no step before.
    flow_px = [moment.chunk.dense.optical_flow_px for moment in (laps[0], laps[20], laps[40])]  # type: ignore[union-attr]
    assert np.nanmax(np.abs(flow_px[1])) > 1.0
    np.testing.assert_array_equal(flow_px[1], flow_px[2])


def test_a_drive_that_leads_elsewhere_is_not_repeated(config: GenerateConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenegen.streaming.open_backbone", lambda config: PreviewBackbone())
    street = replace(config, layouts=("procedural:7",), duration_s=10.0, stream=True, stream_laps=2)
    with pytest.raises(LayoutError, match=r"back where it began.*ego .* m away.*procedural:ring/7"):
        stream(street)
    with pytest.raises(ConfigError, match="one scene in a stream without end"):
        stream(replace(street, layouts=("procedural:7", "procedural:8"), stream_laps=0))


def test_y4m_keeps_colours() -> None:
    rng = np.random.default_rng(0)
    picture = np.repeat(np.repeat(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8), 4, axis=0), 4, axis=1)
    output = io.BytesIO()
    Y4mWriter(output, rate_hz=12.5, size_px=(24, 16)).append(picture)
    output.seek(0)
    with av.open(output, format="yuv4mpegpipe") as video:
        (frame,) = list(video.decode(video=0))
    assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - picture).max() <= 4


def test_what_does_not_go_with_a_stream_is_refused(config: GenerateConfig, use_streets: Install) -> None:
    use_streets(GreyBackbone())
    with pytest.raises(ConfigError, match="stream_labels"):
        replace(config, stream_labels="labels.jsonl")
    with pytest.raises(ConfigError, match="run=serial"):
        replace(config, stream=True, run=replace(config.run, name="ray_local"))
    with pytest.raises(ConfigError, match="stream=true beside stream_laps"):
        replace(config, stream_laps=2)
    with pytest.raises(ConfigError, match="stream_laps of 1 or more"):
        replace(config, stream=True, stream_laps=-1)
    judged = replace(config, layouts=("a",), quality=replace(config.quality, min_control=0.9))
    with pytest.raises(ConfigError, match="quality"):
        stream(judged)


def drive_of(seconds: int) -> Layout:
    """A street of 100 m with 60 m ahead of the ego, driven down at 6 m/s."""
    street = make_street("long")
    num_steps = 12 * seconds
    ego_m = np.column_stack([6.0 * np.arange(num_steps) / 12, np.zeros((num_steps, 2))])
    return replace(
        street,
        timeline=Timeline(rate_hz=12.0, num_steps=num_steps),
        agents=(),
        ego=EgoTrack(
            world_from_ego=planar_poses(ego_m, np.zeros(num_steps)),
            velocity_world_mps=np.tile([6.0, 0.0], (num_steps, 1)),
        ),
    )


def test_a_road_that_ends_is_found_before_any_work() -> None:
    assert road_end_s(drive_of(9)) is None
    assert road_end_s(drive_of(20)) == pytest.approx(66.0 / 6.0, abs=0.2)  # 6 m beyond the last lane's end
    require_road(drive_of(9), reference="file:long.yaml")
    with pytest.raises(LayoutError, match=r"file:long.yaml: expected a road for 20 s, .* after 11\..*Duration_s=11"):
        require_road(drive_of(20), reference="file:long.yaml")


def test_procedural_layouts_are_drawn_for_as_long_as_asked() -> None:
    assert expand_references(["procedural:45s/3-4", "procedural:rural/45s/9"]) == [
        "procedural:45s/3",
        "procedural:45s/4",
        "procedural:rural/45s/9",
    ]
    layout = read_layout("procedural:45s/3")
    assert layout.timeline.duration_s == 45.0 and layout.layout_id == "procedural_3_45s"
    assert road_end_s(layout) is None
    for bad in ("procedural:0s/3", "procedural:45/3", "procedural:45s/rural/3"):
        with pytest.raises(LayoutError, match="a style out of"):
            read_layout(bad)
