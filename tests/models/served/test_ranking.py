"""Labels ranked by the first token that a server tells: spellings add up, fragments and floors decide nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answering_server import answering, choice, completion
from support.questions import ask, ask_in_words, clip

from avemo_harness.benchmark.request import Response
from avemo_harness.errors import GenerationError
from avemo_harness.models.served.answers import ChatCompletion, first_alternatives
from avemo_harness.models.served.ranking import fitting_priors, label_priors, rank_labels

FOUR = ("neutral", "happy", "angry", "sad")
SEVEN = ("neutral", "joy", "sadness", "anger", "surprise", "fear", "disgust")
WHOLE_AND_STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])

Listed = list[tuple[str, float]]


def told(*alternatives: tuple[str, float]) -> ChatCompletion:
    return ChatCompletion("", (), False, 9, 1, alternatives)


def body_of(listed: Listed, content: str | None = None, **more: Any) -> dict[str, Any]:
    """A completion whose first token has these alternatives."""
    tokens = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in listed]
    logprobs = {"content": [{**tokens[0], "top_logprobs": tokens}]} if tokens else None
    return completion(choice("length", content=content, more={"logprobs": logprobs}, **more))


def ranked(listed: Listed, *, stream: bool = False) -> Response:
    with answering(body_of(listed)) as server:
        return server.model(stream=stream).generate([ask_in_words("Well?", output="rank")])[0]


@WHOLE_AND_STREAMED
@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([("Happy", -0.05), ("sad", -4.0), ("neutral", -6.0)], {"happy": -0.05, "sad": -4.0, "neutral": -6.0}),
        ([("HAPPY", -0.1), ("Sad", -2.5), ("Angry", -4.0)], {"happy": -0.1, "sad": -2.5, "angry": -4.0}),
        ([("happy", -0.9), ("sad", -1.2), (" sad", -1.2)], {"happy": -0.9, "sad": -1.2 + math.log(2)}),
        ([("Ġhappy", -0.1), ("▁sad", -3.0), ("\n\nangry", -4.0)], {"happy": -0.1, "sad": -3.0, "angry": -4.0}),
        ([("happ", -0.1), ("ang", -3.0), ("the", -9.0)], {"happy": -0.1, "angry": -3.0, "sad": -9.0}),
        ([("happy", -0.1), ("the", -9.0)], {"happy": -0.1, "neutral": -9.0, "angry": -9.0, "sad": -9.0}),
    ],
    ids=["capital", "capitals", "spellings add up", "marks of vocabularies", "fragments", "one label"],
)
def test_spellings_of_a_label_are_one_label(listed: Listed, expected: dict[str, float], stream: bool) -> None:
    response = ranked(listed, stream=stream)
    assert response.error is None
    assert response.label_logprobs is not None
    assert set(response.label_logprobs) == set(FOUR)
    assert {label: response.label_logprobs[label] for label in expected} == pytest.approx(expected)


@WHOLE_AND_STREAMED
@pytest.mark.parametrize(
    ("listed", "why"),
    [
        ([("<think>", 0.0), ("happy", -12.0)], "the model thinks first"),
        ([("The", -0.1), ("happy", -2.5), ("sad", -5.0)], "the labels hold 0.0888 of the first token's probability"),
        ([("A", -0.1), ("sad", -4.0)], "the labels hold 0.0183"),
        ([("An", -0.1), ("happy", -4.0)], "the labels hold 0.0183"),
        ([("the", -0.1), ("it", -4.0)], "the labels hold 0 "),
        ([("happy", 12.5), ("sad", 11.0)], "which are no log-probabilities"),
        ([], "the server tells no log-probabilities"),
    ],
    ids=["thoughts", "a sentence", "an article", "another", "no label", "scores", "none"],
)
def test_where_labels_hold_too_little_there_is_no_choice(listed: Listed, why: str, stream: bool) -> None:
    with answering(body_of(listed)) as server:
        response = server.model(stream=stream).generate([ask_in_words("Well?", output="rank")])[0]
    assert response.label_logprobs is None
    assert response.error is not None
    assert why in response.error
    assert server.posts == 1


def test_a_fragment_of_several_labels_counts_for_none_unless_it_leads() -> None:
    ranking = rank_labels(told(("joy", -0.01), ("s", -14.0), ("ang", -5.0)), SEVEN)
    assert max(ranking.logprobs, key=ranking.logprobs.__getitem__) == "joy"
    assert ranking.logprobs["anger"] == -5.0
    assert ranking.untold == set(SEVEN) - {"joy", "anger"}
    with pytest.raises(GenerationError, match="'s' begins several labels: sadness, surprise"):
        rank_labels(told(("s", -1.0), ("S", -1.6), ("joy", -0.9)), SEVEN)


def test_a_token_that_is_a_label_is_no_fragment_of_a_longer_one() -> None:
    assert rank_labels(told(("sad", -0.1), ("sadness", -3.0)), ("sad", "sadness")).logprobs == {
        "sad": -0.1,
        "sadness": -3.0,
    }


def test_a_lone_token_leaves_the_other_labels_the_rest() -> None:
    logprobs = rank_labels(told(("sad", -0.6)), FOUR).logprobs
    assert logprobs["sad"] == -0.6
    assert logprobs["neutral"] == pytest.approx(math.log(1 - math.exp(-0.6)))


def test_tokens_within_a_character_begin_a_label_too() -> None:
    happy, sad = "开心", "难过"
    token = {"token": "\\xe5\\xbc", "bytes": list(happy.encode()[:2]), "logprob": -0.2}
    alternatives = first_alternatives(
        {"content": [{**token, "top_logprobs": [token, {"token": sad, "logprob": -2.0}]}]}
    )
    assert rank_labels(told(*alternatives), (happy, sad)).logprobs == {happy: -0.2, sad: -2.0}


TOKEN = {"token": "sad", "logprob": -0.1}


@pytest.mark.parametrize(
    ("logprobs", "expected"),
    [
        (None, {}),
        ({}, {}),
        ({"content": None}, {}),
        ({"content": []}, {}),
        ({"content": [{**TOKEN, "top_logprobs": None}]}, {"sad": -0.1}),
        ({"content": [{**TOKEN, "top_logprobs": [TOKEN, TOKEN, {"token": "sad", "logprob": -0.2}]}]}, {"sad": -0.1}),
        ({"content": [{**TOKEN, "top_logprobs": {"happy": -2}}]}, {"sad": -0.1, "happy": -2.0}),
        (
            {"content": [{**TOKEN, "top_logprobs": [{"token": "a", "logprob": "-1"}, {"logprob": -1}, 5]}]},
            {"sad": -0.1},
        ),
        ({"content": [{"token": "a", "logprob": None}, TOKEN]}, {}),
        ({"content": [{"token": "a", "logprob": True, "top_logprobs": [TOKEN]}]}, {"sad": -0.1}),
        ({"content": [{"token": "Ġsad", "logprob": -0.1, "bytes": [32, 115, 97, 100]}]}, {" sad": -0.1}),
        ({"content": [{**TOKEN, "bytes": [300]}]}, {"sad": -0.1}),
        (
            {"tokens": [" sad"], "token_logprobs": [-0.1], "top_logprobs": [{" sad": -0.1, "the": -3}]},
            {" sad": -0.1, "the": -3.0},
        ),
        ({"tokens": [], "token_logprobs": None, "top_logprobs": [None]}, {}),
    ],
)
def test_alternatives_are_read_in_every_shape_and_each_once(logprobs: Any, expected: dict[str, float]) -> None:
    assert dict(first_alternatives(logprobs)) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "token", "logprob", "bytes", "top_logprobs", "tokens", "token_logprobs"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_shape_breaks_the_reader(logprobs: Any) -> None:
    assert all(isinstance(token, str) and math.isfinite(value) for token, value in first_alternatives(logprobs))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["happy", " Happy", "SAD", "s", "n", "the", "<think>", "ang", "neutral", "x"]),
            st.floats(-20, 0, allow_nan=False),
        ),
        min_size=1,
        max_size=8,
        unique_by=lambda one: one[0],
    )
)
def test_a_label_that_was_not_told_never_leads(alternatives: Listed) -> None:
    try:
        ranking = rank_labels(told(*alternatives), FOUR)
    except GenerationError:
        return
    best = max(ranking.logprobs, key=ranking.logprobs.__getitem__)
    assert best not in ranking.untold
    assert all(value <= 0 for value in ranking.logprobs.values())
    assert sum(math.exp(ranking.logprobs[label]) for label in FOUR if label not in ranking.untold) >= 0.5 - 1e-9


ALL = (("happy", -0.3), ("sad", -2.0), ("angry", -3.0), ("neutral", -4.0))


def test_priors_are_given_where_every_label_was_told() -> None:
    ranking = rank_labels(told(*ALL), FOUR)
    priors = label_priors(told(("the", -0.1), ("sad", -3.0), ("Happy", -4.0), ("ang", -5.0), ("neutral", -6.0)), FOUR)
    assert priors == {"neutral": -6.0, "happy": -4.0, "angry": -5.0, "sad": -3.0}
    assert fitting_priors(ranking, priors) == priors


def test_a_floor_is_no_prior() -> None:
    assert label_priors(told(("happy", -0.1), ("sad", -4.0), ("neutral", -6.0)), FOUR) is None


def test_a_label_that_was_not_told_does_not_win_by_its_prior() -> None:
    ranking = rank_labels(told(("happy", -0.1), ("the", -6.0)), FOUR)
    low = {"neutral": -9.0, "happy": -0.5, "angry": -3.0, "sad": -3.0}
    assert fitting_priors(ranking, low) is None
    assert fitting_priors(ranking, {**low, "neutral": -4.0}) is not None


@WHOLE_AND_STREAMED
def test_a_ranking_stands_though_nothing_is_said_without_media(stream: bool) -> None:
    def answer(payload: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        is_shown = "video_url" in str(payload["messages"])
        return 200, body_of(list(ALL) if is_shown else [("I", -0.01), ("sad", -7.0)])

    with answering(answer) as server:
        first, second = server.model(stream=stream).generate([ask(clip(1.0, seed), output="rank") for seed in (0, 1)])
    for response in (first, second):
        assert response.label_logprobs == pytest.approx(dict(ALL))
        assert response.label_priors is None
    assert server.posts == 3
    assert all(payload.get("stream", False) == stream for payload in server.payloads)


def test_priors_that_failed_are_asked_for_again_with_the_next_item() -> None:
    shown = body_of(list(ALL))
    failures = iter([choice("abort", content="")] * 2)

    def answer(payload: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if "video_url" in str(payload["messages"]):
            return 200, shown
        failed = next(failures, None)
        return 200, shown if failed is None else completion(failed)

    with answering(answer) as server:
        model = server.model()
        before, after = (model.generate([ask(clip(1.0, seed), output="rank")])[0] for seed in (0, 1))
    assert before.error is not None
    assert after.error is None
    assert after.label_priors == pytest.approx(dict(ALL))
