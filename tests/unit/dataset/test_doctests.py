"""Every example in the docstrings of the data set and of the configuration runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import scenegen.config
import scenegen.dataset

MODULES = [
    module.name
    for package in (scenegen.config, scenegen.dataset)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_doctests_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
