"""Group schema: the row of a table, the benchmark that its tasks are of, and collections of benchmarks."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from avemo_harness.benchmark.spec import Spec, Word, Words, as_tuple, problems_below, unknown_name
from avemo_harness.benchmark.task import ConditionName, ScorerMetrics

GroupName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]


def _metric_of_any_scorer(metric: str, info: ValidationInfo) -> str:
    scorers: ScorerMetrics | None = info.context
    known = set().union(*scorers.values()) if scorers is not None else {metric}
    if metric not in known:
        raise unknown_name("metric", metric, sorted(known))
    return metric


Metric = Annotated[str, AfterValidator(_metric_of_any_scorer)]


class ColumnSpec(Spec):
    """One column of a group's row: a metric of the group's task under a condition."""

    name: str
    condition: ConditionName
    metric: Metric


def _address(text: str) -> str:
    if not re.fullmatch(r"https?://\S+", text):
        raise ValueError("must be the address of a page, beginning with https://")
    return text


class BenchmarkSpec(Spec):
    """Where a benchmark is from, under which terms, and how its data come."""

    homepage: Annotated[str, AfterValidator(_address)]
    """Page of its authors or of its data."""
    paper: Word | None = None
    """Citation: authors, year, venue and DOI or arXiv number."""
    licence: Word
    """Licence of the data, as their page names it."""
    restricted: bool = False
    """Recordings, texts and ids are not passed on: pages and exports hold none of them, and clips are never pushed."""
    languages: Annotated[Words, Field(min_length=1)]
    """Codes of the languages that are spoken, such as en."""
    obtain: Word | None = None
    """The one command by which the data come; without it, they come from the Hub when they are asked about."""


class PublishedFigure(Spec):
    """A figure that others report, shown beside measured ones and never among them."""

    of: Word
    """The system, or the people, that it is of."""
    task: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
    """The task of the group that comes nearest to what was asked."""
    metric: Metric
    value: float
    source: Word
    """Where it stands: paper or page, with its table."""
    note: Word | None = None
    """Difference from the way in which it is measured here."""

    @property
    def described(self) -> str:
        """The figure in a line, with whose it is and where it stands."""
        note = f"; {self.note}" if self.note else ""
        return f"{self.of}: {self.task} {self.metric} {self.value:g} ({self.source}{note})"


class GroupSpec(Spec):
    """A group: its tasks are those that name it, and this says how its row is laid out; or a collection of groups."""

    later: ClassVar[frozenset[str]] = frozenset({"benchmark", "published", "groups"})

    group: GroupName
    title: str
    reference_row: str | None = None
    """Name of the row of the model `reference`, such as Real."""
    columns: Annotated[tuple[ColumnSpec, ...], BeforeValidator(as_tuple)] = ()
    benchmark: BenchmarkSpec | None = None
    """The benchmark that the tasks are of, with its terms."""
    published: Annotated[tuple[PublishedFigure, ...], BeforeValidator(as_tuple)] = ()
    """Figures of its authors or of others."""
    groups: Annotated[tuple[GroupName, ...], BeforeValidator(as_tuple)] = ()
    """Of a collection, the groups that it has; it has no tasks and no row of its own."""

    @model_validator(mode="after")
    def _row_or_collection(self) -> GroupSpec:
        problems: list[tuple[tuple[str | int, ...], str]] = []
        if self.groups:
            for key in ("columns", "benchmark", "published", "reference_row"):
                if getattr(self, key):
                    problems.append(((key,), "a collection (groups) has none of its own; its groups have"))
            if len(set(self.groups)) < len(self.groups):
                problems.append((("groups",), "names a group twice"))
        elif not self.columns:
            missing = "must have 1 entries or more" if "columns" in self.model_fields_set else "this key is required"
            problems.append((("columns",), f"{missing}; a collection names its `groups` instead"))
        if problems:
            raise problems_below(problems)
        return self
