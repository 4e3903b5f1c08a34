"""Extractors by name and arguments."""

from __future__ import annotations

import pytest

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.features import REGISTRY, make_extractor


def test_arguments_are_typed_and_belong_to_the_identity() -> None:
    assert make_extractor("planted-sound:version=7").identity()["version"] == "7"
    assert make_extractor("planted-sound").identity()["version"] == "1"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("builtin-sond", "nearest: 'builtin-sound'"),
        ("planted-sound:verison=2", "takes no argument 'verison'; nearest: 'version'"),
        ("builtin-face:size=2", "takes no argument 'size'; it takes none"),
        ("planted-sound:version", "arguments are written key=value"),
    ],
)
def test_what_is_wrong_with_one_is_told(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_extractor(spec)


@pytest.mark.parametrize("name", list(REGISTRY.built_in))
def test_every_built_in_one_has_the_attributes_of_an_extractor(name: str) -> None:
    found = REGISTRY.load(name)
    assert found.modality in ("audio", "video", "both")
    assert hasattr(found, "Arguments")
