"""Write a proposed task as a YAML whose comments say what each guess is from, and what else could stand there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from avemo_harness.benchmark.proposal import Proposal, ProposedColumn, Question
from avemo_harness.text import printable

SCORERS: Mapping[Question, tuple[str, tuple[str, ...]]] = {
    "label": ("understanding", ("accuracy", "macro_f1", "uar")),
    "choice": ("choice", ("accuracy", "position_bias")),
    "number": ("numbers", ("ccc", "mae")),
    "text": ("text_match", ("normalised_match", "exact_match")),
}
"""The scorer of each kind of question, and its metrics, the headline first."""

_RUBRIC = (
    "# scorers: [{name: rubric, metrics: [rubric_mean], parameters: {grader: openai, grader_args: {base_url: "
    '"http://localhost:8000/v1", model: NAME}, rubric: "Is it right? 5: yes, 1: no. {{ question }} {{ answer }}"}}]'
)
"""A model as the grader of free text."""

MAX_COMMENT = 100
"""Characters that a comment quotes of a table."""


def task_yaml(name: str, dataset: Mapping[str, str], proposal: Proposal, origin: str) -> str:
    """The text of a task.

    Args:
        dataset: `path` and, where they are no defaults, `name`, `split` and `revision`.
        origin: what was looked at, in words.
    """
    lines = [
        f"# Proposed from {_quoted(origin)}; all of it is yours to change. `avemo-eval validate FILE --data` checks it."
    ]
    lines += [f"task: {name}", "version: 1", "dataset:"]
    lines += [f"  {key}: {scalar(value)}" for key, value in dataset.items()]
    lines += ["  columns:", *_column_lines(proposal.columns)]
    lines += _condition_lines(proposal)
    lines += ["messages:", *_message_lines(proposal)]
    lines += _output_lines(proposal)
    lines += _scorer_lines(proposal)
    return "\n".join(lines) + "\n"


def scalar(text: str) -> str:
    """A text as YAML: plain where it is a plain word to every reader of YAML, else in double quotes.

    >>> print(scalar("joy"), scalar("no"), scalar(".3"), scalar("a: b"), scalar("../a.csv"))
    joy "no" ".3" "a: b" ../a.csv
    """
    plain = re.fullmatch(r"(\.{1,2}/|[A-Za-z_/])[\w./-]*", text, re.ASCII) is not None
    word = text.lower() in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
    # JSON is YAML, but for characters beyond U+FFFF, which it would write as two halves.
    return text if plain and not word else json.dumps(text, ensure_ascii=not text.isprintable())


def flow(texts: Iterable[str]) -> str:
    """A list of texts in one line."""
    return f"[{', '.join(map(scalar, texts))}]"


def _quoted(text: str) -> str:
    """Foreign text that can neither end a comment nor flood it."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= MAX_COMMENT else line[: MAX_COMMENT - 1] + "…"


def _column_lines(columns: Sequence[ProposedColumn]) -> list[str]:
    lines = []
    for column in columns:
        others = f"; or {', '.join(map(_quoted, column.others))}" if column.others else ""
        lines.append(f"    {column.role}: {scalar(column.column)}  # {_quoted(column.evidence)}{others}")
    return lines or ["    text: text  # no column could be told; name one"]


def _condition_lines(proposal: Proposal) -> list[str]:
    if proposal.column("video") is None:
        return []
    return ["# condition: audio_only  # or video_only: one stream alone; without it, full_av: both"]


def _message_lines(proposal: Proposal) -> list[str]:
    shown = []
    if _shows_clip(proposal):
        shown.append("{type: clip}")
    elif proposal.column("text"):
        shown.append(_text_block('The speaker says: "{{ turn.text }}"'))
    shown.append(_text_block(_question_text(proposal)))
    if proposal.question == "choice":
        shown.append("{type: choices}")
    return [f"- {{role: user, content: [{', '.join(shown)}]}}"]


def _shows_clip(proposal: Proposal) -> bool:
    return proposal.column("sound") is not None or proposal.column("video") is not None


def _has_history(proposal: Proposal) -> bool:
    return proposal.column("dialogue") is not None or proposal.column("turns") is not None


def _text_block(text: str) -> str:
    return f"{{type: text, text: {json.dumps(text)}}}"


def _question_text(proposal: Proposal) -> str:
    own = f'{{{{ row["{proposal.question_column}"] }}}} ' if proposal.question_column else ""
    if proposal.question == "label":
        last = " of this last clip" if _has_history(proposal) and _shows_clip(proposal) else ""
        asked = own or f"Which {proposal.noun} does the speaker{last} express? "
        return asked + "Answer with one of {{ labels | join(', ') }}, and nothing else."
    if proposal.question == "choice":
        what = "of these recordings" if proposal.clips_as_choices else "of these"
        return (own or f"Which {what} fits best? ") + "Answer with its letter: {{ labels | join(', ') }}."
    if proposal.question == "number":
        low, high = proposal.bounds
        asked = own or f"Rate the speaker's {proposal.noun}. "
        return f"{asked}Answer with a number from {low:g} to {high:g}."
    return own.strip() or "How does the speaker feel, and why? Answer in one sentence."


def _output_lines(proposal: Proposal) -> list[str]:
    if proposal.question == "label":
        return _label_lines(proposal)
    if proposal.question == "choice":
        return ["output: {type: choice}  # shuffled by item; order: rotations asks each once for every order"]
    if proposal.question == "number":
        low, high = proposal.bounds
        return [f"output: {{type: number, low: {low}, high: {high}}}  # the scale is a guess from the values seen"]
    return ["output: {type: text}"]


def _label_lines(proposal: Proposal) -> list[str]:
    labels = list(proposal.labels)
    counts = ", ".join(f"{_quoted(label)} ({count})" for label, count in list(proposal.seen.items())[:20])
    note = f"labels of the rows that were read: {counts or 'none'}"
    if len(labels) < 2:
        note += "; name all labels here"
        labels += [label for label in ("neutral", "other") if label not in labels][: 2 - len(labels)]
    lines = [f"output: {{type: label, labels: {flow(labels)}}}", f"# {note}"]
    if proposal.label_map:
        pairs = ", ".join(f"{scalar(found)}: {scalar(label)}" for found, label in proposal.label_map.items())
        return [*lines, f"label_map: {{{pairs}}}  # '*': null would leave all other labels out"]
    first = scalar(labels[0])
    return [
        *lines,
        f"# label_map: {{{first}: {first}, '*': null}}  # other words for labels; null leaves out, '*' all others",
    ]


def _scorer_lines(proposal: Proposal) -> list[str]:
    if proposal.question == "text" and proposal.column("answer") is None:
        return ["# no column holds a true answer, so a model could grade the answers by a rubric:", _RUBRIC]
    name, metrics = SCORERS[proposal.question]
    lines = [f"scorers: [{{name: {name}, metrics: {flow(metrics)}}}]", f"headline: {metrics[0]}"]
    return [*lines, "# or a model grades them by a rubric:", _RUBRIC] if proposal.question == "text" else lines
