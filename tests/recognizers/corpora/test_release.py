"""Releases as a corpus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.clips import make_clip
from support.releases import write_text_release

from avemo_harness.benchmark.origin import BUILTIN_FACE, BUILTIN_VOICE, source_of_build
from avemo_harness.benchmark.release import Clip, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.errors import ReleaseError, UsageError
from avemo_harness.recognizers.corpora import open_corpus


def turn(number: int, speaker: str, emotion: str = "sad") -> Turn:
    clip = Clip.from_bytes(make_clip(1.0, seed=number))
    return Turn(0, "user", speaker, "words", emotion, None, clip, 1.0, (0.2, 0.3), (0.4, 0.5), 2.0)


def dialogues(first: int, speaker: str) -> list[Dialogue]:
    return [Dialogue(f"d{first + i}", "test", "en", "CC0-1.0", (turn(first + i, speaker),)) for i in range(2)]


def test_turns_of_both_splits_are_rated_and_labelled_recordings_of_their_part(tmp_path: Path) -> None:
    write_release(tmp_path, "talk", {"train": dialogues(0, "ann"), "test": dialogues(2, "bob")})
    corpus = open_corpus(f"release:{tmp_path},config=talk")
    assert [(one.recording_id, one.speaker, one.part) for one in corpus.rated] == [
        ("d0/0", "ann", "train"),
        ("d1/0", "ann", "train"),
        ("d2/0", "bob", "test"),
        ("d3/0", "bob", "test"),
    ]
    assert corpus.rated[0].trajectory.column("valence").tolist() == [0.2, 0.3]
    assert corpus.rated[0].trajectory.column("arousal").tolist() == [0.4, 0.5]
    assert corpus.rated[0].streams.views == ("both", "audio", "video")
    assert {(one.label, one.face, one.dialogue) for one in corpus.labelled if one.part == "test"} == {
        ("sad", "bob", "d2"),
        ("sad", "bob", "d3"),
    }
    assert not corpus.rated_live


def test_a_release_of_the_built_in_voice_and_face_alone_is_known_to_hold_no_people(tmp_path: Path) -> None:
    tools = {"dialogue": "openai", "speech": BUILTIN_VOICE, "face": BUILTIN_FACE}
    made = [replace(one, source=source_of_build("mine", tools)) for one in dialogues(0, "ann")]
    write_release(tmp_path / "made", "talk", {"train": made, "test": made})
    write_release(tmp_path / "mixed", "talk", {"train": made, "test": dialogues(2, "bob")})
    assert open_corpus(f"release:{tmp_path / 'made'},config=talk").is_builtin
    assert not open_corpus(f"release:{tmp_path / 'mixed'},config=talk").is_builtin


def test_clips_that_a_release_names_are_read_below_the_folder_that_is_given(tmp_path: Path) -> None:
    out, media = tmp_path / "release", tmp_path / "media"
    media.mkdir()
    written = dialogues(0, "ann")
    for dialogue in written:
        for one in dialogue.turns:
            assert one.clip is not None
            (media / one.clip.sha256).write_bytes(one.clip.read())
    write_release(out, "talk", {"test": written}, path_of=lambda clip: clip.sha256)
    assert len(open_corpus(f"release:{out},config=talk,media_root={media}").labelled) == 2


def test_turns_at_another_rate_or_without_ratings_are_not_rated(tmp_path: Path) -> None:
    slow = replace(turn(0, "ann"), valence=(0.2,), arousal=(0.3,), va_rate_hz=1.0)
    unrated = replace(turn(1, "ann"), valence=(), arousal=(), va_rate_hz=None)
    rows = [Dialogue(f"d{i}", "test", "en", "CC0-1.0", (one,)) for i, one in enumerate((slow, unrated))]
    write_release(tmp_path, "talk", {"test": rows})
    corpus = open_corpus(f"release:{tmp_path},config=talk")
    assert (len(corpus.rated), len(corpus.labelled)) == (0, 2)


def test_a_release_without_clips_is_refused(tmp_path: Path) -> None:
    write_text_release(tmp_path, 2)
    with pytest.raises(ReleaseError, match="no turn with a clip"):
        open_corpus(f"release:{tmp_path},config=text")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("recolla:x", "no corpus 'recolla'"),
        ("release", "expected release:PATH"),
        ("release:config=x", "expected release:PATH"),
        ("release:some/where", "corpus release needs config=…"),
        ("release:some/where,config=x,split=y", "corpus release takes no argument 'split'"),
    ],
)
def test_what_is_wrong_with_a_name_is_told(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_corpus(spec)
