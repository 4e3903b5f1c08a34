"""Benchmarks of emotional intelligence in dialogue, laid out as their authors give them, with tones for speech."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from support.clips import RATE
from support.sound_files import sound_file

SUBSCALES = {
    "decision_making_reality_testing": "Decision Making - Reality Testing",
    "interpersonal_empathy": "Interpersonal - Empathy",
    "stress_management_optimism": "Stress Management - Optimism",
}
"""Three of the fifteen, by the folder; the first has a word in it that names a split."""


def tone(number: int, kind: str) -> bytes:
    """Half a second of a sound that no other number has."""
    seconds = np.arange(RATE // 2) / RATE
    return sound_file(kind, (0.3 * np.sin(2 * np.pi * (150 + 7 * number) * seconds)).astype(np.float32))


def write_speecheq(folder: Path, conversations: int = 6) -> Path:
    """A clone of SpeechEQ-Arena or SpeechEQ-Model-Arena: conversations, and what else lies there."""
    for number in range(conversations):
        slug, scale = list(SUBSCALES.items())[number % len(SUBSCALES)]
        name = f"20260308_23{number:04}_{number:012x}"
        sentences = [
            {"speaker": f"speaker{2 - n % 2}", "sentence_number": n, "text": f"Sentence {n} of {number}."}
            for n in range(1, 7)
        ]
        renditions = [(n, level) for n in range(1, 7) for level in (("high", "low") if n in (4, 6) else ("high",))]
        files = []
        home = folder / "data" / slug / name
        (home / "audio").mkdir(parents=True)
        for count, (n, level) in enumerate(renditions, start=1):
            (home / "audio" / f"{count:02}.mp3").write_bytes(tone(10 * number + count, "mp3"))
            # As the authors left it: the folder of another machine.
            path = f"/Users/somebody/Desktop/SpeechEQ/v2_data/{slug}/{name}/audio/{count:02}.mp3"
            files.append(
                {**sentences[n - 1], "eq_level": level, "audio_path": path, "tone_description": f"{level} tone"}
            )
        facts = {
            "scenario": {
                "title": f"Scene {number}",
                "context": f"Alex tells of scene {number}.",
                "description": f"Jordan must answer {number}.",
                "scenario_valence": "Positive",
                "target_social_intent": "Validate it.",
                "speaker1_name": "Alex",
                "speaker1_role": "Team Lead",
                "speaker1_gender": "Female",
                "speaker1_persona": "Bubbly.",
                "speaker1_voice": "ash",
                "speaker2_name": "Jordan",
                "speaker2_role": "Team Member",
                "speaker2_gender": "Male",
                "speaker2_persona_high": "Warm.",
                "speaker2_persona_low": "The Impatient Evader.",
                "speaker2_voice": "echo",
                "eq_skill_tested": scale,
            },
            "conversation": sentences,
            "eq_scale": scale,
            "audio_files": files,
            "generation_metadata": {
                "timestamp": name[:15],
                "dataset_id": name,
                "subscale_slug": slug,
                "output_path": f"v2_data/{slug}/{name}",
                "audio_files_count": 8,
                "generation_version": "v2",
            },
        }
        (home / "metadata.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False), encoding="utf-8")
    index = [{"subscale_slug": slug, "dataset_id": "x", "source_dir": f"v2_data/{slug}/x"} for slug in SUBSCALES]
    (folder / "data" / "selected_15_examples_index.json").write_text(json.dumps(index, indent=2))
    (folder / "questions.json").write_text(json.dumps({"questions": []}, indent=2))
    (folder / "README.md").write_text("# Speech EQ Arena\n")
    return folder


def write_humdial(folder: Path, lengths: Sequence[int] = (3, 4, 5)) -> Path:
    """`HD-Track1-Test` with conversations of so many turns for each task and language."""
    emotions = ("anger", "neutral", "surprise", "fear")
    for language in ("zh", "en"):
        for task in (1, 2, 3):
            name = f"HD-Track1-T{task}"
            sounds = folder / language / name
            sounds.mkdir(parents=True)
            lines = []
            for number, length in enumerate(lengths):
                dialogue = f"{language}_{task:04}_{number:04}"
                turns = []
                for turn in range(1, length + 1):
                    (sounds / f"{dialogue}_{turn}.wav").write_bytes(tone(100 * task + 10 * number + turn, "wav"))
                    asks = turn == length
                    turns.append(
                        {
                            "turn_id": turn,
                            "text": f"How did I change, {number}?" if asks else f"Turn {turn} of {number}.",
                            "emotion": "neutral" if asks else emotions[(number + turn) % len(emotions)],
                            "split_audio_file": f"{name}/{dialogue}_{turn}.wav",
                        }
                    )
                lines.append(json.dumps({"dialogue_id": dialogue, "turns": turns}, ensure_ascii=False))
            (folder / language / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
