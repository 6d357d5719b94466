"""Nothing of the tensor ray caster is left on the host: checked without a GPU, on a device that is pretended."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scenegen.conditions.device import caster
from tests.unit.conditions.device_cases import MOTION_PX
from tests.unit.conditions.elsewhere import ELSEWHERE, Elsewhere, Far
from tests.unit.conditions.random_worlds import random_rig, random_world
from tests.unit.conditions.test_device_caster import case_of
from tests.unit.conditions.test_lenses import bent_rig


def test_the_pretended_device_behaves_as_one() -> None:
    with Elsewhere():
        there = torch.zeros((2, 3), device=ELSEWHERE)
        first, second = there
        assert there.device == ELSEWHERE and isinstance(first, Far) and isinstance(second, Far)
        assert isinstance(torch.frexp(there).exponent, Far)
        assert isinstance(torch.ones(3).to(there), Far)
        assert not isinstance(there.cpu(), Far)
        assert isinstance(there + torch.tensor(1.0), Far)
        with pytest.raises(RuntimeError, match="on the host"):
            there + torch.ones(3)
        with pytest.raises(RuntimeError, match="on the host"):
            there[0] = torch.ones(3)
        with pytest.raises(TypeError, match="copy it"):
            there.numpy()


@pytest.mark.parametrize("lenses", ["straight", "bent"])
def test_every_tensor_lies_on_the_device(lenses: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caster, "open_device", torch.device)
    rng = np.random.default_rng(20)
    size_px = (32, 24)
    rig = random_rig(rng, num_cameras=3, size_px=size_px) if lenses == "straight" else bent_rig(rng, size_px=size_px)
    case = case_of(rng, random_world(rng), rig)
    with Elsewhere() as device:
        maps = case.render("cuda")
    assert device.num_calls > 1000
    expected = case.render(None)
    for name in ("semantic", "instance", "depth_m", "normal_world", "sun_visible", "unoccluded_px"):
        assert getattr(maps, name).tobytes() == getattr(expected, name).tobytes(), name
    np.testing.assert_allclose(maps.motion_px, expected.motion_px, atol=MOTION_PX)
