"""Submit requests to a model, validate its responses, and stop at a streak of like failures."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from avemo_harness.benchmark.request import FLAGS, ItemKey, Request, Response, Speech, StoredResponse
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.errors import GenerationError, HistoryError, MissingAnswerError, UsageError, describe
from avemo_harness.models.base import Concurrent, OmniModel, generate_each
from avemo_harness.run.store import RunStore


def submit(model: OmniModel, requests: Sequence[Request]) -> list[Future[Response]]:
    """Give requests to a model. One that answers in batches has answered, or failed, when this returns.

    Returns:
        Futures in the order of the requests; one raises what the model raised for its request.

    Raises:
        UsageError: the model itself cannot answer, whatever it is asked.
    """
    if isinstance(model, Concurrent):
        return [_submit_one(model, request) for request in requests]
    answers = generate_each(model, requests) if requests else []
    return [_failed(answer) if isinstance(answer, Exception) else _done(answer) for answer in answers]


def _submit_one(model: Concurrent, request: Request) -> Future[Response]:
    try:
        submitted: object = model.submit(request)
        if isinstance(submitted, Future):
            return submitted
        raise GenerationError(f"the model's submit gave {type(submitted).__name__}, expected a Future")
    except Exception as error:
        return _failed(error)


def _done(response: Response) -> Future[Response]:
    answered: Future[Response] = Future()
    answered.set_result(response)
    return answered


def _failed(error: Exception) -> Future[Response]:
    answered: Future[Response] = Future()
    answered.set_exception(error)
    return answered


LONGEST_TEXT = 1_000_000
"""Characters of an answer; more is a loop, and no report could show it."""
LONGEST_SPEECH_S = 600.0
"""As long as a clip may be."""
RATES_HZ = (4_000, 192_000)
LOUDEST = 4.0
"""Full scale is 1. Vocoders overshoot a little; more is another unit, such as 16-bit integers."""


def checked_response(returned: object, request: Request) -> Response:
    """The response as it may be stored: itself, or in its place the error that tells what is wrong with it.

    Args:
        returned: what the model class gave for the request; of any type.

    Returns:
        A response of sound types: finite log-probabilities of just the labels asked for, mono speech of finite float32
        samples. Speech without samples is a reply that was not spoken, flagged ``no_speech``.
    """
    try:
        return _checked(returned, request)
    except GenerationError as error:
        return Response(error=describe(error))
    except Exception as error:  # an object that fails when it is looked at
        return Response(error=describe(GenerationError(f"the model's response cannot be read ({describe(error)})")))


def _checked(returned: object, request: Request) -> Response:
    if not isinstance(returned, Response):
        raise GenerationError(f"the model returned {type(returned).__name__}, expected a Response")
    response = returned
    _require_texts(response)
    if response.error is not None:
        return Response(error=response.error)
    parts = (response.text, response.label_logprobs, response.speech)
    if all(part is None for part in parts):
        raise GenerationError("the model returned neither text, label scores, speech nor an error")
    _require_counts(response)
    if response.label_logprobs is not None:
        response = _with_checked_labels(response, request)
    return response if response.speech is None else _with_checked_speech(response, response.speech)


def _require_texts(response: Response) -> None:
    for name in ("text", "error"):
        value = getattr(response, name)
        if value is not None and not isinstance(value, str):
            raise GenerationError(f"the response's {name} is {type(value).__name__}, expected a str")
        if value is not None and len(value) > LONGEST_TEXT:
            raise GenerationError(
                f"the response's {name} has {len(value):,} characters, at most {LONGEST_TEXT:,} are kept"
            )
    unknown = [flag for flag in response.flags if flag not in FLAGS]
    if unknown:
        raise GenerationError(f"the response carries a flag that there is not, {unknown[0]!r:.60}")


def _require_counts(response: Response) -> None:
    for name in ("prompt_tokens", "new_tokens"):
        value = getattr(response, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise GenerationError(f"the response's {name} is {value!r:.60}, expected a number of tokens")


def _with_checked_labels(response: Response, request: Request) -> Response:
    labels = request.output.labels if isinstance(request.output, LabelOutput) else ()
    scores = _numbers(response.label_logprobs, "log-probabilities", labels)
    if any(score == math.inf for score in scores.values()) or not any(map(math.isfinite, scores.values())):
        raise GenerationError("the labels' log-probabilities are not finite")
    tokens, priors = response.label_tokens, response.label_priors
    return replace(
        response,
        label_logprobs=scores,
        label_tokens=None if tokens is None else {k: int(v) for k, v in _numbers(tokens, "tokens", labels).items()},
        label_priors=None if priors is None else _numbers(priors, "priors", labels),
    )


def _numbers(values: Any, what: str, labels: tuple[str, ...]) -> dict[str, float]:
    if not isinstance(values, Mapping) or set(values) != set(labels):
        found = ", ".join(map(str, values)) if isinstance(values, Mapping) else type(values).__name__
        raise GenerationError(f"{what} of {found or 'no label'!s:.80}, expected those of {', '.join(labels)}")
    numbers = {}
    for label in labels:
        value = values[label]
        if isinstance(value, bool | str | bytes) or math.isnan(number := float(value)):
            raise GenerationError(f"the {what} of {label!r} are {value!r:.60}, expected a number")
        numbers[label] = number
    return numbers


def _with_checked_speech(response: Response, speech: object) -> Response:
    import numpy as np

    if not isinstance(speech, Speech):
        raise GenerationError(f"the response's speech is {type(speech).__name__}, expected Speech")
    rate = speech.rate_hz
    low, high = RATES_HZ
    if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or not low <= rate <= high:
        raise GenerationError(
            f"the speech has {rate!r:.60} samples a second, expected a whole number of {low} to {high}"
        )
    samples = np.asarray(speech.samples)
    if samples.ndim != 1 or samples.dtype.kind not in "fiu":
        shape = "x".join(map(str, samples.shape))
        raise GenerationError(f"the speech is {shape} {samples.dtype}, expected mono samples: [n] of floats")
    if len(samples) > LONGEST_SPEECH_S * rate:
        raise GenerationError(
            f"the speech lasts {len(samples) / rate:,.0f} s, at most {LONGEST_SPEECH_S:.0f} s are kept"
        )
    if not len(samples):
        flags = (*response.flags, *(() if "no_speech" in response.flags else ("no_speech",)))
        return replace(response, text=response.text or "", speech=None, flags=flags)
    samples = samples.astype(np.float32)
    if not np.isfinite(samples).all():
        raise GenerationError("the speech holds samples that are no numbers")
    if float(np.abs(samples).max()) > LOUDEST:
        raise GenerationError(f"the speech has samples up to {np.abs(samples).max():g}, full scale is 1")
    return replace(response, speech=Speech(samples, int(rate)))


LONGEST_STREAK = 20
"""Items that fail alike one after the other and end a run whose user allows no more."""

_ITEM_DETAILS = re.compile(r"'[^']*'|\"[^\"]*\"|(?<!\S)\S*[/\\]\S*|(?<!\S)\S+\.\w{2,5}\b|\b[0-9a-f]{8,}\b|\d[\d.,]*")
"""Paths and files are looked for at beginnings of words alone: from anywhere, a long word takes quadratic time."""
_KIND_LENGTH = 200
_QUOTED_LENGTH = 1_000
_NO_FAILURES = (f"{HistoryError.__name__}: ", f"{MissingAnswerError.__name__}: ")
"""Beginnings of errors that tell nothing of the model and of what comes next."""


def kind_of_error(error: str) -> str:
    """An item's error without what is the item's own: names, paths and numbers.

    >>> kind_of_error("MediaError: clips/d1/u0.mp4: no video after 2.5 s")
    'MediaError: … no video after … s'
    """
    return _ITEM_DETAILS.sub("…", error[: 10 * _KIND_LENGTH])[:_KIND_LENGTH]


class FailureStreak:
    """Counts items that fail alike one after the other.

    Args:
        allowed: failures of a run that its user accepts; a longer streak ends it, if it has `LONGEST_STREAK` items.
        before: what failed in the run already. It is asked last, so all of it comes in a row; failing once more, alike,
            it tells nothing new and is not counted.
    """

    def __init__(self, allowed: int = 0, before: Mapping[ItemKey, StoredResponse] = MappingProxyType({})) -> None:
        self._allowed = max(LONGEST_STREAK - 1, allowed)
        self._before = dict(before)
        self._kind, self._length = "", 0

    def add(self, records: Iterable[StoredResponse]) -> None:
        """Count records that came together.

        One failure counts once: items that failed since an earlier turn has no reply are not counted, and items that
        share a request are counted as one. Nor are those counted to which answers from elsewhere hold none.

        Raises:
            UsageError: more items than allowed failed alike, and none was answered in between.
        """
        shared: set[str] = set()
        for record in records:
            if record.error is None:
                self._length = 0
            elif not record.error.startswith(_NO_FAILURES) and record.key not in shared:
                shared.update(() if record.key is None else (record.key,))
                self._count(record.item_key, record.error)

    def _count(self, item_key: ItemKey, error: str) -> None:
        kind = kind_of_error(error)
        before = self._before.get(item_key)
        if before is not None and kind == kind_of_error(before.error or ""):
            return
        self._length = self._length + 1 if kind == self._kind else 1
        self._kind = kind
        if self._length > self._allowed:
            raise UsageError(
                f"{self._length} items in a row failed alike, so no more are asked: {_beginning(error)}; mend it "
                "and give the same command again, or let more of them fail with --max_errors"
            )


def read_errors(folder: Path) -> list[str]:
    """Errors of the items of a run that have no answer."""
    store = RunStore(folder)
    store.refresh()
    return [record.error for record in store.errors.values() if record.error is not None]


def describe_failures(errors: Sequence[str]) -> list[str]:
    """Sentences on the commonest kinds of error, the first of each kind in its own words; at most three."""
    kinds = [kind_of_error(error) for error in errors]
    first = dict(zip(reversed(kinds), reversed(errors), strict=True))
    return [
        f"{count} of {len(errors)} failed items: {_beginning(first[kind])}"
        for kind, count in Counter(kinds).most_common(3)
    ]


def _beginning(error: str) -> str:
    """An error as a sentence can quote it; the run keeps more."""
    return error if len(error) <= _QUOTED_LENGTH else f"{error[:_QUOTED_LENGTH]}…"
