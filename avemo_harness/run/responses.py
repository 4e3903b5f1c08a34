"""The boundary of an item: from what a model returned to what may be stored, with whatever is wrong as an error.

A model class may be anybody's. Nothing that it returns for one item may end the run, or cost another item its answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from avemo_harness.benchmark.request import FLAGS, Request, Response, Speech
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.errors import GenerationError, describe

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
