"""The page of a comparison: complete, without any script or request, whatever runs and items are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.browser import Watched, open_browser
from support.hostile_text import hostile_texts

from avemo_harness.metrics.bootstrap import Estimate
from avemo_harness.report.comparison import (
    Comparison,
    Contrast,
    MetricDifference,
    comparison_page,
    format_comparison,
)

ACCURACY = MetricDifference(
    column="Acc_AV",
    metric="accuracy",
    first=0.5,
    second=0.75,
    difference=Estimate(0.25, 0.125, 0.375),
    test="McNemar",
    p_value=0.0004,
    p_holm=0.0016,
    detectable=0.18,
    n=160,
    n_undefined=0,
)


def comparison(*texts: str) -> Comparison:
    """A comparison in whose every field a text stands."""
    undefined = MetricDifference(
        column=texts[0],
        metric=texts[0],
        first=None,
        second=None,
        difference=Estimate(None, None, None),
        test="sign-flip",
        p_value=None,
        p_holm=None,
        detectable=None,
        n=0,
        n_undefined=3,
    )
    said = ("item", "gold", "first_label", "second_label")
    verdicts = {"first_verdict": "right", "second_verdict": "wrong"}
    flips = tuple({**dict.fromkeys(said, text), **verdicts} for text in texts)
    contrast = Contrast(
        texts[0], texts[0], texts[-1], 160, 128, texts, (), (ACCURACY, undefined), flips, notes=texts[:3]
    )
    return Comparison({text: text for text in texts[:2]}, (contrast,), texts[:3], tests=1)


def test_every_figure_stands_on_the_page() -> None:
    page = comparison_page(comparison("first", "second"))
    assert "<th scope='row'>Acc_AV</th>" in page
    for text in ("0.500", "0.750", "+0.250", "+0.125 to +0.375", "&lt;.001*", "0.002", "0.180", "160"):
        assert f"<td>{text}</td>" in page
    assert "<summary>2 right -&gt; wrong</summary>" in page
    assert "160 items of 128 dialogues scored on both sides" in page


def test_the_page_names_no_item_of_a_restricted_corpus() -> None:
    flip = {"item": "Ses01F_impro01/3", "gold": "angry", "first_label": "sad", "second_label": "angry"}
    flips = ({**flip, "first_verdict": "wrong", "second_verdict": "right"},)
    contrast = Contrast("iemocap_four", "a", "b", 9, 9, ("Ses02M_impro01/1",), (), (ACCURACY,), flips)
    named = comparison_page(Comparison({"a": "a", "b": "b"}, (contrast,), (), 1))
    assert "Ses01F_impro01/3" in named
    withheld = replace(contrast, restriction="IEMOCAP: the licence lets nobody pass them on")
    page = comparison_page(Comparison({"a": "a", "b": "b"}, (withheld,), (), 1))
    assert "Ses0" not in page
    assert "<summary>1 wrong -&gt; right</summary>" in page
    assert "without names of items: IEMOCAP" in page


def test_what_is_resampled_is_named_wherever_it_is_counted() -> None:
    few = replace(ACCURACY, difference=Estimate(0.25, None, None, note="too few dialogues"))
    contrast = Contrast("ravdess", "a", "b", 160, 4, (), (), (few,), (), clusters="speaker")
    of_speakers = Comparison({"a": "a", "b": "b"}, (contrast,), (), 1)
    for text in (comparison_page(of_speakers), format_comparison(of_speakers)):
        assert "160 items of 4 speakers scored on both sides" in text
        assert "too few speakers" in text
        assert "over resampled speakers" in text
        assert "dialogue" not in text


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    page = comparison_page(comparison("first", "second"))
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "<script" not in page
    assert " style=" not in page
    assert "unsafe-inline" not in page


def test_a_comparison_without_anything_in_common_is_a_page_too() -> None:
    contrast = Contrast("task", "a", "b", 0, 0, (), (), (), ())
    assert "0 items of 0 dialogues" in comparison_page(Comparison({"a": "a", "b": "b"}, (contrast,), (), 0))


def test_hostile_names_stay_text_in_a_browser_of_any_width(tmp_path: Path) -> None:
    texts = hostile_texts()
    page_file = tmp_path / "page.html"
    page_file.write_text(comparison_page(comparison(*texts)), encoding="utf-8")
    with open_browser() as browser:
        for width in (1_280, 390):
            watched = Watched(browser, page_file.as_uri(), width)
            page = watched.page
            page.goto(page_file.as_uri())
            assert page.title().startswith("Comparison: ")
            assert watched.fits
            assert page.evaluate("document.querySelectorAll('script, img, iframe, body link, body style').length") == 0
            assert page.locator("summary").count() == 2
            assert page.locator("details").nth(1).locator("li").count() == len(texts)
            assert watched.troubles == []
