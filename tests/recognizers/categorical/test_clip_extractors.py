"""Features of whole clips, the same in each row."""

from __future__ import annotations

import numpy as np
import pytest
from support.clips import make_clip, melody

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import MediaError
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.features.builtin import clip_features
from avemo_harness.recognizers.recordings import Recording


@pytest.fixture(scope="module")
def clip() -> bytes:
    return make_clip(1.0)


@pytest.mark.parametrize("name", ["clip-sound", "clip-face"])
def test_every_row_describes_the_whole_clip(clip: bytes, name: str) -> None:
    extractor = make_extractor(name)
    rows = extractor.extract(Recording.of(Clip.from_bytes(clip)), 3, "both")
    assert (rows.shape, rows.dtype) == ((3, extractor.width), np.float32)
    found = clip_features(clip)
    expected = found.sound if extractor.modality == "audio" else found.face
    assert expected is not None
    np.testing.assert_allclose(rows, [expected.values] * 3, rtol=1e-6, atol=1e-6)


def test_a_stream_that_is_not_there_is_told(clip: bytes) -> None:
    whole = Recording.of(Clip.from_bytes(clip))
    sound = Recording.of(Clip.from_bytes(media.encode_sound(melody(1.0))))
    with pytest.raises(MediaError, match="has no video"):
        make_extractor("clip-face").extract(sound, 2, "both")
    with pytest.raises(MediaError, match="has no sound"):
        make_extractor("clip-sound").extract(Recording(None, whole.face, 1.0), 2, "both")
