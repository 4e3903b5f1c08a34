"""Data set card of a release: front matter, splits, licences, recipe, checks, citation."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from avemo_harness.benchmark.release import Release, SplitCounts, labels_of_users
from avemo_harness.data.sharing.assets import Asset
from avemo_harness.data.sharing.contents import ReleaseContents
from avemo_harness.data.sharing.records import GENERATED, JsonObject, read_readme
from avemo_harness.data.sharing.repository import CARD_TAG
from avemo_harness.text import markdown_table, publishable

_TAGS = (CARD_TAG, "emotion", "dialogue", "audio-visual")
_CATEGORIES = ("audio-classification", "video-classification")
_LICENCES = re.compile(
    r"apache-2\.0|mit|gpl-3\.0|odbl|odc-by|pddl|cdla-(sharing|permissive)-1\.0|cc0-1\.0|cc-by-2\.0"
    r"|cc-by(-nc|-sa|-nc-sa|-nc-nd)?-3\.0|cc-by(-nc)?(-sa|-nd)?-4\.0"
)
"""Names of licences that the Hub knows."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def front_matter(contents: ReleaseContents, assets: Sequence[Asset], own: Mapping[str, Any]) -> dict[str, Any]:
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
    """The Hub's name of a licence.

    >>> [hub_licence(name) for name in ("CC-BY-NC-SA-4.0", "CC BY 4.0", "ODbL-1.0", "AI-Face EULA", "")]
    ['cc-by-nc-sa-4.0', 'cc-by-4.0', 'odbl', 'other', 'unknown']
    """
    if not licence.strip():
        return "unknown"
    name = re.sub(r"\s+", "-", licence.strip().casefold())
    name = {"odbl-1.0": "odbl", "cc0": "cc0-1.0"}.get(name, name)
    return name if _LICENCES.fullmatch(name) else "other"


def size_category(rows: int) -> str:
    """The Hub's size category of a data set.

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


_PAPER = "AV-EMO-Reasoning, arXiv 2510.07355"
_STAGES = {"dialogue": "written by", "speech": "spoken by", "face": "shown by"}


@dataclass(frozen=True, slots=True)
class Publication:
    """A release as it appears on the Hub.

    Args:
        repo: ``owner/name``.
        revision: its tag; None for none.
        needs_media: whether clips are named and not held.
        tasks: names for ``--tasks``.
        configs: which Parquet files belong to which config and split, as the Hub is told it.
    """

    repo: str
    revision: str | None
    needs_media: bool
    tasks: tuple[str, ...]
    configs: Sequence[Mapping[str, Any]]


def compose_card(contents: ReleaseContents, assets: Sequence[Asset], publication: Publication) -> str:
    """The ``README.md`` of the repository. What people wrote in that of the folder stands first.

    Raises:
        ReleaseError: the folder's own has a front matter that is not YAML.
    """
    readme = read_readme(contents.folder)
    keys = front_matter(contents, assets, {**readme.keys, "configs": list(publication.configs)})
    sections = [
        _use(publication),
        _splits(contents),
        _licences(assets, publication.needs_media),
        _labels(_label_names(contents), contents.records.build, contents.records.imported),
        _recipe(contents.records.build, contents.records.imported),
        _checks(contents.records.checks),
        _citation(contents.records.imported),
    ]
    opening = readme.text if readme.heading else f"# {title_of(contents, publication)}\n\n{readme.text}".strip()
    front = yaml.safe_dump(keys, sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{front}---\n\n{opening}\n\n{GENERATED}\n\n" + "\n\n".join(filter(None, sections)) + "\n"


def title_of(contents: ReleaseContents, publication: Publication) -> str:
    """Title of a release: by its ``README.md``, its corpus, its configuration, or its repository."""
    built = contents.records.build.get("config", {}).get("name", "")
    return str(
        read_readme(contents.folder).heading
        or contents.records.imported.get("corpus")
        or (built if built != "release" else "")
        or publication.repo.partition("/")[2]
    )


def _use(publication: Publication) -> str:
    tasks = ",".join(publication.tasks) or "TASKS"
    revision = publication.revision or "COMMIT"
    media = " --media_root DIR" if publication.needs_media else ""
    command = f"avemo-eval --model MODEL --tasks {tasks} --dataset {publication.repo} --revision {revision}{media}"
    text = f"## Use\n\n```bash\n{command}\n```"
    if publication.revision is None:
        text += "\n\nCOMMIT is one of those that the page's history names: figures belong to a commit."
    if publication.needs_media:
        text += (
            "\n\nClips are not part of this data set. Rows name each by its digest (`clip_sha256`) and its path below "
            "DIR, a folder that you have to have."
        )
    return text


def _label_names(contents: ReleaseContents) -> tuple[str, ...]:
    return labels_of_users(release for releases in contents.configs.values() for release in releases.values())


def _splits(contents: ReleaseContents) -> str:
    labels = _label_names(contents)
    head = ("config", "split", "dialogues", "user turns", "speakers", *labels, "minutes", "conflict pairs")
    rows = [
        [config, split, *_split_cells(release, labels)]
        for config, releases in contents.configs.items()
        for split, release in releases.items()
    ]
    return "## Splits\n\n" + markdown_table(head, rows)


def _split_cells(release: Release, labels: Sequence[str]) -> list[str]:
    counts = SplitCounts.of(release.dialogues)
    shown = (counts.dialogues, counts.user_turns, counts.speakers, *(counts.emotions[label] for label in labels))
    minutes = sum(turn.duration_s or 0 for dialogue in release.dialogues for turn in dialogue.turns) / 60
    return [*(f"{count:,}" for count in shown), f"{minutes:,.1f}", f"{len(release.pairs):,}"]


def _licences(assets: Sequence[Asset], needs_media: bool) -> str:
    def passed_on(asset: Asset) -> str:
        if not asset.redistributable:
            return "no"
        return "unchanged" if asset.no_derivatives else "yes"

    rows = [[one.what, one.licence or "not stated", f"{one.clips:,}", passed_on(one)] for one in assets]
    text = "## Licences\n\n" + markdown_table(("source", "licence", "clips", "clips may be passed on"), rows)
    if needs_media:
        text += "\n\nNo clip is published here: the data set holds ids, texts, labels and digests."
    return text


def _labels(names: Sequence[str], build: JsonObject, imported: JsonObject) -> str:
    text = f"## Labels\n\nA user's turn is labelled with one of {', '.join(names)}."
    if build:
        text += " It is what voice and face were made to express, not what somebody heard and saw."
    if imported.get("label_map"):
        rows = [[own, label] for own, label in imported["label_map"].items()]
        text += f" The corpus' own labels:\n\n{markdown_table(('own label', 'label here'), rows)}"
    if imported.get("dropped"):
        rows = [[one.get("reason"), f"{one.get('count', 0):,}"] for one in imported["dropped"]]
        text += f"\n\n{markdown_table(('left out', 'recordings'), rows)}"
    return text


def _recipe(build: JsonObject, imported: JsonObject) -> str:
    if build:
        points = _build_points(build)
        record = "`build.json` holds the recipe, `provenance.jsonl` where a clip comes from."
    elif imported:
        points, record = _import_points(imported), "`import.json` holds the record, with the digests of what was read."
    else:
        return ""
    listed = "\n".join(f"- {what}: {value}" for what, value in points.items() if value not in (None, ""))
    return f"## How it was made\n\n{listed}\n\n{record}"


def _build_points(build: JsonObject) -> dict[str, Any]:
    config, tools = build.get("config", {}), build.get("tools", {})
    return {
        **{done: _tool(tools.get(stage) or {}) for stage, done in _STAGES.items()},
        "portraits": len(tools.get("portraits") or {}) or None,
        "seed": config.get("seed"),
        "libraries": ", ".join(f"{name} {version}" for name, version in build.get("libraries", {}).items()),
        "left out, as a tool failed": len(build.get("failed") or []) or None,
        "digest of the recipe": build.get("digest"),
    }


def _import_points(imported: JsonObject) -> dict[str, Any]:
    return {
        "corpus": imported.get("corpus"),
        "homepage": imported.get("homepage"),
        "read from": publishable(imported.get("source")),
        "revision": imported.get("revision"),
        "importer": imported.get("importer"),
        "options": ", ".join(f"{k}={v}" for k, v in publishable(imported.get("options") or {}).items()),
    }


def _tool(identity: JsonObject) -> str:
    name = str(identity.get("tool", ""))
    facts = [str(identity[key]) for key in ("model", "version") if identity.get(key)]
    return f"{name} ({', '.join(facts)})" if facts else name


def _checks(checks: JsonObject) -> str:
    findings = [one for one in checks.get("findings") or () if isinstance(one, Mapping)]
    if not findings:
        return ""
    rows = [[one.get(key, "") for key in ("check", "config", "verdict", "summary")] for one in findings]
    return "## Checks\n\n" + markdown_table(("check", "config", "verdict", "finding"), rows)


def _citation(imported: JsonObject) -> str:
    corpus = imported.get("citation")
    return f"## Citation\n\nThe benchmark: {_PAPER}." + (f"\n\nThe recordings: {corpus}" if corpus else "")
