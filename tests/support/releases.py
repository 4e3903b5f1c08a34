"""Small releases and tasks for tests."""

from __future__ import annotations

from pathlib import Path

from avemo_harness.benchmark.release import EMOTIONS, Dialogue, Turn
from avemo_harness.benchmark.release_writer import write_release


def write_text_release(folder: Path, dialogues: int, turns: int = 1) -> Path:
    """A release without clips: `turns` user turns a dialogue, with the assistant's between them."""
    rows = []
    for i in range(dialogues):
        row = []
        for t in range(2 * turns - 1):
            role = "user" if t % 2 == 0 else "assistant"
            emotion = EMOTIONS[(i + t // 2) % 4] if role == "user" else None
            row.append(Turn(t, role, f"speaker{i % 5}", f"sentence {t} of dialogue {i}", emotion))
        rows.append(Dialogue(f"d{i:05}", "test", "en", "CC0-1.0", tuple(row)))
    write_release(folder, "text", {"test": rows})
    return folder


def write_text_task(file: Path, release: Path, name: str = "text_only", extra: str = "") -> Path:
    """A task that asks about the text of each user turn."""
    shipped = Path(__file__).parents[2] / "tasks" / "_understanding.yaml"
    file.write_text(
        f"""task: {name}
extends: {shipped}
dataset: {{path: {release}, name: text}}
condition: full_av
messages:
- role: user
  content: [{{type: text, text: "How does the speaker of {{{{ turn.text }}}} feel?"}}]
{extra}""",
        encoding="utf-8",
    )
    return file
