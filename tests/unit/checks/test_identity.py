from __future__ import annotations

import numpy as np
import pytest

from scenegen.checks.identity import MAX_SHIFT, body_colors, keeps_color, lab_of_srgb
from scenegen.types import STATIC_INSTANCE_OFFSET, Material


def test_grey_has_no_colour_and_its_lightness_grows() -> None:
    ramp = np.repeat(np.arange(0, 256, 51, dtype=np.uint8)[:, None], 3, axis=1)
    lab = lab_of_srgb(ramp)
    assert np.abs(lab[:, 1:]).max() < 1e-2
    assert lab[0, 0] == pytest.approx(0.0, abs=1e-4) and lab[-1, 0] == pytest.approx(100.0, abs=1e-3)
    assert (np.diff(lab[:, 0]) > 0).all()


def test_blue_is_where_the_books_have_it() -> None:
    assert lab_of_srgb(np.array([0, 0, 255], np.uint8)) == pytest.approx([32.30, 79.19, -107.86], abs=0.02)


def test_only_bodies_of_agents_with_enough_pixels_are_seen() -> None:
    material = np.full((10, 10), Material.ASPHALT, np.uint8)
    instance = np.zeros((10, 10), np.uint16)
    material[:5], instance[:5] = Material.BODY, 3
    material[5], instance[5] = Material.BODY, 7  # ten pixels: too few
    material[7:], instance[7:] = Material.BODY, STATIC_INSTANCE_OFFSET + 1
    truth = np.full((10, 10, 3), 100, np.uint8)
    rgb = truth.copy()
    rgb[:5] = 120
    colors = body_colors(rgb, truth, material=material, instance=instance)
    assert colors.agent.tolist() == [2]
    assert colors.shift_lab[0] == pytest.approx([50.43 - 42.37, 0.0, 0.0], abs=0.01)


def test_a_constant_shift_is_the_cars_own_colour_and_a_jump_is_not() -> None:
    agent = np.array([0] * 5 + [1] * 5 + [2] * 2)
    shift = np.zeros((12, 3))
    shift[:5] = (15.0, 0.0, 0.0)
    shift[5, 1] = MAX_SHIFT + 1.0
    finding = keeps_color(agent, shift)
    assert finding.is_asked.tolist() == [True] * 10 + [False] * 2  # the last car was seen twice only
    assert finding.is_kept.tolist() == [True] * 5 + [False] + [True] * 4 + [False] * 2
