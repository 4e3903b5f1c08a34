"""Broken task YAMLs are refused at once, with file, line, key and the nearest valid name."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avemo_harness.benchmark.task_file import load_task_file
from avemo_harness.benchmark.yaml_file import MAX_BYTES, read_yaml
from avemo_harness.errors import TaskError
from avemo_harness.scorers import METRICS

PARENT = Path(__file__).parents[2] / "tasks" / "_understanding.yaml"
HEAD = f"""task: broken
extends: {PARENT}
dataset: {{name: demo}}
condition: full_av
"""
OUTPUT = "output: {type: label, labels: [happy, sad], synonyms: {}, method: generate%s}\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 5)}]\n" for i in range(8)
)

# name, what follows the four lines above, the line that is named, what the message says
BROKEN = [
    ("unknown key at the top", "outptu: x\n", 5, "outptu: unknown key; nearest: 'output'"),
    ("unknown key of the data set", "dataset: {name: demo, revsion: x}\n", 5, "nearest: 'revision'"),
    ("unknown key of the condition", "condition: {name: full_av, nois: white}\n", 5, "nearest: 'noise'"),
    ("unknown key of the context", "context:\n  turn: none\n", 6, "context.turn: unknown key; nearest: 'turns'"),
    ("unknown key of a message", "messages: [{rol: user}]\n", 5, "messages[0].rol: unknown key; nearest: 'role'"),
    (
        "unknown key of a block",
        "messages:\n- role: user\n  content:\n  - {type: text, txt: hello}\n",
        8,
        "messages[0].content[0].txt: unknown key; nearest: 'text'",
    ),
    ("unknown key of the output", OUTPUT % ", label: [x]", 5, "output.label: unknown key; nearest: 'labels'"),
    ("unknown key of the generation", "generation: {max_tokens: 5}\n", 5, "nearest: 'max_new_tokens'"),
    (
        "unknown key of a scorer",
        "scorers:\n- {nam: understanding}\n",
        6,
        "scorers[0].nam: unknown key; nearest: 'name'",
    ),
    ("duplicate key at the top", "condition: audio_only\ncondition: full_av\n", 6, "already given in line 5"),
    ("duplicate key below", "generation:\n  do_sample: true\n  do_sample: false\n", 7, "already given in line 6"),
    ("duplicate of the head", "task: other\n", 5, "task: duplicate key, already given in line 1"),
    ("text for a number", "version: two\n", 5, "version: input should be a valid integer, found 'two'"),
    ("number for text", "headline: 3\n", 5, "headline: input should be a valid string, found 3"),
    ("text for a truth value", "generation: {do_sample: 'yes please'}\n", 5, "generation.do_sample"),
    ("list for a mapping", "dataset: [demo]\n", 5, "dataset"),
    ("mapping for a list", "scorers: {name: understanding}\n", 5, "scorers"),
    ("number too small", "version: 0\n", 5, "greater than or equal to 1, found 0"),
    ("number too large", "generation: {max_new_tokens: 1000000}\n", 5, "less than or equal to 32768"),
    ("wrong condition", "condition: audio_olny\n", 5, "nearest: 'audio_only'"),
    ("wrong noise", "condition: {name: video_only, noise: pnik}\n", 5, "nearest: 'pink'"),
    ("wrong unit", "unit: user_turns\n", 5, "nearest: 'user_turn'"),
    ("wrong context", "context: {turns: histroy}\n", 5, "nearest: 'history'"),
    (
        "wrong role",
        "messages: [{role: usr, content: [{type: clip}]}]\n",
        5,
        "messages[0].role: 'usr' is not one of user",
    ),
    ("wrong kind of block", "messages: [{role: user, content: [{type: clp}]}]\n", 5, "nearest: 'clip'"),
    ("wrong kind of output", "output: {type: labl}\n", 5, "nearest: 'label'"),
    ("wrong method", OUTPUT.replace("generate%s", "generat") + "", 5, "nearest: 'generate'"),
    ("no content", "messages: [{role: user, content: []}]\n", 5, "messages[0].content"),
    ("bad name", "task: Broken Task\n", 5, "task"),
    ("missing key", "messages: [{role: user}]\n", 5, "required key 'content' is missing"),
    ("labels twice", OUTPUT.replace("happy, sad", "sad, sad") % "", 5, "labels must be distinct"),
    ("one label", OUTPUT.replace("happy, sad", "sad") % "", 5, "output.labels"),
    ("synonyms for no label", OUTPUT.replace("{}", "{hapy: [joy]}") % "", 5, "synonyms are given for"),
    ("a word for two labels", "output: {synonyms: {happy: [glad], sad: [glad]}}\n", 5, "a word stands for two labels"),
    ("unknown scorer", "scorers: [{name: understandig, metrics: [accuracy]}]\n", 5, "nearest: 'understanding'"),
    ("unknown metric", "scorers: [{name: understanding, metrics: [acuracy]}]\n", 5, "nearest: 'accuracy'"),
    (
        "metric of another scorer",
        "scorers: [{name: understanding, metrics: [aar]}]\nheadline: aar\n",
        5,
        "unknown metric",
    ),
    ("headline not reported", "headline: f2\n", 5, "headline: 'f2' is not among the scorers' metrics"),
    ("sampling settings without sampling", "generation: {temperature: 0.5}\n", 5, "need do_sample: true"),
    (
        "template that is none",
        "messages: [{role: user, content: [{type: text, text: '{{ turn.text'}]}]\n",
        5,
        "messages[0].content[0].text: template:",
    ),
    (
        "template with an unknown name",
        "messages: [{role: user, content: [{type: text, text: '{{ speaker }}'}]}]\n",
        5,
        "unknown name 'speaker'; known: dialogue, labels, turn",
    ),
    (
        "template that tells the answer",
        "messages: [{role: user, content: [{type: text, text: 'Is it {{ turn.emotion }}?'}]}]\n",
        5,
        "turn.emotion, which it may not see; known: text, turn_index",
    ),
    ("many aliases", "context: &a {turns: none}\n" + "".join(f"k{i}: *a\n" for i in range(99)), 56, "aliases"),
    ("alias bomb", BOMB, 5, "values, aliases expanded"),
    ("alias of itself", "context: &a {turns: *a}\n", 5, "values, aliases expanded"),
    ("deep flow", "context: " + "[" * 9000 + "]" * 9000 + "\n", 5, "nested deeper"),
    ("deep block", "context:\n" + "\n".join(" " * i + "a:" for i in range(1, 120)), 28, "nested deeper"),
    ("oversize", "# " + "x" * MAX_BYTES + "\n", 1, "bytes, a task may have"),
    ("too many values", "".join(f"k{i}: 1\n" for i in range(2_500)), 2000, "values"),
    ("python object", "headline: !!python/object/apply:os.system ['true']\n", 5, "is not allowed"),
    ("unknown tag", "headline: !include other.yaml\n", 5, "is not allowed"),
    ("tab", "context:\n\tturns: none\n", 6, "not valid YAML"),
    ("unclosed bracket", "context: {turns: none\n", 6, "not valid YAML"),
    ("key that is a list", "? [a, b]\n: c\n", 5, "keys must be plain words"),
]


@pytest.mark.parametrize(("body", "line", "said"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_task_is_refused_with_its_line_and_reason(tmp_path: Path, body: str, line: int, said: str) -> None:
    file = tmp_path / "broken.yaml"
    kept = "".join(row for row in HEAD.splitlines(keepends=True) if not _replaces(row, body))
    file.write_text(kept + "#\n" * (4 - kept.count("\n")) + body, encoding="utf-8")
    started = time.perf_counter()
    with pytest.raises(TaskError) as refusal:
        load_task_file(file, METRICS)
    assert time.perf_counter() - started < 0.5
    assert said in str(refusal.value)
    assert any(row.startswith(f"{file}:{line}: ") and said in row for row in str(refusal.value).splitlines()), (
        refusal.value
    )


def _replaces(row: str, body: str) -> bool:
    """Whether the body gives a key of the head anew; the duplicates of `task` and `condition` are meant."""
    key = row.split(":")[0] + ":"
    return body.startswith(key) and not body.startswith("task: other")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ":1: the file must hold a mapping"),
        (b"- a\n- b\n", ":1: the file must hold a mapping"),
        (b"just words\n", ":1: the file must hold a mapping"),
        (b"task: \xff\xfe\n", ":1: the file is not UTF-8 text"),
        (bytes(range(32)), "not valid YAML"),
        (b"task: x\nextends: _understanding.yaml\n", ":2: extends: no file '_understanding.yaml'"),
        (b"task: x\nextends: broken.yaml\n", ":2: extends: 'broken.yaml' leads back"),
        (b"task: x\nextends: [a, b]\n", ":2: extends: must be the path of one YAML file"),
        (b"task: x\n", ":1: required key 'dataset' is missing"),
    ],
)
def test_a_file_that_is_no_task_at_all_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_bytes(content)
    with pytest.raises(TaskError) as refusal:
        load_task_file(file, METRICS)
    assert said in str(refusal.value)
    assert str(file) in str(refusal.value)


def test_a_longer_cycle_and_a_nearly_right_parent_are_named(tmp_path: Path) -> None:
    for name, parent in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"task: {name}\nextends: {parent}.yaml\n")
    with pytest.raises(TaskError, match=r"c\.yaml:2: extends: 'a\.yaml' leads back"):
        load_task_file(tmp_path / "a.yaml", METRICS)
    (tmp_path / "d.yaml").write_text(f"task: d\nextends: {PARENT.parent}/_understandin.yaml\n")
    with pytest.raises(TaskError, match=r"nearest: '_understanding\.yaml'"):
        load_task_file(tmp_path / "d.yaml", METRICS)


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(HEAD + "outptu: x\nversion: two\ngeneration: {max_tokens: 1}\ntask: again\n")
    with pytest.raises(TaskError) as refusal:
        load_task_file(file, METRICS)
    lines = str(refusal.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["5", "6", "7", "8"]


@pytest.mark.parametrize("body", ["outptu: x\n", BOMB, "headline: !!python/object/apply:os.system ['true']\n"])
def test_the_command_refuses_it_with_2_and_no_traceback(tmp_path: Path, body: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(HEAD + body)
    command = [sys.executable, "-m", "avemo_harness", "validate", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith((f"{file}:", f"avemo-eval: {file}:"))
    assert "Traceback" not in done.stderr


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=300).map(str.encode), st.binary(max_size=300)))
def test_any_bytes_are_a_document_or_a_task_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.yaml"
    file.write_bytes(content)
    try:
        read_yaml(file)
    except TaskError as error:
        refusal = str(error)
    else:
        refusal = str(file)
    assert str(file) in refusal
