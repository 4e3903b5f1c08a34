"""A card says what a release holds, whose it is, how it was made and how to use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCardData
from support.byte_clips import write_byte_release
from support.corpus_trees import write_ravdess
from support.imports import import_corpus

from avemo_harness.data.sharing.assets import find_assets
from avemo_harness.data.sharing.card import Publication, compose_card, configs_of_files, title_of
from avemo_harness.data.sharing.contents import parquet_files, read_contents
from avemo_harness.data.sharing.records import read_readme


def publication(folder: Path, **changes: Any) -> Publication:
    names = [file.relative_to(folder).as_posix() for file in parquet_files(folder)]
    facts = {"revision": "v1", "needs_media": False, "tasks": ("multiturn_real",), "configs": configs_of_files(names)}
    return Publication("lab/release", **{**facts, **changes})


def card_of(folder: Path, **changes: Any) -> str:
    contents = read_contents(folder)
    return compose_card(contents, find_assets(contents.releases, contents.records), publication(folder, **changes))


def data_of(card: str) -> DatasetCardData:
    """The front matter, as the Hub's client understands it."""
    return DatasetCardData(**yaml.safe_load(card.split("---\n")[1]))


def section(card: str, heading: str) -> list[str]:
    return card.partition(f"## {heading}\n\n")[2].partition("\n\n## ")[0].splitlines()


def test_the_front_matter_is_what_the_hub_reads(tmp_path: Path) -> None:
    data = data_of(card_of(write_byte_release(tmp_path)))
    assert data.license == ["cc0-1.0"]
    assert data.language == ["en"]
    assert data.size_categories == ["n<1K"]
    assert set(data["tags"]) >= {"avemo-harness", "emotion"}
    configs = [one["config_name"] for one in data["configs"]]
    assert configs == ["multiturn_real", "multiturn_real_conflict"]


def test_splits_are_counted(tmp_path: Path) -> None:
    table = section(card_of(write_byte_release(tmp_path, dialogues=3)), "Splits")
    assert table[2:] == [
        "| multiturn_real | test | 3 | 6 | 2 | 0 | 3 | 0 | 3 | 0.2 | 2 |",
        "| multiturn_real | train | 1 | 2 | 1 | 0 | 1 | 0 | 1 | 0.1 | 0 |",
    ]


def test_each_source_has_a_line_with_its_licence(tmp_path: Path) -> None:
    write_byte_release(tmp_path, dialogues=1, licence="CC-BY-ND-4.0")
    assert section(card_of(tmp_path), "Licences")[2:] == ["| made for tests | CC-BY-ND-4.0 | 4 | unchanged |"]


def test_the_command_names_the_tag_and_the_folder_of_clips_where_one_is_needed(tmp_path: Path) -> None:
    write_byte_release(tmp_path)
    command = "avemo-eval --model MODEL --tasks multiturn_real --dataset lab/release --revision"
    assert f"{command} v1\n" in card_of(tmp_path)
    assert f"{command} COMMIT --media_root DIR\n" in card_of(tmp_path, revision=None, needs_media=True)
    assert "No clip is published here" in card_of(tmp_path, needs_media=True)


def test_an_import_tells_its_labels_and_what_it_left_out(tmp_path: Path) -> None:
    corpus = write_ravdess(tmp_path / "corpus", [f"01-01-0{e}-01-01-01-01.mp4" for e in (1, 3, 4, 5, 6)])
    import_corpus("ravdess", corpus, tmp_path / "release")
    card = card_of(tmp_path / "release")
    assert "| sad | sad |" in section(card, "Labels")
    assert any("fear" in line for line in section(card, "Labels"))
    assert "- read from: …/corpus" in section(card, "How it was made")
    assert "- importer: ravdess" in section(card, "How it was made")
    assert str(tmp_path) not in card
    assert data_of(card).license == ["cc-by-nc-sa-4.0"]


def test_a_build_tells_its_tools_and_seed(tmp_path: Path) -> None:
    write_byte_release(tmp_path)
    tools = {
        "dialogue": {"tool": "openai", "model": "writer-2026"},
        "speech": {"tool": "builtin voice", "version": "1.2"},
        "face": {"tool": "command"},
        "portraits": {"ann": "0" * 64},
    }
    record = {"config": {"name": "pilot", "seed": 0}, "tools": tools, "libraries": {"av": "18.1"}, "failed": []}
    (tmp_path / "build.json").write_text(json.dumps(record))
    card = card_of(tmp_path)
    assert "made to express" in section(card, "Labels")[0]
    told = section(card, "How it was made")
    assert told[:6] == [
        "- written by: openai (writer-2026)",
        "- spoken by: builtin voice (1.2)",
        "- shown by: command",
        "- portraits: 1",
        "- seed: 0",
        "- libraries: av 18.1",
    ]
    assert title_of(read_contents(tmp_path), publication(tmp_path)) == "pilot"


def test_findings_of_the_checks_are_listed(tmp_path: Path) -> None:
    write_byte_release(tmp_path)
    assert "## Checks" not in card_of(tmp_path)
    finding = {"check": "schema", "config": "multiturn_real", "verdict": "pass", "summary": "a | b"}
    (tmp_path / "checks.json").write_text(json.dumps({"findings": [finding]}))
    assert section(card_of(tmp_path), "Checks")[2:] == ["| schema | multiturn_real | pass | a \\| b |"]


@pytest.mark.parametrize("record", ["build.json", "import.json", "checks.json"])
def test_a_record_that_says_little_is_no_error(tmp_path: Path, record: str) -> None:
    write_byte_release(tmp_path)
    (tmp_path / record).write_text('{"schema": 1}')
    assert "## Splits" in card_of(tmp_path)


def test_what_people_wrote_stays_and_stands_first(tmp_path: Path) -> None:
    write_byte_release(tmp_path)
    readme = tmp_path / "README.md"
    front = "---\npretty_name: Grüße\nlicense: mit\ntags: [greetings]\n---\n"
    readme.write_text(f"{front}\n# Greetings\n\nRecorded in a kitchen.\n", encoding="utf-8")
    card = card_of(tmp_path)
    keys = yaml.safe_load(card.split("---\n")[1])
    assert (keys["pretty_name"], keys["license"], keys["tags"][0]) == ("Grüße", "mit", "greetings")
    assert card.split("---\n")[2].startswith("\n# Greetings\n\nRecorded in a kitchen.\n\n<!-- ")
    assert title_of(read_contents(tmp_path), publication(tmp_path)) == "Greetings"


def test_the_card_of_a_card_is_the_same_card(tmp_path: Path) -> None:
    write_byte_release(tmp_path)
    first = card_of(tmp_path)
    (tmp_path / "README.md").write_text(first, encoding="utf-8")
    assert card_of(tmp_path) == first
    assert read_readme(tmp_path).text == "# release"


def test_a_release_without_a_readme_has_a_card(tmp_path: Path) -> None:
    write_byte_release(tmp_path)
    (tmp_path / "README.md").unlink()
    keys = yaml.safe_load(card_of(tmp_path).split("---\n")[1])
    assert keys["configs"][0] == {
        "config_name": "multiturn_real",
        "data_files": [
            {"split": "test", "path": ["multiturn_real/test-00000.parquet"]},
            {"split": "train", "path": ["multiturn_real/train-00000.parquet"]},
        ],
    }
