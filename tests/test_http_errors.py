"""What servers say besides their answers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from avemo_harness.http_answers import MAX_MESSAGE_LENGTH, retry_after_s, server_message


def test_a_server_may_say_when_to_come_back() -> None:
    soon = datetime.now(timezone.utc) + timedelta(seconds=20)
    assert retry_after_s(format_datetime(soon, usegmt=True)) == pytest.approx(20, abs=2)
    assert [retry_after_s(value) for value in ("7", "-7", "", "²", "nan")] == [7.0, None, None, None, None]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"error": {"message": "too long", "code": 400}}', "too long"),
        (b'{"detail": [{"msg": "field required"}]}', '[{"msg": "field required"}]'),
        (b'{"message": "busy"}', "busy"),
        (b"<html>\n<h1>502</h1><script>if (1 < 2) x()</script> <i>nginx</i>", "502 nginx"),
        (b"\xff\x00\x1b[31mred", "\N{REPLACEMENT CHARACTER}[31mred"),
        (b"", ""),
        (b"[" * 100_000, "[" * MAX_MESSAGE_LENGTH),
    ],
)
def test_a_message_is_found_wherever_a_server_puts_it(body: bytes, told: str) -> None:
    assert server_message(body) == told


def test_a_message_is_short() -> None:
    assert len(server_message(b"word " * 10_000)) == MAX_MESSAGE_LENGTH
