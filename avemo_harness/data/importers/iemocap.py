"""IEMOCAP (Busso et al. 2008): ten actors talk in pairs, improvised and by scripts, an emotion for each utterance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from avemo_harness.benchmark.text_tables import decode_text
from avemo_harness.data.importers.base import (
    CONVERSATIONS,
    LABELS_HELP,
    CorpusInfo,
    FoundCorpus,
    FoundDialogue,
    FoundTurn,
    Labels,
    ReadFile,
    parts_of_speakers,
)
from avemo_harness.data.importers.recordings import clip_source
from avemo_harness.data.importers.source import Source, by_stem, record_file
from avemo_harness.errors import ReleaseError
from avemo_harness.options import option
from avemo_harness.recognizers.recordings import left_out

ABOUT = CorpusInfo(
    name="IEMOCAP",
    homepage="https://sail.usc.edu/iemocap/",
    citation="Busso et al. (2008), Language Resources and Evaluation 42(4), doi:10.1007/s10579-008-9076-6",
    licence="IEMOCAP release form (signed)",
    redistributable=False,
    label_map={"neu": "neutral", "hap": "happy", "exc": "happy", "ang": "angry", "sad": "sad"},
)
_LABELS_FOLDER, _WORDS_FOLDER = "EmoEvaluation", "transcriptions"
_DIALOGUE = re.compile(r"Ses0([1-5])[FM]_(?:impro|script)\w+")
_LINE = re.compile(r"\[(\d+\.\d+) - (\d+\.\d+)\]\t(\w+)\t(\w+)\t\[.*\]")
"""Start and end in seconds, utterance, label; behind them stand valence, activation and dominance."""
_UTTERANCE = re.compile(r"(Ses0[1-5][FM]_\w+)_([FM])\w{3}")
_VOTE = re.compile(r"C-E\d+:\t(\w+);.*")
"""A rater's choice, the first of those who gave several; C-F1 and C-M1 are what actors say of themselves."""
_VOTES = {
    "neutral": "neu",
    "happiness": "hap",
    "excited": "exc",
    "anger": "ang",
    "sadness": "sad",
    "frustration": "fru",
    "surprise": "sur",
    "fear": "fea",
    "disgust": "dis",
    "other": "oth",
}
_SAID = re.compile(r"(Ses0[1-5][FM]_\w+_[FM]\w{3}) \[[\d.]+-[\d.]+\]:(.*)")


@dataclass(frozen=True, slots=True)
class IemocapOptions:
    test_sessions: str = field(
        default="",
        metadata=option(
            "sessions of the test part, such as 5, separated by commas; all others are for training (default: all test)"
        ),
    )
    labels: Labels = field(default="four", metadata=option(LABELS_HELP))


@dataclass(frozen=True, slots=True)
class _Line:
    """An utterance as a file of labels has it.

    Args:
        name: such as ``Ses01F_impro01_M003``; the second letter is the speaker's, the first says whose markers were
            recorded.
        votes: the raters' labels.
    """

    start_s: float
    end_s: float
    name: str
    label: str
    votes: tuple[str, ...]


def find_iemocap(source: Source, options: IemocapOptions) -> FoundCorpus:
    """Every dialogue with all of its utterances in the order in which they begin, by their sound.

    The videos show both actors of a whole dialogue side by side, and no document says where each is to be cut out.

    Raises:
        ReleaseError: labels or sound are missing, or a file is malformed.
        UsageError: there is no such session.
    """
    names = source.names()
    files = _files_of_dialogues(names, _LABELS_FOLDER)
    if not files:
        raise ReleaseError(
            f"{source}: expected Session1/dialog/EmoEvaluation/Ses01F_impro01.txt and its like; give the folder that "
            "holds Session1 to Session5"
        )
    sounds = by_stem([name for name in names if "sentences" in PurePosixPath(name).parts], ".wav")
    words = _files_of_dialogues(names, _WORDS_FOLDER)
    parts = parts_of_speakers((_session(dialogue) for dialogue in files), options.test_sessions, "session")
    dropped: Counter[str] = Counter()
    read: list[ReadFile] = []
    talks: dict[str, list[_Line]] = {}
    said: dict[str, str] = {}
    for dialogue, name in files.items():
        data = source.read(name)
        read.append(record_file(name, data))
        talks[dialogue] = _lines(name, dialogue, decode_text(data, name))
        if dialogue in words:
            data = source.read(words[dialogue])
            read.append(record_file(words[dialogue], data))
            said |= _said(decode_text(data, words[dialogue]))
    about = ABOUT.with_labels(options.labels, (line.label for talk in talks.values() for line in talk))
    dialogues = []
    for dialogue, talk in talks.items():
        turns = tuple(_turns(source, talk, sounds, said, about.label_map, dropped))
        if any(turn.recording is not None for turn in turns):
            dialogues.append(FoundDialogue(f"iemocap-{dialogue}", parts[_session(dialogue)], turns, "keep words"))
    if not dialogues:
        count = sum(map(len, talks.values()))
        raise ReleaseError(
            f"{source}: none of {count:,} utterances has its sound; expected "
            "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav and its like"
        )
    return FoundCorpus(
        about,
        CONVERSATIONS,
        tuple(dialogues),
        names,
        left_out(dropped),
        tuple(read),
        tuple(_notes(talks, about.label_map)),
    )


def _files_of_dialogues(names: Sequence[str], folder: str) -> dict[str, str]:
    """The text files of dialogues that lie in a folder of a name, not below it, by dialogue."""
    files = by_stem([name for name in names if PurePosixPath(name).parent.name == folder], ".txt")
    return {stem: files[stem] for stem in sorted(files) if _DIALOGUE.fullmatch(stem)}


def _session(dialogue: str) -> str:
    """The number of a dialogue's session.

    >>> _session("Ses05M_script01_1b")
    '5'
    """
    return dialogue[4]


def _lines(name: str, dialogue: str, text: str) -> list[_Line]:
    """The utterances of a file of labels by their start, each with its raters; comments are passed over."""
    found: dict[str, _Line] = {}
    last = ""
    for number, row in enumerate(text.splitlines(), 1):
        vote = _VOTE.fullmatch(row.rstrip())
        if vote is not None and last and (label := _VOTES.get(vote[1].lower())):
            found[last] = replace(found[last], votes=(*found[last].votes, label))
        if not row.startswith("["):
            continue
        match = _LINE.fullmatch(row.rstrip())
        utterance = _UTTERANCE.fullmatch(match[3]) if match else None
        if match is None or utterance is None or utterance[1] != dialogue:
            raise ReleaseError(
                f"{name}:{number}: expected [start - end], an utterance of {dialogue}, a label and [V, A, D] between "
                f"tabs, found {row[:80]!r}; restore the file"
            )
        if match[3] in found:
            raise ReleaseError(f"{name}:{number}: {match[3]} stands there twice; restore the file")
        last = match[3]
        found[last] = _Line(float(match[1]), float(match[2]), last, match[4].lower(), ())
    return sorted(found.values(), key=lambda line: (line.start_s, line.end_s, line.name))


def _said(text: str) -> dict[str, str]:
    """The words of utterances; lines without times, such as those of breaks, are passed over.

    >>> _said("Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\\nM: [BREATHING]")
    {'Ses01F_impro01_F000': 'Excuse me.'}
    """
    matches = (_SAID.fullmatch(line.strip()) for line in text.splitlines())
    return {match[1]: match[2].strip() for match in matches if match is not None}


def _turns(
    source: Source,
    talk: Sequence[_Line],
    sounds: Mapping[str, str],
    said: Mapping[str, str],
    label_map: Mapping[str, str],
    dropped: Counter[str],
) -> Iterator[FoundTurn]:
    for line in talk:
        sound = sounds.get(line.name)
        if sound is None:
            dropped["utterances without sound, whose words stand in their conversation"] += 1
        clip = None if sound is None else clip_source(source, sound)
        speaker = f"{line.name[:5]}_{line.name[-4]}"
        yield FoundTurn("user", speaker, said.get(line.name, ""), label_map.get(line.label), clip)


def _notes(talks: Mapping[str, Sequence[_Line]], label_map: Mapping[str, str]) -> Iterator[str]:
    """Sentences on turns in which both are heard, and on how far single raters agree with the labels."""
    overlapped = 0
    votes: Counter[bool] = Counter()
    for talk in talks.values():
        end_s = 0.0
        for line in talk:
            overlapped += line.start_s < end_s
            end_s = max(end_s, line.end_s)
            if line.label in label_map and line.label in _VOTES.values():
                votes.update(label_map.get(vote) == label_map[line.label] for vote in line.votes)
    if overlapped:
        yield f"{overlapped:,} utterances begin before an earlier one ends"
    if votes:
        yield _share_of_votes(votes)


def _share_of_votes(votes: Mapping[bool, int]) -> str:
    """A sentence on the share of single raters' votes that are for the label that most of them gave.

    >>> _share_of_votes({True: 3, False: 1})
    'single raters chose the label of most in 75.0 % of 4 votes, their own among them'
    """
    count = sum(votes.values())
    share = votes.get(True, 0) / count
    return f"single raters chose the label of most in {100 * share:.1f} % of {count:,} votes, their own among them"
