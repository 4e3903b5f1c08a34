"""Extractors of planted recordings under names, as the folders of recognisers need them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.planted_features import NAMES

from avemo_harness.recognizers.features import EXTRACTORS


@pytest.fixture(scope="session", autouse=True)
def _planted_names() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, address in NAMES.items():
            patch.setitem(EXTRACTORS, name, address)
        yield
