"""`avemo-eval recognizer`: train one, evaluate it, and judge with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from support.tiny_judges import audeering_layout

from avemo_harness import media
from avemo_harness.benchmark.release import EMOTIONS, Clip, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.data.synthesis.affect import AffectPath, Speaker
from avemo_harness.data.synthesis.voice import RATE, VoiceVariation, control_times, speak

pytestmark = pytest.mark.slow


def avemo_eval(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "avemo_harness", "recognizer", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def spoken(speaker: int, take: int) -> Turn:
    rng = np.random.default_rng([speaker, take])
    length_s = 3.0
    path = AffectPath(float(rng.random()), float(rng.random()), (0.3, 0.4), (0.0, 1.0))
    voice = Speaker.draw(f"s{speaker}", speaker)
    said = speak("Tell me what happened today.", voice, path.at(control_times(length_s)), VoiceVariation.draw(rng), rng)
    rated = path.rated(length_s)
    clip = Clip.from_bytes(media.encode_sound(said.samples, RATE))
    valence, arousal = (tuple(one.tolist()) for one in (rated.valence, rated.arousal))
    return Turn(0, "user", f"s{speaker}", "words", None, None, clip, length_s, valence, arousal, 2.0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("voices")
    rows = [
        [Dialogue(f"d{s}-{take}", "test", "en", "CC0-1.0", (spoken(s, take),)) for s in speakers for take in range(8)]
        for speakers in (range(6), range(6, 8))
    ]
    write_release(folder, "voices", {"train": rows[0], "test": rows[1]})
    return f"release:{folder},config=voices"


@pytest.fixture(scope="module")
def judge(corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge") / "mine"
    done = avemo_eval("train", "--corpus", corpus, "--extractor", "builtin-sound", "--out", str(folder))
    assert done.returncode == 0, done.stderr
    assert "CCC test, sound alone: valence" in done.stdout
    assert f"avemo-eval judge RUN --recognizer {folder}" in done.stdout
    return folder


def test_a_recogniser_is_trained_into_a_folder_once(judge: Path, corpus: str) -> None:
    card = json.loads((judge / "card.json").read_text())
    assert card["training"]["n_recordings"] == 48
    assert {one["view"] for one in card["agreements"]} == {"audio"}
    again = avemo_eval("train", "--corpus", corpus, "--out", str(judge))
    assert again.returncode == 2
    assert "is not empty; name a new folder" in again.stderr


def test_it_is_evaluated_on_the_test_part_with_its_card(judge: Path, corpus: str, tmp_path: Path) -> None:
    figure, written = tmp_path / "figure2.svg", tmp_path / "ccc.json"
    done = avemo_eval(
        "evaluate", "--corpus", corpus, "--recognizer", str(judge), "--figure", str(figure), "--out", str(written)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("trained on voices of ")
    assert "test part: sound alone" in done.stdout
    assert "face alone   " not in done.stdout
    ElementTree.parse(figure)
    values = json.loads(written.read_text())["splits"][0]["agreements"]
    assert {one["dimension"]: one["n_recordings"] for one in values} == {"valence": 16, "arousal": 16}


def test_training_by_split_prints_the_tables(corpus: str) -> None:
    done = avemo_eval("evaluate", "--corpus", corpus, "--extractor", "builtin-sound", "--folds", "2")
    assert done.returncode == 0, done.stderr
    assert "subject-wise: sound alone" in done.stdout
    assert "official: sound alone" in done.stdout
    assert "AV-EMO-Reasoning (published, RECOLA)    0.687    0.690  0.689" in done.stdout
    assert "fold 2 of 2" in done.stderr


def test_it_follows_clips_line_by_line(judge: Path, tmp_path: Path) -> None:
    clip = spoken(20, 1).clip
    assert clip is not None
    path = tmp_path / "said.flac"
    path.write_bytes(clip.read())
    done = avemo_eval("predict", str(judge), str(path), str(path))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0] == lines[1]
    assert (lines[0]["view"], lines[0]["rate_hz"], len(lines[0]["valence"])) == ("audio", 2.0, 6)
    assert all(0 <= value <= 1 for value in lines[0]["arousal"])
    hidden = avemo_eval("predict", str(judge), str(path), "--view", "video")
    assert (hidden.returncode, "it has no video to show; it has audio" in hidden.stderr) == (2, True)
    missing = avemo_eval("predict", str(judge), str(tmp_path / "none.wav"))
    assert (missing.returncode, "cannot be read" in missing.stderr) == (2, True)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("labels")
    rows = [
        Dialogue(f"d{s}-{emotion}-{take}", "test", "en", "CC0-1.0", (labelled(s, emotion, take),))
        for s in range(4)
        for emotion in EMOTIONS
        for take in range(2)
    ]
    write_release(folder, "labels", {"test": rows})
    return f"release:{folder},config=labels"


def test_a_published_judge_is_evaluated_by_its_spec(labels: str, tmp_path: Path) -> None:
    spec = f"wav2vec2-dim:pretrained={audeering_layout(tmp_path / 'model')}"
    done = avemo_eval("evaluate", "--corpus", labels, "--recognizer", spec)
    assert done.returncode == 0, done.stderr
    assert "users are heard by voice alone" in done.stdout
    assert "32 of 32 recordings have a label, 384 pairs" in done.stdout


def test_a_judge_is_evaluated_on_labels_by_what_it_tells_apart(judge: Path, labels: str, tmp_path: Path) -> None:
    written = tmp_path / "worth.json"
    done = avemo_eval("evaluate", "--corpus", labels, "--recognizer", str(judge), "--out", str(written))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("trained on voices of ")
    assert "tells apart test, sound alone: AUC of ECS —, extreme turns 0." in done.stdout
    assert "test part: 32 recordings of 4 speakers; 32 of 32 recordings have a label, 384 pairs" in done.stdout
    (found,) = json.loads(written.read_text())["splits"][0]["discrimination"]
    assert found["auc"]["value"] > 0.55
    assert (found["auc"]["note"], found["auc"]["ci_low"]) == ("too few dialogues", None)
    drawn = avemo_eval("evaluate", "--corpus", labels, "--recognizer", str(judge), "--figure", str(tmp_path / "f.svg"))
    assert (drawn.returncode, "draws ratings over time, and labels of" in drawn.stderr) == (2, True)
    unknown = avemo_eval("evaluate", "--corpus", labels, "--recognizer", "nobody")
    assert (unknown.returncode, "nobody" in unknown.stderr) == (2, True)


def labelled(speaker: int, emotion: str, take: int) -> Turn:
    rng = np.random.default_rng([speaker, take])
    path = AffectPath.draw(emotion, rng).at(control_times(2.0))
    voice = Speaker.draw(f"s{speaker}", speaker)
    said = speak("Tell me what happened today.", voice, path, VoiceVariation.draw(rng), rng)
    clip = Clip.from_bytes(media.encode_sound(said.samples, RATE))
    return Turn(0, "user", f"s{speaker}", "words", emotion, None, clip, 2.0)


def test_a_corpus_of_labels_gives_table_1_and_a_recogniser_of_labels(labels: str, tmp_path: Path) -> None:
    done = avemo_eval("evaluate", "--corpus", labels, "--extractor", "clip-sound", "--out", str(tmp_path / "f1.json"))
    assert done.returncode == 0, done.stderr
    assert "AV-EMO-Reasoning (published, MultiDialog)" in done.stdout
    assert "8 neutral, 8 happy, 8 angry, 8 sad" in done.stdout
    (found,) = json.loads((tmp_path / "f1.json").read_text())["recognitions"]
    assert found["accuracy"]["value"] > 0.5
    folder = tmp_path / "labels"
    trained = avemo_eval("train", "--corpus", labels, "--extractor", "clip-sound", "--out", str(folder))
    assert trained.returncode == 0, trained.stderr
    assert "labels without ratings over time, for a recogniser of labels; a judge: --kind continuous" in trained.stderr
    clip = labelled(9, "angry", 1).clip
    assert clip is not None
    (tmp_path / "said.flac").write_bytes(clip.read())
    (line,) = avemo_eval("predict", str(folder), str(tmp_path / "said.flac")).stdout.splitlines()
    told = json.loads(line)
    assert sum(told[label] for label in EMOTIONS) == pytest.approx(1, abs=1e-3)
    again = avemo_eval("evaluate", "--corpus", labels, "--recognizer", str(folder))
    assert again.stdout.startswith("trained on labels of ")


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A RAVDESS of 5 actors and a CREMA-D of 4, of made voices."""
    ravdess, crema_d = (tmp_path_factory.mktemp(name) for name in ("ravdess", "crema-d"))
    for number, (code, label) in enumerate({"01": "neutral", "03": "happy", "04": "sad", "05": "angry"}.items()):
        for speaker in range(9):
            name = f"03-01-{code}-01-01-0{{take}}-{speaker:02}.flac"
            named = f"10{speaker:02}_{('DFA', 'TAI')[speaker % 2]}_{('NEU', 'HAP', 'SAD', 'ANG')[number]}_XX.wav"
            for take in (1, 2) if speaker < 5 else (1,):
                clip = labelled(speaker, label, take).clip
                assert clip is not None
                path = ravdess / name.format(take=take) if speaker < 5 else crema_d / named
                path.write_bytes(clip.read())
    return f"ravdess:{ravdess}", f"crema-d:{crema_d}"


@pytest.fixture(scope="module")
def judge_of_labels(acted: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge") / "of_labels"
    corpora = [part for spec in acted for part in ("--corpus", spec)]
    done = avemo_eval(
        "train", "--kind", "continuous", *corpora, "--anchors", "sad=0.2/0.3,fear=0.1/0.9", "--intensities", "high=1.5",
        "--extractor", "builtin-sound", "--out", str(folder),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "trained on RAVDESS + CREMA-D: 56 recordings of 9 speakers" in done.stdout
    assert "2 corpora of equal weight" in done.stdout
    assert "no recording has the label fear: its anchor changes nothing" in done.stderr
    assert "anchors, not ratings: each label as valence/arousal: neutral 0.5/0.5" in done.stdout
    assert "CCC with anchors, validation of CREMA-D, sound alone: valence" in done.stdout
    assert f"avemo-eval judge RUN --recognizer {folder}" in done.stdout
    return folder


def test_labels_of_several_corpora_make_a_judge_whose_card_keeps_their_anchors(judge_of_labels: Path) -> None:
    placement = json.loads((judge_of_labels / "card.json").read_text())["placement"]
    assert placement["anchors"]["sad"] == [0.2, 0.3]
    assert placement["anchors"]["happy"] == [0.875, 0.75]
    assert placement["intensities"] == {"low": 0.75, "medium": 1.0, "high": 1.5}


def test_a_judge_of_labels_is_evaluated_by_the_anchors_that_it_learned(
    judge_of_labels: Path, acted: tuple[str, str], tmp_path: Path
) -> None:
    written = tmp_path / "found.json"
    done = avemo_eval(
        "evaluate", "--corpus", acted[1], "--recognizer", str(judge_of_labels), "--out", str(written)
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "sad 0.2/0.3" in done.stdout.splitlines()[-2]
    assert "AUC of ECS" in done.stdout
    found = json.loads(written.read_text())["splits"][0]
    assert {one["dimension"]: one["n_recordings"] for one in found["agreements"]} == {"valence": 16, "arousal": 16}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--anchors", "sad=0.2/0.3"], "give --kind continuous with them"),
        (["--kind", "continuous", "--anchors", "sad=2/3"], "expected numbers from 0 to 1"),
        (["--kind", "continuous", "--intensities", "strong=2"], "no such intensity"),
        (["--kind", "continuous", "--delay_s", "2"], "--delay_s moves ratings that came late"),
        (["--corpus", "crema-d:nowhere"], "expected clips named like 1001_DFA_ANG_XX.flv"),
    ],
)
def test_what_is_wrong_with_anchors_is_told(
    options: list[str], message: str, acted: tuple[str, str], tmp_path: Path
) -> None:
    done = avemo_eval("train", "--corpus", acted[0], *options, "--out", str(tmp_path / "new"))
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_recogniser_of_labels_learns_from_one_corpus(acted: tuple[str, str], tmp_path: Path) -> None:
    corpora = [part for spec in acted for part in ("--corpus", spec)]
    done = avemo_eval("train", *corpora, "--out", str(tmp_path / "new"))
    assert (done.returncode, "learns from one corpus; leave the others out" in done.stderr) == (2, True)


def test_a_figure_of_labels_is_refused(labels: str, tmp_path: Path) -> None:
    done = avemo_eval("evaluate", "--corpus", labels, "--figure", str(tmp_path / "f.svg"))
    assert (done.returncode, "leave it out for labels" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corpus", "demoo"], "no corpus 'demoo'"),
        (["--corpus", "release:nowhere,config=x"], "no such folder"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = avemo_eval("train", *arguments, "--out", str(tmp_path / "new"))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
