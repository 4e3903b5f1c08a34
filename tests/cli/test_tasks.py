"""`avemo-eval show` prints what a model would get; `validate` names every problem of a task."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.corpus_tasks import write_collection
from support.corpus_trees import write_clip
from support.imports import import_corpus
from support.packages import write_package
from support.releases import write_text_release, write_text_task
from support.sound_files import sound_file
from support.waiting import PATIENCE_S

from avemo_harness import media
from avemo_harness.benchmark.release import Clip, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.benchmark.task_file import editor_schema
from avemo_harness.benchmark.task_library import SHIPPED, TaskLibrary
from avemo_harness.cli import main
from avemo_harness.models import MODELS
from avemo_harness.scorers import METRICS

N_SHIPPED = len(TaskLibrary(METRICS).tasks)


def test_a_task_is_shown_with_the_file_and_line_of_every_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "demo_video_only", "--resolved"]) == 0
    said = capsys.readouterr().out
    assert "(video_only.yaml:6)" in said
    assert "(_understanding.yaml:5)" in said


def test_keys_that_a_task_takes_away_from_its_parent_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "two.yaml"
    head = f"task: two\nextends: {SHIPPED / '_understanding.yaml'}\ndataset: {{name: demo}}\ncondition: full_av\n"
    file.write_text(head + "output:\n  labels: [happy, sad]\n  synonyms: null\nheadline: null\n")
    assert main(["show", str(file), "--resolved"]) == 0
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    assert ["output.synonyms", "taken", "away", "(two.yaml:7)"] in rows
    assert ["headline", "taken", "away", "(two.yaml:8)"] in rows
    assert not any("angry" in word for row in rows for word in row)


def test_the_messages_of_the_first_questions_are_shown_with_history_and_without_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", 3, 2))
    task.write_text(task.read_text().replace("How does", "\\e[31mHow does"))
    assert main(["show", str(task), "--n", "2"]) == 0
    said = capsys.readouterr().out
    assert "d00000/0  gold: neutral" in said
    assert "user      sentence 0 of dialogue 0\n  assistant sentence 1 of dialogue 0" in said
    assert "\x1b" not in said


def test_clips_of_an_imported_corpus_are_found_under_the_media_root(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = tmp_path / "corpus"
    # A clip of no other test: one that was put under the condition before would be found in the cache.
    write_clip(corpus / "a.mp4", 0.52, 9)
    (corpus / "clips.csv").write_text("path,emotion,speaker\na.mp4,sad,Ann\n")
    import_corpus("folder", corpus, tmp_path / "release")
    command = ["show", "singleturn_synthetic_video_only", "--n", "1", "--dataset", str(tmp_path / "release")]
    assert main(command) == 2
    assert "give the corpus' folder as media_root" in capsys.readouterr().err
    assert main([*command, "--media_root", str(corpus)]) == 0
    assert "[clip " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--ids", "d00001,d00002/0"], {"d00001", "d00002"}),
        (["--where", "emotion=angry", "--where", "speaker_id=speaker2"], {"d00002"}),
        (["--limit", "1", "--seed", "0"], {"d00000"}),
        (["--limit", "1", "--seed", "4"], {"d00004"}),
    ],
)
def test_questions_are_those_that_a_run_with_the_same_options_asks(
    options: list[str], shown: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", 5))
    assert main(["show", str(task), "--n", "9", *options]) == 0
    assert set(re.findall(r"(d\d+)/0  gold", capsys.readouterr().out)) == shown
    assert main(["--model", "constant", "--tasks", str(task), "--output_path", str(tmp_path / "run"), *options]) == 0
    (file,) = (tmp_path / "run" / "responses").glob("*.jsonl")
    asked = [json.loads(line)["item"] for line in file.read_text().splitlines()]
    assert {item.partition("/")[0] for item in asked} == shown


def test_run_and_show_declare_the_same_data_options(capsys: pytest.CaptureFixture[str]) -> None:
    helps = []
    for command in ("run", "show"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        helps.append(capsys.readouterr().out)
    names = "dataset revision media_root streaming limit ids where seed"
    for name in names.split():
        declared = [re.search(rf"^  --{name} .*?(?=^  -|^\S|\Z)", text, re.DOTALL | re.MULTILINE) for text in helps]
        assert declared[0] is not None
        assert declared[1] is not None
        assert declared[0][0].strip() == declared[1][0].strip()


def test_clips_are_shown_by_their_facts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [np.full((48, 64, 3), 40, np.uint8)] * 50
    clip = Clip.from_bytes(media.encode_clip(frames, np.zeros(32_000, np.float32)))
    turn = Turn(0, "user", "s", "Hello.", "happy", clip=clip)
    write_release(tmp_path / "data", "demo", {"test": [Dialogue("d", "test", "en", "CC0-1.0", (turn,))]})
    assert main(["show", "demo_video_only", "--n", "1", "--dataset", str(tmp_path / "data")]) == 0
    said = capsys.readouterr().out
    assert "; dialogue d, turn 0 under video_only; 64x48, 25 fps, 2.00 s; sound 16000 Hz, 2.00 s]" in said


def test_the_clips_of_shown_questions_are_saved_as_the_model_gets_them_to_be_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = sound_file("wav", np.zeros(8_000, np.float32))
    earlier, asked = (Turn(t, "user", "s", "Hello.", "happy", clip=Clip.from_bytes(sound)) for t in (0, 2))
    turns = (earlier, Turn(1, "assistant", "a", "Yes?"), asked)
    write_release(tmp_path / "data", "demo", {"test": [Dialogue("../d", "test", "en", "CC0-1.0", turns)]})
    command = ["show", "demo_audio_only", "--dataset", str(tmp_path / "data"), "--save", str(tmp_path / "clips")]
    assert main(command) == 2
    assert "say of how many with --n N" in capsys.readouterr().err
    assert main([*command, "--n", "2"]) == 0
    names = ["..-d-0-1.wav", "..-d-2-1.wav", "..-d-2-2.wav"]
    assert sorted(path.name for path in (tmp_path / "clips").iterdir()) == names
    assert all((tmp_path / "clips" / name).read_bytes() == sound for name in names)
    assert f"sound 16000 Hz, 0.50 s] -> {tmp_path}/clips/{names[0]}\n" in capsys.readouterr().out


def test_the_doctor_finds_everything_that_a_run_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "H.264 encoder" in said
    assert "missing" not in said


def test_the_doctor_says_of_every_model_what_it_needs_and_whether_that_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AVEMO_CACHE", str(tmp_path / "cache"))
    write_package(tmp_path, "transformers", {}, version="5.21.0")
    write_package(tmp_path, "broken", {"avemo_harness.models": {"broken": "nowhere:x"}})
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    facts = {line.split()[0]: line.split(maxsplit=1)[1] for line in said.split("models\n")[1].splitlines()}
    assert set(facts) == {*MODELS, "broken"}
    assert facts["random"] == "no requirement of its own"
    assert facts["qwen2.5-omni"].startswith("runs here: it needs transformers >=5.18")
    assert re.fullmatch(
        r"does not run here: it needs transformers (\S+), and 5\.21\.0 is installed: pip install 'transformers\1'",
        facts["hf-omni"],
    )
    assert facts["minicpm-o"] == "needs an environment of its own: `avemo-eval env create minicpm-o` makes it once"
    assert "installed package broken 1.0" in facts["broken"]


TASKS = Path(__file__).parents[2] / "tasks"
HEAD = f"task: mine\nextends: {TASKS}/_understanding.yaml\ndataset: {{name: demo}}\ncondition: full_av\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD)
    return path


def validate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "avemo_harness", "validate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"outptu: x\n", ":5: outptu: unknown key; nearest: 'output'"),
        (b"headline: !!python/object/apply:os.system ['touch owned']\n", ":5: headline: tag "),
        (b"a: &a [x]\n" + b"".join(b"k%d: *a\n" % i for i in range(99)), ": more than 50 aliases"),
        (b"context: " + b"[" * 30_000, ":5: nested deeper than 24 levels"),
        (b"#" * 100_000, ":1: the file has more than the 32,768 bytes"),
        (b"\xff\xfe\x00", ":5: the file is not UTF-8 text"),
        (b'headline: "\\ud800"\n', ":5: headline: half of a surrogate pair"),
    ],
    ids=["unknown key", "python tag", "aliases", "depth", "size", "bytes", "surrogate"],
)
def test_a_broken_file_exits_with_2_and_its_line_without_a_traceback(file: Path, body: bytes, said: str) -> None:
    file.write_bytes(HEAD.encode() + body)
    done = validate(str(file))
    assert done.returncode == 2
    assert done.stdout == ""
    assert str(file) in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("owned").exists()


def test_all_shipped_tasks_are_checked_when_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate"]) == 0
    assert capsys.readouterr().out == f"{N_SHIPPED} tasks are valid\n"


@pytest.mark.parametrize(("names", "count"), [(["demo"], 5), (["demo", "demo_conflict", "*_conflict"], 8)])
def test_names_groups_and_globs_are_checked_once_each(
    names: list[str], count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", *names]) == 0
    assert capsys.readouterr().out == f"{count} tasks are valid\n"


def test_a_right_file_is_counted(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(file)]) == 0
    assert capsys.readouterr().out == "1 task is valid\n"


def test_an_added_folder_is_checked_with_the_shipped_tasks(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--include_path", str(file.parent)]) == 0
    assert capsys.readouterr().out == f"{N_SHIPPED + 1} tasks are valid\n"


def test_the_problems_of_all_files_are_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(HEAD + "outptu: x\nheadline: f2\n")
    other = file.with_name("other.yaml")
    other.write_text(HEAD.replace("mine", "other") + "version: two\n")
    assert main(["validate", str(file), str(other), "demo"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.split(": ")[:2] for line in said.err.splitlines()] == [
        [f"{file}:5", "outptu"],
        [f"{file}:6", "headline"],
        [f"{other}:5", "version"],
    ]


def test_a_broken_group_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    group = file.with_name("group.yaml")
    group.write_text("group: mine\ntitle: Mine\ncolumns: [{name: A, condition: full_av, metric: acuracy}]\n")
    assert main(["validate", "--include_path", str(file.parent)]) == 2
    assert f"{group}:3: columns[0].metric: unknown metric 'acuracy'; nearest: 'accuracy'" in capsys.readouterr().err


def test_an_unknown_name_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "demo_conflic"]) == 2
    assert capsys.readouterr().err == "avemo-eval: unknown task or group 'demo_conflic'; nearest: demo_conflict\n"


def test_the_schema_for_editors_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == editor_schema()


def test_a_list_has_collections_with_their_benchmarks_and_tasks_beneath_after_the_other_groups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_collection(tmp_path, "everything", ("voices", "faces"))
    (folder / "other.yaml").write_text("group: other\ntitle: Some\ngroups: [voices]\n", encoding="utf-8")
    assert main(["ls", "--include_path", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("everything  (All of them)")
    assert lines[at : at + 5] == [
        "everything  (All of them)",
        "  voices  (voices: acted voices)",
        "    voices_audio",
        "  faces  (faces: acted voices)",
        "    faces_audio",
    ]
    other = lines.index("other  (Some)")
    assert other > at
    assert lines[other : other + 2] == ["other  (Some)", "  voices  (voices: acted voices)"]
    assert at > lines.index("multiturn_real  (Multi-turn, real)")


def test_a_group_is_shown_with_its_terms_and_what_others_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_collection(tmp_path, "everything", ("voices",))
    assert main(["show", "voices", "--include_path", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "voices  (voices: acted voices)",
        "  homepage   https://example.org/voices",
        "  licence    research only",
        "  languages  en",
        "  data       avemo-eval data import voices DIR --labels all",
        "  tasks      voices_audio",
        "  published by others, and measured by nobody here:",
        "    human raters: voices_audio accuracy 0.62 (paper, Table 3; all clips)",
    ]
    assert main(["show", "everything", "--include_path", str(folder)]) == 0
    assert capsys.readouterr().out == "everything  (All of them)\n  voices  (voices: acted voices)\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "task: voices_audio",
            "task: voices_audo",
            "published[0].task: 'voices_audo' is no task of the group",
        ),
        ("metric: accuracy, value", "metric: macro_f1, value", "published[0].metric: voices_audio does not report"),
    ],
)
def test_figures_of_others_are_of_tasks_and_metrics_that_there_are(
    old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_collection(tmp_path, "everything", ("voices",))
    group = folder / "voices_group.yaml"
    group.write_text(group.read_text().replace(old, new), encoding="utf-8")
    assert main(["validate", "--include_path", str(folder)]) == 2
    assert said in capsys.readouterr().err
