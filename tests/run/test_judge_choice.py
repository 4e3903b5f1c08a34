"""Who judges where nobody is named on the command line; and nobody does, of people, until somebody is."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.clips import melody
from support.judged_runs import TASK, Speaking, run
from support.planted_judge import LevelJudge, plant
from support.synthetic_release import CONFIG, write_synthetic_release

from avemo_harness import evaluate, media
from avemo_harness.benchmark.origin import DEMO_SOURCE
from avemo_harness.benchmark.release import Clip, Dialogue, Release, Turn
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.cli import main
from avemo_harness.errors import UsageError
from avemo_harness.recognizers import JUDGES
from avemo_harness.recognizers.heads.trajectory import TRAJECTORY_FORMAT
from avemo_harness.run.config import read_run
from avemo_harness.run.json_files import SEAL, sealed_json
from avemo_harness.run.judge_choice import choose_judge, remember_judge, remembered_judge, ways_to_a_judge
from avemo_harness.run.judging import chosen_judgements


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release that does not say that its clips are the built-in voice's and face's; its replies are spoken."""
    folder = tmp_path_factory.mktemp("people")
    release = load_release(str(write_synthetic_release(folder / "mute")), CONFIG)
    write_release(folder / "release", CONFIG, {"test": [replace(one, turns=spoken(one)) for one in release.dialogues]})
    return folder / "release"


def spoken(dialogue: Dialogue) -> tuple[Turn, ...]:
    """The turns of a dialogue, with a sound for each of the assistant's."""
    reply = Clip.from_bytes(media.encode_sound(melody(1.0, seed=5), 16_000))
    return tuple(replace(turn, clip=turn.clip or reply) for turn in dialogue.turns)


@pytest.fixture(scope="module")
def drawn(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same clips in a release that says so."""
    folder = tmp_path_factory.mktemp("drawn") / "release"
    rows = [replace(one, source=DEMO_SOURCE) for one in load_release(str(people), CONFIG).dialogues]
    write_release(folder, CONFIG, {"test": rows})
    return folder


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> LevelJudge:
    return plant(monkeypatch, LevelJudge("embedded"))


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> LevelJudge:
    return plant(monkeypatch, LevelJudge("strict"), "strict")


def both(people: Path, drawn: Path) -> dict[str, Release]:
    return {"people": load_release(str(people), CONFIG), "drawn": load_release(str(drawn), CONFIG)}


def write_task(folder: Path, name: str, release: Path) -> str:
    """A task of replies that names its release itself."""
    shipped = Path(__file__).parents[2] / "tasks" / "_reply_dialogue.yaml"
    file = folder / f"{name}.yaml"
    file.write_text(
        f"task: {name}\nextends: {shipped}\ndataset: {{name: {CONFIG}, path: {release}}}\n", encoding="utf-8"
    )
    return str(file)


@pytest.mark.usefixtures("embedded", "strict")
def test_the_named_goes_before_the_run_s_own_before_the_variable_before_the_remembered_before_the_embedded(
    people: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, releases = tmp_path / "run", {TASK: load_release(str(drawn), CONFIG)}
    for name in ("remembered", "variable"):
        plant(monkeypatch, LevelJudge(name), name)
    assert choose_judge(folder, None, releases).name == "embedded"
    remember_judge("remembered")
    assert choose_judge(folder, None, releases).name == "remembered"
    monkeypatch.setenv("AVEMO_JUDGE", "variable")
    assert choose_judge(folder, None, releases).name == "variable"
    run(drawn, folder, recognizer="strict")
    assert choose_judge(folder, None, releases).name == "strict"
    assert choose_judge(folder, "embedded", releases).name == "embedded"


@pytest.mark.usefixtures("embedded")
def test_the_embedded_judge_is_the_usual_one_of_the_built_in_voice_and_face_alone(
    people: Path, drawn: Path, tmp_path: Path
) -> None:
    choice = choose_judge(tmp_path, None, both(people, drawn))
    assert (choice.name, choice.tasks, choice.unjudged) == ("embedded", ("drawn",), ("people",))
    named = choose_judge(tmp_path, "embedded", both(people, drawn))
    assert (named.name, named.tasks, named.unjudged, named.advice) == ("embedded", ("people", "drawn"), (), "")


@pytest.mark.usefixtures("embedded")
def test_its_scores_of_the_built_in_voice_and_face_may_be_held_against_others(drawn: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reply = run(drawn, tmp_path / "run").tasks[TASK]
    assert (reply.n_unjudged, reply.comparable) == (0, True)
    assert "D" not in reply.metrics["ct_ess"].marks
    assert read_run(tmp_path / "run").builtin == (TASK,)


def test_without_a_judge_replies_are_kept_unjudged_and_a_warning_says_so_before_the_model_is_asked(
    people: Path, tmp_path: Path
) -> None:
    model = Speaking()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="no judge is named for the spoken replies to"):
            run(people, tmp_path / "run", model)
    assert model.asked == 0
    with pytest.warns(UserWarning, match="no judge is named") as told:
        result = run(people, tmp_path / "run", model)
    assert len(told) == 1
    reply = result.tasks[TASK]
    assert (reply.n_answered, reply.n_spoken, reply.n_unjudged, result.n_errors, result.judge) == (12, 12, 12, 0, None)
    assert all(metric.value is None for metric in reply.metrics.values())


@pytest.mark.usefixtures("strict")
def test_once_a_judge_is_remembered_the_same_call_fills_the_columns_and_asks_the_model_nothing(
    people: Path, tmp_path: Path
) -> None:
    model = Speaking()
    with pytest.warns(UserWarning, match="no judge is named"):
        run(people, tmp_path / "run", model)
    asked = model.asked
    remember_judge("strict")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run(people, tmp_path / "run", model)
    assert model.asked == asked > 0
    assert (result.tasks[TASK].status, result.tasks[TASK].n_unjudged) == ("complete", 0)
    assert result.tasks[TASK].metrics["ct_ess"].value == 1.0
    assert result.judge is not None
    assert result.judge.name == "strict"


@pytest.mark.usefixtures("embedded", "strict")
def test_of_a_run_of_both_the_drawn_part_is_judged_until_a_judge_of_people_is_named(
    people: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    tasks = [write_task(tmp_path, name, release) for name, release in (("real", people), ("made", drawn))]

    def unjudged() -> list[int]:
        result = evaluate(Speaking(), tasks, output_path=folder)
        return [result.tasks[name].n_unjudged for name in ("real", "made")]

    for _ in range(2):  # that the embedded judge has judged a part does not let it judge the rest
        with pytest.warns(UserWarning, match="replies to real: "):
            assert unjudged() == [12, 0]
    monkeypatch.setenv("AVEMO_JUDGE", "strict")
    assert unjudged() == [0, 0]
    chosen = chosen_judgements(folder)
    assert chosen is not None
    assert chosen.judge.name == "strict"


@pytest.mark.usefixtures("embedded")
def test_a_run_of_people_that_the_embedded_judge_was_named_for_keeps_it_and_its_mark(
    people: Path, tmp_path: Path
) -> None:
    run(people, tmp_path / "run", recognizer="embedded")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run(people, tmp_path / "run")
    assert result.tasks[TASK].n_unjudged == 0
    assert result.tasks[TASK].metrics["ct_ess"].marks[0] == "D"


def test_a_wrong_name_is_refused_before_the_model_is_asked_with_where_it_stands(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Speaking()
    with pytest.raises(UsageError, match="unknown judge 'embeded'; nearest: 'embedded'"):
        run(people, tmp_path / "run", model, recognizer="embeded")
    monkeypatch.setenv("AVEMO_JUDGE", "./nowhere")
    with pytest.raises(UsageError, match=r"^AVEMO_JUDGE: nowhere: not a trained recogniser"):
        run(people, tmp_path / "run", model)
    assert model.asked == 0


def test_a_remembered_folder_is_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "judges" / "mine").mkdir(parents=True)
    (tmp_path / "judges" / "mine" / "config.json").write_text(
        json.dumps({"format": TRAJECTORY_FORMAT}), encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path / "judges")
    remember_judge("./mine")
    assert remembered_judge() == str(tmp_path / "judges" / "mine")
    with pytest.raises(UsageError, match="unknown judge 'wav2vec3-dim'"):
        remember_judge("wav2vec3-dim")


class Weighty:
    """A judge that takes the folder of its weights."""

    @dataclass(frozen=True)
    class Arguments:
        pretrained: str
        face: str = ""
        device: str = ""


def test_folders_of_arguments_are_remembered_by_their_whole_path_and_arguments_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(JUDGES, "weighty", f"{__name__}:Weighty")
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    remember_judge("weighty:pretrained=./weights,face=owner/name,device=cpu")
    assert remembered_judge() == f"weighty:pretrained={tmp_path / 'weights'},face=owner/name,device=cpu"
    with pytest.raises(UsageError, match="judge weighty takes no argument 'pretraind'; nearest: 'pretrained'"):
        remember_judge("weighty:pretraind=./weights")
    with pytest.raises(UsageError, match="judge embedded takes no arguments, found 'device=cpu'"):
        remember_judge("embedded:device=cpu")


def test_the_command_says_so_once_before_it_asks_and_ends_well(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", "reference", "--tasks", CONFIG, "--dataset", str(people), "--ids", "d0a"]
    assert main([*arguments, "--output_path", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("no judge is named") == 1
    assert all(way in printed.err for way in ways_to_a_judge())
    assert "provisional: 3 replies are not judged yet; avemo-eval judge RUN --recognizer JUDGE" in printed.out
    row = next(line for line in printed.out.splitlines() if line.startswith("Synthetic "))
    assert set(row.split()[1:]) == {"—"}


def test_a_run_that_has_no_judge_cannot_be_judged_without_one(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.warns(UserWarning, match="no judge is named"):
        run(people, tmp_path / "run")
    assert main(["judge", str(tmp_path / "run")]) == 2
    assert "for good, `avemo-eval judge use JUDGE`" in capsys.readouterr().err


def test_the_advice_has_the_command_that_learns_from_a_release_s_own_train_part(people: Path, tmp_path: Path) -> None:
    rows = load_release(str(people), CONFIG).dialogues
    for name in ("mine", "mine, too"):
        write_release(tmp_path / name, CONFIG, {"test": rows, "train": rows})

    def training(folder: Path, media_root: str | None = None) -> str:
        choice = choose_judge(tmp_path, None, {TASK: load_release(str(folder), CONFIG)}, media_root)
        assert (choice.training in choice.advice.splitlines()[-1]) == bool(choice.advice)
        return choice.training

    corpus = f"release:{tmp_path / 'mine'},config={CONFIG}"
    command = "avemo-eval recognizer train --kind continuous --corpus"
    assert training(tmp_path / "mine") == f"{command} {corpus} --out my_judge"
    assert training(tmp_path / "mine", "my clips") == f"{command} '{corpus},media_root=my clips' --out my_judge"
    assert training(people) == ""
    assert training(tmp_path / "mine, too") == ""  # the arguments of a corpus are split at commas


@pytest.mark.usefixtures("strict")
def test_runs_here_without_a_judge_are_named_with_the_command_that_judges_them(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "another"):
        with pytest.warns(UserWarning, match="no judge is named"):
            run(people, Path("runs") / name)
    run(people, Path("runs") / "judged", recognizer="strict")
    values = {key: value for key, value in json.loads(Path("runs/one/run.json").read_text()).items() if key != SEAL}
    later = sealed_json({**values, "config": {**values["config"], "of_a_later_version": 1}})
    for name, content in (("damaged", "{"), ("later", later)):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "run.json").write_text(content, encoding="utf-8")
    capsys.readouterr()

    def waiting() -> list[str]:
        assert main(["judge", "use", "strict"]) == 0
        return capsys.readouterr().out.splitlines()[1:]

    assert waiting() == [
        "replies here that have no judge yet:",
        "  avemo-eval judge runs/another",
        "  avemo-eval judge runs/one",
    ]
    for name in ("one", "another"):
        assert main(["judge", f"runs/{name}"]) == 0
    capsys.readouterr()
    assert waiting() == []
