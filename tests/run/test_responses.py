"""Whatever a model class returns for an item is an answer of sound types, or the error of that item alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.planned import Asked, make_task
from support.releases import write_text_release, write_text_task

from avemo_harness import evaluate
from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.models.base import Capabilities
from avemo_harness.report.results import score_run
from avemo_harness.run.answers import LONGEST_TEXT, checked_response

LABELS = ("neutral", "happy", "angry", "sad")
RANKED = make_task(output={"type": "label", "labels": list(LABELS), "method": "rank"})
REQUEST = Asked(task=RANKED).requests()[0]
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
