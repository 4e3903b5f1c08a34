"""MultiDialog (Park et al. 2024): acted dialogues of 12 actors, with videos by utterance or dialogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, Protocol

from avemo_harness.data.importers.base import (
    MAX_SEGMENT_TURNS,
    MIN_SEGMENT_TURNS,
    MULTI_TURN,
    ClipSource,
    CorpusInfo,
    FoundCorpus,
    FoundDialogue,
    FoundTurn,
    ReadFile,
    choose_test_actors,
    cut_segments,
    part_of_actors,
)
from avemo_harness.data.importers.base import ConversationTurn as Place
from avemo_harness.data.importers.recordings import AlignedVideos, DubbedVideo, VideoSegment, WholeFile
from avemo_harness.data.importers.source import Source, by_stem, open_source, record_file
from avemo_harness.errors import ReleaseError, UsageError
from avemo_harness.recognizers.corpora.multidialog import Utterance, choose_metadata, parse_metadata, part_of_path
from avemo_harness.recognizers.recordings import Part, left_out, parse_part


@dataclass(frozen=True)
class SoundFiles:
    """The sound files of utterances, by the utterances' names."""

    source: Source
    names: Mapping[str, str]


class Videos(Protocol):
    """Whatever shows the faces."""

    def covers(self, one: Utterance) -> bool:
        """Whether an utterance can be seen."""

    def dub(self, one: Utterance) -> ClipSource:
        """The sound of an utterance with its face."""


@dataclass(frozen=True)
class UtteranceVideos:
    """A video for each utterance, by its name."""

    sounds: SoundFiles
    faces: Source
    videos: Mapping[str, str]

    def covers(self, one: Utterance) -> bool:
        return one.name in self.videos

    def dub(self, one: Utterance) -> ClipSource:
        return DubbedVideo(self.sounds.source, self.sounds.names[one.name], self.faces, self.videos[one.name])


@dataclass(frozen=True)
class DialogueVideos:
    """A video for each dialogue, by its name; whose utterances all have sound files can be cut."""

    sounds: SoundFiles
    films: AlignedVideos
    talks: Mapping[str, Sequence[Utterance]]

    def covers(self, one: Utterance) -> bool:
        talk = self.talks[one.dialogue]
        return one.dialogue in self.films.videos and all(said.name in self.sounds.names for said in talk)

    def dub(self, one: Utterance) -> ClipSource:
        parts = tuple(self.sounds.names[said.name] for said in self.talks[one.dialogue])
        return VideoSegment(self.films, one.dialogue, self.sounds.source, self.sounds.names[one.name], parts)


def open_videos(faces: Source, sounds: SoundFiles, talks: Sequence[Sequence[Utterance]]) -> Videos:
    """Look for the videos of utterances, or else of dialogues.

    Args:
        talks: the utterances of each dialogue, in the order in which they were spoken.

    Raises:
        ReleaseError: there are neither.
    """
    videos = by_stem(faces.names(), ".mp4")
    said = [one for talk in talks for one in talk if one.name in sounds.names]
    if any(one.name in videos for one in said):
        return UtteranceVideos(sounds, faces, videos)
    by_dialogue = {talk[0].dialogue: talk for talk in talks}
    if videos.keys() & by_dialogue.keys():
        return DialogueVideos(sounds, AlignedVideos(faces, videos), by_dialogue)
    example = said[0] if said else talks[0][0]
    raise ReleaseError(
        f"{faces}: none of {len(said)} utterances has its video among {len(videos)} mp4 files; name them like "
        f"the sound of utterances, such as {example.name}.mp4, or like dialogues, such as {example.dialogue}.mp4"
    )


ABOUT = CorpusInfo(
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


def find_multidialog(source: Source, options: MultiDialogOptions) -> FoundCorpus:
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
            f"{source}: no segment of {MIN_SEGMENT_TURNS} to {MAX_SEGMENT_TURNS} turns among {len(utterances)} "
            f"utterances, {len(clips)} of which have their clips; give the folder that holds metadata/ and data/, with "
            "its archives or unpacked"
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
    return FoundCorpus(
        ABOUT, MULTI_TURN, tuple(dialogues), order, left_out(dropped), read, tuple(_notes(options, test_actors))
    )


def _read_metadata(source: Source, names: Sequence[str]) -> tuple[list[Utterance], tuple[ReadFile, ...]]:
    files = [(name, source.read(name)) for name in choose_metadata(str(source), names)]
    return parse_metadata(files), tuple(record_file(name, data) for name, data in files)


def _find_clips(
    source: Source, names: Sequence[str], talks: Sequence[Sequence[Utterance]], video: str
) -> Mapping[str, ClipSource]:
    """The clip of each utterance that has a sound file and, where videos are given, a face."""
    sounds = SoundFiles(source, by_stem(names, ".wav"))
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
    talk: Sequence[Utterance], clips: Mapping[str, ClipSource], dropped: Counter[str]
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


def _why_unused(one: Utterance, clips: Mapping[str, ClipSource]) -> str:
    if one.name not in clips:
        return "utterances without a clip"
    if one.label not in ABOUT.label_map:
        return f"label {one.label}"
    return f"utterances in no segment of {MIN_SEGMENT_TURNS} to {MAX_SEGMENT_TURNS} turns"


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


def _dialogue(segment: Sequence[Utterance], part: Part, clips: Mapping[str, ClipSource]) -> FoundDialogue:
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
