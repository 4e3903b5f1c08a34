"""Values are published without local paths, credentials and secrets."""

from __future__ import annotations

import pytest

from avemo_harness.text import publishable


@pytest.mark.parametrize(
    ("value", "published"),
    [
        ("/home/ann/corpora/ravdess", "…/ravdess"),
        ("~/corpora/ravdess/", "…/ravdess"),
        ("C:\\Users\\ann\\clips.csv", "…/clips.csv"),
        ("python /opt/tools/talk.py --portrait=/data/faces/a.png", "python …/talk.py --portrait=…/a.png"),
        ('{"a": "/home/ann/a.wav"}', '{"a": "…/a.wav"}'),
        ("Actor_01/01-01-03.mp4", "Actor_01/01-01-03.mp4"),
        ("https://zenodo.org/records/1188976", "https://zenodo.org/records/1188976"),
        ("http://ann:secret@host:8000/v1", "http://host:8000/v1"),
        ("http://ann:se@cret@host/v1", "http://host/v1"),
        ("https://host/v1?token=abc/def&v=2#here", "https://host/v1"),
        (
            '{"a": "https://host/v1?key=abc", "b": "https://host?key=abc"}',
            '{"a": "https://host/v1", "b": "https://host"}',
        ),
        ("/home/ann smith/my corpora/my release", "…/my release"),
        ("/opt/tools/talk.py --portrait /data/faces/a.png", "…/talk.py --portrait …/a.png"),
        ("angry / sad", "angry / sad"),
        ("IVLLab/MultiDialog", "IVLLab/MultiDialog"),
    ],
)
def test_local_folders_logins_and_queries_are_cut_and_nothing_else(value: str, published: str) -> None:
    assert publishable({"here": [value]}) == {"here": [published]}


def test_secrets_are_left_out_and_names_of_variables_stay() -> None:
    given = {"speech": {"api_key": "abc", "api_key_env": "SPEECH_KEY", "Authorization": "Bearer abc", "token": ""}}
    kept = {"api_key": "(left out)", "api_key_env": "SPEECH_KEY", "Authorization": "(left out)", "token": ""}
    assert publishable(given) == {"speech": kept}
