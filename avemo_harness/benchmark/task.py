"""Task schema: turns, condition, messages, output, generation and scorers of a task."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from avemo_harness.benchmark.template import template_problem

ConditionName = Literal["full_av", "audio_only", "video_only", "conflict"]
NoiseName = Literal["speech_shaped", "white", "pink", "silence", "rms_matched"]
RankBy = Literal["raw", "length_normalised", "prior_corrected"]
ReasoningProfile = Literal["av_emo", "calibrated"]

ScorerMetrics = Mapping[str, frozenset[str]]
"""The metrics that each registered scorer can report: the context to validate a task in, so that names are checked."""


class _Spec(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _unknown(kind: str, found: str, known: Iterable[str]) -> PydanticCustomError:
    """The error of a name that is not among the known ones; it carries them for the reader of the file."""
    facts = {"kind": kind, "found": found, "known": list(known)}
    return PydanticCustomError("unknown_name", "unknown {kind} {found}", facts)


Word = Annotated[str, Field(min_length=1)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_as_tuple)]


class DatasetSpec(_Spec):
    """Rows of a release that the task asks about."""

    path: str | None = None
    """Hub id, folder or Parquet file; `builtin:demo` for the built-in demo; without it, the configured release."""
    name: str
    """Config of the release, one of the benchmark's splits."""
    split: str = "test"
    """Data set split."""
    revision: str | None = None
    """Hub revision to pin."""


class ConditionSpec(_Spec):
    """Change of the clips before a model sees them."""

    name: ConditionName
    """full_av, audio_only (frozen face), video_only (noise for speech) or conflict (sound and face of two clips)."""
    applies_to: Literal["user_turns", "asked_turn"] = "user_turns"
    """All clips of the user up to the question, or the asked one alone. A conflict concerns the asked one alone."""
    noise: NoiseName = "speech_shaped"
    """Noise that replaces speech under video_only."""


def _condition(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class ContextSpec(_Spec):
    """Part of the dialogue that precedes the question."""

    turns: Literal["history", "none"] = "history"
    """Every turn before the asked one, or nothing."""
    assistant_as: Literal["text"] = "text"
    """Form of the assistant's earlier turns."""
    assistant_replies: Literal["gold", "own"] = "gold"
    """Replies of the history: the release's, or those that the model itself gave to this task."""

    @property
    def needs_own_replies(self) -> bool:
        """True where a question cannot be asked before the turns before it are answered."""
        return self.assistant_replies == "own" and self.turns == "history"


def _valid_template(text: str) -> str:
    if wrong := template_problem(text):
        raise ValueError(wrong)
    return text


class TextTemplate(_Spec):
    """Text, a Jinja2 template over `turn`, `dialogue` and `labels`."""

    type: Literal["text"]
    text: Annotated[str, AfterValidator(_valid_template)]


class ClipTemplate(_Spec):
    """The asked turn's clip, after the task's condition."""

    type: Literal["clip"]


class MessageTemplate(_Spec):
    """The message that asks the question."""

    role: Literal["user"]
    content: Annotated[
        tuple[Annotated[TextTemplate | ClipTemplate, Field(discriminator="type")], ...],
        BeforeValidator(_as_tuple),
        Field(min_length=1),
    ]


def _distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    if len({label.casefold() for label in labels}) != len(labels):
        raise ValueError("labels must be distinct")
    return labels


def _known_label(label: str, info: ValidationInfo) -> str:
    labels = info.data.get("labels")
    if labels is not None and label not in labels:
        raise _unknown("label", label, labels)
    return label


ANY_LANGUAGE = "any"
"""The language of words that are given without one."""

SynonymsByLanguage = dict[str, dict[str, tuple[str, ...]]]
_SynonymsInYaml = dict[str, Words | dict[str, Words | None] | None] | None
"""Synonyms as a file writes them: by language or by label, with null for those that a child takes away."""


def _by_language(synonyms: Any) -> Any:
    """Synonyms by language; lists of words that stand directly under a label are those of any language."""
    if not isinstance(synonyms, Mapping):
        return synonyms
    languages = {name: words for name, words in synonyms.items() if isinstance(words, Mapping)}
    flat = {label: words for label, words in synonyms.items() if label not in languages}
    if not flat:
        return languages
    return {**languages, ANY_LANGUAGE: {**languages.get(ANY_LANGUAGE, {}), **flat}}


def _language(name: str) -> str:
    if not re.fullmatch("[a-z]{2,8}", name):
        raise ValueError("expected a language by its code, such as en or zh, with words by label below it")
    return name


def _one_label_a_word(synonyms: SynonymsByLanguage, info: ValidationInfo) -> SynonymsByLanguage:
    owners = {label.casefold(): label for label in info.data.get("labels", ())}
    for labels in synonyms.values():
        for label, words in labels.items():
            for word in words:
                owner = owners.setdefault(word.casefold(), label)
                if owner != label:
                    raise ValueError(f"the word {word!r} stands for two labels, {owner!r} and {label!r}")
    return synonyms


def _for_ranking(rank_by: RankBy, info: ValidationInfo) -> RankBy:
    if info.data.get("method") == "generate":
        raise ValueError("needs method: rank")
    return rank_by


class LabelOutput(_Spec):
    """The answer is one of a few labels."""

    type: Literal["label"]
    labels: Annotated[Words, Field(min_length=2), AfterValidator(_distinct)]
    """The labels, in the order of tables."""
    synonyms: Annotated[
        dict[Annotated[str, AfterValidator(_language)], dict[Annotated[str, AfterValidator(_known_label)], Words]],
        BeforeValidator(_by_language, json_schema_input_type=_SynonymsInYaml),
        AfterValidator(_one_label_a_word),
    ] = {}
    """Further words that count as a label, by language and label. All languages count; by label alone means `any`."""
    method: Literal["generate", "rank"] = "generate"
    """Parse generated text, or rank the labels by log-probability."""
    rank_by: Annotated[RankBy, AfterValidator(_for_ranking)] = "raw"
    """Score that decides: the label's log-probability (raw), that per token, or that less the one without media."""

    @model_serializer(mode="wrap")
    def _dump(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A task that says nothing of ranking has the same content, and so the same digest, with this field or without;
        # so has one whose synonyms are of no language, as all were before languages were told apart.
        values: dict[str, Any] = dump(self)
        if list(values.get("synonyms", ())) == [ANY_LANGUAGE]:
            values["synonyms"] = values["synonyms"][ANY_LANGUAGE]
        if self.rank_by == "raw":
            values.pop("rank_by", None)
        return values


class SpokenOutput(_Spec):
    """The answer is a reply: text and, where the model speaks, sound."""

    type: Literal["spoken_response"]


def _for_sampling(value: float | None, info: ValidationInfo) -> float | None:
    if value is not None and info.data.get("do_sample") is False:
        raise ValueError("needs do_sample: true")
    return value


class GenerationSpec(_Spec):
    """Generation settings, all explicit so that no checkpoint's defaults decide."""

    max_new_tokens: Annotated[int, Field(ge=1, le=32_768)] = 16
    do_sample: bool = False
    temperature: Annotated[Annotated[float, Field(gt=0)] | None, AfterValidator(_for_sampling)] = None
    top_p: Annotated[Annotated[float, Field(gt=0, le=1)] | None, AfterValidator(_for_sampling)] = None


def _known_scorer(name: str, info: ValidationInfo) -> str:
    scorers: ScorerMetrics | None = info.context
    if scorers is not None and name not in scorers:
        raise _unknown("scorer", name, sorted(scorers))
    return name


def _metric_of_scorer(metric: str, info: ValidationInfo) -> str:
    scorers: ScorerMetrics = info.context or {}
    known = scorers.get(info.data.get("name", ""))
    if known is not None and metric not in known:
        raise _unknown("metric", metric, sorted(known))
    return metric


def _metric_of_any_scorer(metric: str, info: ValidationInfo) -> str:
    scorers: ScorerMetrics | None = info.context
    known = set().union(*scorers.values()) if scorers is not None else {metric}
    if metric not in known:
        raise _unknown("metric", metric, sorted(known))
    return metric


def _of_reasoning(profile: ReasoningProfile | None, info: ValidationInfo) -> ReasoningProfile | None:
    if profile is not None and info.data.get("name") not in (None, "reasoning"):
        raise ValueError("needs name: reasoning")
    return profile


class ScorerSpec(_Spec):
    """A scorer and which of its metrics the task reports."""

    name: Annotated[str, AfterValidator(_known_scorer)]
    metrics: Annotated[
        tuple[Annotated[str, AfterValidator(_metric_of_scorer)], ...], BeforeValidator(_as_tuple), Field(min_length=1)
    ]
    profile: Annotated[ReasoningProfile | None, AfterValidator(_of_reasoning)] = None
    """Of `reasoning`: av_emo (the default), or calibrated: with thresholds from the judge's training labels."""

    @model_serializer(mode="wrap")
    def _dump(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # As for `rank_by`: a scorer without a profile has the same content with this field or without.
        values: dict[str, Any] = dump(self)
        if self.profile is None:
            values.pop("profile", None)
        return values


def _reported(headline: str | None, info: ValidationInfo) -> str | None:
    # Scorers that are wrong themselves are missing here, and reported already.
    if headline is not None and "scorers" in info.data:
        reported = [metric for scorer in info.data["scorers"] for metric in scorer.metrics]
        if headline not in reported:
            raise _unknown("headline metric", headline, reported)
    return headline


class TaskSpec(_Spec):
    """One task: everything that decides what is asked and how it is scored."""

    task: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
    """Unique name."""
    group: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")] | None = None
    """The group, and so the row of the table, that the task belongs to."""
    version: Annotated[int, Field(ge=1)]
    """Raised whenever the task's content changes."""
    dataset: DatasetSpec
    unit: Literal["user_turn"] = "user_turn"
    """Every user turn with a label is one question."""
    condition: Annotated[ConditionSpec, BeforeValidator(_condition)]
    context: ContextSpec = ContextSpec()
    messages: Annotated[tuple[MessageTemplate, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    output: Annotated[LabelOutput | SpokenOutput, Field(discriminator="type")]
    generation: GenerationSpec = GenerationSpec()
    scorers: Annotated[tuple[ScorerSpec, ...], BeforeValidator(_as_tuple)] = ()
    headline: Annotated[str | None, AfterValidator(_reported)] = None
    """The one metric that stands for the task; one of its scorers' metrics."""


class ColumnSpec(_Spec):
    """One column of a group's row: a metric of the group's task under a condition."""

    name: str
    condition: ConditionName
    metric: Annotated[str, AfterValidator(_metric_of_any_scorer)]


class GroupSpec(_Spec):
    """A group: its tasks are those that name it; this says how its row is laid out."""

    group: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
    title: str
    reference_row: str | None = None
    """Name of the row of the model `reference`, such as Real."""
    columns: Annotated[tuple[ColumnSpec, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
