"""MSP-IMPROV's tasks: four labels of single turns, by video and sound, voice, and face."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.benchmark_walk import Expected, run, tiny_qwen, walk
from support.dyadic_trees import MspImprovRow, write_msp_improv

ROWS: tuple[MspImprovRow, ...] = (
    ("S01A-F01-S-FM01", "N", "How can I not?"),
    ("S01A-M01-R-MM01", "A", "How can I not?"),
    ("S08H-F02-P-MF12", "H", "Okay."),
    ("S11S-M02-T-FM03", "S", "I am quite sure."),
    ("S20N-M02-S-MM07", "X", "Well."),
)


@pytest.mark.slow
def test_every_task_is_asked_of_every_kind_of_model(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    corpus = write_msp_improv(tmp_path / "MSP-IMPROV", ROWS)
    (corpus / "Video" / "session1" / "S01A" / "R" / "MSP-IMPROV-S01A-M01-R-MM01.avi").unlink()
    release = tmp_path / "release"
    run("data", "import", "msp-improv", str(corpus), "--labels", "all", "--embed", "--out", str(release))
    unlabelled = {"the label 'X', which the task leaves out": 1}
    faces = Expected(asked=3, not_asked={"no face": 1, **unlabelled})
    tasks = {
        "msp_improv_full_av": faces,
        "msp_improv_audio_only": Expected(asked=4, not_asked=unlabelled),
        "msp_improv_video_only": faces,
    }
    walk(tmp_path, tasks, [f"msp_improv={release}"], tiny_qwen(tmp_path_factory))
