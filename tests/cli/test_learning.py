"""Options of training recognisers: their meaning where they are given, and the corpus' choice where they are not."""

from __future__ import annotations

import pytest

from avemo_harness.cli.learning import LearningOptions, corpus_to_label, delay_s
from avemo_harness.errors import UsageError
from avemo_harness.recognizers.recordings import Corpus

LIVE, AFTERWARDS = Corpus("live", rated_live=True), Corpus("afterwards")
ESTIMATED = None


@pytest.mark.parametrize(
    ("asked", "corpus", "seconds"),
    [
        (None, LIVE, ESTIMATED),
        (None, AFTERWARDS, 0.0),
        ("auto", AFTERWARDS, ESTIMATED),
        ("1.5", LIVE, 1.5),
    ],
)
def test_ratings_are_moved_as_asked_else_by_an_estimate_where_raters_followed_live(
    asked: str | None, corpus: Corpus, seconds: float | None
) -> None:
    assert delay_s(LearningOptions(("mine",), delay_s=asked), corpus) == seconds


def test_a_delay_is_a_number_of_seconds_or_auto() -> None:
    with pytest.raises(UsageError, match="--delay_s soon: expected seconds or auto"):
        delay_s(LearningOptions(("mine",), delay_s="soon"), LIVE)


def test_the_extractors_of_a_kind_are_used_where_none_are_given() -> None:
    assert LearningOptions(("mine",)).extractors("continuous") == ("builtin-sound", "builtin-face")
    assert LearningOptions(("mine",)).extractors("categorical") == ("clip-sound", "clip-face")
    assert LearningOptions(("mine",), extractor=("wavlm",)).extractors("continuous") == ("wavlm",)


@pytest.mark.parametrize("option", ["anchors", "intensities"])
def test_labels_stay_labels_for_a_recogniser_of_them(option: str) -> None:
    assert corpus_to_label(LearningOptions(("mine",)), [AFTERWARDS]) is AFTERWARDS
    options = LearningOptions(("mine",), **{option: "sad=0.1:0.2"})
    with pytest.raises(UsageError, match="give --kind continuous with them"):
        corpus_to_label(options, [AFTERWARDS])
