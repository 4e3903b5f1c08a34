"""EMO-DB (Burkhardt et al. 2005): ten actors speak ten German sentences in seven emotions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from avemo_harness.benchmark.text_tables import decode_text
from avemo_harness.data.importers.acted_clips import ActedClip, dialogues_of_clips, recordings_of_clips
from avemo_harness.data.importers.base import (
    LABELS_HELP,
    SINGLE_TURN,
    TEST_SPEAKERS_HELP,
    CorpusInfo,
    FoundCorpus,
    Labels,
    ReadFile,
)
from avemo_harness.data.importers.source import LocalFiles, Source, record_file
from avemo_harness.errors import ReleaseError
from avemo_harness.options import option
from avemo_harness.recognizers.recordings import Corpus, Dropped, left_out

ABOUT = CorpusInfo(
    name="EMO-DB",
    homepage="http://emodb.bilderbar.info/docu/",
    citation="Burkhardt et al. (2005), A Database of German Emotional Speech, Interspeech, 1517-1520",
    licence="unknown",
    redistributable=False,
    label_map={"neutral": "neutral", "happiness": "happy", "anger": "angry", "sadness": "sad"},
    language="de",
)
_NAME = re.compile(r"(\d\d)([ab]\d\d)([WLEAFTN])([a-z]?)\.(wav|flac)")
"""Speaker, sentence, emotion, and the version where there are several."""
_EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
"""By the first letters of Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral."""
_SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
_RECOGNISED = "erkennung.txt"
"""Percentages of listeners' answers that named the intended emotion, sentence by sentence."""


def choose_clips(
    where: str, names: Iterable[str], label_map: Mapping[str, str] = ABOUT.label_map
) -> tuple[list[ActedClip], tuple[Dropped, ...]]:
    """The recordings whose label is mapped, in the order of names, and what is left out.

    The files of labels beside them (``lablaut``, ``labsilb``, ``silb``) are no recordings and are passed over.

    Args:
        where: how messages call the folder of the files.
        names: paths of files.

    Raises:
        ReleaseError: there are no such recordings.
    """
    clips: dict[str, ActedClip] = {}
    dropped: Counter[str] = Counter()
    for path in sorted(map(PurePosixPath, names)):
        if (found := _NAME.fullmatch(path.name)) is None:
            continue
        speaker, sentence, letter, _, _ = found.groups()
        if path.stem in clips:
            dropped["recordings that another file has too"] += 1
        elif (label := label_map.get(_EMOTIONS[letter])) is None:
            dropped[f"label {_EMOTIONS[letter]}"] += 1
        else:
            clips[path.stem] = ActedClip(path, f"speaker-{speaker}", label, _SENTENCES.get(sentence, ""))
    if not clips:
        raise ReleaseError(
            f"{where}: expected recordings named like 03a01Fa.wav ({', '.join(label_map)}), found {dropped.total()} "
            "others; give the folder that holds wav/, or the archive of the download"
        )
    return sorted(clips.values(), key=lambda clip: clip.path.stem), left_out(dropped)


@dataclass(frozen=True, slots=True)
class EmoDbOptions:
    test_speakers: str = field(default="", metadata=option(TEST_SPEAKERS_HELP))
    labels: Labels = field(default="four", metadata=option(LABELS_HELP))


def find_emo_db(source: Source, options: EmoDbOptions) -> FoundCorpus:
    """Every recording in one of the labels that are wanted.

    Raises:
        ReleaseError: there are no recordings that are named so.
        UsageError: a test speaker is not in the corpus.
    """
    names = source.names()
    about = ABOUT.with_labels(options.labels, _EMOTIONS.values())
    clips, dropped = choose_clips(str(source), names, about.label_map)
    dialogues = dialogues_of_clips(source, clips, "emodb", options.test_speakers)
    read, notes = _perception_test(source, names, [clip.path.stem for clip in clips])
    return FoundCorpus(about, SINGLE_TURN, dialogues, names, dropped, read, notes)


def _perception_test(
    source: Source, names: Iterable[str], stems: list[str]
) -> tuple[tuple[ReadFile, ...], tuple[str, ...]]:
    """The table of the authors' listening test, where the copy has it, and a sentence on these recordings."""
    name = next((name for name in names if PurePosixPath(name).name.lower() == _RECOGNISED), None)
    if name is None:
        return (), ()
    data = source.read(name)
    shares = dict(_recognised(decode_text(data, name)))
    known = [shares[stem] for stem in stems if stem in shares]
    if not known:
        return (record_file(name, data),), ()
    mean = sum(known) / len(known)
    sentence = f"listeners named the intended emotion in {mean:.1f} % of their answers to {len(known):,} of these clips"
    return (record_file(name, data),), (f"{sentence} ({_RECOGNISED})",)


def _recognised(text: str) -> Iterator[tuple[str, float]]:
    """Recordings and percentages of the columns ``Satz`` and ``erkannt``; lines that hold none are passed over.

    >>> list(_recognised("Satz\\terkannt\\n03a01Fa.wav\\t90,00\\xa0\\n03a01Nc.wav -"))
    [('03a01Fa', 90.0)]
    """
    # Between the cells stand any number of blanks; those that do not break belong to a cell.
    rows = [re.split(r"[ \t]+", line.replace("\xa0", "").strip()) for line in text.splitlines()]
    header = [cell.casefold() for cell in rows[0]] if rows else []
    if not {"satz", "erkannt"} <= set(header):
        return
    sentence, recognised = header.index("satz"), header.index("erkannt")
    for row in rows[1:]:
        if len(row) > max(sentence, recognised) and re.fullmatch(r"\d+(?:[.,]\d+)?", row[recognised]):
            yield PurePosixPath(row[sentence]).stem, float(row[recognised].replace(",", "."))


@dataclass(frozen=True, slots=True)
class EmoDbArguments:
    """
    Args:
        path: the corpus' folder, with ``wav/`` in it or below it.
    """

    path: Path


def read_emo_db(arguments: EmoDbArguments) -> Corpus:
    """Every recording in one of the benchmark's emotions, in the order of names; it has no parts.

    Raises:
        ReleaseError: there are no such recordings.
        MediaError: a file cannot be read.
    """
    folder = arguments.path.expanduser()
    clips, dropped = choose_clips(str(folder), LocalFiles(folder).names())
    return Corpus("EMO-DB", (), recordings_of_clips(folder, clips), dropped)
