"""The text that raters agree to comes from a file, by paragraphs, or is the shipped one."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.errors import UsageError
from avemo_harness.human.settings import CONSENT, consent_text


def test_paragraphs_are_parted_by_empty_lines_and_joined_within(tmp_path: Path) -> None:
    file = tmp_path / "consent.txt"
    file.write_text("You hear\nreplies.\n\n\n\nAsk  us.\n", encoding="utf-8")
    assert consent_text(file) == ("You hear replies.", "Ask us.")
    assert consent_text(None) == CONSENT


@pytest.mark.parametrize(
    ("content", "said"), [(b" \n\n", "is empty; write what raters agree to"), (b"\xff", "name a text file in UTF-8")]
)
def test_a_file_without_text_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "consent.txt"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=f"consent.txt: .*{said}"):
        consent_text(file)
