"""Answers that were given elsewhere are scored as a model's; what is missing, doubled or unknown is named."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from support.answer_folders import copy_answers, score_answers, write_answers
from support.clips import melody
from support.releases import write_text_release, write_text_task
from support.sound_files import BARE_FORMATS, SOUND_FORMATS, bare_sound_file, sound_file
from support.speaking_runs import Speaker, write_speaking_run
from support.synthetic_release import CONFIG, write_synthetic_release
from support.whole_runs import results_of

from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.request import Item, Request
from avemo_harness.benchmark.task import GenerationSpec, LabelOutput, SpokenOutput
from avemo_harness.cli import main
from avemo_harness.errors import ModelError, UsageError
from avemo_harness.models.answer_lines import Answers, item_names, masked
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.replies import Replies
from avemo_harness.report.html.page import write_report

LABELS = ("neutral", "happy", "angry", "sad")
LABEL = LabelOutput(type="label", labels=LABELS)
RANKED = LabelOutput(type="label", labels=LABELS, method="rank")
REPLY = SpokenOutput(type="spoken_response")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_release(tmp_path_factory.mktemp("release") / "synthetic", dialogues=1, turns=2)


def item(item_id: str = "d0a/0", task: str = "some_full_av", condition: str = "full_av") -> Item:
    dialogue, _, turn = item_id.partition("/")
    return Item(task, item_id, "unit", dialogue, dialogue, int(turn or 0), condition)  # type: ignore[arg-type]


def answer(folder: Path, asked: Item, output: LabelOutput | SpokenOutput, release: Path) -> str | float | None:
    """What an item gets: its text, the largest of its log-probabilities, the seconds of its speech, or an error."""
    replies = Replies(Replies.Arguments(str(folder)), ModelSetup(releases=(load_release(str(release), CONFIG),)))
    request = Request("0" * 64, asked.dialogue_id, asked.turn_index, (), output, GenerationSpec(), asked)
    (response,) = replies.generate([request])
    if response.error is not None:
        return response.error
    if response.speech is not None:
        return len(response.speech.samples) / response.speech.rate_hz
    return response.text if response.label_logprobs is None else max(response.label_logprobs.values())


def test_a_run_whose_answers_are_brought_back_has_every_value_of_the_first(release: Path, tmp_path: Path) -> None:
    first = write_speaking_run(tmp_path / "first", release, Speaker(failing=frozenset({"d0a"})))
    answers = copy_answers(first, tmp_path / "answers")
    again, _ = score_answers(answers, tmp_path / "again", CONFIG, dataset=str(release))
    expected, found = results_of(first), results_of(tmp_path / "again")
    assert expected["tasks"][f"{CONFIG}_reply"]["metrics"]["ct_ess"]["value"] is not None
    # Two turns of the dialogue that fails, and one of another that asks the same as one of them.
    assert expected["tasks"][f"{CONFIG}_full_av"]["n_errors"] == 3
    assert found["tasks"] == expected["tasks"]
    groups = [{**results["groups"][CONFIG], "row": ""} for results in (expected, found)]
    assert groups[0] == groups[1]
    assert set(again.identity) == {"model", "version", "answers"}
    assert all(found[key] == expected[key] for key in ("judge", "partial", "provisional", "marks", "bootstrap"))


def test_the_name_of_the_system_is_in_its_identity_and_in_tables(release: Path, tmp_path: Path) -> None:
    folder = write_answers(tmp_path / "answers", [{"item": "d0a/0", "label": "sad"}])
    asked = ["--model", "replies", "--model_args", f"path={folder},name=cascade", "--tasks", f"{CONFIG}_full_av"]
    run = tmp_path / "run"
    assert main([*asked, "--dataset", str(release), "--output_path", str(run), "--max_errors", "9"]) == 0
    results = results_of(run)
    assert (results["identity"]["model"], results["identity"]["answers"][:7]) == ("cascade", "sha256:")
    assert (results["model"], results["groups"][CONFIG]["row"]) == ("cascade", "cascade")


def test_missing_doubled_and_unknown_items_are_named_in_one_message_and_end_nothing(tmp_path: Path) -> None:
    task = str(write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", 40)))
    given = [{"item": f"d{number:05}/0", "label": "sad"} for number in range(10)]
    doubled = [{"item": "d00003/0", "label": "happy"}, {"item": "d00004/0", "label": "sad"}]
    others = [{"item": "d90000/0", "label": "sad"}, {"item": "d00020/0", "task": "another", "label": "sad"}]
    folder, said = write_answers(tmp_path / "answers", [*given, *doubled, *others]), list[str]()
    result, errors = score_answers(folder, tmp_path / "run", task, said)
    assert said == [
        "replies: 10 of 40 items have an answer; 30 without one (text_only d00010/0; text_only d00011/0; text_only "
        "d00012/0; …); 2 with several, none where they differ (text_only d00003/0; text_only d00004/0); 1 for unknown "
        "items (d90000/0, answers.jsonl, line 13); 1 for tasks that are not asked (another)"
    ]
    assert (result.tasks["text_only"].n_answered, result.n_errors) == (9, 31)
    assert errors["text_only d00003/0"] == (
        "MissingAnswerError: answers.jsonl, line 4 and answers.jsonl, line 11 answer 'd00003/0' differently; leave one "
        "of them"
    )
    assert errors["text_only d00010/0"] == "MissingAnswerError: there is no answer to 'd00010/0'"


def test_equal_questions_keep_answers_of_their_own(release: Path, tmp_path: Path) -> None:
    """The first turns of both dialogues are one clip, asked alike: a model would answer once for both."""
    lines = [{"item": "d0a/0", "label": "sad"}, {"item": "d0b/0", "label": "happy"}]
    folder = write_answers(tmp_path / "answers", lines)
    options = {"dataset": str(release), "ids": ("d0a/0", "d0b/0")}
    score_answers(folder, tmp_path / "run", f"{CONFIG}_full_av", **options)
    (stored,) = (tmp_path / "run" / "responses").glob("*.jsonl")
    rows = [json.loads(line) for line in stored.read_text().splitlines()]
    assert {row["item"]: row["text"] for row in rows} == {"d0a/0": "sad", "d0b/0": "happy"}
    assert len({row["key"] for row in rows}) == 2


def test_a_task_without_any_answer_is_not_asked(release: Path, tmp_path: Path) -> None:
    folder = write_answers(tmp_path / "answers", [{"item": "d0a/0", "condition": "audio_only", "label": "sad"}])
    result, _ = score_answers(folder, tmp_path / "run", CONFIG, dataset=str(release))
    status = {name.removeprefix(f"{CONFIG}_"): task.status for name, task in result.tasks.items()}
    assert status.pop("audio_only") != "skipped"
    assert set(status.values()) == {"skipped"}


def test_an_error_of_the_system_alone_does_not_make_a_task_asked(release: Path, tmp_path: Path) -> None:
    lines = [{"item": "d0a/0", "label": "sad"}, {"item": "d0b/2", "error": "refused"}]
    result, errors = score_answers(write_answers(tmp_path / "a", lines), tmp_path / "run", CONFIG, dataset=str(release))
    assert result.tasks[f"{CONFIG}_reply"].status == "skipped"
    assert errors[f"{CONFIG}_full_av d0b/2"] == "MissingAnswerError: answers.jsonl, line 2: refused"


def test_sound_without_words_is_judged_like_any_reply(release: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("d0a/0", "d0a/2", "d0b/0", "d0b/2")):
        file = tmp_path / "answers" / f"{name}.ogg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sound_file("ogg", melody(1.0 + 0.5 * number)))
    result, errors = score_answers(tmp_path / "answers", tmp_path / "run", CONFIG, dataset=str(release))
    assert errors == {}
    reply = result.tasks[f"{CONFIG}_reply"]
    assert (reply.n_answered, reply.n_spoken, reply.n_unjudged) == (4, 4, 0)
    assert write_report(tmp_path / "run").exists()


def test_answers_to_nothing_that_is_asked_are_refused_with_the_names_of_items(release: Path, tmp_path: Path) -> None:
    folder = write_answers(tmp_path / "answers", [{"item": "nobody", "label": "sad"}])
    with pytest.raises(ModelError, match=r"line 1 names item 'nobody', and items are called such as 'd0a/0'"):
        score_answers(folder, tmp_path / "run", CONFIG, dataset=str(release))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"error": "refused"}, r"each of 1 lines is an error, the first, answers\.jsonl, line 1: 'refused'"),
        ({"task": "mine", "label": "sad"}, r"line 1 is to item 'd0a/0' of 'mine'; tasks ask under other names"),
        ({"text": "I am sad."}, r"line 1 is to item 'd0a/0'; .* words are read as a label only where the line names"),
    ],
)
def test_where_no_answer_fits_the_message_says_why(
    line: dict[str, str], reason: str, release: Path, tmp_path: Path
) -> None:
    folder = write_answers(tmp_path / "answers", [{"item": "d0a/0", **line}])
    with pytest.raises(ModelError, match=reason):
        score_answers(folder, tmp_path / "run", f"{CONFIG}_full_av", dataset=str(release))


def test_a_run_goes_on_where_the_folder_moved_and_is_refused_where_an_answer_or_a_sound_changed(
    release: Path, tmp_path: Path
) -> None:
    lines = [{"item": "d0a/0", "text": "Oh.", "speech": "a.wav"}, {"item": "d0b/0", "text": "Ah.", "speech": "a.wav"}]
    for name, words, seed in (("first", "Oh.", 0), ("moved", "Oh.", 0), ("words", "No.", 0), ("sound", "Oh.", 1)):
        write_answers(tmp_path / name, [{**lines[0], "text": words}, lines[1]])
        (tmp_path / name / "a.wav").write_bytes(sound_file("wav", melody(1.0, seed=seed)))

    def score(name: str, ids: str) -> int:
        options = {"dataset": str(release), "ids": (ids,)}
        result, _ = score_answers(tmp_path / name, tmp_path / "run", f"{CONFIG}_reply", **options)
        return result.tasks[f"{CONFIG}_reply"].n_answered

    assert [score("first", "d0a/0"), score("moved", "d0b/0")] == [1, 2]
    for name in ("words", "sound"):
        with pytest.raises(UsageError, match=r"identity\.answers: "):
            score(name, "d0b/0")


def test_histories_of_own_replies_hold_the_words_that_were_given_and_need_all_of_them(
    release: Path, tmp_path: Path
) -> None:
    own = f"{CONFIG}_reply_own"
    given = [
        {"item": f"{dialogue}/{turn}", "task": own, "text": "Oh."} for dialogue in ("d0a", "d0b") for turn in (0, 2)
    ]
    result, errors = score_answers(write_answers(tmp_path / "all", given), tmp_path / "run", own, dataset=str(release))
    assert (result.tasks[own].n_answered, errors) == (4, {})
    _, errors = score_answers(
        write_answers(tmp_path / "part", given[1:]), tmp_path / "again", own, dataset=str(release)
    )
    assert errors[f"{own} d0a/0"] == "MissingAnswerError: there is no answer to 'd0a/0'"
    assert errors[f"{own} d0a/2"].startswith("HistoryError: ")


def test_an_item_is_named_by_its_id_its_turn_or_the_name_that_requests_give_it(release: Path, tmp_path: Path) -> None:
    names = [
        {"item": "d0a/0"},
        {"dialogue": "d0a", "turn": 0},
        {"item": f"{masked('d0a')}/0"},
        {"dialogue": masked("d0a"), "turn": 0},
    ]
    for number, name in enumerate(names):
        folder = write_answers(tmp_path / str(number), [{**name, "label": "angry"}])
        assert answer(folder, item(), LABEL, release) == "angry"
    pair = item("d0a-d0b", condition="conflict")
    for number, pair_name in enumerate(("d0a-d0b", masked("d0a-d0b"))):
        folder = write_answers(tmp_path / f"pair{number}", [{"item": pair_name, "label": "angry"}])
        assert answer(folder, pair, LABEL, release) == "angry"


def test_a_line_that_names_task_or_condition_goes_before_one_that_does_not(release: Path, tmp_path: Path) -> None:
    lines = [
        {"item": "d0a/0", "label": "neutral"},
        {"item": "d0a/0", "condition": "audio_only", "label": "sad"},
        {"item": "d0a/0", "task": "some_full_av", "label": "happy"},
    ]
    folder = write_answers(tmp_path, lines)
    found = [
        answer(folder, item(task="some_full_av"), LABEL, release),
        answer(folder, item(task="b", condition="audio_only"), LABEL, release),
        answer(folder, item(task="c", condition="video_only"), LABEL, release),
    ]
    assert found == ["happy", "sad", "neutral"]


def test_words_of_a_reply_are_no_label_unless_the_line_names_the_task(release: Path, tmp_path: Path) -> None:
    reply = {"item": "d0a/0", "text": "I am happy for you."}
    folder = write_answers(tmp_path / "reply", [reply])
    assert answer(folder, item(), REPLY, release) == reply["text"]
    assert answer(folder, item(), LABEL, release) == (
        "MissingAnswerError: there is no answer to 'd0a/0'; answers.jsonl, line 1 holds no `label`, nor `text` with "
        "its `task`"
    )
    folder = write_answers(tmp_path / "label", [{**reply, "task": "some_full_av"}])
    assert answer(folder, item(), LABEL, release) == reply["text"]


def test_rankings_need_the_probabilities_of_all_labels(release: Path, tmp_path: Path) -> None:
    logprobs = dict(zip(LABELS, (-3.0, -0.25, -4.0, -2.0), strict=True))
    folder = write_answers(tmp_path / "ranked", [{"item": "d0a/0", "label": "sad", "label_logprobs": logprobs}])
    assert answer(folder, item(), RANKED, release) == -0.25
    assert answer(folder, item(), LABEL, release) == "sad"
    folder = write_answers(tmp_path / "named", [{"item": "d0a/0", "label": "sad"}])
    assert "line 1 holds no `label_logprobs`" in str(answer(folder, item(), RANKED, release))


def test_an_error_of_the_system_stands_where_there_is_no_answer(release: Path, tmp_path: Path) -> None:
    failed = {"item": "d0a/0", "error": "refused"}
    folder = write_answers(tmp_path / "failed", [failed, {**failed, "error": "refused again"}])
    assert answer(folder, item(), REPLY, release) == "MissingAnswerError: answers.jsonl, line 2: refused again"
    folder = write_answers(tmp_path / "retried", [failed, {"item": "d0a/0", "text": "Oh."}])
    assert answer(folder, item(), REPLY, release) == "Oh."


@pytest.mark.parametrize("kind", [*SOUND_FORMATS, *BARE_FORMATS])
def test_speech_is_any_sound_file(kind: str, release: Path, tmp_path: Path) -> None:
    make = bare_sound_file if kind in BARE_FORMATS else sound_file
    (tmp_path / f"reply.{kind}").write_bytes(make(kind, melody(1.0)))
    folder = write_answers(tmp_path, [{"item": "d0a/0", "speech": f"reply.{kind}"}])
    assert answer(folder, item(), REPLY, release) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("container", ["mov", "matroska", "avi", "flv"])
def test_speech_may_be_in_a_container_of_video(container: str, release: Path, tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "reply"), "w", format=container) as file:
        stream = file.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(melody(1.0)[np.newaxis], "fltp", "mono")
        frame.rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    folder = write_answers(tmp_path, [{"item": "d0a/0", "speech": "reply"}])
    assert answer(folder, item(), REPLY, release) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "MissingAnswerError: reply.wav: the speech cannot be read (No such file or directory)"),
        (b"no sound", "MediaError: reply.wav: "),
    ],
)
def test_speech_that_cannot_be_read_is_the_error_of_its_item(
    content: bytes | None, error: str, release: Path, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "reply.wav").write_bytes(content)
    folder = write_answers(tmp_path, [{"item": "d0a/0", "text": "Oh.", "speech": "reply.wav"}])
    assert str(answer(folder, item(), REPLY, release)).startswith(error)


def test_sound_files_named_by_their_items_are_replies_and_clips_of_requests_are_not(
    release: Path, tmp_path: Path
) -> None:
    wave = sound_file("wav", melody(1.0))
    names = ("d0a/0.wav", "d0b__2.flac", f"{masked('d0b')}/0.wav", "clips/d0a/2.wav", "elsewhere/1.wav")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(wave)
    found = [answer(tmp_path, item(name), REPLY, release) for name in ("d0a/0", "d0b/2", "d0b/0")]
    assert found == [pytest.approx(1.0)] * 3
    assert "there is no answer" in str(answer(tmp_path, item("d0a/2"), REPLY, release))
    unknown = Answers(tmp_path, item_names([load_release(str(release), CONFIG)])).unknown
    assert [line.where for line in unknown] == ["elsewhere/1.wav"]


def test_names_of_files_are_read_as_macos_writes_them_and_what_it_leaves_beside_them_is_not(tmp_path: Path) -> None:
    wave = sound_file("wav", melody(1.0))
    for name in ("Zoe\u0308__0.wav", "._Zoe\u0308__0.wav", "a__1.wav"):
        (tmp_path / name).write_bytes(wave)
    names = {name: name for name in ("Zo\u00eb/0", "a__1", "a/1")}
    answers = Answers(tmp_path, names)
    assert sorted(line.item for line in answers.lines) == ["Zo\u00eb/0", "a__1"]
    assert answers.unknown == []


def test_speech_may_lie_elsewhere(release: Path, tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "a.wav").write_bytes(sound_file("wav", melody(1.0)))
    for number, path in enumerate(("../sounds/a.wav", str(tmp_path / "sounds" / "a.wav"))):
        folder = write_answers(tmp_path / str(number), [{"item": "d0a/0", "speech": path}])
        assert answer(folder, item(), REPLY, release) == pytest.approx(1.0)


@pytest.mark.parametrize("path", ["a\0b.wav", "\ud800.wav", "a" * 5000, ""])
def test_a_path_that_no_file_can_have_is_the_error_of_its_item(path: str, release: Path, tmp_path: Path) -> None:
    folder = write_answers(tmp_path, [{"item": "d0a/0", "speech": path}])
    assert str(answer(folder, item(), REPLY, release)).startswith(f"MissingAnswerError: {path}: the speech cannot be")
    assert len(Answers(folder, {}).digest) == 64


def test_identity_is_what_the_lines_and_the_sound_say(tmp_path: Path) -> None:
    lines = [{"item": "a/0", "text": "Oh.", "speech": "x.wav"}, {"item": "b/0", "label": "sad", "note": "mine"}]
    wave = sound_file("wav", melody(1.0))

    def digest(name: str, lines: list[dict[str, str]], speech: str = "x.wav", sound: bytes = wave) -> str:
        folder = write_answers(tmp_path / name, lines)
        (folder / speech).write_bytes(sound)
        return Answers(folder, {}).digest

    first = digest("first", lines)
    moved = [{**lines[0], "speech": "y.wav"}, {**lines[1], "note": "yours"}]
    assert digest("moved", moved[::-1], "y.wav") == first
    assert digest("another sound", lines, sound=sound_file("wav", melody(1.0, seed=1))) != first
    assert digest("another word", [{**lines[0], "text": "Ah."}, lines[1]]) != first
    assert digest("another item", [lines[0], {**lines[1], "item": "c/0"}]) != first


def test_lines_end_where_json_lines_end(release: Path, tmp_path: Path) -> None:
    text = "first\u2028second\x85third"
    content = json.dumps({"item": "d0a/0", "text": text}, ensure_ascii=False)
    (tmp_path / "answers.jsonl").write_bytes(b"\xef\xbb\xbf" + content.encode() + b"\r\n\r\n")
    assert answer(tmp_path, item(), REPLY, release) == text


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", r"line 2: is no JSON \(.*\); write one JSON object a line"),
        ("[" * 100_000, r"line 2: is no JSON \(.*recursion.*\)"),
        ("[]", "line 2: expected a JSON object, found list"),
        ('{"text": "Oh."}', "line 2: it names no item: give `item`, or `dialogue` and `turn`"),
        ('{"item": "d0a/0", "lable": "sad"}', "line 2: it holds no answer: give `text`, `label`, `label_logprobs`"),
        ('{"item": "d0a/0", "label": 3}', "line 2: label: Input should be a valid string"),
        (
            '{"item": "d0a/0", "label_logprobs": {"sad": "high"}}',
            r"line 2: label_logprobs\.sad: Input should be a valid",
        ),
    ],
)
def test_a_line_that_is_no_answer_is_refused_with_its_place(line: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text(f'{{"item": "d0a/0", "label": "sad"}}\n{line}\n')
    with pytest.raises(ModelError, match=problem):
        Answers(tmp_path, {})


def test_a_folder_without_answers_is_refused_with_what_writes_questions(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="avemo-eval requests writes what is to be answered"):
        Replies(Replies.Arguments(str(tmp_path)), ModelSetup())
    with pytest.raises(ModelError, match="there is no such folder"):
        Replies(Replies.Arguments(str(tmp_path / "nowhere")), ModelSetup())


def test_the_item_that_a_request_names_has_no_label() -> None:
    labelled = Item("t", "a/0", "u", "a", "a", 0, "full_av", gold="sad", audio_label="sad", video_label="happy")
    assert not {"sad", "happy"} & set(asdict(labelled.without_labels()).values())
