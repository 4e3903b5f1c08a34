"""Corpora of a few seconds, in the layouts in which the real ones are given out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from support.clips import make_clip, melody, pattern

RATE = 16_000
RATERS = ("FM1 ", "FM2 ", "FM3 ", "FF1 ", "FF2 ", "FF3")


def write_wav(path: Path, seconds: float, seed: int = 0) -> None:
    """Tones as 16-bit PCM, 16 kHz, mono."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, melody(seconds, seed=seed), RATE, format="WAV", subtype="PCM_16")


def write_clip(path: Path, seconds: float, seed: int = 0) -> None:
    """A clip with sound and a moving bar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(make_clip(seconds, seed))


def write_silent_clip(path: Path, seconds: float) -> None:
    """A clip with video alone, 25 frames a second."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as film:
        stream = film.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for position in range(round(25 * seconds)):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(pattern(position), format="rgb24")))
        film.mux(stream.encode(None))


def write_ratings(path: Path, ratings: NDArray[np.float64]) -> None:
    """A RECOLA file: (T, 6) values 25 times a second; NaN is written as it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [";".join(["time", *RATERS])]
    lines += [";".join([f"{0.04 * step:.2f}", *map(str, row)]) for step, row in enumerate(ratings)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_recola(folder: Path, persons: Mapping[int, int], seconds: float = 4.0) -> None:
    """A RECOLA of sound files.

    Args:
        persons: group of each person.
    """
    rng = np.random.default_rng(0)
    for person in persons:
        write_wav(folder / "RECOLA-Audio-recordings" / f"P{person}.wav", seconds, person)
        for name in ("arousal", "valence"):
            steps = np.arange(round(25 * seconds) + 1)[:, None]
            ratings = 0.5 * np.sin(steps / 20 + person) + 0.1 * rng.standard_normal((1, 6))
            write_ratings(folder / "RECOLA-Annotation" / "emotional_behaviour" / name / f"P{person}.csv", ratings)
    rows = ["Group_id;User;Sex", *(f"{group};{person}.0;1" for person, group in persons.items()), ";mean age;20.5"]
    (folder / "RECOLA-Metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def dialogue_name(number: int) -> str:
    """The name of a MultiDialog dialogue."""
    return f"t_{number:08x}-3a9c-407b-a47e-d28d9bae83c4"


def write_multidialog_metadata(path: Path, rows: Sequence[tuple[int, int, str, str]]) -> None:
    """A file of metadata; a row is (dialogue, utterance, actor, emotion)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as handle:
        for dialogue, number, actor, emotion in rows:
            name = dialogue_name(dialogue)
            row = {
                "file_name": f"{name}/{name}_{number}{actor}.wav",
                "conv_id": name,
                "utterance_id": number,
                "from": "gpt" if number % 2 == 0 else "human",
                "value": "Did you know that?",
                "emotion": emotion,
                "original_full_path": f"valid_freq/{name}/{name}_{number}{actor}.wav",
            }
            handle.write(json.dumps(row) + "\n")


def write_multidialog_sound(folder: Path, rows: Sequence[tuple[int, int, str, str]]) -> None:
    """The sound files of such rows, as an archive unpacks."""
    for dialogue, number, actor, _ in rows:
        name = dialogue_name(dialogue)
        write_wav(folder / name / f"{name}_{number}{actor}.wav", 0.2, seed=100 * dialogue + number)


def write_trace(path: Path, times: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """One rater's file of MSP-Conversation: a header of nine lines, then seconds and values from -100 to 100."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = ["rater,003", "0,0", *(f"note {number},x" for number in range(6)), "%%%%%%,%%%%%%"]
    rows = [f"{time:.4f},{value:.4f}" for time, value in zip(times, values, strict=True)]
    path.write_text("\n".join([*header, *rows]) + "\n", encoding="utf-8")


def write_msp_conversation(folder: Path, conversations: Mapping[str, str]) -> None:
    """Conversations of two parts of 3 s, each rated by two raters; the podcast begins 10 s before.

    Args:
        conversations: the part of the split that each number such as ``0002`` is in.
    """
    labels = folder / "Time_Labels" / "Time_Labels"
    labels.mkdir(parents=True)
    names = [f"MSP-Conversation_{number}" for number in conversations]
    parts = [f"{name}_{part};{7 + 3 * part}.0;{10 + 3 * part}.0\n" for name in names for part in (1, 2)]
    (labels / "conversations.txt").write_text("".join(f"{name};10.0;16.0\n" for name in names), encoding="utf-8")
    (labels / "conversation_parts.txt").write_text("".join(parts), encoding="utf-8")
    split = "".join(f"{name};{part}\n" for name, part in zip(names, conversations.values(), strict=True))
    (folder / "partitions.txt").write_text(split, encoding="utf-8")
    times = np.arange(0.01, 3.0, 0.07)
    for seed, name in enumerate(names):
        write_wav(folder / "Audio" / "Audio" / f"{name}.wav", 6.0, seed)
        for dimension, level in (("Valence", -50.0), ("Arousal", 20.0), ("Dominance", 60.0)):
            for part in (1, 2):
                for rater, offset in (("001", -10.0), ("007", 10.0)):
                    path = folder / "Annotations" / "Annotations" / dimension / f"{name}_{part}_{rater}.csv"
                    write_trace(path, times, np.full(len(times), level + offset * part))
