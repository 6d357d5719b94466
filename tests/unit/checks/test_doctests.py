"""Every example in the docstrings of the checks and of the evaluation runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import scenegen.checks
import scenegen.evaluation

MODULES = [
    module.name
    for package in (scenegen.checks, scenegen.evaluation)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_doctests_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
