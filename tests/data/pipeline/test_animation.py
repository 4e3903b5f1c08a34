"""Animation tools as commands: what they are given, and what of theirs is refused as no talking face."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import pretend_tool
from support.clips import make_clip, melody, pattern
from support.utterances import LINE, UTTERANCE, with_portrait
from support.waiting import PATIENCE_S

from avemo_harness import media
from avemo_harness.data.pipeline.animation import CommandFace, check_talking_face
from avemo_harness.data.pipeline.backends import Portrait, SpeechAudio
from avemo_harness.errors import BuildError, MediaError, UsageError

SECONDS = 2.0
GOOD = make_clip(SECONDS)
VOICE = SpeechAudio(melody(SECONDS), 16_000)
TOOL = (sys.executable, pretend_tool.__file__)
PATHS = ("{in.wav}", "{out.mp4}")
SHORT = {"neutral": "neu", "happy": "hap", "angry": "ang", "sad": "sad"}


def frames(count: int, moving: int | None = None, width: int = 96, height: int = 64) -> list[np.ndarray]:
    """Pictures of which the first ones move: all of them, or as many as told."""
    return [pattern(min(i, count if moving is None else moving), width, height) for i in range(count)]


def with_second_video(clip: bytes, path: Path) -> bytes:
    import av

    path.write_bytes(clip)
    made = path.with_suffix(".two.mp4")
    with av.open(str(path)) as source, av.open(str(made), "w") as target:
        stream = source.streams.video[0]
        copies = [target.add_stream_from_template(stream) for _ in range(2)]
        for packet in source.demux(stream):
            if packet.dts is not None:
                data, pts, dts, duration = bytes(packet), packet.pts, packet.dts, packet.duration
                for copy in copies:
                    twin = av.Packet(data)
                    twin.pts, twin.dts, twin.duration = pts, dts, duration
                    twin.time_base, twin.is_keyframe, twin.stream = packet.time_base, packet.is_keyframe, copy
                    target.mux(twin)
    return made.read_bytes()


@pytest.fixture
def stock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "stock [of clips]"
    folder.mkdir()
    (folder / "good").write_bytes(GOOD)
    monkeypatch.setenv("STOCK", str(folder))
    return folder


def face(what: str = "good", *more: str, **changes: Any) -> CommandFace:
    argv = (*TOOL, what, "{out.mp4}", "{in.wav}", *more)
    settings = {
        "tool": "Pretend",
        "version": "1",
        "argv": argv,
        "env": ("STOCK",),
        "min_side": 64,
        "timeout_s": PATIENCE_S,
    }
    return CommandFace(CommandFace.Arguments(**{**settings, **changes}))


def seen(stock: Path) -> list[str]:
    """The arguments that the tool was given after those that tell it what to do."""
    argv: list[str] = json.loads((stock / "seen.json").read_text())["argv"]
    return argv


def test_the_tool_reads_the_voice(stock: Path) -> None:
    face().animate(UTTERANCE, VOICE)
    samples, rate = media.read_wave((stock / "taken in.wav").read_bytes())
    assert rate == 16_000
    assert np.abs(samples - VOICE.samples).max() < 1e-4


def test_the_tool_reads_the_portrait_as_png_and_upright(stock: Path, tmp_path: Path) -> None:
    from PIL import Image

    picture = Image.new("RGB", (80, 40), "red")
    turned = Image.Exif()
    turned[0x0112] = 6
    path = tmp_path / "face.jpg"
    picture.save(path, exif=turned)
    portrait = Portrait("p1", path, "00", "female", "CC0", no_derivatives=False)
    face("good", "{in.png}").animate(with_portrait(portrait), VOICE)
    with Image.open(stock / "taken in.png") as taken:
        assert (taken.format, taken.size) == ("PNG", (40, 80))


def test_the_tool_is_told_emotion_style_and_seed(stock: Path) -> None:
    face("good", "--emo={emotion}", "{style}", "{text}", "{seed}", emotions=SHORT).animate(UTTERANCE, VOICE)
    assert seen(stock)[1:] == ["--emo=hap", "bright and quick", "I left the key on the shelf.", "11"]


def test_no_text_becomes_more_than_one_argument_or_runs(stock: Path) -> None:
    nasty = "; touch owned $(id) `id` {seed} \"'\n--output /etc/passwd *"
    face("good", "{style}").animate(replace(UTTERANCE, line=replace(LINE, style=nasty)), VOICE)
    assert seen(stock)[1:] == [nasty]


def test_a_text_that_looks_like_an_option_is_refused(stock: Path) -> None:
    utterance = replace(UTTERANCE, line=replace(LINE, style="--output=/etc/passwd"))
    with pytest.raises(BuildError, match=r"\{style\} is '--output=/etc/passwd', which a tool would take for an option"):
        face("good", "{style}").animate(utterance, VOICE)
    assert face("good", "--style={style}").animate(utterance, VOICE) == GOOD


def test_an_emotion_may_be_shown_by_a_file(stock: Path) -> None:
    clips = {emotion: f"{emotion}.mat" for emotion in SHORT}
    for name in clips.values():
        (stock / name).write_bytes(b"MAT 1")
    settings = {"emotion_input": "style_clip", "style_clips": clips, "cwd": str(stock)}
    backend = face("good", "{style_clip}", **settings)
    backend.animate(UTTERANCE, VOICE)
    assert seen(stock)[1:] == ["happy.mat"]
    before = backend.identity()
    (stock / "happy.mat").write_bytes(b"MAT 2")
    assert face("good", "{style_clip}", **settings).identity() != before


def test_a_tool_that_names_its_output_itself(stock: Path) -> None:
    argv = (*TOOL, "good", "{out.dir}/made", "{in.wav}")
    assert face(argv=argv, collect="{out.dir}/made/*.mp4").animate(UTTERANCE, VOICE) == GOOD


def test_a_tool_that_also_chooses_the_folder(stock: Path) -> None:
    argv = (*TOOL, "good", "results/{out.name}.mp4", "{in.wav}")
    backend = face(argv=argv, cwd=str(stock), collect="results/{out.name}*.mp4")
    assert backend.animate(UTTERANCE, VOICE) == GOOD
    assert list((stock / "results").iterdir()) == [], "the output is moved, not copied"


def test_output_outside_the_units_folder_is_cleared_away_also_after_a_failure(stock: Path) -> None:
    (stock / "broken").write_bytes(GOOD[:5000])
    argv = (*TOOL, "broken", "results/{out.name}.mp4", "{in.wav}")
    with pytest.raises(BuildError):
        face(argv=argv, cwd=str(stock), collect="results/{out.name}.mp4").animate(UTTERANCE, VOICE)
    assert list((stock / "results").iterdir()) == []


@pytest.mark.parametrize("what", ["good", "fail", "nothing", "leave children"])
def test_nothing_is_left_of_the_units_folder(
    stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    units = tmp_path / "units"
    units.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(units))
    try:
        face(what).animate(UTTERANCE, VOICE)
    except BuildError:
        assert what in ("fail", "nothing")
    assert json.loads((stock / "seen.json").read_text())["environment"]["TMPDIR"].startswith(str(units))
    assert list(units.iterdir()) == []


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("fail", r"Pretend: \S+ ended with status 3; it printed: .*CUDA out of memory"),
        ("nothing", r"Pretend: it made no files where one was expected \(out.mp4\); its folder holds: nothing"),
    ],
)
def test_a_tool_that_fails_is_an_error_of_the_unit(stock: Path, what: str, said: str) -> None:
    with pytest.raises(BuildError, match=f"^single-0003, turn 0: {said}$"):
        face(what).animate(UTTERANCE, VOICE)


def test_several_outputs_are_an_error(stock: Path) -> None:
    argv = (*TOOL, "two files", "{out.dir}/made.mp4", "{in.wav}")
    with pytest.raises(BuildError, match=r"it made 2 files where one was expected .*holds: another\.mp4, made\.mp4"):
        face(argv=argv, collect="{out.dir}/*.mp4").animate(UTTERANCE, VOICE)


@pytest.mark.parametrize("cut", [0.02, 0.5, 0.98])
def test_a_file_that_is_cut_off_is_refused(stock: Path, cut: float) -> None:
    (stock / "cut").write_bytes(GOOD[: int(len(GOOD) * cut)])
    with pytest.raises(BuildError, match=r"^single-0003, turn 0: what Pretend made cannot be used: "):
        face("cut").animate(UTTERANCE, VOICE)


@pytest.mark.parametrize(
    ("clip", "said"),
    [
        (media.encode_sound(melody(2.0)), "it has 0 video streams, expected is one"),
        (media.encode_clip(frames(60), melody(2.0), fps=30), "it has 30 frames a second, declared are 25"),
        (make_clip(1.6), "it lasts 1.60 s and the voice 2.00 s, more than 3 frames apart"),
        (make_clip(2.4), "it lasts 2.40 s and the voice 2.00 s, more than 3 frames apart"),
        (
            media.encode_clip(frames(50, width=96, height=48), melody(2.0)),
            "it has 96x48 pixels, each side must have 64",
        ),
        (media.encode_clip(frames(50), np.zeros(32_000, np.float32)), "its sound is silent"),
        (media.encode_clip(frames(50, moving=0), melody(2.0)), "its picture moves in 0% of its seconds"),
        (media.encode_clip(frames(50)[:1] * 50, melody(2.0)), "its picture moves in 0% of its seconds"),
        (b"not a video at all", "cannot be read"),
        (b"", "it is empty"),
    ],
)
def test_a_clip_that_is_no_talking_face_is_refused(clip: bytes, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        check_talking_face(clip, SECONDS, 25, 64)


def test_a_face_that_freezes_early_is_refused() -> None:
    clip = media.encode_clip(frames(100, moving=20), melody(4.0))
    with pytest.raises(MediaError, match="its picture moves in 25% of its seconds"):
        check_talking_face(clip, 4.0, 25, 64)


def test_two_video_streams_are_refused(tmp_path: Path) -> None:
    clip = with_second_video(GOOD, tmp_path / "one.mp4")
    with pytest.raises(MediaError, match="it has 2 video streams, expected is one"):
        check_talking_face(clip, SECONDS, 25, 64)


@pytest.mark.parametrize("frames_off", [-3, 3])
def test_three_frames_more_or_less_are_allowed(frames_off: int) -> None:
    check_talking_face(GOOD, SECONDS + float(Fraction(frames_off, 25)), 25, 64)


def test_real_talking_faces_pass_and_stop_passing_when_they_stand_still(real_media: Path) -> None:
    for path in sorted([*(real_media / "mead_faces").glob("*.mp4"), *(real_media / "talking_heads").glob("*.mp4")])[
        ::3
    ]:
        info = media.probe(path)
        assert info.video is not None
        check_talking_face(path.read_bytes(), info.video.duration_s, info.video.fps, 224)
        with pytest.raises(MediaError, match="moves in 0%"):
            check_talking_face(media.freeze_video(path), info.video.duration_s, info.video.fps, 224)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"argv": ()}, "argv: no program is named"),
        ({"argv": ("no-such-program", "{in.wav}", "{out.mp4}")}, "argv: no-such-program: no such program"),
        (
            {"argv": (*TOOL, "{in.wva}", "{out.mp4}")},
            "argv: '{in.wva}' has no valid placeholder {in.wva}; nearest: 'in.w",
        ),
        ({"argv": (*TOOL, "{in.wav}")}, "argv: nothing takes {out.mp4}"),
        ({"argv": (*TOOL, "{out.mp4}")}, "argv: nothing takes {in.wav}"),
        ({"cwd": "/no/such/folder"}, "cwd: /no/such/folder: no such folder"),
        ({"env": ("AVEMO_NO_SUCH",)}, "env: the environment variable AVEMO_NO_SUCH is not set"),
        ({"collect": "results/*.mp4"}, "collect: 'results/*.mp4' may find what other units made"),
        ({"emotion_input": "label"}, "argv: nothing takes {emotion}, and emotion_input: label is declared"),
        ({"emotion_input": "text"}, "argv: nothing takes {style}, and emotion_input: text is declared"),
        (
            {"emotion_input": "text", "argv": (*TOOL, "{in.wav}", "{out.mp4}", "{text}")},
            "argv: nothing takes {style}, and emotion_input: text is declared",
        ),
        ({"emotions": {**SHORT, "happyy": "hap"}}, "emotions: there is no emotion 'happyy'; nearest: 'happy'"),
        ({"emotions": {"happy": "hap", "sad": "sad"}}, "emotions: nothing is told for neutral, angry; give a value"),
        ({"emotions": {**SHORT, "sad": "ang"}}, "emotions: angry, sad have a value in common"),
        (
            {"argv": (*TOOL, "{in.wav}", "{out.mp4}", "{style_clip}")},
            "style_clips: argv holds {style_clip}; name a file",
        ),
        ({"style_clips": {"sad": "/no/sad.mat"}}, "style_clips: nothing is told for neutral, happy, angry"),
        ({"style_clips": SHORT}, "style_clips: ang, which is to show 'angry', cannot be read"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_made(stock: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        face(**changes)
    assert str(error.value).startswith(said)


def test_a_speaker_without_a_portrait_is_an_error_of_the_unit(stock: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"^single-0003, turn 0: the tool needs a portrait"):
        face("good", "{in.png}").animate(UTTERANCE, VOICE)
    path = tmp_path / "face.png"
    path.write_bytes(b"no picture")
    portrait = Portrait("p1", path, "00", "female", "CC0", no_derivatives=False)
    with pytest.raises(BuildError, match=r"face\.png: no picture that can be read"):
        face("good", "{in.png}").animate(with_portrait(portrait), VOICE)


def test_the_identity_tells_tool_version_and_arguments(stock: Path) -> None:
    identity = face().identity()
    assert (identity["tool"], identity["version"]) == ("Pretend", "1")
    assert str(stock) not in str(identity), "the values of variables stay out"
    for change in ({"version": "2"}, {"fps": 30.0}, {"collect": "{out.dir}/*"}, {"emotions": SHORT}):
        assert face(**change).identity() != identity
    assert face("good", "--level=2").identity() != identity
    assert face(timeout_s=3.0, cwd=str(stock)).identity() == identity


def test_a_key_among_the_arguments_or_in_the_environment_is_told_nowhere(
    stock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOL_KEY", "sk-0123456789")
    assert "sk-0123456789" not in str(face("good", "--key=sk-0123456789").identity())
    with pytest.raises(BuildError, match=r"it printed: no such key: \$\{TOOL_KEY\}$"):
        face(
            argv=(sys.executable, "-c", "import os; exit('no such key: ' + os.environ['TOOL_KEY'])", *PATHS),
            env=("TOOL_KEY",),
        ).animate(UTTERANCE, VOICE)
