"""A task is merged over its parents, checked against its schema, and known by a digest of its content."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avemo_harness.benchmark.group import GroupSpec
from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.benchmark.task_file import (
    editor_schema,
    load_group_file,
    load_task_file,
    resolve_parents,
    spec_digest,
)
from avemo_harness.benchmark.task_library import SHIPPED
from avemo_harness.benchmark.yaml_file import KeyPath
from avemo_harness.errors import TaskError
from avemo_harness.scorers import METRICS

TASK = """task: some_task
version: 1
dataset: {name: demo}
condition: full_av
messages: [{role: user, content: [{type: clip}, {type: text, text: "One of {{ labels | join }}?"}]}]
output: {type: label, labels: [happy, sad], synonyms: {happy: [joy]}}
scorers: [{name: understanding, metrics: [accuracy]}]
headline: accuracy
"""
GROUP = """group: some_group
title: Some group
columns: [{name: A, condition: full_av, metric: accuracy}]
"""
words = st.text(string.ascii_lowercase[:5], min_size=1, max_size=2)
leaves = st.one_of(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=2))
trees = st.dictionaries(
    words, st.recursive(leaves, lambda inner: st.dictionaries(words, inner, min_size=1, max_size=3)), max_size=4
)


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def leaves_of(values: Any, path: KeyPath = ()) -> dict[KeyPath, Any]:
    """Every value that is no mapping, by its path."""
    if not isinstance(values, dict):
        return {path: values}
    return {where: leaf for key, value in values.items() for where, leaf in leaves_of(value, (*path, key)).items()}


def hides(over: KeyPath, base: KeyPath) -> bool:
    """True where a value at `over` replaces the one at `base`."""
    shorter = min(len(over), len(base))
    return over[:shorter] == base[:shorter]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees, trees)
def test_a_childs_values_win_and_every_value_names_its_file_and_line(
    tmp_path: Path, parent: dict[str, Any], child: dict[str, Any]
) -> None:
    base = write(tmp_path, "base.yaml", yaml.safe_dump(parent))
    over = write(tmp_path, "over.yaml", yaml.safe_dump({"extends": "base.yaml", **child}))
    document = resolve_parents(over)
    own = leaves_of(child)
    inherited = {path: value for path, value in leaves_of(parent).items() if not any(hides(one, path) for one in own)}
    assert leaves_of(document.values) == own | inherited
    for path in own | inherited:
        file, line = document.origin(path)
        assert file == (over if path in own else base)
        assert file.read_text().splitlines()[line - 1].lstrip().startswith(f"{path[-1]}:")


def test_a_list_replaces_its_parents_list_whole(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", "a: [1, 2, 3]\nb: {c: [{d: 1}]}\n")
    over = write(tmp_path, "over.yaml", "extends: base.yaml\na: [9]\nb:\n  c: []\n")
    document = resolve_parents(over)
    assert document.values == {"a": [9], "b": {"c": []}}
    assert document.origin(("a", 2)) == (over, 2)
    assert document.origin(("b", "c", 0, "d")) == (over, 4)


def test_a_childs_null_takes_a_key_away_and_its_empty_mapping_all_keys_of_one(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", "a: {b: 1, c: 2}\nd: {e: {f: 3, g: 4}}\nh: [5]\n")
    over = write(tmp_path, "over.yaml", "extends: base.yaml\na:\n  b: null\nd:\n  e: {}\nh: ~\n")
    document = resolve_parents(over)
    assert document.values == {"a": {"c": 2}, "d": {"e": {}}}
    lines = {path: (file.name, line) for path, (file, line) in document.removed.items()}
    assert lines == {
        ("a", "b"): ("over.yaml", 3),
        ("d", "e", "f"): ("over.yaml", 5),
        ("d", "e", "g"): ("over.yaml", 5),
        ("h",): ("over.yaml", 6),
    }
    assert document.origin(("a", "c"))[0].name == "base.yaml"


def test_what_was_taken_away_may_be_given_again_by_a_child_of_the_child(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "x: {y: 1, z: 2}\n")
    write(tmp_path, "b.yaml", "extends: a.yaml\nx: {y: null, z: null}\n")
    document = resolve_parents(write(tmp_path, "c.yaml", "extends: b.yaml\nx: {y: 3}\n"))
    assert document.values == {"x": {"y": 3}}
    assert list(document.removed) == [("x", "z")]


def test_a_null_where_nothing_is_inherited_is_a_value(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", "a: {}\nb: [1]\n")
    document = resolve_parents(write(tmp_path, "over.yaml", "extends: base.yaml\na: {c: null}\nd: null\n"))
    assert document.values == {"a": {"c": None}, "b": [1], "d": None}
    assert document.removed == {}


def test_keys_that_may_be_null_are_so_whether_taken_away_or_never_given(tmp_path: Path) -> None:
    parent = TASK.replace("{name: demo}", '{path: "builtin:demo", name: demo, revision: null}') + "group: some_group\n"
    write(tmp_path, "parent.yaml", parent)
    nothing = "dataset: {path: null, revision: null}\nheadline: null\ngroup: null\n"
    spec = load_task_file(write(tmp_path, "child.yaml", f"extends: parent.yaml\n{nothing}"), METRICS).spec
    assert (spec.dataset.path, spec.dataset.revision, spec.headline, spec.group) == (None, None, None, None)


def test_a_child_may_ask_for_fewer_labels_than_its_parent(tmp_path: Path) -> None:
    head = f"task: two\nextends: {SHIPPED / '_understanding.yaml'}\ndataset: {{name: demo}}\ncondition: full_av\n"
    empty = write(tmp_path, "empty.yaml", head + "output: {labels: [happy, sad], synonyms: {}}\n")
    null = write(tmp_path, "null.yaml", head + "output: {labels: [happy, sad], synonyms: null}\n")
    for file in (empty, null):
        output = load_task_file(file, METRICS).spec.output
        assert isinstance(output, LabelOutput)
        assert (output.labels, output.synonyms) == (("happy", "sad"), {})
    german = "de: {neutral: null, angry: null}, en: null, zh: null, ja: null, ko: null, es: null, fr: null, emoji: null"
    one = write(tmp_path, "one.yaml", head + f"output: {{labels: [happy, sad], synonyms: {{{german}}}}}\n")
    output = load_task_file(one, METRICS).spec.output
    assert isinstance(output, LabelOutput)
    assert (list(output.synonyms), sorted(output.synonyms["de"])) == (["de"], ["happy", "sad"])
    with pytest.raises(TaskError, match=r"synonyms\.en\.angry: unknown label 'angry'; known: happy, sad"):
        load_task_file(write(tmp_path, "kept.yaml", head + "output: {labels: [happy, sad]}\n"), METRICS)


def test_synonyms_without_a_language_are_of_any_and_leave_the_digest_as_it_was(tmp_path: Path) -> None:
    task = load_task_file(write(tmp_path, "a.yaml", TASK), METRICS)
    assert isinstance(task.spec.output, LabelOutput)
    assert task.spec.output.synonyms == {"any": {"happy": ("joy",)}}
    # The digest that this task had before synonyms were told apart by language.
    assert task.digest == "2460dad4d309c691f839271599f8af3e66a649c26e7940aec75f0b34f99cfbfd"
    again = TaskSpec.model_validate(task.spec.model_dump(mode="json"))
    assert spec_digest(again) == task.digest


def test_words_without_a_language_join_those_of_the_parents_languages(tmp_path: Path) -> None:
    parent = TASK.replace("{happy: [joy]}", "{de: {happy: [froh]}, any: {sad: [down]}}")
    write(tmp_path, "a.yaml", parent)
    child = write(tmp_path, "b.yaml", "extends: a.yaml\noutput: {synonyms: {happy: [glad], de: {sad: [trüb]}}}\n")
    spec = load_task_file(child, METRICS).spec
    assert isinstance(spec.output, LabelOutput)
    assert spec.output.synonyms == {
        "de": {"happy": ("froh",), "sad": ("trüb",)},
        "any": {"sad": ("down",), "happy": ("glad",)},
    }
    assert TaskSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_the_nearest_of_several_parents_wins(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "x: 1\ny: 1\nz: 1\n")
    write(tmp_path, "b.yaml", "extends: a.yaml\ny: 2\nz: 2\n")
    assert resolve_parents(write(tmp_path, "c.yaml", "extends: b.yaml\nz: 3\n")).values == {"x": 1, "y": 2, "z": 3}


def test_a_parent_is_looked_for_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    write(tmp_path, "base.yaml", "x: 1\n")
    write(tmp_path / "inner", "middle.yaml", "extends: ../base.yaml\n")
    assert resolve_parents(write(tmp_path, "top.yaml", "extends: inner/middle.yaml\n")).values == {"x": 1}


def test_a_condition_may_be_given_by_its_name_alone(tmp_path: Path) -> None:
    short = load_task_file(write(tmp_path, "a.yaml", TASK), METRICS)
    full = load_task_file(write(tmp_path, "b.yaml", TASK.replace("full_av", "{name: full_av}")), METRICS)
    assert short.spec == full.spec
    assert short.digest == full.digest


def test_a_digest_follows_content_and_passes_over_layout_and_group(tmp_path: Path) -> None:
    task = load_task_file(write(tmp_path, "a.yaml", TASK), METRICS)
    child = load_task_file(write(tmp_path, "b.yaml", "# note\nextends: a.yaml\ngroup: mine\n"), METRICS)
    assert child.digest == task.digest == spec_digest(task.spec)
    changed = {
        load_task_file(write(tmp_path, "c.yaml", TASK.replace(old, new)), METRICS).digest
        for old, new in [
            ("some_task", "other"),
            ("version: 1", "version: 2"),
            ("full_av", "audio_only"),
            ("One of", "Which of"),
            ("[happy, sad]", "[happy, glum]"),
            ("joy", "glee"),
            ("headline: accuracy\n", ""),
        ]
    }
    assert len(changed - {task.digest}) == 7


def test_names_of_scorers_and_metrics_are_those_that_the_caller_knows(tmp_path: Path) -> None:
    file = write(tmp_path, "a.yaml", TASK)
    with pytest.raises(TaskError, match="unknown scorer 'understanding'; known: mine"):
        load_task_file(file, {"mine": frozenset({"accuracy"})})
    with pytest.raises(TaskError, match="unknown metric 'accuracy'; nearest: 'my_accuracy'"):
        load_task_file(file, {"understanding": frozenset({"my_accuracy"})})


def test_a_checked_task_can_be_stored_and_read_again_without_scorers(tmp_path: Path) -> None:
    spec = load_task_file(write(tmp_path, "a.yaml", TASK), METRICS).spec
    assert TaskSpec.model_validate(json.loads(spec.model_dump_json())) == spec


def test_a_key_named_as_its_mappings_type_is_told_apart_from_it(tmp_path: Path) -> None:
    text = TASK.replace("labels: [happy, sad]", "label: [1], labels: [happy, 2]")
    with pytest.raises(TaskError) as refusal:
        load_task_file(write(tmp_path, "a.yaml", text), METRICS)
    said = str(refusal.value)
    assert "6: output.label: unknown key; nearest: 'labels'" in said
    assert "6: output.labels[1]: must be text, found 2" in said


def test_a_group_says_how_its_row_is_laid_out(tmp_path: Path) -> None:
    group = load_group_file(write(tmp_path, "group.yaml", GROUP), METRICS)
    assert isinstance(group, GroupSpec)
    assert [(column.name, column.condition, column.metric) for column in group.columns] == [
        ("A", "full_av", "accuracy")
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("accuracy", "acuracy", r":3: columns\[0\]\.metric: unknown metric 'acuracy'; nearest: 'accuracy'"),
        ("full_av", "full", r":3: columns\[0\]\.condition: 'full' is not one of .*; nearest: 'full_av'"),
        ("title: Some group", "titel: Some group", r":2: titel: unknown key; nearest: 'title'"),
        ("title: Some group\n", "", r":1: required key 'title' is missing"),
        ("{name: A, ", "{name: A, metrics: [], ", r":3: columns\[0\]\.metrics: unknown key; nearest: 'metric'"),
        ("some_group", "Some Group", r":1: group: must consist of lower-case letters"),
    ],
)
def test_a_wrong_group_is_refused_as_a_wrong_task_is(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        load_group_file(write(tmp_path, "group.yaml", GROUP.replace(old, new)), METRICS)


def test_a_task_of_a_corpus_keeps_the_path_inside_of_it_and_a_digest_of_its_own(tmp_path: Path) -> None:
    plain = load_task_file(write(tmp_path, "plain.yaml", TASK), METRICS)
    release = load_task_file(
        write(tmp_path, "a.yaml", TASK.replace("{name: demo}", "{corpus: acted, name: demo}")), METRICS
    )
    table = "{corpus: acted, path: labels/test.csv, columns: {sound: file, label: emotion}}"
    rows = load_task_file(write(tmp_path, "b.yaml", TASK.replace("{name: demo}", table)), METRICS)
    assert (release.spec.dataset.corpus, release.spec.dataset.path) == ("acted", None)
    assert (rows.spec.dataset.corpus, rows.spec.dataset.path) == ("acted", "labels/test.csv")
    assert len({plain.digest, release.digest, rows.digest}) == 3
    assert "corpus" not in plain.spec.model_dump(mode="json")["dataset"]


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ("{corpus: My Corpus, name: demo}", r":3: dataset\.corpus: must consist of lower-case letters"),
        ("{corpus: acted, name: demo, revision: v1}", r":3: dataset\.revision: is of the Hub"),
        ("{corpus: acted, name: demo, path: test.parquet}", r":3: dataset\.path: without columns the corpus' folder"),
        ("{corpus: acted, path: ../a.csv, columns: {sound: f}}", r":3: dataset\.path: must be .* inside the corpus'"),
        (
            "{corpus: acted, path: /data/a.csv, columns: {sound: f}}",
            r":3: dataset\.path: must be .* inside the corpus'",
        ),
    ],
)
def test_a_corpus_that_leads_elsewhere_is_refused(tmp_path: Path, dataset: str, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        load_task_file(write(tmp_path, "a.yaml", TASK.replace("{name: demo}", dataset)), METRICS)


def test_the_editors_schema_knows_parents_and_requires_nothing() -> None:
    schema = editor_schema()
    assert "required" not in schema
    assert set(schema["properties"]) == {"extends", *TaskSpec.model_fields}
    assert schema["additionalProperties"] is False
    assert {"full_av", "conflict"} < set(schema["properties"]["condition"]["anyOf"][1]["enum"])
