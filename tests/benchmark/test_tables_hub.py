"""Data sets of the Hub as `datasets` writes them, read as tables from a server that behaves like it.

`huggingface_hub` reads its settings when it is imported, so the readers run in processes of their own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.hub_server import HubServer, Repository, hub_environment, serve
from support.table_files import EMOTIONS, load, sound, video, write_lines, write_parquet, write_tar, write_text
from support.waiting import PATIENCE_S
from support.whole_runs import results_of

from avemo_harness.benchmark.columns import ColumnsSpec
from avemo_harness.benchmark.release import dialogue_row

READER = """
import json, sys
from pathlib import Path
from avemo_harness.benchmark.columns import DatasetSpec
from avemo_harness.benchmark.release import dialogue_row
from avemo_harness.benchmark.release_loader import ReleaseOptions
from avemo_harness.benchmark.table_loader import load_table
from avemo_harness.errors import ReleaseError

dataset, streaming, read = json.loads(sys.argv[1])
try:
    release = load_table(DatasetSpec(**dataset), ReleaseOptions(streaming=streaming, revision=dataset.get("revision")))
    turns = [turn for dialogue in release.dialogues for turn in dialogue.turns]
    print(json.dumps({
        "commit": release.commit,
        "split": release.split,
        "fingerprint": release.fingerprint,
        "ids": [dialogue.dialogue_id for dialogue in release.dialogues],
        "terms": sorted({(dialogue.licence, dialogue.language, dialogue.source) for dialogue in release.dialogues}),
        "labels": [turn.emotion for turn in turns],
        "clips": [turn.clip.read().hex() for turn in turns[:read] if turn.clip is not None],
    }))
except ReleaseError as error:
    print(json.dumps({"refused": str(error)}))
"""

CARD = """---
license: cc-by-4.0
language: en
{configs}---
# Set
"""
SHARDED = {"path": "lab/spoken", "columns": {"video": "clip", "sound": "voice", "label": "emotion", "text": "said"}}
TALKS = {"path": "lab/talks", "columns": {"turns": "turns", "text": "said", "label": "emotion", "sound": "audio"}}
DECLARED = """dataset_info:
  features:
  - name: file
    dtype: string
  - name: emotion
    dtype:
      class_label:
        names:
          '0': joy
          '1': anger
          '2': sadness
"""


def spoken(folder: Path) -> Path:
    """Two shards with Video, Audio and ClassLabel; recordings beside rows are large enough to be noticed."""
    import datasets

    features = datasets.Features(
        {
            "said": datasets.Value("large_string"),
            "emotion": datasets.ClassLabel(names=list(EMOTIONS)),
            "clip": datasets.Video(),
            "voice": datasets.Audio(sampling_rate=16_000),
            "padding": datasets.Audio(),
        }
    )
    rows = [
        {
            "said": f"line {seed}",
            "emotion": seed % 3,
            "clip": {"bytes": video(seed), "path": f"{seed}.mp4"},
            "voice": {"bytes": sound(seed), "path": f"{seed}.wav"},
            "padding": {"bytes": bytes([seed]) * 2_000_000, "path": None},
        }
        for seed in range(4)
    ]
    write_parquet(folder / "data" / "test-00000-of-00002.parquet", rows[:3], features)
    write_parquet(folder / "data" / "test-00001-of-00002.parquet", rows[3:], features)
    write_parquet(folder / "data" / "train-00000-of-00001.parquet", rows[:1], features)
    (folder / "README.md").write_text(CARD.format(configs=""))
    return folder


def talks(folder: Path) -> Path:
    """A row a dialogue, in a config that is named: sequences of records with recordings in them."""
    import datasets

    turn = {
        "said": datasets.Value("string"),
        "emotion": datasets.ClassLabel(names=list(EMOTIONS)),
        "audio": datasets.Audio(),
    }
    rows = [
        {"turns": [{"said": "a", "emotion": seed, "audio": {"bytes": sound(seed), "path": None}} for seed in (0, 2)]}
    ]
    features = datasets.Features({"turns": datasets.List(turn)})
    write_parquet(folder / "english" / "test.parquet", rows, features)
    configs = "configs:\n- config_name: english\n  data_files:\n  - split: test\n    path: english/test.parquet\n"
    (folder / "README.md").write_text(CARD.format(configs=configs))
    return folder


def sounds(folder: Path) -> Path:
    """An AudioFolder without splits."""
    (folder / "clips").mkdir(parents=True)
    for seed in range(3):
        (folder / "clips" / f"{seed}.wav").write_bytes(sound(seed))
    rows = [{"file_name": f"clips/{seed}.wav", "emotion": EMOTIONS[seed]} for seed in range(3)]
    write_text(folder / "metadata.csv", rows)
    return folder


def listed(folder: Path) -> Path:
    """Lines that name files of the repository, with classes that the card declares."""
    (folder / "wavs").mkdir(parents=True)
    for seed in range(3):
        (folder / "wavs" / f"{seed}.wav").write_bytes(sound(seed))
    write_lines(folder / "test.jsonl", [{"file": f"wavs/{seed}.wav", "emotion": seed} for seed in range(3)])
    configs = "configs:\n- config_name: default\n  data_files:\n  - split: test\n    path: test.jsonl\n"
    (folder / "README.md").write_text(CARD.format(configs=configs + DECLARED))
    return folder


def packed(folder: Path) -> Path:
    """A WebDataset."""
    folder.mkdir(parents=True)
    samples: dict[str, bytes] = {}
    for seed in range(3):
        samples |= {f"{seed}.wav": sound(seed), f"{seed}.json": json.dumps({"emotion": EMOTIONS[seed]}).encode()}
    write_tar(folder / "test-000.tar", samples)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("sets")
    return {made.__name__: made(base / made.__name__) for made in (spoken, talks, sounds, listed, packed)}


@pytest.fixture(scope="module")
def hub(folders: Mapping[str, Path]) -> Iterator[HubServer]:
    repositories = [Repository.of_folder(f"lab/{name}", folder) for name, folder in folders.items()]
    gated = Repository("lab/gated", {"test.csv": b"a\n1\n"}, refusal=403)
    with serve(*repositories, gated) as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def read(
    home: Path, hub: HubServer, dataset: Mapping[str, Any], *, streaming: bool = False, clips: int = 100
) -> dict[str, Any]:
    """What a process of its own read: facts of the release, and the bytes of its first clips."""
    done = subprocess.run(
        [sys.executable, "-c", READER, json.dumps([{"name": "default", **dataset}, streaming, clips])],
        env=hub_environment(home, hub.url),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def columns_of(dataset: Mapping[str, Any]) -> ColumnsSpec:
    return ColumnsSpec(**dataset["columns"])


def test_shards_with_features_are_the_release_that_their_folder_is(
    home: Path, hub: HubServer, folders: Mapping[str, Path]
) -> None:
    found = read(home, hub, SHARDED)
    local = load(folders["spoken"], columns_of(SHARDED))
    assert found["commit"] == hub.repositories["lab/spoken"].commit
    assert found["fingerprint"] == local.fingerprint
    assert found["labels"] == ["joy", "anger", "sadness", "joy"]
    assert found["terms"] == [["cc-by-4.0", "en", "lab/spoken"]]
    assert found["clips"] == [turn.clip.read().hex() for d in local.dialogues for turn in d.turns if turn.clip]
    assert len(found["clips"]) == 4
    assert len({json.dumps(dialogue_row(dialogue)) for dialogue in local.dialogues}) == 4


def test_a_config_of_dialogues_is_read_without_its_name_where_it_is_the_only_one(home: Path, hub: HubServer) -> None:
    found = read(home, hub, TALKS)
    assert (found["ids"], found["labels"]) == (["0"], ["joy", "sadness"])
    assert found["clips"] == [sound(0).hex(), sound(2).hex()]
    assert read(home, hub, {**TALKS, "name": "english"})["fingerprint"] == found["fingerprint"]


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("sounds", {"sound": "audio", "label": "emotion"}),
        ("listed", {"sound": "file", "label": "emotion"}),
        ("packed", {"sound": "wav", "label": "json.emotion"}),
    ],
)
def test_folders_lines_and_tars_of_the_hub_are_tables(
    name: str, columns: dict[str, str], home: Path, hub: HubServer
) -> None:
    found = read(home, hub, {"path": f"lab/{name}", "columns": columns})
    assert found["labels"] == list(EMOTIONS)
    assert found["clips"] == [sound(seed).hex() for seed in range(3)]


def test_streamed_rows_come_without_recordings_until_these_are_asked_for(hub: HubServer, tmp_path: Path) -> None:
    dataset = {**SHARDED, "columns": {"sound": "padding", "label": "emotion"}}
    hub.log.clear()
    rows = read(tmp_path, hub, dataset, streaming=True, clips=0)
    assert rows["split"] == "test[:1000]"
    assert rows["labels"] == ["joy", "anger", "sadness", "joy"]
    assert asked_bytes(hub.log) < 1_000_000
    hub.log.clear()
    first = read(tmp_path, hub, dataset, streaming=True, clips=1)
    assert first["fingerprint"] == rows["fingerprint"]
    assert first["clips"] == [(bytes([0]) * 2_000_000).hex()]
    hub.log.clear()
    assert read(tmp_path, hub, dataset, streaming=True, clips=1)["clips"] == first["clips"]
    assert asked_bytes(hub.log) < 1_000_000
    assert read(tmp_path, hub, dataset)["fingerprint"] != rows["fingerprint"]


def asked_bytes(log: list[str]) -> int:
    ranges = [re.search(r"\.parquet bytes=(\d+)-(\d+)", line) for line in log]
    return sum(int(found[2]) - int(found[1]) + 1 for found in ranges if found)


TASK = """task: spoken
version: 1
dataset:
  path: lab/spoken
  columns: {video: clip, sound: voice, label: emotion, text: said}
messages: [{role: user, content: [{type: clip}, {type: text, text: "How does the speaker feel?"}]}]
output: {type: label, labels: [joy, anger, sadness]}
scorers: [{name: understanding, metrics: [accuracy]}]
headline: accuracy
"""


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--streaming", "--limit", "3"]], ids=["whole", "streamed"])
def test_a_yaml_of_nine_lines_leads_from_an_id_to_a_table_of_results(
    more: list[str], home: Path, hub: HubServer, tmp_path: Path
) -> None:
    (tmp_path / "spoken.yaml").write_text(TASK)
    command = ["--model", "constant", "--model_args", "label=joy", "--tasks", "spoken.yaml", "--output_path", "run"]
    for arguments in ([*command, *more], ["report", "run"], ["show", "spoken.yaml", "--n", "1"]):
        done = subprocess.run(
            [sys.executable, "-m", "avemo_harness", *arguments],
            cwd=tmp_path,
            env=hub_environment(home, hub.url),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stderr
    results = results_of(tmp_path / "run")
    assert results["tasks"]["spoken"]["n_items"] == (3 if more else 4)
    assert results["tasks"]["spoken"]["n_errors"] == 0
    (release,) = results["releases"]
    assert (release["source"], release["commit"]) == ("lab/spoken", hub.repositories["lab/spoken"].commit)
    assert release["split"] == ("test[:1000]" if more else "test")


REFUSED = {
    "absent": ({"path": "lab/none"}, r"lab/none: the Hub has no such data set .* or access is not granted \(401\)"),
    "gated": ({"path": "lab/gated"}, r"lab/gated: .* access is not granted \(403\).*hf auth login"),
    "revision": ({"revision": "v9"}, r"lab/spoken: the Hub has no such data set or revision 'v9'"),
    "config": ({"name": "spanish"}, r"lab/spoken: there is no config 'spanish' \(configs: default\)"),
    "split": ({"split": "tset"}, r"lab/spoken: there is no split 'tset' \(splits: test, train\); nearest: 'test'"),
    "column": ({"columns": {"label": "emotions"}}, r"there is no column 'emotions' \(columns\.label\).*'emotion'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_hub_does_not_have_is_one_sentence(what: str, home: Path, hub: HubServer) -> None:
    change, sentence = REFUSED[what]
    refused = read(home, hub, {**SHARDED, **change})["refused"]
    assert re.search(sentence, refused), refused
    assert "\n" not in refused


def test_tars_are_not_streamed(home: Path, hub: HubServer) -> None:
    refused = read(home, hub, {"path": "lab/packed", "columns": {"sound": "wav"}}, streaming=True)["refused"]
    assert "test-000.tar is neither Parquet nor text, which streaming needs; leave --streaming out" in refused
