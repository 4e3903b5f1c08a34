"""Benchmarks of corpora that users have, in a folder of tasks, and small corpora for them: tables with their sounds."""

from __future__ import annotations

from pathlib import Path

from support.table_files import sound, write_text

LABELS = ("happy", "angry", "sad")

_TASK = """task: {name}_audio
version: 1
group: {name}
dataset: {{corpus: {name}, path: labels/test.csv, columns: {{sound: file, label: emotion, speaker: who, text: said}}}}
messages: [{{role: user, content: [{{type: clip}}, {{type: text, text: "{{{{ labels | join(' or ') }}}}?"}}]}}]
output: {{type: label, labels: [happy, angry, sad]}}
scorers: [{{name: understanding, metrics: [accuracy, uar]}}]
headline: accuracy
"""

_GROUP = """group: {name}
title: "{name}: acted voices"
benchmark:
  homepage: https://example.org/{name}
  licence: research only
  restricted: {restricted}
  languages: [en]
  obtain: avemo-eval data import {name} DIR --labels all
columns:
- {{name: Acc_A, condition: audio_only, metric: accuracy}}
- {{name: UAR_A, condition: audio_only, metric: uar}}
published:
- {{of: human raters, task: {name}_audio, metric: accuracy, value: 0.62, source: "paper, Table 3", note: all clips}}
"""


def write_benchmark(folder: Path, name: str, *, restricted: bool = False) -> None:
    """A group of one task of the corpus of its name, and what others report."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(_TASK.format(name=name), encoding="utf-8")
    group = _GROUP.format(name=name, restricted=str(restricted).lower())
    (folder / f"{name}_group.yaml").write_text(group, encoding="utf-8")


def write_collection(folder: Path, name: str, groups: tuple[str, ...]) -> Path:
    """Benchmarks of these names, and a collection of them; returns the folder to include."""
    for group in groups:
        write_benchmark(folder, group)
    text = f"group: {name}\ntitle: All of them\ngroups: [{', '.join(groups)}]\n"
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def write_corpus(folder: Path, count: int = 6, first: int = 0) -> Path:
    """Sounds in `wav`, of other content from another `first` on, and their labels in a table of a folder beside it."""
    (folder / "wav").mkdir(parents=True)
    (folder / "labels").mkdir()
    for seed in range(count):
        (folder / "wav" / f"{seed}.wav").write_bytes(sound(first + seed))
    rows = [
        {"file": f"wav/{seed}.wav", "emotion": LABELS[seed % 3], "who": f"s{seed % 2}", "said": f"line {seed}"}
        for seed in range(count)
    ]
    write_text(folder / "labels" / "test.csv", rows)
    return folder
