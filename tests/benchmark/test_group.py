"""A group's YAML says where its benchmark is from, what others report, or of which groups a collection is."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.benchmark.group import GroupSpec
from avemo_harness.benchmark.task_file import load_group_file
from avemo_harness.errors import TaskError
from avemo_harness.scorers import METRICS

BENCHMARK = """group: voices
title: Voices
benchmark:
  homepage: https://example.org/voices
  licence: CC-BY-4.0
  restricted: true
  languages: [en, de]
  obtain: avemo-eval data import voices DIR
columns: [{name: Acc, condition: audio_only, metric: accuracy}]
published:
- {of: human raters, task: voices_audio, metric: accuracy, value: 0.62, source: "paper, Table 3", note: on all clips}
"""
COLLECTION = "group: everything\ntitle: All of it\ngroups: [voices, faces]\n"


def load(folder: Path, text: str) -> GroupSpec:
    file = folder / "group.yaml"
    file.write_text(text, encoding="utf-8")
    return load_group_file(file, METRICS)


def test_a_benchmark_says_its_terms_and_what_others_report(tmp_path: Path) -> None:
    group = load(tmp_path, BENCHMARK)
    assert group.benchmark is not None
    assert group.benchmark.restricted
    assert group.benchmark.languages == ("en", "de")
    assert group.benchmark.paper is None
    assert [(figure.of, figure.value, figure.note) for figure in group.published] == [
        ("human raters", 0.62, "on all clips")
    ]


def test_a_collection_names_groups_and_has_no_row(tmp_path: Path) -> None:
    assert load(tmp_path, COLLECTION).groups == ("voices", "faces")


def test_a_group_without_the_new_keys_is_kept_as_it_was(tmp_path: Path) -> None:
    plain = load(tmp_path, "group: a\ntitle: A\ncolumns: [{name: Acc, condition: full_av, metric: accuracy}]\n")
    assert set(plain.model_dump(mode="json")) == {"group", "title", "reference_row", "columns"}
    whole = load(tmp_path, BENCHMARK)
    assert GroupSpec.model_validate(whole.model_dump(mode="json")) == whole


@pytest.mark.parametrize(
    ("text", "old", "new", "said"),
    [
        (BENCHMARK, "https://example.org/voices", "example.org", r":4: benchmark\.homepage: must be the address"),
        (BENCHMARK, "licence", "license", r":5: benchmark\.license: unknown key; nearest: 'licence'"),
        (BENCHMARK, "restricted: true", "restricted: maybe", r":6: benchmark\.restricted: must be true or false"),
        (BENCHMARK, "[en, de]", "[]", r":7: benchmark\.languages: must have 1 entries or more"),
        (BENCHMARK, "metric: accuracy, value", "metric: acuracy, value", r"published\[0\]\.metric: .* 'accuracy'"),
        (BENCHMARK, ', source: "paper, Table 3"', "", r":11: published\[0\]: required key 'source' is missing"),
        (BENCHMARK, "value: 0.62", "value: good", r"published\[0\]\.value: must be a number, found 'good'"),
        (COLLECTION, "faces", "voices", r":3: groups: names a group twice"),
        (COLLECTION, "groups: [voices, faces]\n", "", r": columns: this key is required; a collection names"),
        (COLLECTION, "groups:", "reference_row: Real\ngroups:", r":3: reference_row: a collection .* has none"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, old: str, new: str, said: str) -> None:
    assert old in text
    with pytest.raises(TaskError, match=said):
        load(tmp_path, text.replace(old, new))
