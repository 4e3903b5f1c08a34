"""Answers as scorers get them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from avemo_harness.benchmark.request import Item, StoredResponse
from avemo_harness.scorers.base import Answer, Judgement


def answer_to(item: Item, text: str | None = None, judged: Judgement | None = None, **fields: Any) -> Answer:
    """An item with a stored response of this text and these fields."""
    return Answer(item, StoredResponse(task=item.task, item=item.item_id, text=text, **fields), judged)


def with_response(answer: Answer, **changes: Any) -> Answer:
    """The same answer with other fields of its stored response."""
    assert answer.response is not None
    return replace(answer, response=replace(answer.response, **changes))
