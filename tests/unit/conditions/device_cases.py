"""Maps of two casters beside each other: the compiled one's and the tensors'."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from scipy.spatial.transform import Rotation

from scenegen.conditions.build import ConditionRenderer
from scenegen.conditions.lighting import build_lighting
from scenegen.config import RigConfig, parse_config
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import read_layout
from scenegen.occupancy.agents import build_agent_shapes
from scenegen.occupancy.build import build_world
from scenegen.rig import build_rig
from scenegen.types import CameraRig, ConditionMaps, Lighting, ShapeSet, World
from tests.unit.conditions.random_worlds import CAM_AXES

REPOSITORY = Path(__file__).parents[3]
MAPS = ("semantic", "instance", "material", "depth_m", "normal_world", "canonical", "point_world_m", "sun_visible")
LABELS = ("semantic", "instance", "material")
TIE_M = 1e-6
"""Depth within which two surfaces may change places on another device than the processor."""
LEAST_SAME = 0.9999
MOTION_PX = 1e-3
"""Of motion: the arc tangent of lenses with angles is another library's, and motion of nothing is rounding alone."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A world, cameras in it and agents at two steps."""

    world: World
    rig: CameraRig
    lighting: Lighting
    num_agents: int
    shapes: tuple[ShapeSet, ShapeSet]
    world_from_ego: np.ndarray

    def render(self, device: str | None) -> ConditionMaps:
        """Render the second step."""
        renderer = ConditionRenderer(
            self.world, rig=self.rig, lighting=self.lighting, num_agents=self.num_agents, device=device
        )
        return renderer.render(
            self.shapes[1:],
            previous_shapes=self.shapes[0],
            world_from_ego=self.world_from_ego[1:],
            previous_world_from_ego=self.world_from_ego[0],
        )


def built_case(reference: str, rig_name: str, *, size_px: tuple[int, int], step: int = 11) -> Case:
    """Return a scene that scenegen builds, in the middle of its drive, in sunlight, images scaled to a small size."""
    layout = extend_layout(read_layout(reference), duration_s=2.0, rate_hz=12.0)
    lighting = build_lighting(layout.environment, seed=0, scene_id=layout.layout_id)
    return Case(
        world=build_world(layout, seed=0),
        rig=small_rig(rig_name, size_px=size_px),
        lighting=replace(lighting, sun=1.0),
        num_agents=len(layout.agents),
        shapes=(build_agent_shapes(layout, step=step - 1), build_agent_shapes(layout, step=step)),
        world_from_ego=layout.ego.world_from_ego[step - 1 : step + 1],
    )


def small_rig(name: str, *, size_px: tuple[int, int]) -> CameraRig:
    """Return one of the rigs of `conf` with images of another size."""
    config = yaml.safe_load((REPOSITORY / "conf/rig" / f"{name}.yaml").read_text())
    config["image"] |= {"width_px": size_px[0], "height_px": size_px[1]}
    return build_rig(parse_config(RigConfig, config))


def turned(rig: CameraRig, *, pitch_rad: float, roll_rad: float) -> CameraRig:
    """Return upright cameras at the places and headings of a rig's, then each pitched and rolled."""
    cameras = []
    for camera in rig.cameras:
        pose = camera.ego_from_cam.copy()
        upright = Rotation.from_euler("z", np.arctan2(pose[1, 2], pose[0, 2])).as_matrix() @ CAM_AXES
        is_level = pitch_rad == roll_rad == 0.0
        turn = Rotation.from_euler("xz", [pitch_rad, roll_rad]).as_matrix()
        pose[:3, :3] = upright if is_level else upright @ turn
        cameras.append(replace(camera, ego_from_cam=pose))
    return replace(rig, cameras=tuple(cameras))


def check_same(case: Case, *, device: str) -> ConditionMaps:
    """Compare all maps with those of the compiled caster, on the processor to the bit; return those of the device."""
    expected, found = case.render(None), case.render(device)
    if device == "cpu":
        for name in (*MAPS, "unoccluded_px"):
            assert getattr(found, name).tobytes() == getattr(expected, name).tobytes(), name
    check_same_but_for_ties(expected, found)
    return found


def check_same_but_for_ties(expected: ConditionMaps, found: ConditionMaps) -> None:
    """Compare maps as any device has to give them.

    A pixel may show another surface where the two are within TIE_M of each other, one pixel in ten thousand at most.
    What is not a label is the same to single precision, motion to MOTION_PX.
    """
    same = np.all([getattr(found, name) == getattr(expected, name) for name in LABELS], axis=0)
    np.testing.assert_allclose(found.depth_m[~same], expected.depth_m[~same], atol=TIE_M, rtol=TIE_M)
    assert same.mean() >= LEAST_SAME
    for name in ("depth_m", "normal_world", "canonical", "point_world_m"):
        np.testing.assert_allclose(getattr(found, name)[same], getattr(expected, name)[same], atol=1e-4, rtol=1e-5)
    assert (found.sun_visible == expected.sun_visible).mean() >= LEAST_SAME
    assert (np.isnan(found.motion_px) == np.isnan(expected.motion_px))[same].all()
    np.testing.assert_allclose(found.motion_px[same], expected.motion_px[same], atol=MOTION_PX)
