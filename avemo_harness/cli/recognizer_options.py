"""What the actions of `avemo-eval recognizer` share, whatever is recognised."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from avemo_harness.cli.processes import rank

if TYPE_CHECKING:
    from avemo_harness.recognizers.corpora.base import Part
    from avemo_harness.recognizers.feature_set import FeatureSet
    from avemo_harness.recognizers.splits import SplitName
    from avemo_harness.recognizers.streams import Streams, View


def make_features(specs: Sequence[str]) -> FeatureSet:
    """Extractors by their specs, with the cache of this machine."""
    from avemo_harness import paths
    from avemo_harness.recognizers.extractors import make_extractor
    from avemo_harness.recognizers.feature_cache import FeatureCache
    from avemo_harness.recognizers.feature_set import FeatureSet

    return FeatureSet(tuple(make_extractor(spec) for spec in specs), FeatureCache(paths.cache_dir() / "features"))


def chosen_splits(asked: str | None, parts: Iterable[Part | None]) -> tuple[SplitName, ...]:
    """The splits to evaluate: those asked for, else both where some recordings are of a train part."""
    from avemo_harness.recognizers.splits import SplitName

    names: tuple[SplitName, ...] = get_args(SplitName)
    if asked in names:
        return tuple(name for name in names if name == asked)
    both = asked == "both" or "train" in set(parts)
    return ("subject-wise", "official") if both else ("subject-wise",)


def shown_clips(args: argparse.Namespace) -> Iterator[tuple[Path, Streams, View]]:
    """The clips of `predict` with what is shown of each.

    Raises:
        UsageError: a file cannot be read, or lacks what is to be shown.
        MediaError: it is no recording.
    """
    from avemo_harness.benchmark.release import Clip
    from avemo_harness.errors import UsageError
    from avemo_harness.recognizers.streams import Streams

    for path in args.clips:
        try:
            streams = Streams.of(Clip.from_bytes(path.read_bytes(), str(path)))
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
        view = args.view or streams.views[0]
        if view not in streams.views:
            raise UsageError(f"{path}: it has no {view} to show; it has {', '.join(streams.views)}")
        yield path, streams, view


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write values for a program to read."""
    write(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def write(path: Path, text: str) -> None:
    """Write a file and say so."""
    from avemo_harness.paths import write_atomically

    write_atomically(path, text)
    say(f"wrote {path}")


def say(sentence: str) -> None:
    """Tell the user, once of several processes."""
    if rank() == 0:
        print(sentence, file=sys.stderr, flush=True)
