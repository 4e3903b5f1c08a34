"""Free lists of words for emotions, held against true ones on emotion wheels."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.answers import answer_to
from support.emotion_wheels import reference, write_wheels, write_workbook
from support.planned import make_task
from support.small_tables import write_voices

from avemo_harness.benchmark.request import Item
from avemo_harness.cli import main
from avemo_harness.errors import UsageError
from avemo_harness.scorers import load_scorer
from avemo_harness.scorers.base import Answer, TaskScores
from avemo_harness.scorers.wheels import load_wheels, read_terms
from avemo_harness.scorers.workbook import read_sheet

WORDS = """task: words
version: 1
dataset: {path: clips.csv, columns: {sound: path, answer: "{{ 'happy' if row.emotion == 'joy' else 'sad' }}"}}
messages: [{role: user, content: [{type: clip}, {type: text, text: "Which emotions?"}]}]
output: {type: text}
scorers: [{name: open_vocabulary, metrics: [wheel_recall]}]
"""
TASK = make_task(output={"type": "text"}, messages=[{"role": "user", "content": [{"type": "text", "text": "Which?"}]}])


def item(name: str, gold: str) -> Item:
    return Item("t", f"{name}/0", name, name, name, 0, "full_av", gold=gold)


def score(folder: Path, *pairs: tuple[str, str | None]) -> TaskScores:
    answers: list[Answer] = [answer_to(item(f"d{n}", gold), said) for n, (gold, said) in enumerate(pairs)]
    return load_scorer("open_vocabulary", {"wheels": str(folder)}).score(TASK, answers)


def value(scores: TaskScores, name: str) -> float | None:
    return scores.metrics[name].value


def test_a_word_lies_where_its_form_and_synonym_lead_and_first_by_the_alphabet(tmp_path: Path) -> None:
    wheels = load_wheels(write_wheels(tmp_path))
    places = wheels.places(["Happiness", "gladly", "anger", "furious", "table"])
    assert places[0] == places[1] == {"joy", "mad"}
    assert wheels.places(["sadness"]) == ({"sad"}, {"sad"}, {"sad"}, {"sad"}, frozenset())
    assert load_wheels(tmp_path, level=2).places(["furious"])[0] == {"hostile"}


def test_f1_is_of_mean_precision_and_recall_on_each_wheel_and_the_mean_over_wheels(tmp_path: Path) -> None:
    folder = write_wheels(tmp_path)
    said = [("[happy, sad]", "glad, anger"), ("['angry']", "Furious."), ("sad", "I cannot tell"), ("happy", "sad")]
    scores = score(folder, *said)
    wheels = load_wheels(folder)
    expected = []
    for number in range(5):
        truths = {
            str(n): set(wheels.places(gold.strip("[]").replace("'", "").split(","))[number])
            for n, (gold, _) in enumerate(said)
        }
        given = {str(n): set(wheels.places(read_terms(answer))[number]) for n, (_, answer) in enumerate(said)}
        expected.append(reference(truths, given))
    for name, column in (("wheel_f1", 0), ("wheel_precision", 1), ("wheel_recall", 2), ("hit_rate", 2)):
        assert value(scores, name) == pytest.approx(sum(row[column] for row in expected) / 5), name
    assert scores.metrics["wheel_f1"].n_invalid == 1
    assert scores.details["wheels"]["digest"] == wheels.digest


def test_the_truth_in_other_words_is_right_and_what_lies_on_no_wheel_is_not_asked_about(tmp_path: Path) -> None:
    scores = score(write_wheels(tmp_path), ("happy, sad", "- Joyful\n- Unhappy"), ("neutral", "sad"), ("[]", "happy"))
    assert [line.verdict for line in scores.lines] == ["compared", "no truth", "no truth"]
    assert (value(scores, "wheel_f1"), scores.metrics["wheel_f1"].n) == (1.0, 1)


def test_missing_wheels_wrong_files_and_levels_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected the emotion wheels .* found no wheel1\.xlsx; give the folder"):
        score(tmp_path / "nowhere", ("happy", "happy"))
    folder = write_wheels(tmp_path)
    write_workbook(folder / "wheel3.xlsx", [("ring1", "ring2")])
    (folder / "wheel4.xlsx").write_text("a,b")
    with pytest.raises(UsageError, match=r"wheel4\.xlsx: not an Excel workbook"):
        read_sheet(folder / "wheel4.xlsx")
    write_workbook(folder / "wheel3.xlsx", [("ring1", "ring2"), ("mad", "hurt")])
    with pytest.raises(UsageError, match=r"wheel3\.xlsx: expected a column 'level1', found ring1, ring2"):
        load_wheels(folder)
    with pytest.raises(UsageError, match="level must be 1 or 2, found 3"):
        load_scorer("open_vocabulary", {"wheels": "x", "level": 3})


def test_a_run_without_the_wheels_is_refused_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write_voices(tmp_path)
    (tmp_path / "words.yaml").write_text(WORDS)
    asked = ["--model", "constant", "--tasks", str(tmp_path / "words.yaml"), "--output_path", str(tmp_path / "run")]
    assert main(asked) == 2
    said = "the emotion wheels emotion_wheel are not here: git clone https://github.com/zeroQiaoba/AffectGPT DIR"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main(["data", "use", f"emotion_wheel={write_wheels(tmp_path / 'wheels')}"]) == 0
    assert main(asked) == 0


def test_a_reason_on_a_line_of_its_own_hides_no_words() -> None:
    assert read_terms("Emotions: joy, anger\nReason: shouting")[:2] == ["joy", "anger"]
    assert read_terms("Happy, sad\n\nExplanation: both are heard.")[:2] == ["happy", "sad"]
    assert read_terms("Answer:\nhappy, sad") == ["happy", "sad"]
