"""Small tables of recordings as people keep them: CSV and JSONL, folders, tars, and Parquet of `datasets`."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Audio, ClassLabel, Features, Value
from support.clips import make_clip, melody
from support.hub_server import Repository
from support.sound_files import sound_file

LABELS = ("anger", "joy", "sadness")


def voice(number: int) -> bytes:
    """A third of a second of sound, no two alike."""
    return sound_file("wav", melody(0.3, seed=number))


def write_voices(folder: Path, count: int = 6) -> Path:
    """Recordings and the table `clips.csv` that labels them, each label as often as the others."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["path,emotion,speaker"]
    for number in range(count):
        (folder / f"{number}.wav").write_bytes(voice(number))
        rows.append(f"{number}.wav,{LABELS[number % 3]},s{number % 4}")
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    return folder / "clips.csv"


def write_jsonl(file: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """A table of one JSON object a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def write_label_folders(folder: Path, count: int = 6) -> Path:
    """Recordings in folders that are called as their labels."""
    for number in range(count):
        path = folder / LABELS[number % 3] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(voice(number))
    return folder


def write_tar(file: Path, count: int = 6) -> Path:
    """A WebDataset: recordings and records of the same names."""
    with tarfile.open(file, "w") as tar:
        for number in range(count):
            for name, data in (
                (f"{number:03}.wav", voice(number)),
                (f"{number:03}.json", json.dumps({"emotion": LABELS[number % 3]}).encode()),
            ):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return file


VOICES = Features(
    {
        "audio": Audio(),
        "label": ClassLabel(names=list(LABELS)),
        "sentence": Value("string"),
        "speaker": Value("string"),
    }
)


def parquet(rows: Sequence[Mapping[str, Any]], features: Features) -> bytes:
    """A Parquet file as `datasets` writes it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=features.arrow_schema), file)
    return file.getvalue()


def voice_rows(count: int) -> list[dict[str, Any]]:
    """Rows of `VOICES`."""
    return [
        {
            "audio": {"bytes": voice(n), "path": f"{n}.wav"},
            "label": n % 3,
            "sentence": f"Sentence {n}.",
            "speaker": f"s{n % 4}",
        }
        for n in range(count)
    ]


def voices_repository(name: str, count: int = 6, shards: int = 2, train: int = 0) -> Repository:
    """A data set of the Hub with `Audio` and `ClassLabel` features, its test part in shards.

    Args:
        train: rows of a part to learn from, of other recordings.
    """
    rows = voice_rows(count + train)
    files = {
        f"data/test-{shard:05}-of-{shards:05}.parquet": parquet(rows[shard:count:shards], VOICES)
        for shard in range(shards)
    }
    if train:
        files["data/train-00000-of-00001.parquet"] = parquet(rows[count:], VOICES)
    readme = "---\nlicense: cc0-1.0\nlanguage: en\n---\n# Voices\n"
    return Repository(name, {"README.md": readme.encode(), **files})


ACTED = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")


def acted_voices(name: str) -> Repository:
    """A data set of the Hub whose classes are abbreviations, a recording each."""
    features = Features({**VOICES, "label": ClassLabel(names=list(ACTED))})
    rows = [{**row, "label": number} for number, row in enumerate(voice_rows(len(ACTED)))]
    return Repository(name, {"data/test-00000-of-00001.parquet": parquet(rows, features)})


SEVEN = ("neutral", "joy", "surprise", "sadness", "anger", "disgust", "fear")


def write_meld_like(folder: Path, dialogues: int) -> Path:
    """The table `test_sent_emo.csv`, dialogues of three turns of two speakers, last turn first, and `clips/`."""
    rows = ["Sr No.,Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID"]
    (folder / "clips").mkdir(parents=True)
    for dialogue in range(dialogues):
        for turn in (2, 1, 0):
            number = 3 * dialogue + turn
            rows.append(f"{number},Line {number}.,{'AB'[turn % 2]},{SEVEN[number % 7]},{dialogue},{turn}")
            (folder / "clips" / f"dia{dialogue}_utt{turn}.mp4").write_bytes(make_clip(0.4, number))
    table = folder / "test_sent_emo.csv"
    table.write_text("\n".join(rows) + "\n")
    return table
