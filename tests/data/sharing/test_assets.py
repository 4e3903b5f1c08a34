"""Sources of a release are found with their licences, and what must not be shared is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.byte_clips import write_byte_release

from avemo_harness.data.sharing.assets import (
    Asset,
    find_assets,
    forbids_derivatives,
    is_free,
    may_be_shared,
    refuse_restricted,
)
from avemo_harness.data.sharing.contents import read_contents
from avemo_harness.errors import UsageError


def assets_of(folder: Path) -> tuple[Asset, ...]:
    contents = read_contents(folder)
    return find_assets(contents.releases, contents.records)


def line(portrait: str | None, licence: str | None, no_derivatives: bool) -> str:
    made = {"portrait": portrait, "portrait_licence": licence, "shown_by": "builtin face"}
    return json.dumps({**made, "no_derivatives": no_derivatives, "redistributable": not no_derivatives}) + "\n"


def outcomes(*assets: Asset) -> dict[str, str]:
    """The outcome of a push of clips and of ids, without and with an acknowledgement."""
    found = {}
    for name, with_clips in (("clips", True), ("ids", False)):
        for acknowledged in (False, True):
            try:
                refuse_restricted(assets, with_clips, acknowledged)
                found[name] = "acknowledged" if acknowledged else "free"
                break
            except UsageError:
                found[name] = "refused"
    return found


FREE = Asset("corpus", "CC-BY-4.0", 10, redistributable=True, no_derivatives=False)
CLOSED = Asset("series", "clips of a television series", 10, redistributable=False, no_derivatives=False)
UNCHANGED = Asset("faces", "CC-BY-ND-4.0", 10, redistributable=True, no_derivatives=True)
UNKNOWN = Asset("found", "", 10, redistributable=True, no_derivatives=False)


@pytest.mark.parametrize(
    ("assets", "clips", "ids"),
    [
        ((), "free", "free"),
        ((FREE,), "free", "free"),
        ((FREE, CLOSED), "refused", "acknowledged"),
        ((FREE, UNCHANGED), "acknowledged", "free"),
        ((UNKNOWN,), "acknowledged", "acknowledged"),
    ],
)
def test_the_strictest_asset_decides(assets: tuple[Asset, ...], clips: str, ids: str) -> None:
    assert outcomes(*assets) == {"clips": clips, "ids": ids}


@pytest.mark.parametrize(
    ("asset", "free"),
    [
        (FREE, True),
        (CLOSED, False),
        (UNCHANGED, False),
        (UNKNOWN, True),
        (Asset("found", "unclear: two are named", 10, redistributable=True, no_derivatives=False), False),
        (Asset("found", "unknown", 10, redistributable=True, no_derivatives=False), False),
    ],
)
def test_smaller_copies_are_free_unless_a_licence_or_a_record_stands_against_it(asset: Asset, free: bool) -> None:
    assert is_free(asset) is free


@pytest.mark.parametrize(
    ("licence", "outcome"),
    [
        ("CC BY-NC-SA 4.0", "free"),
        ("research only", "acknowledged"),
    ],
)
def test_a_licence_that_is_not_known_to_allow_it_has_to_be_acknowledged(licence: str, outcome: str) -> None:
    asset = Asset("portrait p1", licence, 1, redistributable=True, no_derivatives=False)
    assert outcomes(asset) == {"clips": outcome, "ids": outcome}


def test_tools_with_licences_of_their_own_are_assets(tmp_path: Path) -> None:
    write_byte_release(tmp_path)
    tools = {
        "spoken_by": "Voice",
        "spoken_licence": "CC BY-NC 4.0",
        "shown_by": "Face",
        "shown_licence": "research only",
    }
    lines = [
        {"written_by": "writer", "written_licence": "", **tools},
        {**tools, "shown_by": None, "shown_licence": None},
    ]
    (tmp_path / "provenance.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    _, face, voice = assets_of(tmp_path)
    assert (face.what, face.licence, face.clips) == ("shown by Face", "research only", 1)
    assert (voice.what, voice.licence, voice.clips) == ("spoken by Voice", "CC BY-NC 4.0", 2)
    assert outcomes(voice)["clips"] == "free"
    assert outcomes(face)["clips"] == "acknowledged"


def test_rows_name_their_sources_and_clips_are_counted(tmp_path: Path) -> None:
    write_byte_release(tmp_path, dialogues=3)
    (asset,) = assets_of(tmp_path)
    assert asset == Asset("made for tests", "CC0-1.0", 8, redistributable=True, no_derivatives=False)


def test_an_importers_record_goes_before_what_the_licence_seems_to_say(tmp_path: Path) -> None:
    write_byte_release(tmp_path, licence="CC-BY-4.0")
    (tmp_path / "import.json").write_text(json.dumps({"redistributable": False, "no_derivatives": True}))
    (asset,) = assets_of(tmp_path)
    assert (asset.redistributable, asset.no_derivatives) == (False, True)


def test_without_a_record_a_licence_without_derivatives_is_noticed(tmp_path: Path) -> None:
    write_byte_release(tmp_path, licence="CC BY-NC-ND 4.0")
    (asset,) = assets_of(tmp_path)
    assert (asset.redistributable, asset.no_derivatives) == (True, True)


def test_animated_portraits_are_assets_with_licences_of_their_own(tmp_path: Path) -> None:
    write_byte_release(tmp_path)
    lines = [line("p1", "CC0-1.0", False), line("p1", "CC0-1.0", False), line("p2", "AI-Face EULA", True)]
    (tmp_path / "provenance.jsonl").write_text("".join([*lines, line(None, None, False)]))
    _, first, second = assets_of(tmp_path)
    assert first == Asset("portrait p1", "CC0-1.0", 2, redistributable=True, no_derivatives=False)
    assert second == Asset("portrait p2", "AI-Face EULA", 1, redistributable=False, no_derivatives=True)
    with pytest.raises(UsageError, match=r"must not be passed on: portrait p2 \(AI-Face EULA\)"):
        refuse_restricted((first, second), with_clips=True, acknowledged=True)


def test_a_clip_marked_without_a_portrait_is_not_overlooked(tmp_path: Path) -> None:
    write_byte_release(tmp_path)
    (tmp_path / "provenance.jsonl").write_text(line(None, None, True))
    with pytest.raises(UsageError, match="clips made by builtin face"):
        refuse_restricted(assets_of(tmp_path), with_clips=True, acknowledged=True)


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
