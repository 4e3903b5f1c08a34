"""Questions are written as files: what a model would be asked, nothing that tells a label, whole or not at all."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.clips import make_clip
from support.synthetic_release import CONFIG, write_synthetic_release

from avemo_harness import files, media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.planning import plan_items
from avemo_harness.benchmark.release import EMOTIONS, Clip, ConflictPair, Dialogue, Turn
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.benchmark.request_builder import RequestBuilder
from avemo_harness.errors import UsageError
from avemo_harness.models.answer_lines import masked, masked_item_id
from avemo_harness.models.served.messages import Messenger, SoundPart
from avemo_harness.run.config import RunConfig
from avemo_harness.run.prepare import load_task
from avemo_harness.run.requests import WrittenRequests, write_requests

REAL = "multiturn_real"


def write(folder: Path, release: Path, tasks: str = CONFIG, sound_part: SoundPart = "input_audio") -> WrittenRequests:
    config = RunConfig(model="requests", tasks=(tasks,), dataset=str(release))
    return write_requests(config, folder, lambda sentence: None, sound_part)


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "requests.jsonl").read_text("ascii").splitlines()]


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def labelled(emotions: tuple[str, str, str], ids: tuple[str, str]) -> tuple[list[Dialogue], list[ConflictPair]]:
    """Two dialogues of one speaker, the first of two turns of the user, and a pair of their first turns."""
    clips = [Clip.from_bytes(make_clip(1.0, seed)) for seed in range(3)]
    user = [
        Turn(turn, "user", "ann", f"Sentence {number}.", emotion, clip=clip, duration_s=1.0)
        for number, (turn, emotion, clip) in enumerate(zip((0, 2, 0), emotions, clips, strict=True))
    ]
    reply = Turn(1, "assistant", "assistant", "Go on.")
    dialogues = [
        Dialogue(ids[0], "test", "en", "CC0-1.0", (user[0], reply, user[1])),
        Dialogue(ids[1], "test", "en", "CC0-1.0", (user[2],)),
    ]
    pair = ConflictPair(
        f"{emotions[0]}-{emotions[2]}-{ids[0]}", ids[0], 0, ids[1], 0, emotions[0], emotions[2], speaker_id="ann"
    )
    return dialogues, [pair]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_release(tmp_path_factory.mktemp("release") / "synthetic", dialogues=1, turns=2)


@pytest.fixture(scope="module")
def written(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("requests") / "questions"
    write(folder, release)
    return folder


def test_every_item_of_the_tasks_is_a_line(release: Path, written: Path) -> None:
    expected = set()
    for name in ("full_av", "audio_only", "video_only", "conflict", "reply"):
        task = load_task(f"{CONFIG}_{name}").spec
        items = plan_items(task, load_release(str(release), CONFIG)).items
        expected |= {(masked_item_id(item), item.task, item.turn_index, item.condition) for item in items}
    lines = lines_of(written)
    assert {(line["item"], line["task"], line["turn"], line["condition"]) for line in lines} == expected
    assert len(lines) == len(expected)
    wanted = {line["task"]: (line["output"], line.get("labels")) for line in lines}
    assert wanted[f"{CONFIG}_full_av"] == ("label", list(EMOTIONS))
    assert wanted[f"{CONFIG}_reply"] == ("speech", None)


@pytest.mark.parametrize("sound_part", ["input_audio", "input_audio_url", "audio_url", "in_video"])
def test_messages_are_those_that_a_server_would_get_with_files_for_their_data(
    sound_part: SoundPart, release: Path, tmp_path: Path
) -> None:
    task, loaded = load_task(f"{CONFIG}_audio_only").spec, load_release(str(release), CONFIG)
    write(tmp_path / "questions", release, task.task, sound_part)
    builder = RequestBuilder(task, loaded, ConditionCache(files.cache_dir() / "conditions"), task.generation, {}, 0)
    sent = {
        masked_item_id(item): Messenger("", "clips", sound_part).messages(builder.request(item).messages)
        for item in plan_items(task, loaded).items
    }
    lines, bare = lines_of(tmp_path / "questions"), sound_part in ("input_audio", "in_video")
    assert {line["item"]: with_data(line["messages"], tmp_path / "questions", bare) for line in lines} == sent


def with_data(value: Any, folder: Path, bare: bool = False) -> Any:
    """Messages with the content of the files that they name, as a server takes it.

    Args:
        bare: as base64 alone, as `input_audio` has it.
    """
    if isinstance(value, Mapping):
        return {name: with_data(part, folder, bare and name != "url") for name, part in value.items()}
    if isinstance(value, list):
        return [with_data(part, folder, bare) for part in value]
    if not isinstance(value, str) or not value.startswith("clips/"):
        return value
    data = base64.b64encode((folder / value).read_bytes()).decode()
    kind = {"mp4": "video/mp4", "wav": "audio/wav"}[value.rpartition(".")[2]]
    return data if bare else f"data:{kind};base64,{data}"


def test_clips_are_whole_files_after_their_condition_and_each_is_there_once(written: Path) -> None:
    named = {
        name
        for line in lines_of(written)
        for message in line["messages"]
        for part in message["content"]
        if isinstance(part, dict)
        for name in (part.get("video_url", {}).get("url"), part.get("input_audio", {}).get("data"))
        if name
    }
    there = {f"clips/{path.name}" for path in (written / "clips").iterdir()}
    assert there == named
    contents = [(written / name).read_bytes() for name in there]
    assert len(set(contents)) == len(contents)
    for content in contents:
        media.check_whole(content)


def test_releases_that_differ_in_labels_alone_give_equal_folders(tmp_path: Path) -> None:
    """Even where ids of dialogues and pairs hold the emotion, nothing else is in the folder."""
    for name, emotions in (("one", ("happy", "sad", "angry")), ("other", ("angry", "neutral", "happy"))):
        dialogues, pairs = labelled(emotions, ("d1", "d2"))  # type: ignore[arg-type]  # (three of them)
        pairs = [replace(pair, pair_id="p1") for pair in pairs]
        write_release(tmp_path / f"{name} release", REAL, {"test": dialogues}, {"test": pairs})
        write(tmp_path / name, tmp_path / f"{name} release", REAL)
    assert content_of(tmp_path / "one") == content_of(tmp_path / "other")


def test_ids_that_hold_the_emotion_are_not_shown_and_do_not_order_the_lines(tmp_path: Path) -> None:
    ids = ("1001_HAP_XX", "1003_ANG_XX")
    assert sorted(ids, key=masked) != sorted(ids)
    dialogues, pairs = labelled(("happy", "sad", "angry"), ids)
    write_release(tmp_path / "release", REAL, {"test": dialogues}, {"test": pairs})
    write(tmp_path / "questions", tmp_path / "release", REAL)
    shown = b"".join(content for name, content in content_of(tmp_path / "questions").items() if "clips" not in name)
    assert not any(word in shown for word in (b"HAP", b"ANG", b"1001_", b"1003_"))
    lines = lines_of(tmp_path / "questions")
    asked = " ".join(json.dumps(line["messages"]) for line in lines)
    rest = [{**line, "messages": None, "labels": None} for line in lines]
    assert not any(emotion in json.dumps(rest) for emotion in EMOTIONS)
    assert asked.count("angry") == asked.count("happy") == asked.count("sad")  # they are asked for
    dialogues_in_order = [line["dialogue"] for line in lines]
    assert dialogues_in_order == sorted(dialogues_in_order)


def test_a_clip_that_cannot_be_shown_is_named_and_left_out(tmp_path: Path) -> None:
    dialogues, _ = labelled(("happy", "sad", "angry"), ("d1", "d2"))
    broken = replace(dialogues[1].turns[0], clip=Clip.from_bytes(make_clip(1.0, 7)[:2000]))
    write_release(tmp_path / "release", REAL, {"test": [dialogues[0], replace(dialogues[1], turns=(broken,))]})
    written = write(tmp_path / "questions", tmp_path / "release", f"{REAL}_video_only")
    assert (written.items, len(lines_of(tmp_path / "questions"))) == (2, 2)
    (failure,) = written.failed
    assert failure.startswith(f"{REAL}_video_only d2/0: MediaError: ")


def test_what_is_interrupted_leaves_nothing(release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Messenger, conversation: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Messenger, "messages", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "questions", release)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_not_written_into(release: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is there already and is not overwritten"):
        write(tmp_path, release)


def test_questions_whose_history_is_the_models_own_are_refused(release: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its histories hold the model's own replies"):
        write(tmp_path / "questions", release, f"{CONFIG}_reply_own")
    assert not (tmp_path / "questions").exists()


def test_licences_that_do_not_let_everybody_have_the_clips_are_told(tmp_path: Path) -> None:
    source = write_synthetic_release(tmp_path / "release", dialogues=1, turns=1, licence="research only")
    assert write(tmp_path / "questions", source, f"{CONFIG}_full_av").licences == ["research only"]
