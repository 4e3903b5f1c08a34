"""A release is written whole or not at all, and says what was read, what was left out, and what may be passed on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from support.corpus_trees import MeldRow, pack_tar, write_meld
from support.damage import damaged_copies
from support.imports import import_corpus, left_out

from avemo_harness.benchmark.release_loader import ReleaseOptions, load_release
from avemo_harness.benchmark.release_writer import write_pairs
from avemo_harness.errors import MediaError, ReleaseError, UsageError

ROWS: tuple[MeldRow, ...] = tuple((d, n, "AB"[n % 2], ("joy", "anger")[d], "Yes.") for d in range(2) for n in range(4))
CONFIG = "multiturn_real"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_meld(tmp_path / "corpus", {"test": ROWS})


def test_clips_that_must_not_be_passed_on_are_named_by_their_paths(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    imported = import_corpus("meld", corpus, out)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "import.json", CONFIG, f"{CONFIG}_conflict"]
    assert not list(out.rglob("*.mp4"))
    release = load_release(str(out), CONFIG, options=ReleaseOptions(media_root=corpus))
    assert release.dialogues == imported.dialogues["test"]
    assert release.pairs == imported.pairs["test"]
    clip = release.dialogues[0].turns[0].clip
    assert clip is not None
    assert clip.read() == (corpus / "output_repeated_splits_test" / "dia0_utt0.mp4").read_bytes()
    unread = load_release(str(out), CONFIG).dialogues[0].turns[0].clip
    assert unread is not None
    with pytest.raises(MediaError, match="media_root"):
        unread.read()


def test_embedded_clips_are_marked_for_own_use(corpus: Path, tmp_path: Path) -> None:
    import_corpus("meld", corpus, tmp_path / "named")
    import_corpus("meld", corpus, tmp_path / "embedded", clips="inside")
    named, embedded = (load_release(str(tmp_path / name), CONFIG) for name in ("named", "embedded"))
    assert named.fingerprint == embedded.fingerprint
    clip = embedded.dialogues[0].turns[0].clip
    assert clip is not None
    assert clip.read()
    assert "for your own use and must not be passed on" in (tmp_path / "embedded" / "README.md").read_text()
    record = json.loads((tmp_path / "embedded" / "import.json").read_text())
    assert (record["clips"], record["redistributable"]) == ("embedded", False)


def test_clips_out_of_an_archive_are_kept_beside_the_release(corpus: Path, tmp_path: Path) -> None:
    archive = pack_tar(corpus, tmp_path / "corpus.tar.gz")
    out = tmp_path / "out"
    import_corpus("meld", archive, out)
    release = load_release(str(out), CONFIG)
    clips = [turn.clip for dialogue in release.dialogues for turn in dialogue.turns]
    assert len(clips) == len(ROWS)
    assert all(clip is not None and clip.read() for clip in clips)
    assert json.loads((out / "import.json").read_text())["clips"] == "kept"
    import_corpus("meld", archive, tmp_path / "embedded", clips="inside")
    assert not (tmp_path / "embedded" / "media").exists()
    assert load_release(str(tmp_path / "embedded"), CONFIG).fingerprint == release.fingerprint


def test_the_record_tells_what_was_read_and_left_out(corpus: Path, tmp_path: Path) -> None:
    imported = import_corpus("meld", corpus, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "import.json").read_text())
    table = (corpus / "test_sent_emo.csv").read_bytes()
    assert record["read"] == [
        {"name": "test_sent_emo.csv", "sha256": hashlib.sha256(table).hexdigest(), "bytes": len(table)}
    ]
    assert record["label_map"] == {"neutral": "neutral", "joy": "happy", "anger": "angry", "sadness": "sad"}
    assert record["splits"]["test"] == {
        "dialogues": 2,
        "user_turns": 4,
        "speakers": 1,
        "emotions": {"angry": 2, "happy": 2},
    }
    assert record["conflict_pairs"] == {"test": len(imported.pairs["test"])} == {"test": 4}
    assert {one["reason"]: one["count"] for one in record["dropped"]} == left_out(imported)


def test_equal_corpora_give_equal_files(corpus: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        import_corpus("meld", corpus, tmp_path / name, clips="inside")
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 4
    assert all((tmp_path / "one" / path).read_bytes() == (tmp_path / "other" / path).read_bytes() for path in files)


def test_a_folder_that_holds_something_is_not_overwritten(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    with pytest.raises(UsageError, match="is there already and is not overwritten"):
        import_corpus("meld", corpus, out)
    assert (out / "precious.txt").read_text() == "mine"
    (out / "precious.txt").unlink()
    import_corpus("meld", corpus, out)
    assert (out / "import.json").is_file()


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_clip_is_an_error_that_names_the_file_and_leaves_nothing(
    seed: int, corpus: Path, tmp_path: Path
) -> None:
    clip = corpus / "output_repeated_splits_test" / "dia1_utt2.mp4"
    clip.write_bytes(damaged_copies(clip.read_bytes(), 1, seed)[0])
    with pytest.raises(MediaError, match=r"output_repeated_splits_test/dia1_utt2\.mp4"):
        import_corpus("meld", corpus, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]


def test_dialogues_with_a_damaged_clip_are_left_out_and_counted_where_asked(corpus: Path, tmp_path: Path) -> None:
    (corpus / "output_repeated_splits_test" / "dia1_utt2.mp4").write_bytes(b"no clip")
    imported = import_corpus("meld", corpus, tmp_path / "out", on_damage="leave out")
    assert [one.dialogue_id for one in imported.dialogues["test"]] == ["meld-test-0000-00"]
    assert left_out(imported)["dialogues with a damaged clip"] == 1
    assert tuple(imported.bad_files) == ("output_repeated_splits_test/dia1_utt2.mp4",)
    (corpus / "output_repeated_splits_test" / "dia0_utt0.mp4").write_bytes(b"no clip")
    with pytest.raises(ReleaseError, match="no dialogue is left"):
        import_corpus("meld", corpus, tmp_path / "none", on_damage="leave out")


def test_what_the_card_says_stays_when_pairs_are_written(corpus: Path, tmp_path: Path) -> None:
    imported = import_corpus("meld", corpus, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "# MELD, imported" in card
    write_pairs(tmp_path / "out", CONFIG, {"test": imported.pairs["test"]})
    assert (tmp_path / "out" / "README.md").read_text() == card
