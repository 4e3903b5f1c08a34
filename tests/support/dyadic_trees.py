"""Small corpora of two people who talk to each other, laid out exactly like the originals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from support.clips import melody, pattern
from support.tiny_corpora import RATE, write_wav

IemocapRow = tuple[str, float, str, str]
"""Utterance such as ``Ses01F_impro01_F000``, its start in seconds, label, words."""

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
LENGTH_S = 0.4


def write_iemocap(folder: Path, rows: Sequence[IemocapRow]) -> Path:
    """``IEMOCAP_full_release``: labels with their raters, transcriptions, and the sound of each utterance."""
    for number, (name, start_s, label, words) in enumerate(rows):
        session = folder / f"Session{name[4]}"
        dialogue = name[:-5]
        _append(
            session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt",
            f"[{start_s:.4f} - {start_s + LENGTH_S:.4f}]\t{name}\t{label}\t[2.5000, 2.5000, 2.5000]\n"
            "C-E2:\tNeutral;\t()\nC-E3:\tNeutral;\t()\nC-E4:\tSadness; Other;\t(calm)\nC-F1:\tNeutral;\t()\n"
            "A-E3:\tval 3; act 2; dom  2;\t()\nA-E4:\tval 2; act 3; dom  ;\t(mad, nice)\n"
            "A-F1:\tval 3; act 2; dom  1;\t()\n\n",
            HEADER,
        )
        # Raters' own files lie in folders beside, and other systems leave files of theirs.
        _append(
            session / "dialog" / "EmoEvaluation" / "Categorical" / f"{dialogue}_e2_cat.txt", f"{name} :Neutral; ()\n"
        )
        _append(session / "dialog" / "EmoEvaluation" / f"._{dialogue}.txt", "\x00\x05\x16\x07")
        _append(
            session / "dialog" / "transcriptions" / f"{dialogue}.txt",
            f"{name} [{start_s:08.4f}-{start_s + LENGTH_S:08.4f}]: {words}\n{name[-4]}: [LAUGHTER]\n",
        )
        write_wav(session / "sentences" / "wav" / dialogue / f"{name}.wav", LENGTH_S, number)
    return folder


def _append(path: Path, text: str, beginning: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8") if path.exists() else beginning
    path.write_text(before + text, encoding="utf-8")


MspImprovRow = tuple[str, str, str]
"""Turn such as ``S01A-F01-P-FM01``, the letter of its label, words."""


def write_msp_improv(folder: Path, rows: Sequence[MspImprovRow], video: bool = True) -> Path:
    """``Evaluation.txt`` with its raters, the sound and video of each turn, and transcriptions."""
    blocks = []
    for number, (name, label, words) in enumerate(rows):
        sentence, speaker, scenario, _ = name.split("-")
        inside = Path(f"session{speaker[-1]}", sentence, scenario)
        blocks.append(
            f"UTD-IMPROV-{name}.avi; {label}; A:3.000000; V:3.500000; D:NaN ; N:4.000000;\n"
            "FM-p1; Neutral; Neutral,Other (calm); A:3.000000; V:3.000000; D:NaN; N:4.000000;\n"
            "FM-p2; Happy; Happy; A:3.000000; V:4.000000; D:3.000000; N:4.000000;\n"
        )
        write_wav(folder / "Audio" / inside / f"MSP-IMPROV-{name}.wav", LENGTH_S, number)
        if video:
            write_avi(folder / "Video" / inside / f"MSP-IMPROV-{name}.avi", LENGTH_S, number)
        said = folder / "Human_transcriptions" / "All_human_transcriptions" / f"MSP-IMPROV-{name}.txt"
        _append(said, f"{words}\n")
    (folder / "Evaluation.txt").write_text("\n".join(blocks) + "\n", encoding="utf-8")
    return folder


def write_avi(path: Path, seconds: float, seed: int) -> None:
    """A video with its sound in the old container: MPEG-4 and PCM."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for position in range(round(25 * seconds)):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(pattern(position + seed), "rgb24")))
        container.mux(picture.encode(None))
        samples = (32767 * melody(seconds, seed=seed)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
