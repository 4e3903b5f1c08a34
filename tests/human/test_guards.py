"""Addresses by which the study can be reached, and limits to how often it may be asked."""

from __future__ import annotations

import pytest

from avemo_harness.errors import UsageError
from avemo_harness.human.guards import RateLimit, public_address


def test_behind_a_proxy_only_the_public_address_is_known() -> None:
    address = public_address("127.0.0.1", 8000, "https://Ratings.Example.org/")
    assert address.origins == {"https://ratings.example.org"}
    assert address.hosts == {"ratings.example.org"}
    assert address.encrypted


def test_on_this_machine_alone_no_encryption_is_needed() -> None:
    address = public_address("::1", 8000, None)
    assert address.hosts == {"[::1]:8000", "localhost:8000"}
    assert not address.encrypted


@pytest.mark.parametrize(
    ("port", "url", "origins"),
    [
        (80, None, {"http://127.0.0.1", "http://localhost"}),
        (8000, "https://ratings.example.org:443", {"https://ratings.example.org"}),
        (8000, "http://ratings.example.org:8443", {"http://ratings.example.org:8443"}),
        (8000, "http://[2001:db8::1]:80", {"http://[2001:db8::1]"}),
    ],
)
def test_addresses_are_those_that_browsers_send(port: int, url: str | None, origins: set[str]) -> None:
    assert public_address("127.0.0.1", port, url).origins == origins


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        (None, False),
        ("http://localhost:9000", False),
        ("http://[::1]:9000", False),
        ("https://ratings.example.org", False),
        ("http://ratings.example.org", True),
        ("http://192.168.1.5:8765", True),
    ],
)
def test_what_is_sent_in_the_clear_beyond_this_machine_is_exposed(url: str | None, exposed: bool) -> None:
    assert public_address("127.0.0.1", 8000, url).exposed is exposed


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_a_server_that_others_reach_needs_its_address(host: str) -> None:
    with pytest.raises(UsageError, match="--url"):
        public_address(host, 8000, None)


@pytest.mark.parametrize(
    "url", ["example.org", "ftp://example.org", "https://", "https://example.org/study", "https://x:y"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--url must be like"):
        public_address("127.0.0.1", 8000, url)


def test_a_caller_who_asks_too_often_waits_and_others_do_not() -> None:
    now = 0.0
    limit = RateLimit(lambda: now, burst=3, a_second=2)
    assert [limit.allows("one") for _ in range(5)] == [True, True, True, False, False]
    assert limit.allows("other")
    now = 1.0
    assert [limit.allows("one") for _ in range(3)] == [True, True, False]
