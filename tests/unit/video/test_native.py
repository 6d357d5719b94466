"""The native backbone with a nano network of random weights: plumbing, history, noise, determinism."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from scenegen.conditions.build import ConditionRenderer
from scenegen.diffusion.memory import channels_last
from scenegen.diffusion.sampler import Sampler
from scenegen.diffusion.tensor_file import write_tensors
from scenegen.errors import ConfigError, WeightsError
from scenegen.geometry.rigid import planar_pose
from scenegen.types import AppearanceTable, ConditionMaps, Sampling
from scenegen.video.backbones.native import NativeBackbone, load_network, sampler_notes, save_network
from scenegen.video.build import SHIPPED_SIZES, load_backbone
from scenegen.video.history import carry_forward
from scenegen.video.interface import SceneContext
from scenegen.video.network import SIZES, VideoNetwork
from scenegen.video.noise import anchored_noise
from scenegen.video.planes import NUM_PLANES, build_planes, join_appearance, surface_maps
from tests.unit.conditions.random_worlds import noon, random_rig, random_shapes, random_world

NUM_AGENTS = 8
SIZE_PX = (48, 32)


@pytest.fixture(scope="module")
def scene() -> tuple[ConditionMaps, SceneContext]:
    rng = np.random.default_rng(3)
    world = random_world(rng)
    rows = 5 + len(world.shapes)
    looks = world.statics.appearance
    statics = type(world.statics)(
        material=np.resize(world.statics.material, rows),
        world_from_thing=np.tile(np.eye(4), (rows, 1, 1)),
        size_lwh_m=np.ones((rows, 3)),
        appearance=AppearanceTable(
            primary_rgb=np.resize(looks.primary_rgb, (rows, 3)),
            secondary_rgb=np.resize(looks.secondary_rgb, (rows, 3)),
            pattern=np.ones((rows, 4), np.float32),
        ),
    )
    agents = random_shapes(rng, count=NUM_AGENTS, first_instance=1)
    rig = random_rig(rng, num_cameras=2, size_px=SIZE_PX)
    renderer = ConditionRenderer(world, rig=rig, lighting=noon(), num_agents=NUM_AGENTS)
    poses = np.stack([planar_pose(0.2 * k, 0.0, 0.0) for k in range(4)])
    maps = renderer.render([agents] * 4, previous_shapes=None, world_from_ego=poses, previous_world_from_ego=None)
    colors = rng.random((NUM_AGENTS, 10)).astype(np.float32)
    context = SceneContext(
        scene_id="test",
        seed=1,
        rate_hz=12.0,
        statics=statics,
        agents=AppearanceTable(primary_rgb=colors[:, :3], secondary_rgb=colors[:, 3:6], pattern=colors[:, 6:]),
        lighting=noon(),
    )
    return maps, context


def nano_backbone(*, use_history: bool = True) -> NativeBackbone:
    torch.manual_seed(0)
    network = VideoNetwork(SIZES["nano"]).eval().requires_grad_(False)
    torch.nn.init.normal_(network.head_out.weight, std=0.1)  # starts at zero, where nothing but the base is seen
    return NativeBackbone(
        network, size_name="nano", sampler=Sampler(steps=2), weights_sha256="", use_history=use_history
    )


def part(maps: ConditionMaps, span: slice) -> ConditionMaps:
    return maps.cut_steps(span.start, span.stop)


def test_same_seed_same_bytes_whatever_the_chunks(scene: tuple[ConditionMaps, SceneContext]) -> None:
    maps, context = scene
    whole = nano_backbone().open_session(context).paint(maps, start_step=0)
    session = nano_backbone().open_session(context)
    first = session.paint(part(maps, slice(0, 1)), start_step=0)
    rest = session.paint(part(maps, slice(1, 4)), start_step=1)
    np.testing.assert_array_equal(whole, np.concatenate([first, rest], axis=1))
    assert whole.shape == (2, 4, SIZE_PX[1], SIZE_PX[0], 3)


@pytest.mark.parametrize("temporal", ["rwkv7", "window", "none"])
def test_a_session_goes_on_where_another_one_was(scene: tuple[ConditionMaps, SceneContext], temporal: str) -> None:
    maps, context = scene
    torch.manual_seed(0)
    network = VideoNetwork(replace(SIZES["nano"], temporal=temporal)).eval().requires_grad_(False)
    torch.nn.init.normal_(network.head_out.weight, std=0.1)
    backbone = NativeBackbone(channels_last(network), size_name="nano", sampler=Sampler(steps=2), weights_sha256="")
    one, other, fresh = (backbone.open_session(context) for _ in range(3))
    one.paint(part(maps, slice(0, 2)), start_step=0)
    other.restore(load(save({name: np.asarray(values) for name, values in one.state().items()})))
    expected = one.paint(part(maps, slice(2, 4)), start_step=2)
    np.testing.assert_array_equal(other.paint(part(maps, slice(2, 4)), start_step=2), expected)
    assert (fresh.paint(part(maps, slice(2, 4)), start_step=2) != expected).any()
    assert fresh.state().keys() == one.state().keys()


def test_history_changes_later_steps_only(scene: tuple[ConditionMaps, SceneContext]) -> None:
    maps, context = scene
    with_history = nano_backbone().open_session(context).paint(maps, start_step=0)
    without = nano_backbone(use_history=False).open_session(context).paint(maps, start_step=0)
    np.testing.assert_array_equal(with_history[:, 0], without[:, 0])
    assert (with_history[:, 1:] != without[:, 1:]).any()


def test_planes_are_finite_and_as_many_as_declared(scene: tuple[ConditionMaps, SceneContext]) -> None:
    maps, context = scene
    planes = build_planes(surfaces_of(maps, context, 1))
    assert planes.shape == (2, NUM_PLANES, SIZE_PX[1], SIZE_PX[0])
    assert torch.isfinite(planes).all()


def surfaces_of(maps: ConditionMaps, context: SceneContext, step: int):  # type: ignore[no-untyped-def]
    table = torch.from_numpy(join_appearance(context.agents, context.statics, salt=1))
    return surface_maps(maps, step=step, appearance=table, num_agents=NUM_AGENTS, lighting=context.lighting)


def test_anchored_noise_is_gaussian_and_sticks_to_surfaces(scene: tuple[ConditionMaps, SceneContext]) -> None:
    maps, context = scene
    surfaces = surfaces_of(maps, context, 0)
    is_agent = (surfaces.instance > 0) & (surfaces.instance < 0x8000)
    noise = anchored_noise(surfaces, seed=5, focal_px=40.0, is_agent=is_agent, num_channels=32)
    assert abs(noise.mean().item()) < 0.05
    assert noise.std().item() == pytest.approx(1.0, abs=0.05)
    again = anchored_noise(surfaces, seed=5, focal_px=40.0, is_agent=is_agent, num_channels=32)
    other = anchored_noise(surfaces, seed=6, focal_px=40.0, is_agent=is_agent, num_channels=32)
    assert torch.equal(noise, again)
    assert abs(torch.corrcoef(torch.stack([noise.flatten(), other.flatten()]))[0, 1].item()) < 0.05


def test_carried_frame_follows_the_motion() -> None:
    frame = torch.zeros(1, 3, 4, 6)
    frame[..., 2] = 1.0
    motion = torch.zeros(1, 4, 6, 2)
    motion[..., 0] = -1.0  # everything was one pixel further left
    code = torch.zeros(1, 4, 6, dtype=torch.long)
    carried = carry_forward(frame, motion_px=motion, code=code, previous_code=code)
    assert carried.rgb[0, 0, 0].tolist() == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    assert carried.valid[0, 0, 0].tolist() == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_carried_frame_is_invalid_where_something_else_was_seen() -> None:
    code = torch.zeros(1, 4, 6, dtype=torch.long)
    carried = carry_forward(
        torch.ones(1, 3, 4, 6), motion_px=torch.zeros(1, 4, 6, 2), code=code, previous_code=code + 1
    )
    assert carried.valid.sum() == 0
    assert carried.rgb.abs().sum() == 0


def test_weights_round_trip_and_damage_is_named(tmp_path: Path) -> None:
    network = VideoNetwork(SIZES["nano"])
    path = tmp_path / "nano.safetensors"
    save_network(network, path, notes={"steps": "0"})
    loaded, sha256 = load_network(path)
    assert loaded.size == SIZES["nano"]
    assert len(sha256) == 64


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "nano.safetensors"
    network = VideoNetwork(SIZES["nano"])
    save_network(network, path, notes={})
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(WeightsError, match=r"nano\.safetensors: .*damaged"):
        load_network(path)
    with pytest.raises(WeightsError, match=r"missing\.safetensors: expected weights .*, found no file"):
        load_network(tmp_path / "missing.safetensors")
    path.write_bytes(whole.replace(b'\\"middle\\": 16', b'\\"middle\\": 32'))
    with pytest.raises(WeightsError, match="another network"):
        load_network(path)
    write_tensors(path, {"a": torch.zeros(2)}, metadata={})
    with pytest.raises(WeightsError, match="does not name its size"):
        load_network(path)


def test_weights_are_those_that_the_job_names(tmp_path: Path) -> None:
    path = tmp_path / "nano.safetensors"
    save_network(VideoNetwork(SIZES["nano"]), path, notes={})
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    backbone = load_backbone("native", steps=2, weights=str(path), weights_sha256=sha256)
    assert backbone.weights_sha256 == sha256
    with pytest.raises(WeightsError, match=f"expected weights with sha256 {'0' * 64}, found {sha256}"):
        load_backbone("native", steps=2, weights=str(path), weights_sha256="0" * 64)
    with pytest.raises(WeightsError, match=r"video\.weights: expected a \.safetensors file, found nano\.pt"):
        load_backbone("native", steps=2, weights=str(tmp_path / "nano.pt"))


def test_a_student_is_sampled_as_it_was_distilled_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    notes = sampler_notes(Sampler(name="cps", steps=4, eta=0.8))
    save_network(VideoNetwork(SIZES["nano"]), path, notes=notes)
    own = load_backbone("native", model="student", weights=str(path))
    assert own.sampling == Sampling(model="student", sampler="cps", steps=4, eta=0.8)
    other = load_backbone("native", model="student", weights=str(path), sampler="euler", steps=2)
    assert other.sampling == Sampling(model="student", sampler="euler", steps=2, eta=None)
    with pytest.raises(WeightsError, match=r"expected weights of a teacher.*4 cps steps.*video\.model=student"):
        load_backbone("native", weights=str(path))


def test_a_teacher_is_no_student(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "teacher.safetensors"
    save_network(VideoNetwork(SIZES["nano"]), path, notes={"steps": "900"})
    teacher = load_backbone("native", weights=str(path))
    assert teacher.sampling == Sampling(model="teacher", sampler="euler", steps=2, eta=None)
    with pytest.raises(WeightsError, match=r"expected weights of a student, found weights of a teacher"):
        load_backbone("native", model="student", weights=str(path))
    monkeypatch.setattr("scenegen.video.build.SHIPPED_STUDENT", tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="scenegen train recipe=rtdmd"):
        load_backbone("native", model="student", weights=None)


def test_half_precision_paints_the_same_scene_by_other_bytes(
    scene: tuple[ConditionMaps, SceneContext], tmp_path: Path
) -> None:
    maps, context = scene
    path = tmp_path / "nano.safetensors"
    torch.manual_seed(0)
    save_network(VideoNetwork(SIZES["nano"]), path, notes={})
    full = load_backbone("native", weights=str(path))
    half = load_backbone("native", weights=str(path), precision="bf16")
    assert full.sampling is not None and half.sampling is not None
    assert "precision" not in full.sampling.as_attributes()
    assert half.sampling.as_attributes()["precision"] == "bf16"
    frames = [backbone.open_session(context).paint(maps, start_step=0).astype(int) for backbone in (full, half)]
    difference = np.abs(frames[0] - frames[1])
    assert 0.0 < difference.mean() < 2.0
    again = half.open_session(context).paint(maps, start_step=0)
    assert np.array_equal(frames[1], again)
    with pytest.raises(ConfigError, match="no precision with video=preview"):
        load_backbone("preview", weights=None, precision="bf16")


@pytest.mark.parametrize("fact", ['"cps"', '{"name": "heun", "steps": 4, "eta": 0.9}', '{"name": "cps", "eta": 0.9}'])
def test_a_header_without_a_whole_sampler_is_refused(tmp_path: Path, fact: str) -> None:
    path = tmp_path / "student.safetensors"
    save_network(VideoNetwork(SIZES["nano"]), path, notes={"sampler": fact})
    with pytest.raises(WeightsError, match="a header with the sampler"):
        load_backbone("native", model="student", weights=str(path))


def test_cps_draws_noise_anew_and_without_it_is_euler(scene: tuple[ConditionMaps, SceneContext]) -> None:
    maps, context = scene
    network = nano_backbone().network
    frames = {}
    for name, eta in (("euler", 0.9), ("cps", 0.0), ("cps", 0.9)):
        sampler = Sampler(name=name, steps=3, eta=eta)  # type: ignore[arg-type]
        backbone = NativeBackbone(network, size_name="nano", sampler=sampler, weights_sha256="")
        frames[name, eta] = backbone.open_session(context).paint(part(maps, slice(0, 2)), start_step=0).astype(int)
    assert np.abs(frames["cps", 0.0] - frames["euler", 0.9]).max() <= 1
    assert np.abs(frames["cps", 0.9] - frames["euler", 0.9]).max() > 1


def test_impossible_step_counts_are_refused() -> None:
    with pytest.raises(ConfigError):
        NativeBackbone(VideoNetwork(SIZES["nano"]), size_name="nano", sampler=Sampler(steps=0), weights_sha256="")


def test_reading_pixels_in_tiles_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = VideoNetwork(SIZES["nano"]).pixel
    planes, style = torch.randn(2, NUM_PLANES, 100, 48), torch.randn(2, 13)
    torch.testing.assert_close(encoder.in_tiles(planes, style), encoder(planes, style))


def test_shipped_sizes_are_chosen_by_name(tmp_path: Path) -> None:
    tiny, lean = (load_backbone("native", weights=None, size=size) for size in SHIPPED_SIZES)
    assert [tiny.model_id, lean.model_id] == ["native-tiny", "native-lean"]
    assert load_backbone("native", weights=None).weights_sha256 == tiny.weights_sha256 != lean.weights_sha256
    with pytest.raises(WeightsError, match=r"shipped weights of a student of size lean.*recipe=rtdmd"):
        load_backbone("native", weights=None, size="lean", model="student")
    with pytest.raises(ConfigError, match=r"no video\.size beside video\.weights"):
        load_backbone("native", weights=str(tmp_path / "own.safetensors"), size="lean")
    with pytest.raises(ConfigError, match="no size with video=preview"):
        load_backbone("preview", weights=None, size="lean")


def test_less_noise_is_part_of_what_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "nano.safetensors"
    save_network(VideoNetwork(SIZES["nano"]), path, notes={"steps": "900"})
    own = load_backbone("native", weights=str(path))
    steady = load_backbone("native", weights=str(path), temperature=0.3)
    assert "temperature" not in own.sampling.as_attributes() and own.temperature == 0.6
    assert steady.sampling.as_attributes()["temperature"] == steady.temperature == 0.3
    again = load_backbone("native", weights=str(path), **steady.sampling.as_attributes())
    assert again.sampling == steady.sampling != own.sampling
    with pytest.raises(ConfigError, match="no temperature with video=preview"):
        load_backbone("preview", weights=None, temperature=0.5)
