"""EMO-DB from its download to scores: seven emotions of German voices, asked about in English."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.acted_corpora import import_by_command
from support.benchmark_walk import Expected, tiny_qwen, walk
from support.corpus_trees import pack_zip, write_emo_db

from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.scorers import METRICS
from avemo_harness.scorers.answers import read_label

STEMS = ("03a01Fa", "03a01Nc", "03b10Wa", "08a02Ta", "08a05Lc", "16b01Eb", "16b02Ab")


@pytest.mark.slow
def test_the_download_is_asked_of_every_kind_of_model(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    archive = pack_zip(write_emo_db(tmp_path / "corpus", STEMS, {"03a01Fa": "90,00"}), tmp_path / "download.zip")
    release = import_by_command("emo-db", archive, tmp_path / "release", "--embed")
    walk(tmp_path / "walk", {"emo_db_audio_only": Expected(7)}, [f"emo_db={release}"], tiny_qwen(tmp_path_factory))


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Boredom.", "bored"),
        ("Die Person klingt gelangweilt.", "bored"),
        ("Es ist Angst.", "fearful"),
        ("Ekel", "disgusted"),
        ("Freude", "happy"),
        ("Wut!", "angry"),
        ("Trauer", "sad"),
        ("Anxiety", "fearful"),
    ],
)
def test_answers_in_english_and_german_are_read(answer: str, label: str) -> None:
    output = TaskLibrary(METRICS).load(["emo_db_audio_only"])[0].spec.output
    assert isinstance(output, LabelOutput)
    assert read_label(answer, output).label == label
