"""Broken task YAMLs are refused at once, with file, line, key and the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.costs import cpu_s

from avemo_harness.benchmark.task_file import load_task_file
from avemo_harness.benchmark.yaml_file import MAX_BYTES
from avemo_harness.errors import TaskError
from avemo_harness.scorers import METRICS

PARENT = Path(__file__).parents[2] / "tasks" / "_understanding.yaml"
HEAD = f"""task: broken
extends: {PARENT}
dataset: {{name: demo}}
condition: full_av
"""
OUTPUT = "output: {type: label, labels: [happy, sad], synonyms: {}, method: generate%s}\n"
TEXT = 'messages: [{role: user, content: [{type: text, text: "%s"}]}]\n'
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
    ("text for a number", "version: two\n", 5, "version: must be a whole number, found 'two'"),
    ("number for text", "headline: 3\n", 5, "headline: must be text, found 3"),
    ("text for a truth value", "generation: {do_sample: 'yes please'}\n", 5, "do_sample: must be true or false"),
    ("list for a mapping", "dataset: [demo]\n", 5, "dataset: must be a mapping of keys to values"),
    ("text for a mapping", "output: label\n", 5, "output: must be a mapping of keys to values, found 'label'"),
    ("mapping for a list", "scorers: {name: understanding}\n", 5, "scorers: must be a list"),
    ("nothing for a required key", "output:\n", 5, "output: this key is required and cannot be taken away"),
    ("nothing for a list, inherited", "messages: null\n", 5, "messages: this key is required and cannot be taken away"),
    ("nothing for text, not inherited", "task:\n", 5, "task: must be text, found None"),
    ("number too small", "version: 0\n", 5, "version: must be at least 1, found 0"),
    ("number too large", "generation: {max_new_tokens: 1000000}\n", 5, "must be at most 32768"),
    ("number beyond all bounds", f"version: 1{'0' * 5_000}\n", 5, "version: must be a whole number, found '1000"),
    ("number in base 60", f"version: {'1:' * 3_000}1\n", 5, "version: must be a whole number, found '1:1:1"),
    ("infinite number", "generation: {do_sample: true, temperature: .inf}\n", 5, "must be a finite number"),
    (
        "word tagged as truth value",
        "generation: {do_sample: !!bool maybe}\n",
        5,
        "must be true or false, found 'maybe'",
    ),
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
    (
        "a way of ranking where nothing is ranked",
        "output:\n  rank_by: prior_corrected\n",
        6,
        "output.rank_by: needs method: rank",
    ),
    ("wrong way of ranking", "output: {method: rank, rank_by: length}\n", 5, "nearest: 'length_normalised'"),
    ("no content", "messages: [{role: user, content: []}]\n", 5, "content: must have 1 entries or more"),
    ("no type of an output", "output: {type: null}\n", 5, "output.type: this key is required and cannot be taken away"),
    ("no type of a block", "messages: [{role: user, content: [{text: hi}]}]\n", 5, "required key 'type' is missing"),
    ("bad name", "task: Broken Task\n", 5, "task: must consist of lower-case letters, digits and underscores"),
    ("missing key", "messages: [{role: user}]\n", 5, "required key 'content' is missing"),
    ("labels twice", OUTPUT.replace("happy, sad", "sad, sad") % "", 5, "output.labels: labels must be distinct"),
    ("labels that differ in case", OUTPUT.replace("happy, sad", "sad, Sad") % "", 5, "labels must be distinct"),
    ("empty label", "output:\n  labels:\n  - sad\n  - ''\n", 8, "output.labels[1]: must not be empty"),
    ("one label", OUTPUT.replace("happy, sad", "sad") % "", 5, "output.labels: must have 2 entries or more"),
    (
        "synonyms for no label",
        OUTPUT.replace("{}", "{hapy: [joy]}") % "",
        5,
        "synonyms.hapy: unknown label 'hapy'; nearest: 'happy'",
    ),
    (
        "a word for two labels",
        "output:\n  synonyms: {happy: [glad], sad: [Glad]}\n",
        6,
        "output.synonyms: the word 'Glad' stands for two labels, 'happy' and 'sad'",
    ),
    (
        "a word for two labels of two languages",
        "output:\n  synonyms: {xx: {happy: [glum]}, yy: {sad: [glum]}}\n",
        6,
        "output.synonyms: the word 'glum' stands for two labels, 'happy' and 'sad'",
    ),
    (
        "synonyms of a language for no label",
        "output:\n  synonyms:\n    en: {hapy: [glad]}\n",
        7,
        "output.synonyms.en.hapy: unknown label 'hapy'; nearest: 'happy'",
    ),
    (
        "synonyms by no language",
        "output:\n  synonyms: {English: {happy: [glad]}}\n",
        6,
        "output.synonyms.English: expected a language by its code, such as en or zh",
    ),
    ("a word where words are listed", "output: {synonyms: {en: {happy: glad}}}\n", 5, "en.happy: must be a list"),
    ("a label for another label", "output: {synonyms: {happy: [sad]}}\n", 5, "stands for two labels"),
    ("unknown scorer", "scorers: [{name: understandig, metrics: [accuracy]}]\n", 5, "nearest: 'understanding'"),
    ("unknown metric", "scorers:\n- name: understanding\n  metrics:\n  - acuracy\n", 8, "nearest: 'accuracy'"),
    ("scorer without metrics", "scorers: [{name: understanding, metrics: []}]\n", 5, "must have 1 entries or more"),
    (
        "metric of another scorer",
        "scorers: [{name: understanding, metrics: [aar]}]\nheadline: aar\n",
        5,
        "unknown metric",
    ),
    ("headline not reported", "headline: f2\n", 5, "headline: unknown headline metric 'f2'; known: accuracy, macro_f1"),
    ("sampling settings without sampling", "generation:\n  top_p: 0.5\n", 6, "generation.top_p: needs do_sample: true"),
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
        "unknown name 'speaker'; known: dialogue, labels, row, turn",
    ),
    (
        "template that tells the answer",
        "messages: [{role: user, content: [{type: text, text: 'Is it {{ turn.emotion }}?'}]}]\n",
        5,
        "turn.emotion, which it may not see; known: text, turn_index",
    ),
    ("template with an unknown filter", TEXT % "{{ labels | jion }}", 5, "unknown filter 'jion'; known: capitalize"),
    ("template in a language of its own", TEXT % "{% include 'x' %}", 5, "template: include is not allowed"),
    ("template that never ends", TEXT % "{% for i in range(9**9) %}x{% endfor %}", 5, "is not allowed"),
    ("template that fills memory", TEXT % "{{ 9999999999 * 'x' }}", 5, "template: mul is not allowed"),
    ("deep template", TEXT % f"{{{{ {'(' * 3000}1{')' * 3000} }}}}", 5, "template: nested deeper"),
    ("template line", "messages:\n- role: user\n  content:\n  - type: text\n    text: '{% if %}'\n", 9, "template: "),
    ("many aliases", "context: &a {turns: none}\n" + "".join(f"k{i}: *a\n" for i in range(99)), 56, "aliases"),
    ("alias bomb", BOMB, 5, "values, aliases expanded"),
    ("alias of itself", "context: &a {turns: *a}\n", 5, "values, aliases expanded"),
    ("deep flow", "context: " + "[" * 9000 + "]" * 9000 + "\n", 5, "nested deeper"),
    ("deep block", "context:\n" + "\n".join(" " * i + "a:" for i in range(1, 120)), 28, "nested deeper"),
    ("oversize", "# " + "x" * MAX_BYTES + "\n", 1, "has more than the 32,768 bytes"),
    ("many unknown keys", "".join(f"k{i}: 1\n" for i in range(1_900)), 54, "k49: unknown key"),
    ("many equal keys", "a: 1\n" * 1_900, 54, "a: duplicate key, already given in line 5"),
    ("too many values", "".join(f"k{i}: 1\n" for i in range(2_500)), 2000, "values"),
    ("python object", "headline: !!python/object/apply:os.system ['true']\n", 5, "is not allowed"),
    ("unknown tag", "headline: !include other.yaml\n", 5, "is not allowed"),
    ("binary tag", "headline: !!binary aaaa\n", 5, "is not allowed"),
    ("tagged mapping", "context: !!python/dict {turns: none}\n", 5, "is not allowed"),
    ("control character", "headline: \x01\n", 5, "not valid YAML: character 0x0001 is not allowed"),
    ("half a surrogate pair", 'headline: "\\ud800"\n', 5, "headline: half of a surrogate pair is no character"),
    ("escape beyond Unicode", 'headline: "\\UFFFFFFFF"\n', 1, "not valid YAML"),
    ("unknown alias", "headline: *best\n", 5, "not valid YAML: found undefined alias 'best'"),
    ("unclosed quote", "headline: 'a\n\n\n", 8, "a quoted scalar (from line 5), found unexpected end of stream"),
    ("two documents", "---\ntask: other\n", 5, "expected a single document"),
    ("tab", "context:\n\tturns: none\n", 6, "not valid YAML"),
    ("unclosed bracket", "context: {turns: none\n", 6, "not valid YAML"),
    ("key that is a list", "? [a, b]\n: c\n", 5, "keys must be plain words"),
    ("endless key", f"? {'k' * 9_000}\n: c\n", 5, "a key may have 100 characters"),
]


@pytest.mark.parametrize(("body", "line", "said"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_task_is_refused_with_its_line_and_reason(
    tmp_path: Path, body: str, line: int, said: str, cost_of_a_shipped_one: float
) -> None:
    file = tmp_path / "broken.yaml"
    kept = "".join(row for row in HEAD.splitlines(keepends=True) if not _replaces(row, body))
    file.write_text(kept + "#\n" * (4 - kept.count("\n")) + body, encoding="utf-8")
    refusals: list[pytest.ExceptionInfo[TaskError]] = []

    def refuse() -> None:
        with pytest.raises(TaskError) as refusal:
            load_task_file(file, METRICS)
        refusals.append(refusal)

    assert cpu_s(refuse, times=1) < 100 * cost_of_a_shipped_one
    refusal = refusals[0]
    assert said in str(refusal.value)
    assert any(row.startswith(f"{file}:{line}: ") and said in row for row in str(refusal.value).splitlines()), (
        refusal.value
    )


@pytest.fixture(scope="module")
def cost_of_a_shipped_one() -> float:
    """CPU seconds that reading a task and its parent takes."""
    file = PARENT.parent / "multiturn_real" / "full_av.yaml"
    return cpu_s(lambda: load_task_file(file, METRICS))


def _replaces(row: str, body: str) -> bool:
    """True where the body gives a key of the head anew; the duplicates of `task` and `condition` are meant."""
    key = row.split(":")[0] + ":"
    return body.startswith(key) and not body.startswith("task: other")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ":1: the file must hold a mapping"),
        (b"- a\n- b\n", ":1: the file must hold a mapping"),
        (b"just words\n", ":1: the file must hold a mapping"),
        (b"# fine\ntask: \xff\xfe\n", ":2: the file is not UTF-8 text"),
        (b"!!python/object:os.system\ntask: x\n", ":1: the file must hold a mapping"),
        (b"%YAML 1." + b"9" * 5_000 + b"\n---\ntask: x\n", ":1: not valid YAML"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), ":1: the file is not UTF-8 text"),
        (bytes(range(32)), ":1: not valid YAML: character 0x0000 is not allowed"),
        (b"task: x\nextends: _understanding.yaml\n", ":2: extends: no file '_understanding.yaml'"),
        (b"task: x\nextends: broken.yaml\n", ":2: extends: 'broken.yaml' leads back"),
        (b"task: x\nextends: [a, b]\n", ":2: extends: must be the path of one YAML file"),
        (b"task: x\nextends: " + b"long/" * 3_000 + b"\n", ":2: extends: no file 'long/long"),
        (b'task: x\nextends: "nul\\0"\n', ":2: extends: no file"),
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


def test_a_chain_may_have_ten_parents_and_not_eleven(tmp_path: Path) -> None:
    (tmp_path / "0.yaml").write_text(HEAD)
    for i in range(1, 11):
        (tmp_path / f"{i}.yaml").write_text(f"task: child{i}\nextends: {i - 1}.yaml\n")
    assert load_task_file(tmp_path / "9.yaml", METRICS).name == "child9"
    with pytest.raises(TaskError, match=r"0\.yaml:2: extends: a chain of more than 10 parents"):
        load_task_file(tmp_path / "10.yaml", METRICS)


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(
        HEAD
        + "outptu: x\nversion: two\ngeneration: {max_tokens: 1}\ntask: again\nheadline: f2\n"
        + TEXT % "{{ speaker }}"
        + "output: {synonyms: {hapy: [glad]}}\n"
    )
    with pytest.raises(TaskError) as refusal:
        load_task_file(file, METRICS)
    lines = str(refusal.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["5", "6", "7", "8", "9", "10", "11"]


def test_what_follows_from_another_problem_is_not_told_too(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(HEAD + "scorers: [{name: understanding, metrics: [acuracy]}]\nversion: !!binary aaaa\n")
    with pytest.raises(TaskError) as refusal:
        load_task_file(file, METRICS)
    first, second = str(refusal.value).splitlines()
    assert "unknown metric 'acuracy'" in first
    assert "is not allowed" in second


def test_the_problems_of_a_parent_name_the_parents_file(tmp_path: Path) -> None:
    parent, child = tmp_path / "parent.yaml", tmp_path / "child.yaml"
    parent.write_text(HEAD + "\noutptu: x\n")
    child.write_text("extends: parent.yaml\ntask: child\nversion: two\n")
    with pytest.raises(TaskError) as refusal:
        load_task_file(child, METRICS)
    first, second = str(refusal.value).splitlines()
    assert first.startswith(f"{child}:3: version: ")
    assert second.startswith(f"{parent}:6: outptu: ")


def test_a_long_list_of_problems_and_long_values_are_cut(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(HEAD + "".join(f"k{i}: 1\n" for i in range(1_900)))
    with pytest.raises(TaskError, match=r"and 1,850 problems more$") as refusal:
        load_task_file(file, METRICS)
    assert len(str(refusal.value).splitlines()) == 51
    file.write_text(HEAD + f"headline: {'x' * 20_000}\n")
    with pytest.raises(TaskError) as refusal:
        load_task_file(file, METRICS)
    assert len(str(refusal.value)) < 400


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 700), st.integers(0, 30), st.text("ab0-:[]{}'\"%&*!|>#,\n\t ", max_size=12))
def test_a_task_with_any_piece_replaced_is_a_task_or_a_task_error(
    tmp_path: Path, start: int, length: int, piece: str
) -> None:
    file = tmp_path / "mutated.yaml"
    whole = PARENT.read_text(encoding="utf-8") + HEAD.replace(f"extends: {PARENT}\n", "")
    file.write_text(whole[:start] + piece + whole[start + length :], encoding="utf-8")
    try:
        refusal, name = "", load_task_file(file, METRICS).name
    except TaskError as error:
        refusal, name = str(error), ""
    assert name or refusal.startswith(f"{file}:")
