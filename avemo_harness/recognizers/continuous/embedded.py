"""The embedded judge: built-in features and the network, trained on the demo's train part on first use, then kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from avemo_harness.benchmark.release import Release
from avemo_harness.locks import one_at_a_time
from avemo_harness.recognizers.continuous.checkpoint import load_checkpoint, save_checkpoint
from avemo_harness.recognizers.continuous.experiment import Method, train_on
from avemo_harness.recognizers.continuous.recognizer import FORMAT, ContinuousRecognizer
from avemo_harness.recognizers.continuous.training import Settings
from avemo_harness.recognizers.corpora.base import Corpus
from avemo_harness.recognizers.corpora.release import rated_turns
from avemo_harness.recognizers.extractors import make_extractor
from avemo_harness.recognizers.feature_cache import FeatureCache
from avemo_harness.recognizers.feature_set import FeatureSet
from avemo_harness.recognizers.judges import JudgeSetup

EXTRACTORS = ("builtin-sound", "builtin-face")
VERSION = 2
"""Raised whenever the same demo begins to give another judge."""


def open_embedded(setup: JudgeSetup) -> ContinuousRecognizer:
    """The embedded judge, trained first where it is not in the cache, by one process for all.

    The folder's name tells what decides it: the demo, the settings, the features, the versions of the libraries.
    """
    demo = setup.demo()
    folder = setup.cache_dir / f"judge-v{VERSION}-{_digest(demo)}"
    if not folder.exists():
        waiting = partial(setup.say, "another process is training the embedded judge; waiting for it")
        with one_at_a_time(setup.cache_dir / "locks" / folder.name, waiting):
            if not folder.exists():
                train_embedded(demo, folder, setup)
    return load_checkpoint(folder, setup.cache_dir, setup.device)


def train_embedded(demo: Release, folder: Path, setup: JudgeSetup, seed: int = 0) -> None:
    """Train the judge on the demo's train part, a quarter of whose speakers decide when it is enough."""
    setup.say("training the embedded judge of replies on the demo, once; this takes about half a minute")
    corpus = Corpus("the built-in demo", tuple(rated_turns(demo)))
    extractors = tuple(make_extractor(spec) for spec in EXTRACTORS)
    features = FeatureSet(extractors, FeatureCache(setup.cache_dir / "features"))
    trained = train_on(corpus, Method(features, Settings(seed=seed), say=setup.say))
    folder.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(replace(trained, card=replace(trained.card, embedded=True)), EXTRACTORS, folder)


def _digest(demo: Release) -> str:
    decides = {
        "demo": demo.fingerprint,
        "format": FORMAT,
        "settings": asdict(Settings()),
        "extractors": [dict(make_extractor(spec).identity()) for spec in EXTRACTORS],
        "versions": {name: version(name) for name in ("torch", "numpy", "av")},
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:10]
