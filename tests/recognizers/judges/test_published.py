"""Published judges in use: opened by a spec, from a command, known by commit, with cards that state their licence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import jsonlines
import pytest
from support.hub_server import Repository, serve
from support.judged_runs import TASK, Speaking, run
from support.synthetic_release import write_synthetic_release
from support.tiny_judges import audeering_layout, audio_classifier, image_classifier

from avemo_harness.cli import main
from avemo_harness.errors import UsageError
from avemo_harness.recognizers import JUDGES_OF_PEOPLE
from avemo_harness.recognizers.judges.published import AUDEERING, checkpoint_facts, made_once
from avemo_harness.recognizers.judging import JudgeSetup, check_judge, open_judge
from avemo_harness.report.results import score_run
from avemo_harness.torch_setup import Weights

CARD = "---\nlicense: {licence}\ndatasets:\n- msp-podcast\n- recola\n---\n# A model\n"
SEVEN = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_release(tmp_path_factory.mktemp("release") / "synthetic")


@pytest.fixture(scope="module")
def dimensional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = audeering_layout(tmp_path_factory.mktemp("dimensional"))
    (folder / "README.md").write_text(CARD.format(licence="cc-by-nc-sa-4.0"), encoding="utf-8")
    return folder


def open_here(spec: str, tmp_path: Path) -> object:
    return open_judge(spec, JudgeSetup(lambda: pytest.fail("the demo is not needed"), tmp_path))


def judged_rows(folder: Path) -> list[dict[str, Any]]:
    (file,) = (folder / "judgements").glob("*.jsonl")
    with jsonlines.open(file) as lines:
        return list(lines)


def test_a_run_is_judged_by_a_published_network_in_one_command(
    release: Path, dimensional: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = f"wav2vec2-dim:pretrained={dimensional}"
    folder = tmp_path / "run"
    reply = run(release, folder, recognizer=spec).tasks[TASK]
    assert (reply.n_errors, reply.n_unjudged, reply.comparable) == (0, 0, True)
    rows = judged_rows(folder)
    assert {row["user_view"] for row in rows} == {"audio"}
    assert set(rows[0]["reply"]["values"]) == {"arousal", "dominance", "valence"}
    # Whoever is heard by voice alone is heard once: both of the user's trajectories are one.
    assert all(row["user"] == row["user_audio"] for row in rows)
    assert reply.metrics["ct_ecs"].value is not None
    assert reply.details["reasoning"]["users_by_view"] == {"audio": 12}
    capsys.readouterr()
    assert main(["score", str(folder)]) == 0
    said = capsys.readouterr().out
    assert f"replies judged by: {spec}" in said
    assert "licence cc-by-nc-sa-4.0; trained on msp-podcast, recola" in said
    assert "users are heard by voice alone" in said
    assert "not comparable" not in said


def test_a_run_is_judged_again_by_both_streams_and_goes_on_with_that_judge(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, model = tmp_path / "run", Speaking()
    sound, face = audio_classifier(tmp_path / "sound"), image_classifier(tmp_path / "face", SEVEN)
    run(release, folder, model, recognizer=f"labels:sound={sound}")
    asked = model.asked
    spec = f"labels:sound={sound},face={face}"
    assert main(["judge", str(folder), "--recognizer", spec]) == 0
    assert f"judged by {spec}" in capsys.readouterr().out
    result = score_run(folder)
    assert result.judge is not None
    assert result.judge.name == spec
    assert result.tasks[TASK].details["reasoning"]["users_by_view"] == {"audio_video": 12}
    assert run(release, folder, model).judge == result.judge
    assert model.asked == asked


def test_arguments_that_a_judge_does_not_take_are_refused_before_the_model_is_asked(
    release: Path, tmp_path: Path
) -> None:
    model = Speaking()
    with pytest.raises(UsageError, match="judge wav2vec2-dim takes no argument 'layer'"):
        run(release, tmp_path / "run", model, recognizer="wav2vec2-dim:layer=3")
    assert model.asked == 0


def test_a_network_whose_values_mean_nothing_costs_its_items_and_not_the_run(release: Path, tmp_path: Path) -> None:
    folder = audeering_layout(tmp_path / "model", bias=float("nan"))
    reply = run(release, tmp_path / "run", recognizer=f"wav2vec2-dim:pretrained={folder}").tasks[TASK]
    assert reply.n_errors == 12
    errors = {str(row["error"]) for row in judged_rows(tmp_path / "run")}
    assert all("dialogue d" in error and "= nan at step 0" in error for error in errors)


def test_values_that_are_clipped_are_counted_in_the_results(release: Path, tmp_path: Path) -> None:
    folder = audeering_layout(tmp_path / "model", labels=("arousal", "valence"), bias=1.03, spread=0.0)
    reply = run(release, tmp_path / "run", recognizer=f"wav2vec2-dim:pretrained={folder}").tasks[TASK]
    assert reply.n_errors == 0
    rows = judged_rows(tmp_path / "run")
    values = [
        sum(len(row[one]["values"][name]) for one in ("user", "reply") for name in ("arousal", "valence"))
        for row in rows
    ]
    assert [row["n_clipped"] for row in rows] == values
    assert reply.details["reasoning"]["clipped"] == {"items": 12, "values": sum(values)}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("wav2vec2-dim:pretraned=x", "judge wav2vec2-dim takes no argument 'pretraned'; nearest: 'pretrained'"),
        ("wav2vec2-dim:pretrained=./nowhere", "no such folder, and not a Hub id"),
        ("wav2vec2-di:pretrained=./nowhere", "unknown judge 'wav2vec2-di'; nearest: 'wav2vec2-dim'"),
        ("embedded:device=cpu", "judge embedded takes no arguments, found 'device=cpu'"),
        ("labels:crop=left,sound=./nowhere", "argument crop='left'"),
        ("./nowhere", "not a trained recogniser"),
    ],
)
def test_a_spec_that_names_nothing_is_refused_in_one_sentence(spec: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        open_here(spec, tmp_path)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", JUDGES_OF_PEOPLE)
def test_the_specs_that_are_advised_name_judges_with_arguments_that_they_take(name: str) -> None:
    spec = JUDGES_OF_PEOPLE[name].partition(": ")[0]
    assert spec.partition(":")[0] == name
    check_judge(spec)


def test_facts_of_a_checkpoint_are_those_that_it_states(dimensional: Path) -> None:
    facts = checkpoint_facts(Weights(str(dimensional), None, "sha256:0"))
    assert (facts.licence, facts.trained_on) == ("cc-by-nc-sa-4.0", "msp-podcast, recola")


@pytest.mark.parametrize("text", [None, "# A model\n", "---\nlicense: [\n---\n", "---\n- a list\n---\n"])
def test_a_checkpoint_that_states_nothing_says_so(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "README.md").write_text(text, encoding="utf-8")
    facts = checkpoint_facts(Weights(str(tmp_path), None, "sha256:0"))
    assert (facts.licence, facts.trained_on) == (None, None)
    assert facts.line() == "sha256:0: licence not stated; training data not stated"


JUDGED = """
import json, sys
from pathlib import Path
from avemo_harness.recognizers.judging import JudgeSetup, open_judge
judge = open_judge("wav2vec2-dim:revision=v1", JudgeSetup(None, Path(sys.argv[1])))
print(json.dumps([dict(judge.identity()), judge.card_values["lines"][0]]))
"""


@pytest.mark.slow
def test_the_default_checkpoint_is_known_by_its_commit_and_licence_also_without_the_hub(tmp_path: Path) -> None:
    folder = audeering_layout(tmp_path / "model")
    with serve(Repository.of_folder(AUDEERING, folder, ("main", "v1"))) as hub:
        content = f"{AUDEERING}@{hub.repositories[AUDEERING].commit}"
        settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
        for offline in ("0", "1"):
            done = subprocess.run(
                [sys.executable, "-c", JUDGED, str(tmp_path)],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, **settings, "HF_HUB_OFFLINE": offline},
            )
            identity, line = json.loads(done.stdout)
            assert identity["weights"] == content
            assert line == (
                f"{content}: licence cc-by-nc-sa-4.0; trained on MSP-Podcast (utterances of English podcasts)"
            )


def test_weights_are_loaded_once_for_all_threads_and_a_failure_is_tried_again() -> None:
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        if len(made) == 1:
            raise UsageError("the first time fails")
        return len(made)

    get = made_once(make)
    with pytest.raises(UsageError):
        get()
    found: list[int] = []
    threads = [Thread(target=lambda: found.append(get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2] * 8
