"""By which streams users are judged: all that a turn has and the judge makes use of, which is kept and told."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.clips import make_clip, melody
from support.judged_runs import TASK, Speaking, rows_of, run
from support.planted_judge import LevelJudge, plant
from support.synthetic_release import CONFIG, write_synthetic_release
from support.tiny_corpora import write_silent_clip

from avemo_harness import evaluate, media
from avemo_harness.benchmark.release import Clip, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.errors import UsageError


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_release(tmp_path_factory.mktemp("release") / "synthetic")


@pytest.fixture(autouse=True)
def _is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVEMO_JUDGE", "embedded")


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> LevelJudge:
    return plant(monkeypatch, LevelJudge())


def test_what_a_users_turn_is_judged_by_is_kept(release: Path, tmp_path: Path, judge: LevelJudge) -> None:
    reply = run(release, tmp_path / "run").tasks[TASK]
    assert {row["user_view"] for row in rows_of(tmp_path / "run", "judgements")} == {"audio_video"}
    details = reply.details["reasoning"]
    assert (details["users_by_view"], details["mixed_user_views"]) == ({"audio_video": 12}, False)


def test_a_judge_of_sound_alone_says_so_of_every_user(release: Path, tmp_path: Path, judge: LevelJudge) -> None:
    judge.modalities = frozenset({"audio"})
    details = run(release, tmp_path / "run").tasks[TASK].details["reasoning"]
    assert (details["users_by_view"], details["mixed_user_views"]) == ({"audio": 12}, False)
    users = [(name, view) for name, view in judge.shown if not name.startswith("speech/")]
    assert {view for _, view in users} == {"audio"}
    assert len(users) == len(set(users)), "the same sound is heard once"


def test_a_judge_of_faces_alone_is_refused(release: Path, tmp_path: Path, judge: LevelJudge) -> None:
    judge.modalities = frozenset({"video"})
    with pytest.raises(UsageError, match="the recogniser 'embedded' looks at faces alone, and replies are heard"):
        run(release, tmp_path / "run")


def single_streams(folder: Path) -> Path:
    """A release of three turns: with sound and face, with sound alone, with the face alone."""
    both = make_clip(2.0, seed=1)
    write_silent_clip(folder / "face.mp4", 2.0)
    sound = media.encode_sound(melody(2.0, seed=2), 16_000)
    clips = {"both": both, "sound": sound, "face": (folder / "face.mp4").read_bytes()}
    dialogues = [
        Dialogue(name, "test", "en", "CC0-1.0", (Turn(0, "user", name, "Well.", "sad", clip=Clip.from_bytes(data)),))
        for name, data in clips.items()
    ]
    write_release(folder / "streams", CONFIG, {"test": dialogues})
    return folder / "streams"


def judged_users(folder: Path) -> tuple[dict[str, str | None], list[str]]:
    """By which streams each user was judged, and the errors of those who were not."""
    rows = rows_of(folder, "judgements")
    return {row["item"]: row.get("user_view") for row in rows}, [row["error"] for row in rows if "error" in row]


def test_a_user_without_a_face_is_judged_by_sound_and_the_mean_says_so(tmp_path: Path, judge: LevelJudge) -> None:
    reply = run(single_streams(tmp_path), tmp_path / "run").tasks[TASK]
    assert judged_users(tmp_path / "run") == ({"both/0": "audio_video", "sound/0": "audio"}, [])
    assert reply.not_asked == {"no sound": 1}
    details = reply.details["reasoning"]
    assert details["users_by_view"] == {"audio": 1, "audio_video": 1}
    assert details["mixed_user_views"] is True


def face_task(folder: Path) -> str:
    """A task that asks for replies to faces, heard under noise."""
    shipped = Path(__file__).parents[2] / "tasks" / "_reply_dialogue.yaml"
    text = f"task: faces\nextends: {shipped}\ndataset: {{name: {CONFIG}}}\ncondition: video_only\n"
    (folder / "faces.yaml").write_text(text, encoding="utf-8")
    return str(folder / "faces.yaml")


@pytest.mark.parametrize("modalities", [("audio", "video"), ("audio",)])
def test_a_user_without_sound_is_judged_by_face_where_the_judge_looks(
    modalities: tuple[str, ...], tmp_path: Path, judge: LevelJudge
) -> None:
    judge.modalities = frozenset(modalities)
    release = single_streams(tmp_path)
    result = evaluate(Speaking(), face_task(tmp_path), dataset=str(release), output_path=tmp_path / "run")
    reply = result.tasks["faces"]
    views, errors = judged_users(tmp_path / "run")
    if "video" in modalities:
        assert (views, errors) == ({"both/0": "audio_video", "face/0": "video"}, [])
        assert reply.details["reasoning"]["mixed_user_views"] is True
    else:
        assert views == {"both/0": "audio", "face/0": None}
        assert reply.details["reasoning"]["users_by_view"] == {"audio": 1}
        (error,) = errors
        assert "the judge makes use of sound alone, and the turn has none" in error
        assert reply.n_errors == 1
