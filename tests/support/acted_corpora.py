"""Acted corpora laid out as they are downloaded or cloned, small, with real media; and their import by the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from support.corpus_trees import (
    LFS_POINTER,
    pack_zip,
    write_crema_d_responses,
    write_crema_d_summary,
    write_crema_d_tabulated,
    write_ravdess,
)
from support.flash import flash_clip
from support.tiny_corpora import write_wav

from avemo_harness.cli import main

SPOKEN, SUNG = range(1, 9), range(1, 7)
"""Numbers of the labels in RAVDESS' names."""


def import_by_command(importer: str, source: Path, out: Path, *more: str) -> Path:
    """Import a corpus as its users do; the release."""
    assert main(["data", "import", importer, str(source), "--out", str(out), "--labels", "all", *more]) == 0
    return out


def write_ravdess_archives(folder: Path) -> Path:
    """RAVDESS as Zenodo has it: sound by kind of voice, videos by kind of voice and actor. Actor 18 never sings.

    Actor 1 has videos and sound; of actor 18 the sound alone is here.
    """
    folder.mkdir(parents=True)
    unpacked = folder.parent / f"{folder.name}-unpacked"

    def names(modality: str, voice: str, labels: Sequence[int], actor: str) -> list[str]:
        ending = "wav" if modality == "03" else "mp4"
        return [f"{modality}-{voice}-{label:02}-01-01-01-{actor}.{ending}" for label in labels]

    archives = {
        "Audio_Speech_Actors_01-24": [*names("03", "01", SPOKEN, "01"), *names("03", "01", SPOKEN, "18")],
        "Audio_Song_Actors_01-24": names("03", "02", SUNG, "01"),
        "Video_Speech_Actor_01": [*names("01", "01", SPOKEN, "01"), *names("02", "01", SPOKEN, "01")],
        "Video_Song_Actor_01": [*names("01", "02", SUNG, "01"), *names("02", "02", SUNG, "01")],
    }
    for name, files in archives.items():
        pack_zip(write_ravdess(unpacked / name, files), folder / f"{name}.zip")
    return folder


CREMA_D_CLIPS = {
    "1001_DFA_ANG_XX": ("AAAN", "AAD", "AAAA"),
    "1001_IEO_DIS_LO": ("NNDD", "DDDA", "DDDD"),
    "1001_IEO_FEA_HI": ("FFS", "FFF", "FFFS"),
    "1002_IEO_HAP_MD": ("HHNN", "HHHH", "HHHH"),
    "1002_TAI_NEU_XX": ("NNNN", "NNS", "NNNN"),
    "1002_ITS_SAD_XX": ("SNNN", "SSSN", "SSNN"),
}
"""The answers of raters of voice, face and both to each clip of the tree, a letter a rater."""


def write_crema_d_clone(folder: Path) -> Path:
    """A clone of CREMA-D: Flash videos, WAVs, MP3s and tables, and what its README and issues say is wrong.

    The clip of one actor was not fetched by git-lfs, one video is that of an error and its sound silence, and one is a
    minute of other displays whose WAV is right; nobody voted on it here.
    """
    wrong = ("1064_IEO_DIS_MD", "1076_MTI_SAD_XX")
    for seed, stem in enumerate([*CREMA_D_CLIPS, *wrong]):
        write_wav(folder / "AudioWAV" / f"{stem}.wav", 0.4, seed)
        video = folder / "VideoFlash" / f"{stem}.flv"
        video.parent.mkdir(exist_ok=True)
        video.write_bytes(flash_clip(0.4 + 0.04 * seed))
    for name, ending in (("AudioWAV", "wav"), ("VideoFlash", "flv"), ("AudioMP3", "mp3")):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / f"1003_IOM_HAP_XX.{ending}").write_text(LFS_POINTER)
    write_crema_d_summary(folder, dict.fromkeys(CREMA_D_CLIPS, "N"))
    votes = {(stem, kind): of for stem, shown in CREMA_D_CLIPS.items() for kind, of in enumerate(shown, 1)}
    write_crema_d_tabulated(folder, votes)
    write_crema_d_responses(folder, [(stem, kind, one) for (stem, kind), of in votes.items() for one in of])
    (folder / "VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
    )
    (folder / "SentenceFilenames.csv").write_text('"Stimulus_Number","Filename"\n1,"1001_IEO_NEU_XX"\n')
    (folder / "docs").mkdir()
    (folder / "docs" / "README.md").write_text("## CREMA-D\n")
    return folder
