from __future__ import annotations

import numpy as np

from scenegen.checks.leak import shuffled_conditions, zeroed_conditions
from scenegen.types import STATIC_INSTANCE_OFFSET, Material
from tests.unit.checks.test_surfaces import wall


def test_zeroed_conditions_show_nothing_but_keep_the_cameras() -> None:
    maps = wall()
    zeroed = zeroed_conditions(maps)
    assert (zeroed.material == Material.SKY).all() and not zeroed.instance.any()
    assert np.isinf(zeroed.depth_m).all() and not zeroed.point_world_m.any()
    assert zeroed.world_from_cam is maps.world_from_cam and zeroed.ray_cam is maps.ray_cam


def test_shuffled_conditions_are_those_of_another_camera() -> None:
    maps = wall()
    donor_points = maps.point_world_m + np.float32(7.0)
    shuffled = shuffled_conditions(
        maps, type(maps)(**{**vars(maps), "point_world_m": donor_points}), num_agents=0, num_statics=4
    )
    assert np.array_equal(shuffled.point_world_m[0], donor_points[1])
    assert shuffled.world_from_cam is maps.world_from_cam


def test_things_of_the_donor_fit_into_the_scenes_tables() -> None:
    maps = wall()
    instance = np.arange(maps.instance.size, dtype=np.int64).reshape(maps.instance.shape) % 50
    instance = np.where(instance > 25, instance + STATIC_INSTANCE_OFFSET, instance).astype(np.uint16)
    donor = type(maps)(**{**vars(maps), "instance": instance})
    folded = shuffled_conditions(maps, donor, num_agents=3, num_statics=5).instance
    agents = folded[folded < STATIC_INSTANCE_OFFSET]
    statics = folded[folded >= STATIC_INSTANCE_OFFSET] - STATIC_INSTANCE_OFFSET
    assert set(agents) == {0, 1, 2, 3} and set(statics) == {1, 2, 3, 4}
    without = shuffled_conditions(maps, donor, num_agents=0, num_statics=5).instance
    assert not without[without < STATIC_INSTANCE_OFFSET].any()
