"""Check a release: survey every config once, then run every check on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Release
from avemo_harness.data.checks.findings import CheckOptions, Finding, LabelRatings, Rule
from avemo_harness.data.checks.raters import RateClips, open_recognizer, read_votes
from avemo_harness.data.checks.rows import (
    check_balance,
    check_conflicts,
    check_media,
    check_schema,
    check_speakers,
    unreadable,
)
from avemo_harness.data.checks.shortcuts import check_durations, check_first_frame, check_loudness, check_noise
from avemo_harness.data.checks.survey import SurveyedConfig, Surveyor, clips_of, configs_of, load_splits
from avemo_harness.data.checks.verification import Verification, nothing_to_say, verify_labels
from avemo_harness.errors import ReleaseError, UsageError
from avemo_harness.text import Notify

Check = Callable[[SurveyedConfig], Finding]

CHECKS: tuple[Check, ...] = (
    check_schema,
    check_media,
    check_balance,
    check_speakers,
    check_durations,
    check_loudness,
    check_noise,
    check_first_frame,
    check_conflicts,
)
"""In the order of the report."""

REPORT_SCHEMA = 1


@dataclass(frozen=True)
class CheckedConfig:
    """Findings of one config.

    Args:
        material: None where it could not be read.
        verification: by whom the rule asks.
    """

    findings: tuple[Finding, ...]
    material: SurveyedConfig | None = None
    verification: Verification | None = None


@dataclass(frozen=True)
class CheckedRelease:
    """Findings of all configs of a release."""

    folder: Path
    options: CheckOptions
    configs: Mapping[str, CheckedConfig]

    @property
    def findings(self) -> Iterator[Finding]:
        """Of all configs."""
        for one in self.configs.values():
            yield from one.findings

    @property
    def failed(self) -> bool:
        """True where a check failed."""
        return any(one.verdict == "fail" for one in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The report."""
        materials = [one.material for one in self.configs.values() if one.material is not None]
        return {
            "schema": REPORT_SCHEMA,
            "noise": self.options.noise,
            "rule": self.options.rule,
            "fingerprints": fingerprints(materials),
            "findings": [one.to_json() for one in self.findings],
        }


def check_release(folder: Path, options: CheckOptions, conditions: ConditionCache, say: Notify) -> CheckedRelease:
    """Check a release.

    Raises:
        ReleaseError: it has no config, or the votes cannot be read.
        UsageError: there is no such recogniser, or the rule asks for votes and there are none.
    """
    if options.votes is None and options.rule != "recognizer":
        raise UsageError(f"--drop {options.rule} goes by raters' votes; give their table as --votes FILE.csv")
    ask = open_recognizer(options.recognizer, conditions.folder.parent, say)
    read, checked = _read(folder, options)
    votes = None
    if options.votes is not None:
        votes = read_votes(options.votes, read, "majority" if options.rule == "recognizer" else options.rule)
    surveyor = Surveyor(conditions, options.noise, say)
    for config, releases in read.items():
        asked, others = clips_of(releases)
        say(f"{config}: decoding {len(asked) + len(others):,} clips")
        material = SurveyedConfig(config, releases, surveyor.survey(asked, others))
        checked[config] = _verified(material, ask, votes, options.rule)
    return CheckedRelease(folder, options, dict(sorted(checked.items())))


def run_checks(material: SurveyedConfig) -> tuple[Finding, ...]:
    """Every check of a config but for those of its labels."""
    return tuple(check(material) for check in CHECKS)


def fingerprints(materials: Iterable[SurveyedConfig]) -> dict[str, str]:
    """Digest of what each split says, by ``config/split``: tells later whether a report is about the same rows."""
    return {
        f"{material.config}/{split}": release.fingerprint
        for material in materials
        for split, release in material.releases.items()
    }


def _read(folder: Path, options: CheckOptions) -> tuple[dict[str, dict[str, Release]], dict[str, CheckedConfig]]:
    """The configs that can be read, and the findings about the others."""
    read, broken = {}, {}
    for config, splits in configs_of(folder, options.config).items():
        try:
            read[config] = load_splits(folder, config, splits, options.media_root)
        except ReleaseError as error:
            broken[config] = CheckedConfig((unreadable(config, error),))
    return read, broken


def _verified(material: SurveyedConfig, ask: RateClips, votes: LabelRatings | None, rule: Rule) -> CheckedConfig:
    """All findings of a config, those about its labels last."""
    findings = list(run_checks(material))
    chosen = None
    try:
        recognised = verify_labels(material, ask(list(material.labelled())))
        finding = recognised.finding
        if rule == "recognizer":
            chosen = recognised
        elif finding.verdict == "fail":
            finding = replace(finding, verdict="warn")  # where raters decide, a recogniser cannot fail a release
        findings.append(finding)
    except UsageError as error:
        findings.append(nothing_to_say(material.config, "recogniser", str(error)))
    if votes is not None:
        voted = verify_labels(material, votes)
        findings.append(voted.finding)
        chosen = chosen if rule == "recognizer" else voted
    return CheckedConfig(tuple(findings), material, chosen)
