"""What a server's refusal means: wait, try again, give this request up, or give everything up."""

from __future__ import annotations

import json

import pytest
from avemo_harness.models.served.failures import Fatal, RateLimited, Transient, failure_of_body, failure_of_status

from avemo_harness.errors import GenerationError, ModelError


@pytest.mark.parametrize(
    ("headers", "after_s"),
    [({"retry-after": "3"}, 3.0), ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None), ({}, None)],
)
def test_too_many_requests_are_waited_for(headers: dict[str, str], after_s: float | None) -> None:
    failure = failure_of_status(429, headers, b'{"error": {"message": "slow down"}}')
    assert failure == RateLimited("the server answered 429: slow down", after_s)


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert isinstance(failure_of_status(status, {}, b"oops"), Transient)


def test_a_server_that_names_a_time_is_waited_for() -> None:
    assert isinstance(failure_of_status(503, {"retry-after": "1"}, b""), RateLimited)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_wrong_with_a_request_is_its_own_error(status: int) -> None:
    failure = failure_of_status(status, {}, b'{"detail": "too long"}')
    assert isinstance(failure, Fatal)
    assert isinstance(failure.error, GenerationError)
    assert "too long" in str(failure.error)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_every_request_would_meet_ends_the_run(status: int) -> None:
    failure = failure_of_status(status, {}, b"")
    assert isinstance(failure, Fatal)
    assert isinstance(failure.error, ModelError)


def test_an_error_in_a_body_counts_as_its_status() -> None:
    assert failure_of_body({"choices": []}) is None
    assert isinstance(failure_of_body({"error": {"message": "dead"}}), Transient)
    assert isinstance(failure_of_body({"error": {"code": 400, "message": "bad"}}), Fatal)
    assert isinstance(failure_of_body({"error": "overloaded"}), Transient)


def test_a_long_page_becomes_one_short_line() -> None:
    body = json.dumps({"error": {"message": "line one\nline two\x00" + "x" * 1000}}).encode()
    failure = failure_of_status(500, {}, body)
    assert isinstance(failure, Transient)
    assert failure.why.isprintable()
    assert len(failure.why) < 400
