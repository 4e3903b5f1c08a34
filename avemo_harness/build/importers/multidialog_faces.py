"""The videos of MultiDialog, which are given out apart from the sound: one for each utterance, or for each dialogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from avemo_harness.build.importers.base import Recording
from avemo_harness.build.importers.films import Films, Scene
from avemo_harness.build.importers.recordings import Dubbed
from avemo_harness.build.importers.source import Source, by_stem
from avemo_harness.errors import ReleaseError
from avemo_harness.recognizers.corpora.multidialog import Utterance


@dataclass(frozen=True)
class Sounds:
    """The sound files of utterances, by the utterances' names."""

    source: Source
    names: Mapping[str, str]


class Videos(Protocol):
    """Whatever shows the faces."""

    def covers(self, one: Utterance) -> bool:
        """Whether an utterance can be seen."""

    def dub(self, one: Utterance) -> Recording:
        """The sound of an utterance with its face."""


@dataclass(frozen=True)
class UtteranceVideos:
    """A video for each utterance, by its name."""

    sounds: Sounds
    faces: Source
    videos: Mapping[str, str]

    def covers(self, one: Utterance) -> bool:
        return one.name in self.videos

    def dub(self, one: Utterance) -> Recording:
        return Dubbed(self.sounds.source, self.sounds.names[one.name], self.faces, self.videos[one.name])


@dataclass(frozen=True)
class DialogueVideos:
    """A video for each dialogue, by its name; whose utterances all have sound files can be cut."""

    sounds: Sounds
    films: Films
    talks: Mapping[str, Sequence[Utterance]]

    def covers(self, one: Utterance) -> bool:
        talk = self.talks[one.dialogue]
        return one.dialogue in self.films.videos and all(said.name in self.sounds.names for said in talk)

    def dub(self, one: Utterance) -> Recording:
        parts = tuple(self.sounds.names[said.name] for said in self.talks[one.dialogue])
        return Scene(self.films, one.dialogue, self.sounds.source, self.sounds.names[one.name], parts)


def open_videos(faces: Source, sounds: Sounds, talks: Sequence[Sequence[Utterance]]) -> Videos:
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
        return DialogueVideos(sounds, Films(faces, videos), by_dialogue)
    example = said[0] if said else talks[0][0]
    raise ReleaseError(
        f"{faces}: none of {len(said)} utterances has its video among {len(videos)} mp4 files; name them like "
        f"the sound of utterances, such as {example.name}.mp4, or like dialogues, such as {example.dialogue}.mp4"
    )
