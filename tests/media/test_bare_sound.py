"""Sound files of phones and recorders, which say little of themselves, are read whole or refused."""

from __future__ import annotations

import pytest
from support.clips import melody
from support.sound_files import BARE_FORMATS, bare_sound_file

from avemo_harness import media
from avemo_harness.errors import MediaError

SECONDS = 1.5


@pytest.mark.parametrize("kind", BARE_FORMATS)
def test_it_is_known_by_its_content_and_read_at_its_own_rate(kind: str) -> None:
    data = bare_sound_file(kind, melody(SECONDS))
    container = media.sound_container(data)
    assert container == kind.upper()
    samples, rate = media.read_bare_sound(data, container)
    assert rate == BARE_FORMATS[kind][2]
    assert len(samples) / rate == pytest.approx(SECONDS, abs=0.15)  # encoders pad both ends
    assert (samples.dtype, samples.ndim) == ("float32", 1)
    assert 0.05 < abs(samples).max() <= 1.0


@pytest.mark.parametrize("kind", BARE_FORMATS)
@pytest.mark.parametrize("keep", [0.5, 0.9995])
def test_one_that_is_cut_off_is_refused(kind: str, keep: float) -> None:
    data = bare_sound_file(kind, melody(SECONDS))
    with pytest.raises(MediaError, match=f"^{kind.upper()}: "):
        media.read_bare_sound(data[: int(keep * (len(data) - 1))], kind.upper())


@pytest.mark.parametrize("kind", BARE_FORMATS)
def test_one_without_sound_is_refused(kind: str) -> None:
    beginning = {"aac": 7, "amr": 6, "caf": 8}[kind]
    with pytest.raises(MediaError, match=f"^{kind.upper()}: "):
        media.read_bare_sound(bare_sound_file(kind, melody(SECONDS))[:beginning], kind.upper())


def test_one_that_was_never_closed_goes_to_its_end() -> None:
    data = bare_sound_file("caf", melody(SECONDS))
    chunk = data.index(b"data")
    unknown = data[: chunk + 4] + b"\xff" * 8 + data[chunk + 12 :]
    assert len(media.read_bare_sound(unknown, "CAF")[0]) == len(media.read_bare_sound(data, "CAF")[0])


def test_one_longer_than_a_clip_may_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from avemo_harness.media import bare_sound, types

    monkeypatch.setattr(bare_sound, "DEFAULT_LIMITS", types.MediaLimits(max_seconds=1.0))
    with pytest.raises(MediaError, match="AAC: it has more than 1 s"):
        media.read_bare_sound(bare_sound_file("aac", melody(SECONDS)), "AAC")
