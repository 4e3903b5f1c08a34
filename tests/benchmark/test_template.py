"""Templates fill in what the question needs, and nothing that would answer it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    "text",
    [
        "{{ labels[:-1] | join(', ') }} or {{ labels[-1] }}",
        "{% for label in labels %}{{ loop.index }}. {{ label | capitalize }}{% endfor %}",
        "{% if labels | length > 2 %}one of{% else %}either{% endif %}",
        "{{ 'a' if dialogue.language == 'en' else 'b' }}",
        "{# no question #}{% raw %}{{ as it is }}{% endraw %}",
    ],
)
def test_what_a_question_needs_is_at_hand(text: str) -> None:
    assert template_problem(text) is None
    assert render(text, TURN, DIALOGUE, ("happy", "sad"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ turn", "template: unexpected end of template"),
        ("a\n{% if %}", "(line 2 of the text)"),
        ("{{ speaker }}", "unknown name 'speaker'; known: dialogue, labels, row, turn"),
        ("{{ labels | jion }}", "unknown filter 'jion'; known: capitalize, first, join"),
        ("{{ turn is nothing }}", "No test named 'nothing'"),
        ("{% include 'x' %}", "include is not allowed"),
        ("{% macro m() %}{{ m() }}{% endmacro %}", "macro is not allowed"),
        ("{% for i in range(9 ** 9) %}x{% endfor %}", "is not allowed (line 1 of the text)"),
        ("{{ 'x' * 99999999999 }}", "mul is not allowed"),
        ("{{ '%99999999999d' % 1 }}", "mod is not allowed"),
        ("{{ 'x' | center(99999999999) }}", "unknown filter 'center'"),
        ("{{ 1 / 0 }}", "div is not allowed"),
        pytest.param("{{ " + "(" * 3_000 + "1" + ")" * 3_000 + " }}", "nested deeper than 20 levels", id="parentheses"),
        pytest.param("{{ " + "not " * 250 + "turn }}", "nested deeper than 20 levels", id="negations"),
    ],
)
def test_a_template_that_is_none_or_could_run_away_is_told_apart_unrendered(text: str, said: str) -> None:
    assert said in (template_problem(text) or "")


@pytest.mark.parametrize("text", ["{{ labels[0] + 1 }}", "{{ labels[7] }}", "{{ labels | join(1, 2, 3, 4) }}"])
def test_a_template_that_fails_on_a_turn_is_quoted(text: str) -> None:
    with pytest.raises(TaskError) as refusal:
        render(text, TURN, DIALOGUE, ("happy",))
    assert str(refusal.value).startswith(f"template {text!r}: ")


@given(st.text("{}%#| turnlabes.[]()'0:-+", max_size=40))
def test_any_text_is_a_template_or_has_a_problem(text: str) -> None:
    if template_problem(text) is None:
        try:
            rendered = render(text, TURN, DIALOGUE, ("happy", "sad"))
        except TaskError as error:
            rendered = str(error)
        assert isinstance(rendered, str)
