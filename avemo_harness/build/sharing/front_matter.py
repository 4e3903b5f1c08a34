"""The front matter of a data set card: what the Hub reads."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from avemo_harness.build.sharing.assets import Asset
from avemo_harness.build.sharing.contents import Contents
from avemo_harness.build.sharing.repository import MARK

_TAGS = (MARK, "emotion", "dialogue", "audio-visual")
_CATEGORIES = ("audio-classification", "video-classification")
_LICENCES = re.compile(
    r"apache-2\.0|mit|gpl-3\.0|odbl|odc-by|pddl|cdla-(sharing|permissive)-1\.0|cc0-1\.0|cc-by-2\.0"
    r"|cc-by(-nc|-sa|-nc-sa|-nc-nd)?-3\.0|cc-by(-nc)?(-sa|-nd)?-4\.0"
)
"""Names of licences that the Hub knows."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def front_matter(contents: Contents, assets: Sequence[Asset], own: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of the card: those that the release's ``README.md`` has stay, tags are added to its own.

    Args:
        own: the keys that it has; its ``configs`` are those of the files that are published.
    """
    languages = {dialogue.language for release in contents.releases for dialogue in release.dialogues}
    codes = sorted(one for one in languages if re.fullmatch("[a-z]{2,3}", one))
    dialogues = sum(len(release.dialogues) for release in contents.releases)
    keys: dict[str, Any] = {
        "license": sorted({hub_licence(asset.licence) for asset in assets}),
        **({"language": codes} if codes else {}),
        "task_categories": list(_CATEGORIES),
        "size_categories": [size_category(dialogues)],
        **own,
    }
    given = own.get("tags") or []
    keys["tags"] = list(dict.fromkeys([*(given if isinstance(given, list) else [given]), *_TAGS]))
    return keys


def hub_licence(licence: str) -> str:
    """What the Hub calls a licence.

    >>> [hub_licence(name) for name in ("CC-BY-NC-SA-4.0", "CC BY 4.0", "ODbL-1.0", "AI-Face EULA", "")]
    ['cc-by-nc-sa-4.0', 'cc-by-4.0', 'odbl', 'other', 'unknown']
    """
    if not licence.strip():
        return "unknown"
    name = re.sub(r"\s+", "-", licence.strip().casefold())
    name = {"odbl-1.0": "odbl", "cc0": "cc0-1.0"}.get(name, name)
    return name if _LICENCES.fullmatch(name) else "other"


def size_category(rows: int) -> str:
    """How the Hub sorts data sets by size.

    >>> size_category(260), size_category(1000), size_category(2_000_000)
    ('n<1K', '1K<n<10K', '1M<n<10M')
    """
    return next((name for limit, name in _SIZES if rows < limit), "1M<n<10M")


def configs_of_files(names: Iterable[str]) -> list[dict[str, Any]]:
    """Configs as the layout ``<config>/<split>-*.parquet`` tells them.

    >>> configs_of_files(["real/test-0.parquet"])
    [{'config_name': 'real', 'data_files': [{'split': 'test', 'path': ['real/test-0.parquet']}]}]
    """
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in sorted(names):
        folder, _, file = name.rpartition("/")
        found[folder.rpartition("/")[2]][re.split(r"[-.]", file)[0]].append(name)
    return [
        {"config_name": config, "data_files": [{"split": split, "path": paths} for split, paths in splits.items()]}
        for config, splits in found.items()
    ]
