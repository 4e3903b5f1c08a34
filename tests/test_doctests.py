"""Examples in docstrings give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest
from support.sources import PRODUCT, module_of

MODULES = [
    module_of(path)
    for path in PRODUCT
    if path.name != "__main__.py" and (path.parent / "__init__.py").exists()  # (`evaluate` loads scripts by path)
]


@pytest.mark.parametrize("name", MODULES)
def test_doctests_hold(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0
