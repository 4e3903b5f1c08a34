"""IEMOCAP's tasks: four labels of single utterances, six after what both said before, and six alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.benchmark_walk import Expected, run, tiny_qwen, walk
from support.dyadic_trees import IemocapRow, write_iemocap

ROWS: tuple[IemocapRow, ...] = (
    ("Ses01F_impro01_F000", 6.2901, "neu", "Excuse me."),
    ("Ses01F_impro01_M000", 7.5712, "fru", "Do you have your forms?"),
    ("Ses01F_impro01_F001", 10.01, "exc", "Yeah."),
    ("Ses01F_impro01_M001", 11.1, "xxx", "Let me see them."),
    ("Ses05M_script01_1b_M000", 1.0, "ang", "What happened here?"),
    ("Ses05M_script01_1b_F000", 2.0, "hap", "The wind."),
    ("Ses05M_script01_1b_F001", 3.0, "sad", "It broke."),
    ("Ses05M_script01_1b_M001", 4.0, "sad", "So it did."),
    ("Ses05M_script01_1b_M002", 5.0, "oth", "Hm."),
)


def left_out(**counts: int) -> dict[str, int]:
    return {f"the label {label!r}, which the task leaves out": count for label, count in counts.items()}


@pytest.mark.slow
def test_every_task_is_asked_of_every_kind_of_model(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    corpus = write_iemocap(tmp_path / "IEMOCAP_full_release", ROWS)
    (corpus / "Session5" / "sentences" / "wav" / "Ses05M_script01_1b" / "Ses05M_script01_1b_M001.wav").unlink()
    release = tmp_path / "release"
    run("data", "import", "iemocap", str(corpus), "--labels", "all", "--embed", "--out", str(release))
    silent = {"no recording": 1}
    six = Expected(asked=6, not_asked={**silent, **left_out(xxx=1, oth=1)})
    four = Expected(asked=5, not_asked={**silent, **left_out(fru=1, xxx=1, oth=1)})
    tasks = {"iemocap_four": four, "iemocap_six": six, "iemocap_six_utterance": six}
    walk(tmp_path, tasks, [f"iemocap={release}"], tiny_qwen(tmp_path_factory))
