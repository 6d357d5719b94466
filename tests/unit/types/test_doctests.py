"""Every example in the vocabulary's docstrings runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import scenegen.geometry
import scenegen.layout.importers
import scenegen.types

MODULES = [
    module.name
    for package in (scenegen.types, scenegen.geometry, scenegen.layout.importers)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_doctests_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_conventions_that_matter_have_an_example() -> None:
    finder = doctest.DocTestFinder()
    documented = {
        example.name for name in MODULES for example in finder.find(importlib.import_module(name)) if example.examples
    }
    assert {
        "scenegen.geometry.rigid.transform_points",
        "scenegen.types.timeline.Timeline.timestamps_us",
        "scenegen.types.timeline.Timeline.is_key_frame",
        "scenegen.types.seeding.random_generator",
    } <= documented
