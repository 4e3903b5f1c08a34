"""Trees of benchmarks of emotion in exactly the layouts that their authors document, with a few recordings each."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from support.clips import make_clip, melody, pattern
from support.small_tables import voice

EMOBOX: Mapping[str, tuple[str, Sequence[str]]] = {
    "aesdd": ("anger/a06 ({n})b.wav", "afhsd"),
    "ased": ("05Angry/a5-06-01-01-{n}.wav", "afhSn"),
    "cafe": ("CaFE_48k/Peur/Fort/08-P-2-{n}.wav", "cdjnpst"),
    "casia": ("wangzhe/neutral/{n}.wav", ["angry", "fear", "happy", "neutral", "sad", "surprise"]),
    "emodb": ("wav/03a02W{n}.wav", ["anger", "boredem", "disgust", "fear", "happy", "neutral", "sad"]),
    "emovo": ("f2/gio-f2-b{n}.wav", ["gio", "dis", "pau", "rab", "sor", "tri", "neu"]),
    "emozionalmente": (
        "audio/161468073393{n}.wav",
        ["neutrality", "sadness", "joy", "anger", "disgust", "surprise", "fear"],
    ),
    "esd": ("0005/Neutral/0005_00000{n}.wav", ["Neutral", "Angry", "Happy", "Sad", "Surprise"]),
    "m3ed": (
        "modality_speech/A_rucikeaidewomen_1_{n}.wav",
        ["Neutral", "Disgust", "Surprise", "Anger", "Happy", "Sad", "Fear"],
    ),
    "mer2023": ("test1/sample_0000{n}.avi", ["angry", "happy", "neutral", "sad", "surprise", "worried"]),
    "mesd": (
        "Mexican Emotional Speech Database (MESD)/Anger_F_B_{n}.wav",
        ["Anger", "Sadness", "Disgust", "Happiness", "Fear", "Neutral"],
    ),
    "oreau": ("OréauFR_02/m/sessj/29a13J{n}.wav", "JSNPTDC"),
    "polish": ("m3.s_trzymaj_{n}.wav", "san"),
    "resd": (
        "test/neutral_fear_27/27_neutral_fear_n_{n}.wav",
        ["neutral", "anger", "enthusiasm", "fear", "sadness", "happiness", "disgust"],
    ),
    "shemo": ("male/M32S0{n}.wav", ["sad", "neutral", "fearful", "angry", "happy", "surprised"]),
    "subesco": (
        "M_09_SHUMANTA_S_2_FEAR_{n}.wav",
        ["fear", "surprise", "angry", "disgust", "happy", "neutral", "sad"],
    ),
    "turevdb": ("Sound Source/Calm/198{n}_sk_orgu.wav", ["Calm", "Happy", "Sad", "Angry"]),
    "urdu": ("Neutral/SM5_F63_N09{n}.wav", "NHSA"),
}
"""By corpus, the paths of recordings under `downloads/NAME`, and the words of its lists."""


def write_emobox(root: Path) -> dict[str, int]:
    """A clone of EmoBox with recordings in `downloads`; returns how many each test list of a first fold has."""
    counts = {}
    for corpus, (path, words) in EMOBOX.items():
        rows = []
        for number, word in enumerate(words):
            wav = f"downloads/{corpus}/{path.format(n=number)}"
            put(root / wav, avi(number) if wav.endswith(".avi") else voice(number))
            row = {"key": f"{corpus}-{number}", "dataset": corpus, "wav": wav, "type": "raw", "sample_rate": 16000}
            row |= {"num_frame": 4800.0, "task": "category", "length": 0.3, "emo": word, "channel": 1}
            rows.append(row)
        fold = root / "data" / corpus / "fold_1"
        put(fold / f"{corpus}_test_fold_1.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
        put(fold / f"{corpus}_train_fold_1.jsonl", b"")
        counts[corpus] = len(rows)
    return counts


def put(path: Path, data: bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def avi(seed: int, seconds: float = 0.4) -> bytes:
    """A short AVI with picture and sound, as older corpora have them."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as container:
        video: Any = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        sound: Any = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for position in range(round(25 * seconds)):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pattern(position + seed), format="rgb24")))
        samples = (melody(seconds, seed=seed) * 32_767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 16_000
        for stream, last in ((sound, frame), (sound, None), (video, None)):
            container.mux(stream.encode(last))
    return file.getvalue()


SENTIMENTS = ("negative", "neutral", "positive")
EMOBENCH_M: Mapping[str, tuple[str, str, str, Sequence[str]]] = {
    "fgmsa": (
        "FGMSA",
        "FGMSA",
        "FGMSA",
        ["weak negative", "strong negative", "neutral", "strong positive", "weak positive"],
    ),
    "ch_sims_v2s": ("ch-simsv2s", "ch-simsv2s", "ch-simsv2s", SENTIMENTS),
    "mosi": ("MOSI", "MOSI", "MOSI", SENTIMENTS),
    "mosei": ("MOSEI", "MOSEI", "MOSEI", SENTIMENTS),
    "sims": ("SIMS", "SIMS_test", "SIMS", SENTIMENTS),
    "ur_funny": ("funny", "funny", "UR-FUNNY", ["true", "false"]),
    "mustard": ("MUSTARD", "MUSTARD", "MUSTARD", ["true", "false"]),
    "meld": ("MELD", "MELD", "MELD", ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]),
    "mer2023": ("mer2023", "mer2023", "MER2023", ["happy", "sad", "neutral", "angry", "worried", "surprise"]),
    "ravdess_song": (
        "RAVDSS_song",
        "RAVDSS_song",
        "RAVDSS",
        ["neutral", "calm", "happy", "sad", "angry", "fearful"],
    ),
    "ravdess_speech": (
        "RAVDSS_speech",
        "RAVDSS_speech",
        "RAVDSS",
        ["neutral", "calm", "happy", "sad", "angry", "fearful", "surprised", "disgust"],
    ),
    "smile": (
        "smile",
        "smile",
        "SMILE",
        ["The audience laughed because Raj sarcastically pretended a smashed iPod could be sold as slightly used."],
    ),
}
"""By task, the name of its JSON, its folder, the folder of its videos, and its true answers."""


def write_emobench_m(root: Path) -> dict[str, int]:
    """The unpacked archive of EmoBench-M; returns how many samples each scenario has."""
    for table, folder, videos, answers in EMOBENCH_M.values():
        samples = []
        for number, answer in enumerate(answers):
            video = f"videos/{videos}/aqgy4_0004/{number:05}.mp4"
            put(root / "dataset" / folder / video, make_clip(0.4, number))
            asked = (
                "<video>\nThe person in the video says: When you die, I'll burn paper to tell you. Determine the "
                f"emotion conveyed. Choose one of the following labels as your final answer: {', '.join(answers)}. "
                "Respond in the format: {'emotion': 'label'}."
            )
            turns = [{"from": "human", "value": asked}, {"from": "gpt", "value": answer}]
            samples.append({"id": str(number), "video": video, "conversations": turns})
        put(root / "benchmark_json" / f"{table}.json", json.dumps(samples, indent=2).encode())
    return {task: len(answers) for task, (*_, answers) in EMOBENCH_M.items()}


BASIC = {
    "mer2023": ["happy", "sad", "angry"],
    "mer2024": ["happy", "sad", "angry"],
    "meld": ["joy", "sadness", "anger"],
    "iemocap": ["happy", "sad", "anger"],
}
"""Labels of the sets of MER-UniBench that have one each; words that the small wheels of tests know."""
MELD = ("anger", "joy", "sadness", "neutral", "disgust", "fear", "surprise")
IEMOCAP = ("happy", "sad", "neutral", "anger")
OPEN_SETS = ("['happy', 'sad']", "[furious]", "glad,angry", "[]")
"""Words of OV-MERD+ as its table writes them; an empty list is no emotion, which lies on no wheel."""


def write_mer_unibench(root: Path) -> None:
    """The folder `dataset` of MER-UniBench: labels in pickled arrays by name, or in a table, and videos."""
    for year, ending in (("2023", "avi"), ("2024", "mp4")):
        folder = root / f"mer{year}-dataset-process"
        names = {f"sample_{number:08}": {"emo": emo, "val": -10} for number, emo in enumerate(BASIC[f"mer{year}"])}
        _write_labels(folder / "label-6way.npz", train_corpus={}, test1_corpus=names)
        _write_videos(folder / "video", names, ending)
    meld = {f"dia{n}_utt0": {"emo": MELD.index(emo), "val": ""} for n, emo in enumerate(BASIC["meld"])}
    _write_labels(root / "meld-process/label.npz", train_corpus={}, val_corpus={}, test_corpus=meld)
    _write_videos(root / "meld-process/subvideo", meld, "mp4")
    of_session = {f"Ses05F_impro01_F{n:03}": {"emo": IEMOCAP.index(emo)} for n, emo in enumerate(BASIC["iemocap"])}
    others = {"Ses01F_impro01_F000": {"emo": 2}}
    _write_labels(root / "iemocap-process/label_4way.npz", whole_corpus={**others, **of_session})
    _write_videos(root / "iemocap-process/subvideo-tgt", of_session, "avi")
    for name, videos in (
        ("cmumosi", "subvideo"),
        ("cmumosei", "subvideo_new"),
        ("sims", "video"),
        ("simsv2", "video_new"),
    ):
        rows = {f"03bSnISJMiM_{n}": {"emo": 0, "val": value} for n, value in enumerate((2.4, -1.2, 0.0, -0.4))}
        _write_labels(root / f"{name}-process/label.npz", train_corpus={}, test_corpus=rows)
        _write_videos(root / f"{name}-process" / videos, rows, "mp4")
    names = [f"samplenew_{number:08}" for number in range(len(OPEN_SETS))]
    lines = ["name,openset", *(f'{name},"{words}"' for name, words in zip(names, OPEN_SETS, strict=True))]
    put(root / "ovmerdplus-process/ovlabel.csv", "\n".join(lines).encode())
    _write_videos(root / "ovmerdplus-process/video", names, "mp4")


def _write_labels(path: Path, **corpora: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{name: np.array(corpus, dtype=object) for name, corpus in corpora.items()})


def _write_videos(folder: Path, names: Iterable[str], ending: str) -> None:
    for number, name in enumerate(names):
        put(folder / f"{name}.{ending}", avi(number) if ending == "avi" else make_clip(0.4, number))


def write_air_bench(root: Path) -> None:
    """The foundation part of AIR-Bench: two sets of a speaker's emotion, of three options too, and one of gender."""
    options = ["angry", "sad", "neutral", "happy"]
    records: list[dict[str, Any]] = []
    for dataset in ("iemocap", "meld"):
        for number, answer in enumerate(options[:3]):
            shown = options if number else options[:3]
            path = f"{dataset}_{number}.wav"
            put(root / f"Foundation/Speaker_Emotion_Recontion_{dataset}/{path}", voice(number))
            letters = {f"choice_{letter}": option for letter, option in zip("abcd", shown, strict=False)}
            record = {"path": path, "question": "Which emotion does the speaker have?", **letters, "answer_gt": answer}
            record |= {"task_name": "Speaker_Emotion_Recontion", "dataset_name": dataset, "uniq_id": len(records)}
            records.append(record)
    other = {"path": "x.wav", "question": "Man or woman?", "choice_a": "male", "choice_b": "female"}
    other |= {"answer_gt": "male", "task_name": "Speaker_Gender_Recognition", "dataset_name": "meld", "uniq_id": 99}
    put(root / "Foundation/Foundation_meta.json", json.dumps([other, *records]).encode())
