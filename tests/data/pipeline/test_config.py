"""A build's configuration is checked whole, with every problem at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.cli import main
from avemo_harness.data.pipeline.config import BackendConfig, BuildConfig, load_config, open_recipe, recipe_summaries
from avemo_harness.errors import TaskError, UsageError


def written(folder: Path, text: str) -> Path:
    file = folder / "build.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_name_is_enough(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "name: mine\n"))
    assert config == BuildConfig(name="mine")
    splits = config.splits
    assert (splits.singleturn_synthetic.dialogues, splits.multiturn_synthetic.dialogues) == (200, 60)
    assert splits.singleturn_synthetic.conflict_pairs + splits.multiturn_synthetic.conflict_pairs == 80


def test_every_problem_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    file = written(
        tmp_path, "name: Mine!\nspeakers: many\nportrait: {folder: x}\nspeech: {voice: '${NO_SUCH_VARIABLE}'}\n"
    )
    with pytest.raises(TaskError) as caught:
        load_config(file)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["1", "2", "3", "4"]
    assert "unknown key; nearest: 'portraits'" in lines[2]
    assert "speech.voice: the environment variable NO_SUCH_VARIABLE is not set" in lines[3]


def test_records_name_variables_and_never_hold_their_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOL_KEY", "sk-0123456789")
    speech = "{backend: command, argv: [say, '--key=${TOOL_KEY}'], base_url: 'http://host?key=${TOOL_KEY}'}"
    text = f"licence: MIT\nvoices: [low, '${{TOOL_KEY}}']\nportraits: {{folder: '${{TOOL_KEY}}'}}\nspeech: {speech}\n"
    config = load_config(written(tmp_path, text))
    assert config.speech.arguments["argv"] == ["say", "--key=sk-0123456789"]
    assert "sk-0123456789" not in str(config.record)
    assert config.record["speech"]["argv"] == ["say", "--key=${TOOL_KEY}"]
    assert config.record["voices"] == ["low", "${TOOL_KEY}"]
    assert config.hide("no such key: sk-0123456789!") == "no such key: ${TOOL_KEY}!"


def test_how_many_workers_there_are_changes_nothing_of_a_release() -> None:
    for one in ("identity", "record"):
        assert getattr(BuildConfig(workers=1), one) == getattr(BuildConfig(workers=8), one)
        assert getattr(BuildConfig(seed=1), one) != getattr(BuildConfig(seed=2), one)


def test_what_a_tool_is_given_is_told_by_its_own_identity(tmp_path: Path) -> None:
    quick, slow = ({"backend": "command", "timeout_s": seconds} for seconds in (1, 900))
    first, second = (BuildConfig(licence="MIT", face=BackendConfig.model_validate(one)) for one in (quick, slow))
    assert first.identity == second.identity
    licensed = BackendConfig.model_validate({**slow, "licence": "research only"})
    assert BuildConfig(licence="MIT", face=licensed).identity != second.identity


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("face: {backend: command}\n", "face: command"),
        ("dialogue: {backend: openai}\nportraits: {folder: x}\n", "dialogue: openai, portraits"),
        ("speech: {backend: cosyvoice}\nlicence: ' '\n", "speech: cosyvoice"),
    ],
)
def test_what_others_made_needs_a_licence_to_be_named(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(TaskError) as caught:
        load_config(written(tmp_path, text))
    assert f"build.yaml:1: licence is needed, since not all is made by the harness itself ({why})" in str(caught.value)
    named = text.replace("licence: ' '\n", "") + "licence: CC-BY-4.0\n"
    assert load_config(written(tmp_path, named)).licence == "CC-BY-4.0"


def test_a_tools_own_licence_is_no_argument_of_it(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "speech: {backend: builtin, licence: MIT}\n"))
    assert (config.speech.licence, config.speech.arguments) == ("MIT", {})


def test_dialogues_come_in_fours(tmp_path: Path) -> None:
    text = "splits:\n  multiturn_synthetic:\n    conflict_pairs: 2\n    dialogues: 10\n"
    with pytest.raises(
        TaskError, match=r":4: splits\.multiturn_synthetic\.dialogues: must be a multiple of four.*; found 10"
    ):
        load_config(written(tmp_path, text))


def test_a_recipe_goes_by_its_name_and_a_file_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "name: mine\n").rename("builtin")
    assert open_recipe("builtin").name == "mine"
    Path("builtin").unlink()
    assert open_recipe("builtin") == BuildConfig()


@pytest.mark.parametrize("path", ["missing.yaml", "folder/missing"])
def test_a_path_without_a_file_is_no_name_of_a_recipe(tmp_path: Path, path: str) -> None:
    with pytest.raises(TaskError, match="missing"):
        open_recipe(str(tmp_path / path))


def test_a_wrong_name_of_a_recipe_is_told_with_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no recipe 'dreamtlak'; nearest: 'dreamtalk'; or give the path"):
        open_recipe("dreamtlak")


def test_recipes_are_listed_with_a_whole_sentence_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "build", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("builtin           Everything made by the harness itself")
    assert [line.split()[0] for line in lines[:-1]] == list(recipe_summaries())
    assert all(line.endswith(".") for line in lines[:-1])


def test_a_build_needs_a_folder_for_its_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "build", "builtin"]) == 2
    assert "the following arguments are required: --out" in capsys.readouterr().err
