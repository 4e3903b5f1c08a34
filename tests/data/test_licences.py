"""Licences are known however their names are written, and what is not known is not taken for free."""

from __future__ import annotations

import pytest

from avemo_harness.data.sharing.assets import forbids_derivatives, may_be_shared


@pytest.mark.parametrize(
    "licence",
    [
        "CC0-1.0",
        "cc0",
        "CC BY 4.0",
        "CC_BY_SA_4.0",
        "cc-by-nc-sa-4.0",
        "CC BY-NC-ND4.0",
        "Creative Commons Attribution-NonCommercial 4.0 International License",
        "https://creativecommons.org/licenses/by/2.0/",
        "https://creativecommons.org/publicdomain/zero/1.0/",
        "Public Domain",
        "MIT",
        "The MIT License",
        "Apache License, Version 2.0",
        "ODbL-1.0",
        "BSD 3-Clause",
        "GPLv3",
    ],
)
def test_well_known_licences_let_anybody_share(licence: str) -> None:
    assert may_be_shared(licence)


@pytest.mark.parametrize(
    "licence",
    [
        "",
        " ",
        "none",
        "N/A",
        "unknown",
        "unclear: two are named",
        "research only",
        "all rights reserved",
        "not for redistribution",
        "CC BY 4.0, for research only",
        "Creative Commons",
        "AI-Face EULA",
        "ours",
    ],
)
def test_any_other_word_lets_nobody_share(licence: str) -> None:
    assert not may_be_shared(licence)


@pytest.mark.parametrize(
    "licence",
    [
        "CC BY-NC-ND 4.0",
        "CC-BY-ND",
        "CC_BY_NC_ND_4.0",
        "CC BY-NC-ND4.0",
        "by_nc_nd",
        "ccbyncnd",
        "https://creativecommons.org/licenses/by-nc-nd/4.0/",
        "Attribution-NonCommercial-NoDerivatives 4.0",
        "no derivatives",
        "AI-Face",
        "AI_Face",
        "AI Face dataset licence",
    ],
)
def test_licences_without_derivatives_are_noticed(licence: str) -> None:
    assert forbids_derivatives(licence)


@pytest.mark.parametrize("licence", ["CC BY-SA 4.0", "CC0", "research and teaching", "Thai faces, MIT", ""])
def test_others_are_not_taken_for_them(licence: str) -> None:
    assert not forbids_derivatives(licence)
