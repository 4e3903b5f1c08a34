"""`avemo-eval data`: import, push, and what a signal leaves of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.byte_clips import write_byte_release
from support.clips import make_clip, melody
from support.corpus_trees import MeldRow, write_meld, write_ravdess
from support.hub_uploads import client_of, serve_uploads
from support.processes import is_alive
from support.synthetic_release import write_synthetic_release
from support.waiting import PATIENCE_S, wait_until

from avemo_harness.benchmark.release import Clip, Dialogue, Turn
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.cli import main
from avemo_harness.cli.output import end_on_signals
from avemo_harness.data.pipeline.build import build_release
from avemo_harness.data.pipeline.config import BuildConfig, SplitConfig, SplitsConfig
from avemo_harness.media import write_wave

ROWS: tuple[MeldRow, ...] = (
    (0, 0, "Ross", "joy", "Hi."),
    (0, 1, "Joey", "surprise", "Oh."),
    (0, 2, "Ross", "anger", "No."),
    (1, 0, "Ross", "fear", "No."),
)


def run(*arguments: str) -> int:
    return main(["data", "import", *arguments])


def test_an_import_says_what_was_left_out_and_how_to_ask_about_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, out = write_meld(tmp_path / "corpus", {"test": ROWS}), tmp_path / "out"
    assert run("meld", str(corpus), "--out", str(out)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "left out 1: label fear",
        "multiturn_real, test: 1 dialogues, 2 user turns, 2 conflict pairs",
        f"written to {out}; ask about it with --dataset {out} --media_root {corpus}",
        f"  avemo-eval --model baseline --tasks multiturn_real --dataset {out} --media_root {corpus}",
    ]


def test_an_import_says_where_nobody_is_left_to_learn_from_and_names_no_tasks_of_a_config_that_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_ravdess(tmp_path / "corpus", [f"03-01-0{e}-01-01-01-0{a}.wav" for e in (3, 4) for a in (1, 2)])
    assert run("ravdess", str(corpus), "--out", str(tmp_path / "all"), "--config", "mine") == 0
    printed = capsys.readouterr().out
    assert "all speakers are tested; --test_speakers NAME,… leaves the others to train" in printed
    assert "avemo-eval" not in printed
    assert run("ravdess", str(corpus), "--out", str(tmp_path / "some folder"), "--test_speakers", "actor-02") == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last == (
        f"  avemo-eval --model baseline --tasks singleturn_synthetic --dataset '{tmp_path / 'some folder'}'"
    )


def test_options_of_the_importer_reach_it_and_its_record(tmp_path: Path) -> None:
    corpus = write_ravdess(tmp_path / "corpus", [f"01-01-0{e}-01-01-01-0{a}.mp4" for e in (3, 4) for a in (1, 2)])
    arguments = ["--test-speakers", "actor-02", "--config", "multiturn_real"]
    assert run("ravdess", str(corpus), "--out", str(tmp_path / "out"), *arguments) == 0
    record = json.loads((tmp_path / "out" / "import.json").read_text())
    assert record["options"] == {"test_speakers": "actor-02"}
    assert record["config"] == "multiturn_real"
    assert set(record["splits"]) == {"train", "test"}
    assert sorted(path.name for path in (tmp_path / "out" / "multiturn_real").iterdir()) == [
        "test-00000.parquet",
        "train-00000.parquet",
    ]


def test_a_folder_of_clips_has_no_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("folder", str(tmp_path)) == 2
    assert "say where its release goes with --out DIR" in capsys.readouterr().err


def test_clips_that_an_import_names_are_found_where_they_were_imported_from(tmp_path: Path) -> None:
    corpus, out = write_meld(tmp_path / "corpus", {"test": ROWS}), tmp_path / "out"
    assert run("meld", str(corpus), "--out", str(out)) == 0
    task = EIGHT.replace("ravdess, name: singleturn_synthetic", "meld, name: multiturn_real")
    labels = "labels: [neutral, happy, angry, sad]"
    (tmp_path / "eight.yaml").write_text(re.sub(r"labels: \[.*\]", labels, task), encoding="utf-8")
    asked = ["--model", "constant", "--model_args", "label=sad", "--tasks", str(tmp_path / "eight.yaml")]
    asked += ["--dataset", f"meld={out}", "--output_path"]
    assert main([*asked, str(tmp_path / "run")]) == 0


EIGHT = """task: eight
version: 1
dataset: {corpus: ravdess, name: singleturn_synthetic}
condition: audio_only
messages: [{role: user, content: [{type: clip}, {type: text, text: "{{ labels | join(' or ') }}?"}]}]
output: {type: label, labels: [neutral, calm, happy, sad, angry, fearful, disgust, surprised]}
scorers: [{name: understanding, metrics: [accuracy]}]
headline: accuracy
"""


def test_an_import_without_out_goes_where_the_tasks_of_its_corpus_look_and_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVEMO_CACHE", str(tmp_path / "cache"))
    source = str(write_ravdess(tmp_path / "ravdess", [f"03-01-0{e}-01-01-01-0{a}.wav" for e in (2, 3) for a in (1, 2)]))
    home = tmp_path / "cache/corpora/ravdess"
    assert run("ravdess", source, "--labels", "all") == 0
    assert f"written to {home}, where the tasks of this corpus find it:\n" in capsys.readouterr().out
    shutil.rmtree(source)
    (tmp_path / "eight.yaml").write_text(EIGHT, encoding="utf-8")
    asked = ["--model", "random", "--tasks", str(tmp_path / "eight.yaml"), "--output_path", str(tmp_path / "run")]
    assert main(asked) == 0
    assert run("ravdess", str(tmp_path), "--labels", "all") == 2
    assert f"{home} holds an import of ravdess already; give --out DIR" in capsys.readouterr().err


def test_a_corpus_that_was_imported_without_the_labels_of_a_task_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_ravdess(tmp_path / "ravdess", [f"03-01-03-01-01-01-0{a}.wav" for a in (1, 2)])
    assert run("ravdess", str(source), "--out", str(tmp_path / "four")) == 0
    (tmp_path / "eight.yaml").write_text(EIGHT, encoding="utf-8")
    capsys.readouterr()
    asked = ["--model", "random", "--tasks", str(tmp_path / "eight.yaml"), "--output_path", str(tmp_path / "run")]
    assert main([*asked, "--dataset", f"ravdess={tmp_path / 'four'}"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "four: was imported with the labels neutral, happy, angry, sad, and eight asks for neutral, calm, " in said
    assert said.endswith("avemo-eval data import ravdess SOURCE --labels all")


@pytest.mark.slow
def test_an_import_can_be_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, out = write_meld(tmp_path / "corpus", {"test": ROWS}), tmp_path / "out"
    assert run("meld", str(corpus), "--out", str(out)) == 0
    command = ["--model", "random", "--tasks", "multiturn_real_full_av,multiturn_real_conflict", "--dataset", str(out)]
    assert main([*command, "--media_root", str(corpus), "--output_path", str(tmp_path / "run")]) == 0
    assert "multiturn_real_conflict" in capsys.readouterr().out


def test_damaged_clips_are_listed_with_code_1_or_end_with_their_names_where_that_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, out = write_ravdess(tmp_path / "corpus", ["01-01-03-01-01-01-01.mp4", "01-01-04-01-01-01-01.mp4"]), "out"
    (corpus / "Actor_01" / "01-01-03-01-01-01-01.mp4").write_bytes(b"no clip")
    assert run("ravdess", str(corpus), "--out", str(tmp_path / out), "--strict") == 2
    assert "Actor_01/01-01-03-01-01-01-01.mp4" in capsys.readouterr().err
    assert run("ravdess", str(corpus), "--out", str(tmp_path / out)) == 1
    said = capsys.readouterr().out
    assert "1 of 2 clips cannot be used (50.0%, allowed are 5.0%):\n  Actor_01/01-01-03-01-01-01-01.mp4: the" in said
    assert "left out 1: dialogues with a damaged clip" in said


@pytest.mark.parametrize(("share", "code"), [("50%", 0), ("0.5", 0), ("49%", 1), ("0", 1)])
def test_the_share_of_bad_clips_decides_the_exit_code(share: str, code: int, tmp_path: Path) -> None:
    corpus = write_ravdess(tmp_path / "corpus", ["03-01-03-01-01-01-01.wav", "03-01-04-01-01-01-01.wav"])
    (corpus / "Actor_01" / "03-01-03-01-01-01-01.wav").write_bytes(b"no clip")
    arguments = ["--out", str(tmp_path / "out"), "--max_bad", share, "--skip_damaged"]
    assert run("ravdess", str(corpus), *arguments) == code


@pytest.mark.parametrize("share", ["5", "101%", "some"])
def test_a_share_must_be_one(share: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("ravdess", str(tmp_path), "--out", str(tmp_path / "out"), "--max_bad", share)
    assert "expected a share such as 0.05 or 5%" in capsys.readouterr().err


def test_twelve_bad_files_of_three_hundred_are_one_import_and_one_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "out"
    corpus.mkdir()
    sounds = [write_wave(melody(0.1, seed=seed), 16_000) for seed in range(300)]
    bad = {f"{index}.wav": (sounds[index][:-900] if index % 2 else b"no clip") for index in range(7, 300, 25)}
    rows = ["path,emotion,speaker"]
    for index, sound in enumerate(sounds):
        (corpus / f"{index}.wav").write_bytes(bad.get(f"{index}.wav", sound))
        rows.append(f"{index}.wav,{('happy', 'sad')[index % 2]},{index % 10}")
    (corpus / "clips.csv").write_text("\n".join(rows))
    assert len(bad) == 12
    assert run("folder", str(corpus), "--out", str(out)) == 0
    said = capsys.readouterr().out
    assert "12 of 300 clips cannot be used (4.0%, allowed are 5.0%):" in said
    assert all(f"\n  {name}: " in said for name in bad)
    assert [line[:5] for line in said.splitlines() if " × " in line] == ["  6 ×"] * 2
    assert "singleturn_synthetic, test: 288 dialogues" in said
    record = json.loads((out / "import.json").read_text())
    assert (record["clips_checked"], sorted(record["bad_files"])) == (300, sorted(bad))
    assert all(record["bad_files"].values())


def test_what_is_there_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").touch()
    assert run("meld", str(tmp_path), "--out", str(tmp_path / "out")) == 2
    assert "is there already and is not overwritten" in capsys.readouterr().err


def test_a_config_name_that_tasks_could_not_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("../up", "multiturn_real_conflict", "two words"):
        assert run("meld", str(tmp_path), "--out", str(tmp_path / "out"), "--config", name) == 2
        assert "config" in capsys.readouterr().err


def test_the_command_that_a_push_prints_asks_about_what_was_pushed(tmp_path: Path) -> None:
    folder = write_synthetic_release(tmp_path / "release", dialogues=1, turns=2)
    with serve_uploads() as hub:
        settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}

        def run(*arguments: str) -> str:
            command = [sys.executable, "-m", "avemo_harness", *arguments]
            done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout

        _, commit, command = run("data", "push", str(folder), "lab/release", "--revision_tag", "v1").splitlines()
        assert commit == f"commit {hub.repositories['lab/release'].commit}, tagged v1"
        given = command.replace("MODEL", "random").replace("multiturn_synthetic ", "multiturn_synthetic_full_av ")
        run(*given.split()[1:], "--output_path", str(tmp_path / "run"))
    (results,) = (tmp_path / "run").rglob("results.json")
    assert commit.split()[1].rstrip(",") in results.read_text(encoding="utf-8")


def test_a_push_says_how_to_ask_about_ids_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_byte_release(tmp_path)
    with serve_uploads() as hub, client_of(hub):
        assert main(["data", "push", str(folder), "lab/release", "--ids-only"]) == 0
        commit = hub.repositories["lab/release"].commit
    assert capsys.readouterr().out.splitlines() == [
        f"5 files, 0.0 MB: {hub.url}/datasets/lab/release",
        f"commit {commit}",
        f"avemo-eval --model MODEL --tasks multiturn_real --dataset lab/release --revision {commit} --media_root DIR",
    ]


def test_what_must_not_be_shared_ends_with_code_2_and_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_byte_release(tmp_path)
    (folder / "import.json").write_text(json.dumps({"redistributable": False}))
    with serve_uploads() as hub, client_of(hub):
        assert main(["data", "push", str(folder), "lab/release", "--acknowledge_restricted"]) == 2
        assert not hub.log
    assert "clips must not be passed on" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "push", str(tmp_path / "none"), "lab/release"]) == 2
    assert f"{tmp_path / 'none'}: expected the folder of a release" in capsys.readouterr().err


TOOL = """
import os, pathlib, time
pathlib.Path(os.environ["STOCK"], str(os.getpid())).touch()
time.sleep(900)
"""
ARGV = [sys.executable, "-c", TOOL, "{in.wav}", "{emotion}", "{out.mp4}"]
YAML = f"""licence: CC0-1.0
speakers: 2
workers: 2
splits:
  singleturn_synthetic: {{dialogues: 8, conflict_pairs: 2}}
  multiturn_synthetic: {{dialogues: 0, conflict_pairs: 0}}
face: {{backend: command, tool: Slow, version: "1", argv: {json.dumps(ARGV)}, env: [STOCK], emotion_input: label}}
"""
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def take_signals() -> None:
    """The parent of the tests may ignore some, as programs in the background do."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_DFL)


def begun(stock: Path) -> list[int]:
    """Tools that began so far, by the files that they made."""
    return [int(path.name) for path in stock.iterdir()]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_a_build_that_is_told_to_end_takes_its_tools_with_it(tmp_path: Path, number: signal.Signals) -> None:
    stock, temporary = tmp_path / "stock", tmp_path / "temporary"
    stock.mkdir()
    temporary.mkdir()
    (tmp_path / "slow.yaml").write_text(YAML)
    out = tmp_path / "out" / "release"
    command = [sys.executable, "-m", "avemo_harness", "data", "build", str(tmp_path / "slow.yaml"), "--out", str(out)]
    environment = {**os.environ, "STOCK": str(stock), "TMPDIR": str(temporary)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stderr=pipe, text=True, preexec_fn=take_signals) as build:
        wait_until(lambda: len(begun(stock)) == 2, "two tools run")
        build.send_signal(number)
        _, told = build.communicate(timeout=PATIENCE_S)
    assert build.returncode == 130
    assert told.endswith("interrupted; the same command continues\n")
    assert len(begun(stock)) == 2, "none of the six that waited began"
    assert not any(map(is_alive, begun(stock)))
    assert list(temporary.iterdir()) == []
    assert [path.name for path in out.parent.iterdir()] == ["release.work"]
    assert not list((out.parent / "release.work").rglob("failed/*")), "an interruption is no failure"


@pytest.fixture
def _handlers() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers")
def test_every_action_can_be_told_to_end() -> None:
    assert main(["data", "use"]) == 0
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("_handlers")
def test_a_terminal_that_closes_ends_nothing_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    end_on_signals()
    signal.raise_signal(signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


CONFIG = BuildConfig(
    name="tiny",
    speakers=4,
    splits=SplitsConfig(
        singleturn_synthetic=SplitConfig(dialogues=16, conflict_pairs=4),
        multiturn_synthetic=SplitConfig(dialogues=4, conflict_pairs=2),
    ),
    workers=1,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "release"
    build_release(CONFIG, out, lambda line: None)
    return out


@pytest.mark.slow
def test_what_data_build_makes_passes_with_its_conflict_pairs(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = built.parent / "report.json"
    assert main(["data", "check", str(built), "--report", str(report)]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines.index("multiturn_synthetic:") < lines.index("singleturn_synthetic:")
    assert "  pass         conflict pairs: 4 pairs" in lines
    assert "  pass         conflict pairs: 2 pairs" in lines
    assert "singleturn_synthetic: decoding 32 clips" in told.err
    findings = json.loads(report.read_text())["findings"]
    assert {one["config"] for one in findings} == {"multiturn_synthetic", "singleturn_synthetic"}
    assert not [one for one in findings if one["verdict"] == "fail"]


@pytest.mark.slow
def test_pairs_of_takes_that_share_their_beginning_pass_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release, paired = tmp_path / "release", tmp_path / "paired"
    none, some = (SplitConfig(dialogues=count, conflict_pairs=0) for count in (0, 16))
    splits = SplitsConfig(singleturn_synthetic=none, multiturn_synthetic=some)
    build_release(CONFIG.model_copy(update={"speakers": 1, "splits": splits}), release, lambda line: None)
    config = ["--config", "multiturn_synthetic"]
    assert main(["data", "conflicts", str(release), *config, "--sharing", "speaker", "--out", str(paired)]) == 0
    assert main(["data", "check", str(paired), *config]) == 0
    assert "  pass         conflict pairs: " in capsys.readouterr().out


@pytest.mark.slow
def test_a_failed_check_is_exit_code_1(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "release"
    shutil.copytree(built, folder)
    (folder / "multiturn_synthetic" / "test-00000.parquet").write_bytes(b"nothing")
    assert main(["data", "check", str(folder), "--config", "multiturn_synthetic"]) == 1
    assert "  fail         schema: " in capsys.readouterr().out


@pytest.mark.slow
def test_what_a_release_is_called_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = Clip.from_bytes(make_clip(0.5))
    turns = [Turn(0, "user", "\x1b[2Jspeaker", "Yes.", emotion, clip=clip) for emotion in ("happy", "sad")]
    rows = [Dialogue(f"\x1b]0;{turn.emotion}\x07", "test", "en", "CC0-1.0", (turn,)) for turn in turns]
    write_release(tmp_path, "mine", {"test": rows})
    assert main(["data", "check", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "fail         label balance: test, dialogue ]0;sad, turn 0: its clip is labelled sad" in told.out
    assert not {"\x1b", "\x07"} & {*told.out, *told.err}


@pytest.mark.slow
def test_confirmed_dialogues_are_written(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "votes.csv"
    table.write_text(f"config,dialogue,turn,rater,label\nsingleturn_synthetic,{first_id(built)},0,Ann,sad\n")
    kept = tmp_path / "kept"
    assert main(["data", "check", str(built), "--votes", str(table), "--write_kept", str(kept)]) == 0
    out = capsys.readouterr().out
    assert f"kept by majority (1 raters of votes.csv) in {kept}:" in out
    assert main(["data", "check", str(built), "--write_kept", str(kept)]) == 2
    assert "is not overwritten" in capsys.readouterr().err


def first_id(folder: Path) -> str:
    return load_release(str(folder), "singleturn_synthetic").dialogues[0].dialogue_id


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--drop", "majority"], "give their table as --votes"),
        (["--config", "singleturn"], "there is no config 'singleturn'; nearest: 'singleturn_synthetic'"),
        (["--config", "singleturn_synthetic", "--write_kept", "new"], "leave out --config"),
        (["--recognizer", "fussion"], "nearest: 'fusion'"),
        (["--votes", "none.csv"], "none.csv: cannot be read"),
    ],
)
def test_wrong_options_are_exit_code_2(
    options: list[str], message: str, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(built), *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_no_release_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(tmp_path / "nowhere")]) == 2
    assert "expected the folder of a release, or a Hub id" in capsys.readouterr().err
    assert main(["data", "check", str(tmp_path)]) == 2
    assert "expected folders of Parquet files" in capsys.readouterr().err
