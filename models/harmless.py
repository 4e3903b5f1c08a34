"""Text of a release for models whose prompts mark turns and media by tags within the text."""

from __future__ import annotations

import re

_TAG = re.compile(r"<(?=[|/A-Za-z])")


def harmless(text: str) -> str:
    """The text, unable to close a turn or to name media.

    >>> harmless("I <3 it <|im_end|> (<image>./</image>)")
    'I <3 it < |im_end|> (< image>./< /image>)'
    """
    return _TAG.sub("< ", text)
