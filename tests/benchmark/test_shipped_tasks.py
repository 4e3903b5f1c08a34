"""The shipped tasks: complete, alike but for their condition or their way of answering, and versioned."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from support.corpus_tasks import write_collection
from support.renew_tasks import (
    COMMAND,
    DIGESTS,
    GUIDE,
    HEADER,
    SCHEMA,
    TASKS,
    benchmarks_page,
    guide_with_benchmarks,
    index_of_files,
    task_digests,
    unversioned,
)

from avemo_harness.benchmark.task import LabelOutput, SpokenOutput, TaskSpec, TextTemplate
from avemo_harness.benchmark.task_file import Task, editor_schema
from avemo_harness.benchmark.task_index import INDEX
from avemo_harness.benchmark.task_library import TABLE_ORDER, TaskLibrary
from avemo_harness.benchmark.yaml_file import read_yaml
from avemo_harness.scorers import METRICS

PUBLISHED = ("singleturn_synthetic", "multiturn_synthetic", "multiturn_real")
SPLITS = ("demo", *PUBLISHED)
MULTITURN = ("multiturn_synthetic", "multiturn_real")
LIBRARY = TaskLibrary(METRICS)


def group(name: str) -> dict[str, Task]:
    """The tasks of a split that ask for labels, by condition."""
    labelled = [task for task in LIBRARY.load([name]) if isinstance(task.spec.output, LabelOutput)]
    return {task.spec.condition.name: task for task in labelled}


def task(name: str) -> TaskSpec:
    return LIBRARY.load([name])[0].spec


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_the_four_conditions_and_the_benchmarks_row(split: str) -> None:
    assert tuple(group(split)) == TABLE_ORDER
    names = [*TABLE_ORDER, "reply"]
    assert [one.name for one in LIBRARY.load([split])] == [f"{split}_{name}" for name in names]
    layout = LIBRARY.load_group(split)
    assert layout is not None
    reasoning = [f"{'CT-' if split in MULTITURN else ''}{name}" for name in ("ECS", "EBS", "EBS_dir", "ESS", "ERS")]
    understanding = ["Acc_AV", "F1_AV", "Acc_A", "Acc_V", "AAR", "VAR", "OLR"]
    assert [column.name for column in layout.columns] == [*reasoning, *understanding]
    assert layout.reference_row == ("Real" if split == "multiturn_real" else "Synthetic")
    for column in layout.columns:
        spec = task(f"{split}_reply") if column.name in reasoning else group(split)[column.condition].spec
        assert spec.condition.name == column.condition
        assert column.metric in [metric for scorer in spec.scorers for metric in scorer.metrics]


@pytest.mark.parametrize("split", SPLITS)
def test_a_condition_changes_what_is_done_to_clips_and_never_the_question(split: str) -> None:
    specs = [task.spec for task in group(split).values()]
    assert all(spec.messages == specs[0].messages and spec.output == specs[0].output for spec in specs)
    for file in (TASKS / split).glob("*.yaml"):
        assert not {"messages", "output", "generation", "scorers"} & set(read_yaml(file).values)


@pytest.mark.parametrize("split", SPLITS)
def test_a_reply_is_asked_after_the_same_history_as_the_emotion_and_in_the_same_words_everywhere(split: str) -> None:
    reply, emotion = task(f"{split}_reply"), task(f"{split}_full_av")
    assert isinstance(reply.output, SpokenOutput)
    assert (reply.dataset, reply.condition, reply.context) == (emotion.dataset, emotion.condition, emotion.context)
    assert reply.messages[0].content[0] == emotion.messages[0].content[0]
    assert (reply.generation.max_new_tokens, reply.generation.do_sample) == (256, False)
    assert reply.messages == task("demo_reply").messages
    assert [scorer.name for scorer in reply.scorers] == ["reasoning"]
    assert reply.headline == ("ct_ers" if split in MULTITURN else "ers")


@pytest.mark.parametrize("split", MULTITURN)
def test_replies_after_the_models_own_are_asked_by_their_own_group(split: str) -> None:
    own, gold = task(f"{split}_reply_own"), task(f"{split}_reply")
    assert (own.group, own.context.assistant_replies, gold.context.assistant_replies) == ("own_replies", "own", "gold")
    assert own.model_dump(exclude={"task", "group", "context"}) == gold.model_dump(exclude={"task", "group", "context"})
    assert {one.name for one in LIBRARY.load(["own_replies"])} == {f"{name}_reply_own" for name in MULTITURN}


@pytest.mark.parametrize("split", PUBLISHED)
def test_a_ranked_task_differs_from_the_one_it_ranks_in_its_method_and_metrics_alone(split: str) -> None:
    ranked, generated = task(f"{split}_full_av_ranked"), task(f"{split}_full_av")
    but = {"task", "group", "output", "scorers"}
    assert ranked.model_dump(exclude=but) == generated.model_dump(exclude=but)
    assert ranked.output == generated.output.model_copy(update={"method": "rank"})
    assert ranked.scorers[0].metrics == (*generated.scorers[0].metrics, "ece", "brier")


def test_ranked_tasks_are_asked_by_their_own_group_and_never_with_the_rows_of_the_table() -> None:
    assert {one.name for one in LIBRARY.load(["ranking"])} == {f"{split}_full_av_ranked" for split in PUBLISHED}
    assert not {one.name for one in LIBRARY.load(SPLITS)} & {one.name for one in LIBRARY.load(["ranking"])}
    assert LIBRARY.load_group("ranking") is None


def test_the_question_names_every_label_and_no_modality() -> None:
    texts = [
        block.text for block in group("demo")["full_av"].spec.messages[0].content if isinstance(block, TextTemplate)
    ]
    assert "labels" in texts[0]
    assert not any(word in texts[0].lower() for word in ("voice", "face", "noise", "frozen", "hear", "see "))


def test_real_conflicts_are_asked_without_history_and_all_else_with_it() -> None:
    for split in SPLITS:
        for condition, task in group(split).items():
            alone = (split, condition) == ("multiturn_real", "conflict")
            assert task.spec.context.turns == ("none" if alone else "history")


def test_no_release_is_named_for_the_splits_and_the_demo_needs_none() -> None:
    assert read_yaml(TASKS / "_release.yaml").values == {"path": None, "revision": None}
    assert {task.spec.dataset.path for task in group("demo").values()} == {"builtin:demo"}
    assert all(task.spec.dataset.path is None for task in LIBRARY.load(["multiturn_*", "singleturn_*"]))


def test_the_schema_for_editors_is_up_to_date() -> None:
    assert json.loads(SCHEMA.read_text()) == editor_schema(), COMMAND


def test_the_list_of_benchmarks_in_the_guide_is_up_to_date() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    assert guide == guide_with_benchmarks(guide, benchmarks_page(LIBRARY)), COMMAND


def test_a_benchmark_is_listed_with_its_labels_its_terms_and_the_command_for_its_data(tmp_path: Path) -> None:
    write_collection(tmp_path, "everything", ("voices", "faces"))
    page = benchmarks_page(TaskLibrary(METRICS, [tmp_path]))
    assert "- `everything`: All of them: `voices`, `faces`\n" in page
    row = (
        "| `voices` | voices: acted voices (audio_only) | en | 3: happy, angry, sad | "
        "[research only](https://example.org/voices) | `avemo-eval data import voices DIR --labels all` |"
    )
    assert row in page.splitlines()
    with pytest.raises(ValueError, match="lacks"):
        guide_with_benchmarks("no marks", page)


def test_the_index_of_shipped_files_is_up_to_date() -> None:
    assert INDEX.read_text(encoding="utf-8") == index_of_files(), COMMAND


def test_whatever_groups_say_of_their_tasks_and_collections_is_so() -> None:
    assert [problem for entry in LIBRARY.groups for problem in LIBRARY.group_problems(entry)] == []


def test_every_shipped_corpus_comes_by_a_command_after_which_it_is_found() -> None:
    for task in LIBRARY.load(["*"]):
        corpus = task.spec.dataset.corpus
        if corpus is not None:
            group = LIBRARY.load_group(task.spec.group or "")
            assert group is not None, task.name
            assert group.benchmark is not None, task.name
            *before, last = (group.benchmark.obtain or "").split(" && ")
            words = shlex.split(last, comments=True)
            assert words[:2] == ["avemo-eval", "data"], f"{task.name}: {last}"
            if words[2] == "import":
                assert words[3].replace("-", "_") == corpus, task.name
            else:
                assert words[2] == "use", f"{task.name}: {last}"
                assert len(words) == 4, f"{task.name}: {last}"
                assert words[3].startswith(f"{corpus}="), f"{task.name}: {last}"
            for command in before:
                assert shlex.split(command)[:2] in (["git", "clone"], ["hf", "download"]), f"{task.name}: {command}"
            assert "`" not in last, f"{task.name}: stands between these in {GUIDE.name}"


def test_every_shipped_task_file_tells_editors_its_schema() -> None:
    for entry in LIBRARY.tasks:
        assert entry.file.read_text().splitlines()[0] == HEADER, f"{entry.file}: {COMMAND}"
        assert set(read_yaml(entry.file).values) <= set(editor_schema()["properties"])


def test_every_shipped_file_is_a_task_a_group_or_a_parent() -> None:
    files = {entry.file.resolve() for entry in [*LIBRARY.tasks, *LIBRARY.groups]}
    extended = {
        (file.parent / name).resolve()
        for file in TASKS.rglob("*.yaml")
        for name in re.findall(r"^extends: (.*)$", file.read_text(), re.MULTILINE)
    }
    parents = {file.resolve() for file in TASKS.rglob("_*.yaml")}
    assert {file.resolve() for file in TASKS.rglob("*.yaml")} - files == parents
    assert parents - {(TASKS / "_release.yaml").resolve()} <= extended
    assert {entry.name for entry in LIBRARY.groups} >= set(SPLITS)


def test_a_task_whose_content_changed_has_a_new_version() -> None:
    kept, found = json.loads(DIGESTS.read_text()), task_digests()
    assert unversioned(kept, found) == [], "raise the version of these tasks"
    assert found == kept, COMMAND


def test_a_change_without_a_new_version_is_seen() -> None:
    kept = {"same": {"version": 2, "digest": "a"}, "raised": {"version": 2, "digest": "a"}}
    kept["changed"], kept["gone"] = kept["same"], kept["same"]
    found = {**kept, "raised": {"version": 3, "digest": "b"}, "changed": {"version": 2, "digest": "b"}}
    del found["gone"]
    assert unversioned(kept, {**found, "new": {"version": 1, "digest": "c"}}) == ["changed"]


def test_a_digest_depends_on_content_not_on_files(tmp_path: Path) -> None:
    shipped = group("demo")["audio_only"]
    flat = tmp_path / "flat.yaml"
    flat.write_text(json.dumps(shipped.spec.model_dump(mode="json", exclude_none=True)))
    assert LIBRARY.load([str(flat)])[0].digest == shipped.digest
    flat.write_text(flat.read_text().replace("last clip", "clip"))
    assert LIBRARY.load([str(flat)])[0].digest != shipped.digest
