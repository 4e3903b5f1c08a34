"""MultiDialog (Park et al. 2024): 8,733 acted dialogues, an emotion for each utterance, 12 actors named by a letter.

Expected as the Hub repository ``IVLLab/MultiDialog`` has it, on the Hub, downloaded, or unpacked::

    metadata/train/train_metadata_0000.jsonl …    or metadata.jsonl with all of it
    data/train/train_chunks_0000.tar.gz …         with t_<dialogue>/t_<dialogue>_<number><actor>.wav

Videos are given out elsewhere, by dialogue; where they are given, each clip is the sound with the video.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from avemo_harness.build.importers import tables
from avemo_harness.build.importers.actor_split import choose_test_actors, part_of_actors
from avemo_harness.build.importers.base import MULTI_TURN, About, Found, FoundDialogue, FoundTurn, ReadFile, Recording
from avemo_harness.build.importers.multidialog_faces import Sounds, open_videos
from avemo_harness.build.importers.recordings import WholeFile
from avemo_harness.build.importers.segments import LONGEST, SHORTEST, cut_segments
from avemo_harness.build.importers.segments import Utterance as Place
from avemo_harness.build.importers.source import Source, by_stem, open_source
from avemo_harness.errors import ReleaseError, UsageError
from avemo_harness.recognizers.corpora.base import Part
from avemo_harness.recognizers.corpora.multidialog import Utterance, choose_metadata, parse_metadata, part_of_path
from avemo_harness.recognizers.corpora.parts import parse_part
from avemo_harness.recognizers.corpora.tally import left_out

ABOUT = About(
    name="MultiDialog",
    homepage="https://huggingface.co/datasets/IVLLab/MultiDialog",
    citation="Park et al. (2024), ACL, arXiv 2406.07867",
    licence="unclear: the card says cc without a variant, the loader Apache-2.0",
    redistributable=False,
    label_map={"neutral": "neutral", "happy": "happy", "angry": "angry", "sad": "sad"},
)


@dataclass(frozen=True, slots=True)
class MultiDialogOptions:
    video: str = field(
        default="", metadata={"help": "folder or archive of the videos: one mp4 for each utterance, or each dialogue"}
    )
    parts: str = field(
        default="train,validation,test", metadata={"help": "parts to read; archives of others are not opened"}
    )
    split: Literal["official", "leave-actors-out"] = field(
        default="official",
        metadata={"help": "all actors are in every official part; leave-actors-out tests on actors who train nothing"},
    )
    test_actors: str = field(
        default="", metadata={"help": "letters of those left out for testing (default: a quarter, losing least)"}
    )
    gold_only: bool = field(
        default=False, metadata={"help": "only dialogues between actors whose emotions raters recognised well"}
    )
    gold_actors: str = field(
        default="abcefgijk", metadata={"help": "letters of those actors; compare them with the corpus' card"}
    )


def find_multidialog(source: Source, options: MultiDialogOptions) -> Found:
    """Every segment of 3 to 5 turns, each of whose user turns has one of the benchmark's emotions.

    Raises:
        ReleaseError: metadata, sound or the videos asked for are missing or malformed.
        UsageError: there is no such part or actor.
    """
    parts = [parse_part(part, "parts") for part in options.parts.split(",")]
    names = source.names(lambda archive: part_of_path(archive) in (*parts, None))
    utterances, read = _read_metadata(source, names)
    talks = _talks(utterances)
    clips = _find_clips(source, names, talks, options.video)
    dropped: Counter[str] = Counter()
    segments = []
    for talk in talks:
        reason = _why_unwanted(talk, parts, options)
        if reason:
            dropped[reason] += len(talk)
        else:
            segments += _segments(talk, clips, dropped)
    if not segments:
        raise ReleaseError(
            f"{source}: no segment of {SHORTEST} to {LONGEST} turns among {len(utterances)} utterances, {len(clips)} "
            "of which have their clips; give the folder that holds metadata/ and data/, with its archives or unpacked"
        )
    test_actors = _test_actors(segments, options)
    dialogues = []
    for segment in segments:
        part = part_of_actors({one.actor for one in segment}, test_actors) if test_actors else segment[0].part
        if part is None:
            dropped["utterances between actors for training and for testing"] += len(segment)
        else:
            dialogues.append(_dialogue(segment, part, clips))
    order = {name: place for place, name in enumerate(names)}
    return Found(
        ABOUT, MULTI_TURN, tuple(dialogues), order, left_out(dropped), read, tuple(_notes(options, test_actors))
    )


def _read_metadata(source: Source, names: Sequence[str]) -> tuple[list[Utterance], tuple[ReadFile, ...]]:
    files = [(name, source.read(name)) for name in choose_metadata(str(source), names)]
    return parse_metadata(files), tuple(tables.record(name, data) for name, data in files)


def _find_clips(
    source: Source, names: Sequence[str], talks: Sequence[Sequence[Utterance]], video: str
) -> Mapping[str, Recording]:
    """The clip of each utterance that has a sound file and, where videos are given, a face."""
    sounds = Sounds(source, by_stem(names, ".wav"))
    heard = [one for talk in talks for one in talk if one.name in sounds.names]
    if not video:
        return {one.name: WholeFile(source, sounds.names[one.name]) for one in heard}
    videos = open_videos(open_source(video), sounds, talks)
    return {one.name: videos.dub(one) for one in heard if videos.covers(one)}


def _talks(utterances: Sequence[Utterance]) -> list[list[Utterance]]:
    """The dialogues, each in the order in which it was spoken."""
    ordered = sorted(utterances, key=lambda one: (one.dialogue, one.number))
    return [list(talk) for _, talk in groupby(ordered, key=lambda one: one.dialogue)]


def _why_unwanted(talk: Sequence[Utterance], parts: Sequence[Part], options: MultiDialogOptions) -> str | None:
    """Why a whole dialogue is left out; None where it is not."""
    part = talk[0].part
    if part is None and options.split == "official":
        return "utterances of dialogues whose part is not told"
    if part is not None and part not in parts:
        return "utterances of parts that were not asked for"
    if options.gold_only and not {one.actor for one in talk} <= set(options.gold_actors):
        return "utterances of dialogues with an actor who is not gold"
    return None


def _segments(
    talk: Sequence[Utterance], clips: Mapping[str, Recording], dropped: Counter[str]
) -> list[list[Utterance]]:
    """The segments of a dialogue; each utterance that is in none of them is counted under one reason."""
    usable = [one for one in talk if one.name in clips]
    places = [
        Place(one.actor, one.label in ABOUT.label_map, place > 0 and usable[place - 1].number == one.number - 1)
        for place, one in enumerate(usable)
    ]
    segments = [[usable[place] for place in segment] for segment in cut_segments(places)]
    used = {one.name for segment in segments for one in segment}
    for one in talk:
        if one.name not in used:
            dropped[_why_unused(one, clips)] += 1
    return segments


def _why_unused(one: Utterance, clips: Mapping[str, Recording]) -> str:
    if one.name not in clips:
        return "utterances without a clip"
    if one.label not in ABOUT.label_map:
        return f"label {one.label}"
    return f"utterances in no segment of {SHORTEST} to {LONGEST} turns"


def _test_actors(segments: Sequence[Sequence[Utterance]], options: MultiDialogOptions) -> frozenset[str]:
    """Whom to leave out for testing; nobody in the official split.

    Raises:
        UsageError: an actor that was named is not there, or testing or training would be on nothing.
    """
    if options.split == "official":
        if options.test_actors:
            raise UsageError("--test_actors belongs to --split leave-actors-out; give both or neither")
        return frozenset()
    talks = Counter(frozenset(one.actor for one in segment) for segment in segments)
    if not options.test_actors:
        return choose_test_actors(talks)
    chosen, known = frozenset(options.test_actors), frozenset().union(*talks)
    parts = {part_of_actors(people, chosen) for people in talks}
    if not chosen <= known or not {"train", "test"} <= parts:
        raise UsageError(
            f"test_actors: {options.test_actors!r} must be letters of some of {''.join(sorted(known))} who talk among "
            "themselves, and leave others who do"
        )
    return chosen


def _dialogue(segment: Sequence[Utterance], part: Part, clips: Mapping[str, Recording]) -> FoundDialogue:
    turns = tuple(
        FoundTurn(
            "assistant" if place % 2 else "user",
            f"actor-{one.actor}",
            one.text,
            ABOUT.label_map.get(one.label),
            clips[one.name],
        )
        for place, one in enumerate(segment)
    )
    return FoundDialogue(f"{segment[0].dialogue}-{segment[0].number:03}", part, turns)


def _notes(options: MultiDialogOptions, test_actors: frozenset[str]) -> list[str]:
    notes = []
    if test_actors:
        notes.append(f"tested on actors {', '.join(sorted(test_actors))}, who are in no other part")
    if options.gold_only:
        notes.append(f"gold actors taken: {', '.join(sorted(options.gold_actors))}; compare them with the corpus' card")
    return notes
