"""Templates fill in what the question needs, and nothing that would answer it."""

from __future__ import annotations

import pytest

from avemo_harness.benchmark.release import Dialogue, Turn
from avemo_harness.benchmark.template import render, template_problem
from avemo_harness.errors import TaskError

TURN = Turn(2, "user", "ann", "The bus was late.", "angry", style_prompt="shout")
DIALOGUE = Dialogue("angry-talk-7", "test", "en", "CC0-1.0", (TURN,))


def test_text_labels_and_place_are_filled_in() -> None:
    template = "{{ turn.turn_index }}: {{ turn.text }} ({{ dialogue.language }}) {{ labels | join('/') }}"
    assert render(template, TURN, DIALOGUE, ("happy", "sad")) == "2: The bus was late. (en) happy/sad"


@pytest.mark.parametrize(
    ("owner", "name"),
    [("turn", "emotion"), ("turn", "style_prompt"), ("turn", "speaker_id"), ("dialogue", "dialogue_id")],
)
def test_what_tells_the_answer_cannot_be_used(owner: str, name: str) -> None:
    attribute, item = f"{{{{ {owner}.{name} }}}}", f"{{{{ {owner}['{name}'] }}}}"
    assert "may not see" in (template_problem(attribute) or "")
    for template in (attribute, item):
        with pytest.raises(TaskError):
            render(template, TURN, DIALOGUE, ())


@pytest.mark.parametrize("text", ["{{ ''.__class__.__mro__ }}", "{{ labels.append('x') }}", "{{ nothing }}"])
def test_the_sandbox_lets_nothing_else_through(text: str) -> None:
    with pytest.raises(TaskError):
        render(text, TURN, DIALOGUE, ("happy",))


def test_text_without_braces_is_taken_as_it_is() -> None:
    assert render("100 % sure?", TURN, DIALOGUE, ()) == "100 % sure?"
