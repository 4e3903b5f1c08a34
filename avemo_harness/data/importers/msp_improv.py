"""MSP-IMPROV (Busso et al. 2017): twelve actors improvise in pairs, and say given sentences in four emotions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from avemo_harness.benchmark.release import Vote
from avemo_harness.benchmark.text_tables import decode_text
from avemo_harness.data.importers.base import (
    LABELS_HELP,
    SINGLE_TURN,
    TEST_SPEAKERS_HELP,
    ClipSource,
    CorpusInfo,
    FoundCorpus,
    FoundDialogue,
    Labels,
    ReadFile,
    parts_of_speakers,
    single_turn,
)
from avemo_harness.data.importers.recordings import clip_source, voiced_video
from avemo_harness.data.importers.source import Source, by_stem, record_file
from avemo_harness.errors import ReleaseError
from avemo_harness.options import option
from avemo_harness.recognizers.recordings import left_out

ABOUT = CorpusInfo(
    name="MSP-IMPROV",
    homepage="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html",
    citation="Busso et al. (2017), IEEE Transactions on Affective Computing 8(1), doi:10.1109/TAFFC.2016.2515617",
    licence="MSP-IMPROV academic licence (signed)",
    redistributable=False,
    label_map={"N": "neutral", "H": "happy", "A": "angry", "S": "sad"},
)
_RATINGS = ("evaluation.txt", "evalution.txt")
"""The file of labels, whose name has a slip in some copies."""
_TURN = re.compile(r"S\d\d[AHSN]-([FM]\d\d)-[PRST]-[FM][FM]\d+")
"""Sentence and intended emotion, speaker, scenario, the dyad's and the speaker's letters with the turn's number."""
_LINE = re.compile(r"(?:UTD|MSP)-IMPROV-([A-Z0-9-]+)\.avi;\s*([A-Z]);.*")
_VOTE = re.compile(r"[\w-]+;\s*(Angry|Happy|Sad|Neutral|Other);.*")
"""The choice of a rater, who was shown the video with its sound."""
_FILE = re.compile(r"(?:UTD|MSP)-IMPROV-(.+)")


@dataclass(frozen=True, slots=True)
class MspImprovOptions:
    test_speakers: str = field(default="", metadata=option(TEST_SPEAKERS_HELP))
    labels: Labels = field(default="four", metadata=option(LABELS_HELP))


def find_msp_improv(source: Source, options: MspImprovOptions) -> FoundCorpus:
    """Every turn in one of the labels that are wanted, by its video with sound, or by sound that there is alone.

    Raises:
        ReleaseError: labels or clips are missing, or the file of labels is malformed.
        UsageError: a test speaker is not in the corpus.
    """
    names = source.names()
    labels, votes, read = _labels(source, names)
    about = ABOUT.with_labels(options.labels, labels.values())
    sounds, videos = _by_turn(names, ".wav"), _by_turn(names, ".avi", ".mp4")
    words = _by_turn(names, ".txt")
    parts = parts_of_speakers((_speaker(turn) for turn in labels), options.test_speakers)
    dropped: Counter[str] = Counter()
    dialogues: list[FoundDialogue] = []
    for turn, letter in sorted(labels.items()):
        label = about.label_map.get(letter)
        video, sound = videos.get(turn), sounds.get(turn)
        if label is None:
            dropped[f"label {letter}"] += 1
        elif video is None and sound is None:
            dropped["turns without video and sound"] += 1
        else:
            said = decode_text(source.read(words[turn]), words[turn]).strip() if turn in words else ""
            clip = _recording(source, video, sound)
            speaker = _speaker(turn)
            counts = Counter(about.label_map.get(vote, vote) for vote in votes[turn])
            raters = tuple(Vote("both", vote, count) for vote, count in sorted(counts.items()))
            dialogues.append(single_turn(f"mspimprov-{turn}", parts[speaker], speaker, said, label, clip, raters))
    if not dialogues:
        raise ReleaseError(
            f"{source}: none of {len(labels):,} turns in {read.name} has a clip and a wanted label; expected "
            "session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.avi or .wav and its like"
        )
    return FoundCorpus(about, SINGLE_TURN, tuple(dialogues), names, left_out(dropped), (read,))


def _labels(source: Source, names: Iterable[str]) -> tuple[dict[str, str], dict[str, list[str]], ReadFile]:
    """The label of each turn, A, H, S, N, O for another, X for no agreement; its raters' letters, and what was read."""
    by_name = {PurePosixPath(name).name.lower(): name for name in names}
    name = next((by_name[ratings] for ratings in _RATINGS if ratings in by_name), None)
    if name is None:
        raise ReleaseError(f"{source}: expected Evaluation.txt (or Evalution.txt) with the labels; put it there")
    data = source.read(name)
    labels: dict[str, str] = {}
    votes: dict[str, list[str]] = {}
    last = ""
    for number, row in enumerate(decode_text(data, name).splitlines(), 1):
        if "-IMPROV-" not in row:
            if last and (vote := _VOTE.fullmatch(row.strip())):
                votes[last].append(vote[1][0])
            continue
        match = _LINE.fullmatch(row.strip())
        if match is None or not _TURN.fullmatch(match[1]):
            raise ReleaseError(
                f"{name}:{number}: expected UTD-IMPROV-S01A-F01-P-FM01.avi; N; and ratings, found {row[:80]!r}; "
                "restore the file"
            )
        last = match[1]
        labels[last], votes[last] = match[2], []
    return labels, votes, record_file(name, data)


def _by_turn(names: Iterable[str], *endings: str) -> dict[str, str]:
    """Files by the turn that they are named after; copies name the corpus or its university."""
    files = by_stem(names, *endings)
    return {match[1]: files[stem] for stem in sorted(files) if (match := _FILE.fullmatch(stem))}


def _speaker(turn: str) -> str:
    """The speaker of a turn.

    >>> _speaker("S01A-F01-P-FM01")
    'F01'
    """
    return turn.split("-")[1]


def _recording(source: Source, video: str | None, sound: str | None) -> ClipSource:
    if video is not None and sound is not None:
        return voiced_video(source, video, sound)
    return clip_source(source, video or sound or "")
