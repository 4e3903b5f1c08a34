"""RAVDESS (Livingstone & Russo 2018): 24 actors speak two sentences in eight emotions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from avemo_harness.data.importers.base import (
    SINGLE_TURN,
    TEST_SPEAKERS_HELP,
    CorpusInfo,
    FoundCorpus,
    parts_of_speakers,
    single_turn,
)
from avemo_harness.data.importers.recordings import clip_source
from avemo_harness.data.importers.source import Source
from avemo_harness.recognizers.corpora.ravdess import choose_clips

ABOUT = CorpusInfo(
    name="RAVDESS",
    homepage="https://zenodo.org/records/1188976",
    citation="Livingstone & Russo (2018), PLoS ONE 13(5): e0196391, doi:10.1371/journal.pone.0196391",
    licence="CC-BY-NC-SA-4.0",
    redistributable=True,
    label_map={"neutral": "neutral", "happy": "happy", "angry": "angry", "sad": "sad"},
)


@dataclass(frozen=True, slots=True)
class RavdessOptions:
    test_speakers: str = field(default="", metadata={"help": TEST_SPEAKERS_HELP})


def find_ravdess(source: Source, options: RavdessOptions) -> FoundCorpus:
    """Every spoken take in one of the benchmark's emotions.

    Raises:
        ReleaseError: there are no files that are named so.
        UsageError: a test speaker is not in the corpus.
    """
    names = source.names()
    takes, dropped = choose_clips(str(source), map(PurePosixPath, names))
    parts = parts_of_speakers((take.actor for take in takes), options.test_speakers)
    dialogues = tuple(
        single_turn(
            f"ravdess-{take.path.stem}",
            parts[take.actor],
            take.actor,
            take.text,
            take.emotion,
            clip_source(source, str(take.path)),
        )
        for take in takes
    )
    order = {name: place for place, name in enumerate(names)}
    return FoundCorpus(ABOUT, SINGLE_TURN, dialogues, order, dropped)
