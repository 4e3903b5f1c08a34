"""CREMA-D from a clone to scores: six emotions as intended, and as raters heard and saw them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.acted_corpora import CREMA_D_CLIPS, import_by_command, write_crema_d_clone
from support.benchmark_walk import Expected, tiny_qwen, walk
from support.whole_runs import results_of

pytestmark = pytest.mark.slow


def test_a_clone_is_asked_of_every_kind_of_model_and_scored_by_intention_and_votes(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clone = write_crema_d_clone(tmp_path / "CREMA-D")
    release = import_by_command("crema-d", clone, tmp_path / "release", "--votes", "--max_bad", "20%")
    record = json.loads((release / "import.json").read_text())
    assert record["dropped"] == [
        {"reason": "clips that the authors list as wrong", "count": 1},
        {"reason": "dialogues with a damaged clip", "count": 1},
    ]
    assert list(record["bad_files"]) == ["VideoFlash/1003_IOM_HAP_XX.flv"]
    assert "git lfs pull" in record["bad_files"]["VideoFlash/1003_IOM_HAP_XX.flv"]
    clips, faceless = len(CREMA_D_CLIPS), {"no face": 1}
    tasks = {
        "crema_d_full_av": Expected(clips, faceless),
        "crema_d_audio_only": Expected(clips + 1),
        "crema_d_video_only": Expected(clips, faceless),
        "crema_d_audio_only_ranked": Expected(clips + 1),
    }
    walked = walk(tmp_path / "walk", tasks, [f"crema_d={release}"], tiny_qwen(tmp_path_factory))
    intended = {task: results_of(walked.oracle)["tasks"][task] for task in tasks}
    heard, both = intended["crema_d_audio_only"], intended["crema_d_full_av"]
    assert heard["details"]["raters"] == {"n_voted": 6, "n_without_votes": 1, "n_tied": 2, "raters_an_item": 23 / 6}
    # Most who heard it alone took the sad one for neutral; two are tied, and on one nobody voted.
    assert heard["metrics"]["vote_accuracy"]["value"] == pytest.approx(3 / 4)
    assert heard["metrics"]["accuracy"]["value"] == 1.0
    assert both["metrics"]["vote_accuracy"]["value"] == 1.0
    shares = [3 / 4, 2 / 4, 2 / 3, 2 / 4, 1.0, 1 / 4]
    assert heard["metrics"]["vote_share"]["value"] == pytest.approx(sum(shares) / 6)
    nothing = results_of(walked.nothing)["tasks"]["crema_d_audio_only"]["metrics"]
    assert nothing["vote_share"]["value"] == nothing["vote_accuracy"]["value"] == 0.0
    assert nothing["rater_share"]["value"] == heard["metrics"]["rater_share"]["value"]
    ranked = intended["crema_d_audio_only_ranked"]["metrics"]
    assert 0 < ranked["vote_kl"]["value"] < ranked["vote_cross_entropy"]["value"]
    asked = results_of(walked.qwen)["tasks"]["crema_d_audio_only_ranked"]["metrics"]
    assert asked["vote_kl"]["n"] == 6
