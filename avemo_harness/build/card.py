"""The card of a release on the Hub: what it holds, whose it is, how it was made, what was checked, how to use it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from avemo_harness.benchmark.release import EMOTIONS, Release
from avemo_harness.build.sharing.assets import Asset
from avemo_harness.build.sharing.contents import Contents
from avemo_harness.build.sharing.front_matter import front_matter
from avemo_harness.build.sharing.readme import GENERATED, read_readme
from avemo_harness.build.sharing.records import Values
from avemo_harness.publishing import publishable

_PAPER = "AV-EMO-Reasoning, arXiv 2510.07355"
_STAGES = {"dialogue": "written by", "speech": "spoken by", "face": "shown by"}


@dataclass(frozen=True, slots=True)
class Publication:
    """How a release appears on the Hub.

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


def compose_card(contents: Contents, assets: Sequence[Asset], publication: Publication) -> str:
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
        _labels(contents.records.build, contents.records.imported),
        _recipe(contents.records.build, contents.records.imported),
        _checks(contents.records.checks),
        _citation(contents.records.imported),
    ]
    opening = readme.text if readme.heading else f"# {title_of(contents, publication)}\n\n{readme.text}".strip()
    front = yaml.safe_dump(keys, sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{front}---\n\n{opening}\n\n{GENERATED}\n\n" + "\n\n".join(filter(None, sections)) + "\n"


def title_of(contents: Contents, publication: Publication) -> str:
    """What the release is called: by its ``README.md``, its corpus, its configuration, or its repository."""
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
    lines = [
        "## Use",
        "",
        "```bash",
        f"avemo-eval --model MODEL --tasks {tasks} --dataset {publication.repo} --revision {revision}{media}",
        "```",
    ]
    if publication.revision is None:
        lines += ["", "COMMIT is one of those that the page's history names: figures belong to a commit."]
    if publication.needs_media:
        lines += [
            "",
            "Clips are not part of this data set. Rows name each by its digest (`clip_sha256`) and its path below DIR, "
            "a folder that you have to have.",
        ]
    return "\n".join(lines)


def _splits(contents: Contents) -> str:
    head = ("config", "split", "dialogues", "user turns", "speakers", *EMOTIONS, "minutes", "conflict pairs")
    rows = [
        [config, split, *_counts(release)]
        for config, releases in contents.configs.items()
        for split, release in releases.items()
    ]
    return "## Splits\n\n" + _table(head, rows)


def _counts(release: Release) -> Iterator[str]:
    turns = [turn for dialogue in release.dialogues for turn in dialogue.turns]
    asked = [turn for turn in turns if turn.role == "user"]
    emotions = Counter(turn.emotion for turn in asked)
    yield f"{len(release.dialogues):,}"
    yield f"{len(asked):,}"
    yield f"{len({turn.speaker_id for turn in asked}):,}"
    for emotion in EMOTIONS:
        yield f"{emotions[emotion]:,}"
    yield f"{sum(turn.duration_s or 0 for turn in turns) / 60:,.1f}"
    yield f"{len(release.pairs):,}"


def _licences(assets: Sequence[Asset], needs_media: bool) -> str:
    def passed_on(asset: Asset) -> str:
        if not asset.redistributable:
            return "no"
        return "unchanged" if asset.no_derivatives else "yes"

    rows = [[one.what, one.licence or "not stated", f"{one.clips:,}", passed_on(one)] for one in assets]
    text = "## Licences\n\n" + _table(("source", "licence", "clips", "clips may be passed on"), rows)
    if needs_media:
        text += "\n\nNo clip is published here: the data set holds ids, texts, labels and digests."
    return text


def _labels(build: Values, imported: Values) -> str:
    text = f"## Labels\n\nA user's turn is labelled with one of {', '.join(EMOTIONS)}."
    if build:
        text += " It is what voice and face were made to express, not what somebody heard and saw."
    if imported.get("label_map"):
        rows = [[own, label] for own, label in imported["label_map"].items()]
        text += f" The corpus' own labels:\n\n{_table(('own label', 'label here'), rows)}"
    if imported.get("dropped"):
        rows = [[one.get("reason"), f"{one.get('count', 0):,}"] for one in imported["dropped"]]
        text += f"\n\n{_table(('left out', 'recordings'), rows)}"
    return text


def _recipe(build: Values, imported: Values) -> str:
    if build:
        points, record = (
            _build_points(build),
            "`build.json` holds the recipe, `provenance.jsonl` where a clip comes from.",
        )
    elif imported:
        points, record = _import_points(imported), "`import.json` holds the record, with the digests of what was read."
    else:
        return ""
    listed = "\n".join(f"- {what}: {value}" for what, value in points.items() if value not in (None, ""))
    return f"## How it was made\n\n{listed}\n\n{record}"


def _build_points(build: Values) -> dict[str, Any]:
    config, tools = build.get("config", {}), build.get("tools", {})
    return {
        **{told: _tool(tools.get(stage)) for stage, told in _STAGES.items()},
        "portraits": len(tools.get("portraits") or {}) or None,
        "seed": config.get("seed"),
        "libraries": ", ".join(f"{name} {version}" for name, version in build.get("libraries", {}).items()),
        "left out, as a tool failed": len(build.get("failed") or []) or None,
        "digest of the recipe": build.get("digest"),
    }


def _import_points(imported: Values) -> dict[str, Any]:
    return {
        "corpus": imported.get("corpus"),
        "homepage": imported.get("homepage"),
        "read from": publishable(imported.get("source")),
        "revision": imported.get("revision"),
        "importer": imported.get("importer"),
        "options": ", ".join(f"{k}={v}" for k, v in publishable(imported.get("options") or {}).items()),
    }


def _tool(tool: Values | None) -> str:
    """What a stage's tool says it is: its name, and what distinguishes it from others of the name."""
    told = dict(tool or {})
    name = str(told.pop("tool", ""))
    facts = [str(told[key]) for key in ("model", "version") if told.get(key)]
    return f"{name} ({', '.join(facts)})" if facts else name


def _checks(checks: Values) -> str:
    findings = [one for one in checks.get("findings") or () if isinstance(one, Mapping)]
    if not findings:
        return ""
    rows = [[one.get(key, "") for key in ("check", "config", "verdict", "summary")] for one in findings]
    return "## Checks\n\n" + _table(("check", "config", "verdict", "finding"), rows)


def _citation(imported: Values) -> str:
    corpus = imported.get("citation")
    return f"## Citation\n\nThe benchmark: {_PAPER}." + (f"\n\nThe recordings: {corpus}" if corpus else "")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(one) for one in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
