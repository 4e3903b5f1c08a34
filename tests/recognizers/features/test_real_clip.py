"""Neural extractors on a real voice and face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.tiny_extractors import dimensional_model, image_encoder, speech_encoder, video_encoder

from avemo_harness.benchmark.release import Clip
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.features.feature_set import FeatureCache, FeatureSet
from avemo_harness.recognizers.recordings import Recording


def test_they_describe_a_real_recording_side_by_side_and_from_the_cache(real_media: Path, tmp_path: Path) -> None:
    clip = sorted((real_media / "talking_heads").glob("**/*.mp4"))[0]
    streams = Recording.of(Clip.from_bytes(clip.read_bytes(), clip.name))
    specs = (
        f"wavlm:pretrained={speech_encoder(tmp_path / 'speech', 'WavLM')}",
        f"wav2vec2-dim:pretrained={dimensional_model(tmp_path / 'dimensions')}",
        f"videomae:pretrained={video_encoder(tmp_path / 'video')}",
        f"face-encoder:pretrained={image_encoder(tmp_path / 'image', 'Dinov2')}",
    )
    features = FeatureSet(tuple(map(make_extractor, specs)), FeatureCache(tmp_path / "cache"))
    count = max(1, round(2 * streams.duration_s))
    views = features.views(streams, count)
    assert {view: rows.shape for view, rows in views.items()} == dict.fromkeys(streams.views, (count, features.width))
    assert all(np.isfinite(rows).all() for rows in views.values())
    assert all(np.array_equal(rows, features.views(streams, count)[view]) for view, rows in views.items())
