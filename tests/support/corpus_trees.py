"""Small corpora laid out exactly like the originals, media included, as folders and as archives."""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np
from support.clips import make_clip, pattern
from support.tiny_corpora import dialogue_name, write_multidialog_metadata, write_wav

from avemo_harness import media

MELD_COLUMNS = (
    "Sr No.",
    "Utterance",
    "Speaker",
    "Emotion",
    "Sentiment",
    "Dialogue_ID",
    "Utterance_ID",
    "Season",
    "Episode",
    "StartTime",
    "EndTime",
)
MELD_FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}


def write_clip(path: Path, seconds: float, seed: int) -> None:
    """A clip with sound and a moving bar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(make_clip(seconds, seed))


def write_silent_video(path: Path, seconds: float) -> None:
    """A video without sound, in the container that its name ends in: ``.flv`` with that format's own codec, or mp4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as container:
        stream = container.add_stream("flv1" if path.suffix == ".flv" else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for position in range(round(25 * seconds)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pattern(position % 100), "rgb24")))
        container.mux(stream.encode(None))


def write_ravdess(folder: Path, names: Sequence[str]) -> Path:
    """Files such as ``03-01-05-01-01-01-07.wav`` in the folders of their actors; 01 and 02 are videos."""
    for seed, name in enumerate(names):
        path = folder / f"Actor_{name.split('.')[0][-2:]}" / name
        if name.startswith("03"):
            write_wav(path, 0.4, seed)
        else:
            write_clip(path, 0.4, seed)
    return folder


def write_crema_d(folder: Path, stems: Sequence[str], ending: str = ".mp4") -> Path:
    """Clips such as ``1001_DFA_ANG_XX`` as video and as sound; the sound of the first one alone."""
    for seed, stem in enumerate(stems):
        write_wav(folder / "AudioWAV" / f"{stem}.wav", 0.4, seed)
        if seed:
            write_clip(folder / "VideoFlash" / f"{stem}{ending}", 0.4, seed)
    return folder


def write_crema_d_summary(folder: Path, votes: Mapping[str, str]) -> None:
    """The table of majorities; a vote is letters such as ``A``, or ``A:D`` for a tie."""
    rows = [["", "FileName", "VoiceVote", "VoiceLevel", "FaceVote", "FaceLevel", "MultiModalVote", "MultiModalLevel"]]
    rows += [[str(n), stem, "N", "50", "N", "50", vote, "50"] for n, (stem, vote) in enumerate(votes.items(), 1)]
    _write_csv(folder / "processedResults" / "summaryTable.csv", rows, csv.QUOTE_ALL)


def write_crema_d_responses(folder: Path, votes: Sequence[tuple[str, int, str]]) -> None:
    """Every single vote: (clip, query type 1 voice, 2 face, 3 both, answer)."""
    columns = "localid pos ans ttr queryType numTries clipNum questNum subType clipName sessionNums respEmo respLevel"
    rows = [["", *columns.split(), "dispEmo", "dispVal", "dispLevel"]]
    for number, (stem, kind, answer) in enumerate(votes, 1):
        row = [number, number, 7, f"{answer}_50", 4000, kind, 0, 3, 1, 4, stem, 1, answer, 50, "A", "XX", 50]
        rows.append([str(cell) for cell in row])
    _write_csv(folder / "finishedResponses.csv", rows, csv.QUOTE_ALL)


def write_crema_d_tabulated(folder: Path, votes: Mapping[tuple[str, int], str]) -> None:
    """The table of counts by clip and kind of question (1 voice, 2 face, 3 both), from a letter for each rater."""
    letters = "ADFHNS"
    levels = "meanEmoResp meanAngerResp meanDisgustResp meanFearResp meanHappyResp meanNeutralResp meanSadResp"
    rows = [["", *letters, "fileName", "numResponses", "agreement", "emoVote", *levels.split()]]
    for number, ((stem, kind), answers) in enumerate(votes.items(), 1):
        counts = [answers.count(letter) for letter in letters]
        most = ":".join(letter for letter, count in zip(letters, counts, strict=True) if count == max(counts))
        shares = [str(len(answers)), f"{max(counts) / max(len(answers), 1)}", most, *["50"] * 7]
        rows.append([str(100_000 * kind + number), *map(str, counts), stem, *shares])
    _write_csv(folder / "processedResults" / "tabulatedVotes.csv", rows, csv.QUOTE_NONNUMERIC)


def write_emo_db(folder: Path, stems: Sequence[str], recognised: Mapping[str, str] | None = None) -> Path:
    """The unpacked download: recordings such as ``03a01Fa`` in ``wav``, files of labels beside them, and two tables.

    Args:
        recognised: what the table of the listening test says of recordings; empty where it says nothing.
    """
    for seed, stem in enumerate(stems):
        write_wav(folder / "wav" / f"{stem}.wav", 0.4, seed)
        for name in ("lablaut", "labsilb", "silb"):
            (folder / name).mkdir(exist_ok=True)
            (folder / name / f"{stem}xx.{name}").write_bytes(b"0.1 121 a\n")
    rows = ["Satz\terkannt", *(f"{stem}.wav\t{share}" for stem, share in (recognised or {}).items())]
    (folder / "erkennung.txt").write_bytes("\r\n".join(rows).encode("latin-1"))
    (folder / "erklaerung.txt").write_bytes("Erklärung".encode("latin-1"))
    return folder


LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n"
"""Content that a clone holds instead of a file that git-lfs has not fetched."""

MeldRow = tuple[int, int, str, str, str]
"""Dialogue, utterance, speaker, emotion, words."""


def write_meld(folder: Path, tables: Mapping[str, Sequence[MeldRow]], encoding: str = "utf-8") -> Path:
    """Tables and clips of the parts train, dev and test, or those that are given."""
    for part, rows in tables.items():
        cells = [list(MELD_COLUMNS)]
        for number, (dialogue, utterance, speaker, emotion, text) in enumerate(rows, 1):
            times = [f"00:00:{utterance:02},000", f"00:00:{utterance + 1:02},000"]
            cells.append(
                [str(number), text, speaker, emotion, "neutral", str(dialogue), str(utterance), "4", "7", *times]
            )
            clip = folder / MELD_FOLDERS[part] / f"dia{dialogue}_utt{utterance}.mp4"
            write_clip(clip, 0.4, 40 * dialogue % 30 + 3 * utterance)
        _write_csv(folder / f"{part}_sent_emo.csv", cells, csv.QUOTE_MINIMAL, encoding)
    return folder


MultiDialogRow = tuple[int, int, str, str]
"""Dialogue, utterance, actor's letter, emotion."""


def write_multidialog(folder: Path, splits: Mapping[str, Sequence[MultiDialogRow]]) -> Path:
    """Metadata as the Hub has them, and the sound of each split as its archive unpacks, below ``data/<split>``."""
    for split, rows in splits.items():
        write_multidialog_metadata(folder / "metadata" / split / f"{split}_metadata_0000.jsonl", rows)
        for dialogue, number, actor, _ in rows:
            name = dialogue_name(dialogue)
            write_wav(folder / "data" / split / name / f"{name}_{number}{actor}.wav", 0.4, 100 * dialogue + number)
    return folder


def pack_multidialog(folder: Path) -> None:
    """Replace the unpacked sound by the archives of the Hub."""
    for split in sorted((folder / "data").iterdir()):
        pack_tar(split, split.with_name(f"{split.name}.tar.gz"))
        for path in sorted(split.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        split.with_name(f"{split.name}.tar.gz").rename(split / f"{split.name}_chunks_0000.tar.gz")


def write_utterance_videos(folder: Path, rows: Sequence[MultiDialogRow]) -> Path:
    """A video for each utterance."""
    for dialogue, number, actor, _ in rows:
        name = dialogue_name(dialogue)
        write_clip(folder / name / f"{name}_{number}{actor}.mp4", 0.4, 3 * number)
    return folder


def write_film(path: Path, sounds: Sequence[Path], lead_s: float) -> None:
    """The video of a dialogue: its utterances one after the other, after a short silence."""
    rate = 16_000
    parts = [np.zeros(round(lead_s * rate), np.float32), *(media.read_sound_file(sound)[0] for sound in sounds)]
    whole = np.concatenate(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(media.encode_clip((pattern(index) for index in range(round(25 * len(whole) / rate))), whole))


def pack_tar(folder: Path, archive: Path) -> Path:
    """A folder's files as a compressed tar."""
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, path.relative_to(folder).as_posix(), recursive=False)
    return archive


def pack_zip(folder: Path, archive: Path) -> Path:
    """A folder's files as a zip."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(folder.rglob("*")):
            target.write(path, path.relative_to(folder).as_posix())
    return archive


def _write_csv(path: Path, rows: Sequence[Sequence[str]], quoting: int, encoding: str = "utf-8") -> None:
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator="\n").writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.getvalue().encode(encoding))
