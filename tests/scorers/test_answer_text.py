"""Answers are stripped of what is no answer before they are read."""

from __future__ import annotations

import pytest

from avemo_harness.scorers.answers import EDGE, clean_answer


def words(text: str) -> str:
    return " ".join((clean_answer(text) or "").split())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>a</think>b", "b"),
        ("<THINK>a</THINK>b", "b"),
        ("a</think>b", "b"),
        ("<think>a<think>b</think>c</think>d", "d"),
        ("a<think>b</think>", "a"),
        ("<reasoning>a</reasoning><answer>b</answer>", "answer: b"),
        ("[THINK]a[/THINK]b", "b"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b", "b"),
        ("think about <it> a", "think about a"),
    ],
)
def test_thoughts_are_cut(text: str, left: str) -> None:
    assert words(text) == left


@pytest.mark.parametrize("text", ["<think>a", "a<think>b", "<think>a</think>b<think>c", "◁think▷a"])
def test_an_unfinished_thought_leaves_nothing(text: str) -> None:
    assert clean_answer(text) is None


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("**A** _b_ `c` # d", "a b c d"),
        ("Ａ：ｂ", "a:b"),
        ("\\boxed{\\text{a}}", "answer: a"),
        ("<emotion>a</emotion>", "answer: a"),
        ("<|A|><|b|>", "a b"),
        ("a<|im_end|>\nuser: b", "a"),
        ("</s>a", "a"),
        ("- a\n2. b\n(c) d", "a b d"),
        ("a -- b - c", "a — b — c"),
        ("a->b=>c-->d", "a→b→c→d"),
        ("'a' don't “b”", "a don't b"),
        ("Final: a", "final answer: a"),
        ('{"a": "b"}', "a : b"),
        ('a "b c?" d', "a — b c? d"),
    ],
)
def test_markup_goes_and_clause_marks_stay(text: str, left: str) -> None:
    assert words(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Happy to help! a", "! a"),
        ("I'm really sad, a", ", a"),
        ("If I had to choose, a", ", a"),
        ("很高兴能帮助你", "帮助你"),
        ("Ich bin glücklich, Ihnen zu helfen. a", "ich bin . a"),
    ],
)
def test_polite_formulas_go(text: str, left: str) -> None:
    assert words(text) == left


def test_an_answer_keeps_its_first_and_last_characters_whatever_they_grow_to() -> None:
    assert len(clean_answer("x" * 10 * EDGE) or "") == 2 * EDGE + 1
    # NFKC makes eighteen characters of this one.
    assert len(clean_answer("\ufdfa" * 10 * EDGE) or "") <= 2 * EDGE + 1
