"""Task schema: turns, condition, messages, output, generation and scorers of a task."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from avemo_harness.benchmark.columns import DatasetSpec
from avemo_harness.benchmark.spec import Spec, Words, as_tuple, problems_below, unknown_name
from avemo_harness.benchmark.template import template_problem

ConditionName = Literal["full_av", "audio_only", "video_only", "conflict"]
NoiseName = Literal["speech_shaped", "white", "pink", "silence", "rms_matched"]
RankBy = Literal["raw", "length_normalised", "prior_corrected"]
ReasoningProfile = Literal["av_emo", "calibrated"]
UserForm = Literal["clip", "named_clip", "transcript"]

ScorerMetrics = Mapping[str, frozenset[str]]
"""The metrics that each registered scorer can report: the context to validate a task in, so that names are checked."""


@runtime_checkable
class ScorerRules(Protocol):
    """Rules of scorers beside the names of their metrics: a validation context that has them."""

    def problems(self, scorer: ScorerSpec, output_type: str) -> Iterator[tuple[tuple[str, ...], str]]:
        """Problems of a scorer with a type of output or its own parameters: paths inside its spec, and sentences."""
        ...


class ConditionSpec(Spec):
    """Change of the clips before a model sees them."""

    name: ConditionName
    """full_av, audio_only (frozen face), video_only (noise for speech) or conflict (sound and face of two clips)."""
    applies_to: Literal["user_turns", "asked_turn"] = "user_turns"
    """All clips of the user up to the question, or the asked one alone. A conflict concerns the asked one alone."""
    noise: NoiseName = "speech_shaped"
    """Noise that replaces speech under video_only."""


def _condition(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _of_history(form: UserForm, info: ValidationInfo) -> UserForm:
    if form != "clip" and info.data.get("turns", "history") != "history":
        raise ValueError("needs turns: history")
    return form


class ContextSpec(Spec):
    """Part of the dialogue that precedes the question."""

    later: ClassVar[frozenset[str]] = frozenset({"user_as"})

    turns: Literal["history", "none", "questions"] = "history"
    """Every turn before the asked one, nothing, or the task's questions about them with the model's own answers."""
    user_as: Annotated[UserForm, AfterValidator(_of_history)] = "clip"
    """Form of the user's earlier turns. `clip`: each recording is a message. For conversations of several people, in
    one message with the question and each turn behind its speaker's name: `named_clip`, or `transcript`, in words."""
    assistant_as: Literal["text"] = "text"
    """Form of the assistant's earlier turns."""
    assistant_replies: Literal["gold", "own"] = "gold"
    """Replies of the history: the release's, or those that the model itself gave to this task."""

    @property
    def needs_own_replies(self) -> bool:
        """True where a question cannot be asked before the turns before it are answered."""
        return self.turns == "questions" or (self.assistant_replies == "own" and self.turns == "history")


def _valid_template(text: str) -> str:
    if wrong := template_problem(text):
        raise ValueError(wrong)
    return text


class TextTemplate(Spec):
    """Text, a Jinja2 template over `turn`, `dialogue`, `labels` and, of a table, `row`."""

    type: Literal["text"]
    text: Annotated[str, AfterValidator(_valid_template)]


class ClipTemplate(Spec):
    """The asked turn's clip, after the task's condition."""

    type: Literal["clip"]


class ChoicesTemplate(Spec):
    """The options of a choice behind their letters, a line each; recordings are under the task's condition."""

    type: Literal["choices"]


class MessageTemplate(Spec):
    """The message that asks the question."""

    role: Literal["user"]
    content: Annotated[
        tuple[Annotated[TextTemplate | ClipTemplate | ChoicesTemplate, Field(discriminator="type")], ...],
        BeforeValidator(as_tuple),
        Field(min_length=1),
    ]


def _distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    if len({label.casefold() for label in labels}) != len(labels):
        raise ValueError("labels must be distinct")
    return labels


def _known_label(label: str, info: ValidationInfo) -> str:
    labels = info.data.get("labels")
    if labels is not None and label not in labels:
        raise unknown_name("label", label, labels)
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


class LabelOutput(Spec):
    """The answer is one of a few labels."""

    type: Literal["label"]
    labels: Annotated[Words, Field(min_length=2), AfterValidator(_distinct)]
    """The labels, in the order of tables."""
    synonyms: Annotated[
        dict[Annotated[str, AfterValidator(_language)], dict[Annotated[str, AfterValidator(_known_label)], Words]],
        BeforeValidator(_by_language, json_schema_input_type=_SynonymsInYaml),
        AfterValidator(_one_label_a_word),
    ] = Field(default={})
    """Further words that count as a label, by language and label. All languages count; by label alone means `any`."""
    method: Literal["generate", "rank"] = "generate"
    """Parse generated text, or rank the labels by log-probability."""
    rank_by: Annotated[RankBy, AfterValidator(_for_ranking)] = "raw"
    """Score that decides: the label's log-probability (raw), that per token, or that less the one without media."""

    later: ClassVar[frozenset[str]] = frozenset({"rank_by"})

    @model_serializer(mode="wrap")
    def _dump(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values = super()._dump(dump)
        # Words of no language are written as they were before languages were told apart.
        if list(values.get("synonyms", ())) == [ANY_LANGUAGE]:
            values["synonyms"] = values["synonyms"][ANY_LANGUAGE]
        return values


class SpokenOutput(Spec):
    """The answer is a reply: text and, where the model speaks, sound."""

    type: Literal["spoken_response"]


OTHER_LABELS = "*"
"""In a `label_map`, every label that is neither named there nor one of the task's."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Names of the options of a choice, in the order in which they are shown."""


class ChoiceOutput(Spec):
    """The answer is one of the item's own options, by its letter."""

    type: Literal["choice"]
    method: Literal["generate", "rank"] = "generate"
    """Parse generated text, or rank the letters by log-probability."""
    order: Literal["shuffled", "given", "rotations"] = "shuffled"
    """Options shuffled by item and seed, as the table has them, or each item once for every rotation of them."""


class TextOutput(Spec):
    """The answer is free text."""

    type: Literal["text"]


class NumberOutput(Spec):
    """The answer is a number: the first within the range that the text holds."""

    type: Literal["number"]
    low: float
    """Lowest value that can be answered."""
    high: float
    """Highest value that can be answered."""


Output = LabelOutput | SpokenOutput | ChoiceOutput | TextOutput | NumberOutput
"""Kinds of answers that a task wants."""
ModelOutput = LabelOutput | SpokenOutput | TextOutput
"""Kinds of answers that a model is asked for: letters of a choice are labels, a number is text."""


def _for_sampling(value: float | None, info: ValidationInfo) -> float | None:
    if value is not None and info.data.get("do_sample") is False:
        raise ValueError("needs do_sample: true")
    return value


class GenerationSpec(Spec):
    """Generation settings, all explicit so that no checkpoint's defaults decide."""

    max_new_tokens: Annotated[int, Field(ge=1, le=32_768)] = 16
    do_sample: bool = False
    temperature: Annotated[Annotated[float, Field(gt=0)] | None, AfterValidator(_for_sampling)] = None
    top_p: Annotated[Annotated[float, Field(gt=0, le=1)] | None, AfterValidator(_for_sampling)] = None


def _known_scorer(name: str, info: ValidationInfo) -> str:
    scorers: ScorerMetrics | None = info.context
    if scorers is not None and name not in scorers:
        raise unknown_name("scorer", name, sorted(scorers))
    return name


def _metric_of_scorer(metric: str, info: ValidationInfo) -> str:
    scorers: ScorerMetrics = info.context or {}
    known = scorers.get(info.data.get("name", ""))
    if known is not None and metric not in known:
        raise unknown_name("metric", metric, sorted(known))
    return metric


def _of_reasoning(profile: ReasoningProfile | None, info: ValidationInfo) -> ReasoningProfile | None:
    if profile is not None and info.data.get("name") not in (None, "reasoning"):
        raise ValueError("needs name: reasoning")
    return profile


class ScorerSpec(Spec):
    """A scorer and which of its metrics the task reports."""

    name: Annotated[str, AfterValidator(_known_scorer)]
    metrics: Annotated[
        tuple[Annotated[str, AfterValidator(_metric_of_scorer)], ...], BeforeValidator(as_tuple), Field(min_length=1)
    ]
    profile: Annotated[ReasoningProfile | None, AfterValidator(_of_reasoning)] = None
    """Of `reasoning`: av_emo (the default), or calibrated: with thresholds from the judge's training labels."""

    parameters: dict[str, Any] = Field(default={})
    """Arguments of the scorer, by name."""

    later: ClassVar[frozenset[str]] = frozenset({"profile", "parameters"})


def _reported(headline: str | None, info: ValidationInfo) -> str | None:
    # Scorers that are wrong themselves are missing here, and reported already.
    if headline is not None and "scorers" in info.data:
        reported = [metric for scorer in info.data["scorers"] for metric in scorer.metrics]
        if headline not in reported:
            raise unknown_name("headline metric", headline, reported)
    return headline


def _as_pairs(value: Any) -> Any:
    return tuple(map(as_tuple, value)) if isinstance(value, list) else value


def _labels_of(info: ValidationInfo) -> tuple[str, ...] | None:
    """The task's labels; None where its output is wrong itself, and reported already."""
    output = info.data.get("output")
    return output.labels if isinstance(output, LabelOutput) else () if output is not None else None


def _to_known_labels(label_map: dict[str, str | None], info: ValidationInfo) -> dict[str, str | None]:
    labels = _labels_of(info)
    for corpus_label, label in label_map.items():
        if labels is not None and label is not None and label not in labels:
            raise unknown_name("label", label, labels)
        if corpus_label == OTHER_LABELS and label is not None:
            raise ValueError(
                f"{OTHER_LABELS!r} stands for all labels that are not named, which can only be left out: null"
            )
    return label_map


def _of_known_labels(opposites: tuple[tuple[str, str], ...], info: ValidationInfo) -> tuple[tuple[str, str], ...]:
    labels = _labels_of(info)
    for label in (label for pair in opposites for label in pair):
        if labels is not None and label not in labels:
            raise unknown_name("label", label, labels)
    return opposites


def _without_required_condition(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema.get("required", ()) if name != "condition"]


class TaskSpec(Spec):
    """One task: everything that decides what is asked and how it is scored."""

    model_config = ConfigDict(json_schema_extra=_without_required_condition)
    later: ClassVar[frozenset[str]] = frozenset({"label_map", "opposites", "clusters"})

    task: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
    """Unique name."""
    group: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")] | None = None
    """The group, and so the row of the table, that the task belongs to."""
    version: Annotated[int, Field(ge=1)]
    """Raised whenever the task's content changes."""
    dataset: DatasetSpec
    unit: Literal["user_turn", "last_turn"] = "user_turn"
    """One question is every user turn that has a true answer, if answers need one; or each dialogue's last alone."""
    condition: Annotated[ConditionSpec, BeforeValidator(_condition)]
    context: ContextSpec = ContextSpec()
    messages: Annotated[tuple[MessageTemplate, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    output: Annotated[Output, Field(discriminator="type")]
    label_map: Annotated[dict[str, str | None], AfterValidator(_to_known_labels)] = Field(default={})
    """Labels of the data set and which of the task's labels each is; null leaves its turns out, counted, and so does
    `"*": null` with all that are not named."""
    opposites: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_as_pairs), AfterValidator(_of_known_labels)] = ()
    """Pairs of labels that a conflict joins, where the data set has no conflict pairs of its own."""
    clusters: Literal["dialogue", "speaker"] = "dialogue"
    """Units that intervals and tests resample: dialogues, or all that a speaker says, where single clips are dialogues.
    Pairs of a conflict are resampled with those that share a clip."""
    generation: GenerationSpec = GenerationSpec()
    scorers: Annotated[tuple[ScorerSpec, ...], BeforeValidator(as_tuple)] = ()
    headline: Annotated[str | None, AfterValidator(_reported)] = None
    """The one metric that stands for the task; one of its scorers' metrics."""

    @model_validator(mode="before")
    @classmethod
    def _condition_of_table(cls, values: Any) -> Any:
        """The condition of a table that names none: its recordings as they are."""
        if not isinstance(values, dict) or "condition" in values:
            return values
        columns = values["dataset"].get("columns") if isinstance(values.get("dataset"), dict) else None
        if not isinstance(columns, dict):
            return values
        # `audio_only` needs no picture, and leaves the sound as it is.
        return {**values, "condition": "audio_only" if "sound" in columns and "video" not in columns else "full_av"}

    @model_validator(mode="after")
    def _parts_fit(self, info: ValidationInfo) -> TaskSpec:
        problems: list[tuple[tuple[str | int, ...], str]] = []
        rotated = isinstance(self.output, ChoiceOutput) and self.output.order == "rotations"
        if rotated and self.context.turns == "questions":
            problem = "with rotations each question has several answers, and a history of questions (context.turns) one"
            problems.append((("output", "order"), f"{problem}; use shuffled or given"))
        ranked = isinstance(self.output, LabelOutput | ChoiceOutput) and self.output.method == "rank"
        if ranked and self.context.user_as != "clip":
            problem = "puts the history into the question's own message, of which a ranking's prior is to hold nothing"
            problems.append((("context", "user_as"), f"{problem}; use clip, or output.method: generate"))
        rules = info.context
        if isinstance(rules, ScorerRules):
            for number, scorer in enumerate(self.scorers):
                problems += [
                    (("scorers", number, *path), sentence)
                    for path, sentence in rules.problems(scorer, self.output.type)
                ]
        if problems:
            raise problems_below(problems)
        return self
