"""Responses are checked before they are stored, and a run ends where item after item fails alike."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.packages import write_package
from support.planned import PlannedTask, make_task
from support.releases import write_text_release, write_text_task

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response, Speech, StoredResponse
from avemo_harness.cli import main
from avemo_harness.errors import ModelError, UsageError
from avemo_harness.models.base import Capabilities
from avemo_harness.report.results import score_run
from avemo_harness.run.answers import (
    LONGEST_TEXT,
    FailureStreak,
    checked_response,
    describe_failures,
    kind_of_error,
    read_errors,
)

LABELS = ("neutral", "happy", "angry", "sad")
RANKED = make_task(output={"type": "label", "labels": list(LABELS), "method": "rank"})
REQUEST = PlannedTask(task=RANKED).requests()[0]
MEAN = dict.fromkeys(LABELS, -1.0)


def speech(samples: Any, rate: Any = 16_000) -> Response:
    return Response(text="well", speech=Speech(samples, rate))


def ranked(**scores: Any) -> Response:
    return Response(label_logprobs={**MEAN, **scores})


BAD: dict[str, tuple[object, str]] = {
    "nothing": (None, "returned NoneType, expected a Response"),
    "text alone": ("happy", "returned str, expected a Response"),
    "empty response": (Response(), "neither text, label scores, speech nor an error"),
    "text of a number": (Response(text=cast(str, 7)), "text is int, expected a str"),
    "text of bytes": (Response(text=cast(str, b"sad")), "text is bytes, expected a str"),
    "text without end": (Response(text="sad " * LONGEST_TEXT), "4,000,000 characters, at most 1,000,000"),
    "a flag of its own": (Response(text="sad", flags=("<script>",)), "a flag that there is not, '<script>'"),
    "counts of words": (Response(text="sad", prompt_tokens=cast(int, "x")), "prompt_tokens is 'x'"),
    "negative counts": (Response(text="sad", new_tokens=-5), "new_tokens is -5"),
    "NaN score": (ranked(sad=math.nan), "log-probabilities of 'sad' are nan"),
    "infinite score": (ranked(sad=math.inf), "not finite"),
    "no score at all": (Response(label_logprobs=dict.fromkeys(LABELS, -math.inf)), "not finite"),
    "text score": (ranked(sad="x"), "log-probabilities of 'sad' are 'x'"),
    "a label missing": (Response(label_logprobs={"sad": -1.0}), "log-probabilities of sad, expected those of neutral"),
    "a foreign label": (ranked(joy=-1.0), "expected those of neutral, happy, angry, sad"),
    "no labels": (Response(label_logprobs={}), "log-probabilities of no label"),
    "NaN speech": (speech(np.full(100, np.nan, np.float32)), "samples that are no numbers"),
    "infinite speech": (speech(np.full(100, np.inf, np.float32)), "samples that are no numbers"),
    "stereo": (speech(np.zeros((100, 2), np.float32)), "100x2 float32, expected mono"),
    "16-bit integers": (speech(np.full(100, 20_000, np.int16)), "samples up to 20000, full scale is 1"),
    "huge samples": (speech(np.full(100, 1e30, np.float32)), "samples up to 1e+30"),
    "complex samples": (speech(np.zeros(100, complex)), "complex128, expected mono"),
    "no rate": (speech(np.zeros(100, np.float32), 0), "0 samples a second"),
    "negative rate": (speech(np.zeros(100, np.float32), -5), "-5 samples a second"),
    "broken rate": (speech(np.zeros(100, np.float32), 16_000.5), "16000.5 samples a second"),
    "a million samples a second": (speech(np.zeros(100, np.float32), 10**6), "1000000 samples a second"),
    "an hour": (speech(np.zeros(4_000 * 3_600, np.float32), 4_000), "lasts 3,600 s, at most 600 s"),
    "speech of bytes": (Response(text="well", speech=cast(Speech, b"RIFF")), "speech is bytes, expected Speech"),
    "words for samples": (speech("loud"), "expected mono"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_stored_is_an_error_that_says_why(name: str) -> None:
    returned, why = BAD[name]
    response = checked_response(returned, REQUEST)
    assert response.error is not None
    assert response.error.startswith("GenerationError: ")
    assert why in response.error
    assert (response.text, response.label_logprobs, response.speech) == (None, None, None)


def test_a_response_that_fails_when_it_is_looked_at_is_an_error() -> None:
    class Failing(Response):
        @property
        def text(self) -> str:  # type: ignore[override]  # as a foreign class may
            raise RuntimeError("lost")

    response = checked_response(Failing.__new__(Failing), REQUEST)
    assert response.error == "GenerationError: the model's response cannot be read (RuntimeError: lost)"


def test_an_answer_of_sound_types_stays_as_it_is() -> None:
    for response in (
        Response(text="sad", flags=("truncated",), prompt_tokens=0, new_tokens=3),
        ranked(sad=-math.inf),
        Response(error="MediaError: broken"),
    ):
        assert checked_response(response, REQUEST) == response


def test_samples_of_any_float_are_kept_as_float32_and_one_of_them_is_enough() -> None:
    for samples in ([0.5], np.array([0.5]), np.array([0.5], np.float16)):
        response = checked_response(speech(samples), REQUEST)
        assert response.speech is not None
        assert response.speech.samples.dtype == np.float32
        assert response.speech.samples.tolist() == [0.5]


def test_speech_without_samples_is_a_reply_that_was_not_spoken() -> None:
    response = checked_response(speech(np.zeros(0, np.float32)), REQUEST)
    assert (response.text, response.speech, response.flags) == ("well", None, ("no_speech",))


@given(st.one_of(st.none(), st.text(), st.integers(), st.lists(st.floats()), st.dictionaries(st.text(), st.floats())))
def test_nothing_that_is_returned_escapes_as_an_exception(anything: object) -> None:
    assert checked_response(anything, REQUEST).error
    for field in ("text", "label_logprobs", "label_tokens", "label_priors", "speech", "prompt_tokens", "flags"):
        checked_response(Response(**cast(Any, {"text": "sad", field: anything})), REQUEST)


class Careless:
    """Answers well, but for one item of which it returns something else."""

    capabilities = Capabilities(frozenset({"label_text"}), largest_batch=4)

    def __init__(self, returned: object) -> None:
        self.returned = returned

    def identity(self) -> dict[str, str]:
        return {"model": "careless"}

    def generate(self, requests: Sequence[Request]) -> list[Any]:
        return [self.returned if one.dialogue_id == "d00003" else Response(text="sad") for one in requests]


def test_a_damaged_line_is_named_until_its_item_is_asked_again(tmp_path: Path) -> None:
    task = write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", dialogues=8))
    whole = evaluate(Careless(Response(text="sad")), str(task), output_path=tmp_path / "run")
    (segment,) = (tmp_path / "run" / "responses").iterdir()
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([*lines[:2], b"\x00" + lines[2][:20] + b"\n", *lines[3:]]))
    damaged = score_run(tmp_path / "run")
    assert damaged.tasks["text_only"].n_missing == 1
    assert len(damaged.damage) == 1
    again = evaluate(Careless(Response(text="sad")), str(task), output_path=tmp_path / "run")
    assert again == whole


@pytest.mark.parametrize("name", ["nothing", "text alone", "text of a number", "a flag of its own"])
def test_one_bad_response_costs_its_item_alone_and_the_run_can_be_continued(name: str, tmp_path: Path) -> None:
    task = write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", dialogues=8))
    for returned, errors in ((BAD[name][0], 1), (Response(text="sad"), 0)):
        result = evaluate(Careless(returned), str(task), output_path=tmp_path / "run")
        of_task = result.tasks["text_only"]
        assert (of_task.n_answered, of_task.n_errors, of_task.n_missing) == (8 - errors, errors, 0)


EMOTIONS = ("neutral", "happy", "angry", "sad")


class Failing:
    """Fails on the dialogues it is told to, with a message that differs from request to request."""

    def __init__(self, fails_from: int, fails_to: int = 1_000, batch: int = 4) -> None:
        self.capabilities = Capabilities(frozenset({"label_text"}), largest_batch=8, usual_batch=batch)
        self.fails = {f"d{number:05d}" for number in range(fails_from, fails_to)}
        self.asked: list[str] = []

    def identity(self) -> Mapping[str, str]:
        return {"model": "failing"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        self.asked += [request.dialogue_id for request in requests]
        if failing := [request for request in requests if request.dialogue_id in self.fails]:
            raise self.error(failing[0])
        return [Response(text=EMOTIONS[request.seed % 4]) for request in requests]

    def error(self, request: Request) -> Exception:
        return TypeError(f"generate() got an unexpected argument for {request.key}")


class EveryOther(Failing):
    """Fails on every other dialogue."""

    def __init__(self, fails_from: int, batch: int = 4) -> None:
        super().__init__(fails_from, batch=batch)
        self.fails = {f"d{number:05d}" for number in range(0, 50, 2)}


class FailsOtherwise(Failing):
    """Fails with another message."""

    def error(self, request: Request) -> Exception:
        return MemoryError("no room for the clip")


class LosesDevice(Failing):
    """Loses its GPU with such a dialogue, and has none for anything after it."""

    lost = False

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        self.lost = self.lost or any(request.dialogue_id in self.fails for request in requests)
        if self.lost:
            raise RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later")
        return super().generate(requests)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("release")
    return str(write_text_task(folder / "text.yaml", write_text_release(folder / "data", dialogues=50, turns=1)))


def test_twenty_items_in_a_row_that_fail_alike_end_the_run_which_goes_on_later(task: str, tmp_path: Path) -> None:
    model = Failing(fails_from=0)
    with pytest.raises(UsageError, match=r"20 items in a row failed alike, .* TypeError: generate\(\) got an unexp"):
        evaluate(model, task, output_path=tmp_path / "run")
    assert len(set(model.asked)) == 20
    whole = evaluate(Failing(fails_from=99), task, output_path=tmp_path / "run")
    assert (whole.n_errors, whole.tasks["text_only"].n_answered) == (0, 50)


def test_more_may_fail_alike_where_the_user_says_so(task: str, tmp_path: Path) -> None:
    result = evaluate(Failing(fails_from=20), task, output_path=tmp_path / "allowed", max_errors=30)
    assert (result.n_errors, result.tasks["text_only"].n_answered) == (30, 20)
    with pytest.raises(UsageError, match="30 items in a row failed alike"):
        evaluate(Failing(fails_from=20), task, output_path=tmp_path / "refused", max_errors=29)


def test_an_answer_in_between_begins_the_count_anew(task: str, tmp_path: Path) -> None:
    class Sometimes(Failing):
        def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
            self.fails = {f"d{number:05d}" for number in range(50) if number % 20}
            return super().generate(requests)

    result = evaluate(Sometimes(0, batch=1), task, output_path=tmp_path / "run")
    assert result.n_errors == 47


def test_what_failed_alike_before_ends_no_run_that_goes_on(task: str, tmp_path: Path) -> None:
    for _ in range(2):
        # The second time nothing else is left to be asked, so all 25 come in a row.
        result = evaluate(EveryOther(0, batch=1), task, output_path=tmp_path / "run")
        assert (result.n_errors, result.tasks["text_only"].n_answered) == (25, 25)
    with pytest.raises(UsageError, match="20 items in a row failed alike"):
        evaluate(FailsOtherwise(0), task, output_path=tmp_path / "run")


def test_items_that_share_a_request_fail_once(tmp_path: Path) -> None:
    file = write_text_task(tmp_path / "same.yaml", write_text_release(tmp_path / "data", dialogues=40))
    file.write_text(file.read_text(encoding="utf-8").replace("{{ turn.text }}", "this"), encoding="utf-8")

    class OneLate(Failing):
        """Fails late, so that all items wait for the one request."""

        def submit(self, request: Request) -> Future[Response]:
            answered: Future[Response] = Future()
            threading.Timer(0.3, answered.set_exception, [self.error(request)]).start()
            return answered

    assert evaluate(OneLate(0), str(file), output_path=tmp_path / "run").n_errors == 40


def test_unlike_errors_are_no_streak(task: str, tmp_path: Path) -> None:
    class Various(Failing):
        def error(self, request: Request) -> Exception:
            kinds = (TypeError, ValueError, KeyError)
            return kinds[int(request.dialogue_id[1:]) % 3]("failed")

    assert evaluate(Various(0), task, output_path=tmp_path / "run").n_errors == 50


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MediaError: clips/d1/u0.mp4: no video after 2.5 s", "MediaError: clips/d2/u4.mp4: no video after 11 s"),
        ("KeyError: 'abc'", "KeyError: 'b'"),
        ("OSError: a.wav is short", "OSError: other-name.flac is short"),
    ],
)
def test_names_and_numbers_make_no_other_kind(one: str, other: str) -> None:
    assert kind_of_error(one) == kind_of_error(other)


@pytest.mark.parametrize("word", ["错误", "a.", "QUJD+", "'\"a", "x/", "\\"])
def test_the_kind_of_a_long_error_is_found_at_once(word: str) -> None:
    errors = [f"RuntimeError: {word * 2_000} {number}" for number in range(500)]
    started = time.process_time()
    assert len(describe_failures(errors)) == 1
    assert time.process_time() - started < 5


def test_a_long_error_is_told_by_its_beginning() -> None:
    (sentence,) = describe_failures(["ValueError: " + "weights " * 10_000])
    assert sentence.startswith("1 of 1 failed items: ValueError: weights")
    assert len(sentence) < 1_100
    records = [
        StoredResponse(task="t", item=str(number), error="ValueError: " + "weights " * 10_000) for number in range(20)
    ]
    streak = FailureStreak()
    with pytest.raises(UsageError, match="20 items in a row") as ended:
        streak.add(records)
    assert len(str(ended.value)) < 1_300


def test_other_words_make_another_kind() -> None:
    assert kind_of_error("GenerationError: too long") != kind_of_error("GenerationError: too short")


def test_each_kind_of_failure_is_told_once_and_the_commonest_first(task: str, tmp_path: Path) -> None:
    evaluate(Failing(fails_from=45), task, output_path=tmp_path / "run")
    (sentence,) = describe_failures(read_errors(tmp_path / "run"))
    assert sentence.startswith("5 of 5 failed items: TypeError: generate() got an unexpected argument for ")
    told = describe_failures(["A: x 1", "B: y", "A: x 2", "C: z", "D: w"])
    assert told[:2] == ["2 of 5 failed items: A: x 1", "1 of 5 failed items: B: y"]
    assert len(told) == 3


def test_the_command_tells_each_reason_once_and_counts_the_rest(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_package(
        tmp_path / "site", "flaky", {"avemo_harness.models": {"flaky": "flaky_model:Model"}}, {"flaky_model.py": FLAKY}
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    command = ["--model", "flaky", "--tasks", task, "--output_path", str(tmp_path / "run"), "--limit", "12"]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert told.count("does not fit") == 1
    assert "6 of 6 failed items: ValueError: tensor of 2 rows does not fit" in told


FLAKY = """
from avemo_harness.benchmark.request import Response
from avemo_harness.models.base import Capabilities, NoArguments
class Model:
    Arguments = NoArguments
    capabilities = Capabilities(outputs=frozenset({"label_text"}))
    count = 0
    def __init__(self, arguments, setup): pass
    def identity(self): return {}
    def generate(self, requests):
        self.count += 1
        if self.count % 2 == 0:
            raise ValueError(f"tensor of {self.count} rows does not fit")
        return [Response(text="sad")]
"""


def test_a_lost_device_ends_the_run_with_one_sentence_and_costs_no_other_items(task: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"device is lost \(CUDA error: device-side assert triggered\); what is ans"):
        evaluate(LosesDevice(24, 25), task, output_path=tmp_path / "run")
    assert len(read_errors(tmp_path / "run")) == 4


def test_what_lost_the_device_is_asked_last(task: str, tmp_path: Path) -> None:
    for _ in range(2):
        model = LosesDevice(24, 25)
        with pytest.raises(ModelError, match="device is lost"):
            evaluate(model, task, output_path=tmp_path / "run", batch_size=1)
    assert model.asked[:2] == ["d00025", "d00026"]
    errors = read_errors(tmp_path / "run")
    assert len(errors) == 1
    whole = evaluate(Failing(99), task, output_path=tmp_path / "run")
    assert whole.tasks["text_only"].n_answered == 50
