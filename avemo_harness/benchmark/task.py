"""The typed form of a task: what is asked, of which turns, under which condition, and how answers are scored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

ConditionName = Literal["full_av", "audio_only", "video_only", "conflict"]
NoiseName = Literal["speech_shaped", "white", "pink", "silence", "rms_matched"]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class DatasetSpec(_Spec):
    """Which rows of a release the task asks about."""

    path: str | None = None
    """Hub id, folder or Parquet file; `builtin:demo` for the built-in demo; without it, the configured release."""
    name: str
    """Config of the release, one of the benchmark's splits."""
    split: str = "test"
    """Data set split."""
    revision: str | None = None
    """Hub revision to pin."""


class ConditionSpec(_Spec):
    """What is done to the clips before a model sees them."""

    name: ConditionName
    """full_av, audio_only (frozen face), video_only (noise for speech) or conflict (sound and face of two clips)."""
    applies_to: Literal["user_turns", "asked_turn"] = "user_turns"
    """All clips of the user up to the question, or the asked one alone. A conflict concerns the asked one alone."""
    noise: NoiseName = "speech_shaped"
    """What replaces speech under video_only."""


def _condition(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class ContextSpec(_Spec):
    """What of the dialogue precedes the question."""

    turns: Literal["history", "none"] = "history"
    """Every turn before the asked one, or nothing."""
    assistant_as: Literal["text"] = "text"
    """How the assistant's earlier turns are given."""
    assistant_replies: Literal["gold"] = "gold"
    """Whose replies stand in the history: the release's own."""


class TextTemplate(_Spec):
    """Text, a Jinja2 template over `turn`, `dialogue` and `labels`."""

    type: Literal["text"]
    text: str


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


class LabelOutput(_Spec):
    """The answer is one of a few labels."""

    type: Literal["label"]
    labels: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=2)]
    """The labels, in the order of tables."""
    synonyms: dict[str, Words] = {}
    """Further words that count as a label, by label."""
    method: Literal["generate", "rank"] = "generate"
    """Parse generated text, or rank the labels by log-probability."""

    @model_validator(mode="after")
    def _labels_are_distinct_words(self) -> LabelOutput:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must be distinct")
        for label in self.synonyms:
            if label not in self.labels:
                raise ValueError(f"synonyms are given for {label!r}, which is not among the labels")
        words = [*self.labels, *(word for group in self.synonyms.values() for word in group)]
        if len({word.casefold() for word in words}) != len(words):
            raise ValueError("a word stands for two labels")
        return self


class SpokenOutput(_Spec):
    """The answer is a reply: text and, where the model speaks, sound."""

    type: Literal["spoken_response"]


class GenerationSpec(_Spec):
    """Generation settings, all explicit so that no checkpoint's defaults decide."""

    max_new_tokens: Annotated[int, Field(ge=1, le=32_768)] = 16
    do_sample: bool = False
    temperature: Annotated[float, Field(gt=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _sampling_settings_need_sampling(self) -> GenerationSpec:
        if not self.do_sample and (self.temperature is not None or self.top_p is not None):
            raise ValueError("temperature and top_p need do_sample: true")
        return self


class ScorerSpec(_Spec):
    """A scorer and which of its metrics the task reports."""

    name: str
    metrics: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


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
    headline: str | None = None
    """The one metric that stands for the task; one of its scorers' metrics."""


class ColumnSpec(_Spec):
    """One column of a group's row: a metric of the group's task under a condition."""

    name: str
    condition: ConditionName
    metric: str


class GroupSpec(_Spec):
    """A group: its tasks are those that name it; this says how its row is laid out."""

    group: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
    title: str
    columns: Annotated[tuple[ColumnSpec, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
