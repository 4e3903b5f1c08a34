"""The figures of a run as HTML: the benchmark's table, what stands behind it, and everything that leaves doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from avemo_harness.benchmark.request import FLAGS
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.report.board import CAVEATS, TITLES, Board, boards, rated_columns
from avemo_harness.report.html.document import escaped, share_bar, slopes, table
from avemo_harness.report.results import GroupResult, TaskResult
from avemo_harness.report.scored_run import BENCHMARK_SCALES, FinishedRun
from avemo_harness.report.summary import (
    METRIC_COLUMNS,
    defined_contrasts,
    not_asked,
    rated_by,
    result_notes,
    run_states,
)
from avemo_harness.report.table import Cell, Table, is_measured, metric_cell
from avemo_harness.report.values import UNDEFINED, figure, mark_of, shown_interval, shown_value
from avemo_harness.text import publishable

_SHADES = 9
_CONDITIONS = {"full_av": "voice and face", "audio_only": "voice alone", "video_only": "face alone"}


def figures(run: FinishedRun) -> str:
    """The sections above the turns: what most people look for."""
    result = run.result
    head = f"<h1>{escaped(result.model)} <span class='faint'>{escaped(run.folder.resolve().name)}</span></h1>"
    states = run_states(result)
    banner = f"<p class='banner'>{' and '.join(states)}: see “What to doubt”</p>" if states else ""
    sections = [
        head + banner + _releases(run),
        *(_board(board, run) for board in boards([run], [result.model]) if board.group in result.groups),
        _section("Rated by people", _rated(run)),
        _section("Understanding, by condition", _understanding(run)),
        _section("Voice against face", _conflicts(run)),
        _section("What to doubt", _doubts(run)),
    ]
    return "\n".join(sections)


def background(run: FinishedRun) -> str:
    """The sections below the turns: everything that stands behind the figures."""
    sections = [
        _section("All metrics", [_metrics(run)]),
        _section("Judge of the replies", _judge(run)),
        _section("How it was run", _setup(run)),
    ]
    return "\n".join(sections)


def _section(title: str, parts: Iterator[str] | Sequence[str]) -> str:
    body = "\n".join(parts)
    return f"<section><h2>{title}</h2>\n{body}\n</section>" if body else ""


def _releases(run: FinishedRun) -> str:
    lines = []
    for one in run.record.releases:
        commit = f", commit {str(one['commit'])[:12]}" if one["commit"] else ""
        pairs = f" and {one['pairs']:,} conflict pairs" if one["pairs"] else ""
        lines.append(
            f"{publishable(one['source'])}, {one['name']} ({one['split']}): {one['dialogues']:,} dialogues{pairs}"
            f"{commit}, content {str(one['fingerprint'])[:12]}"
        )
    return "".join(f"<p class='faint'>{escaped(line)}</p>" for line in lines)


def _board(board: Board, run: FinishedRun) -> str:
    parts = []
    for heading, tables, notes in board.sections():
        remarks = board.remarks if heading is None else CAVEATS
        below = [*_mark_lines(notes), *(f"<li>{escaped(remark)}</li>" for remark in remarks)]
        title = "" if heading is None else f"<h3>{escaped(heading)}</h3>"
        parts.append(title + "\n".join(map(_table, tables)) + (_notes(below) if below else ""))
    parts.insert(1, "".join(_contrasts(run.result.groups[board.group])))
    return _section(escaped(board.title), parts)


def _notes(lines: Sequence[str]) -> str:
    return f"<ul class='notes'>{''.join(lines)}</ul>"


def _contrasts(group: GroupResult) -> Iterator[str]:
    for name, contrast in defined_contrasts(group):
        value = shown_value(contrast, signed=True) + _superscript(mark_of(contrast))
        interval = shown_interval(contrast, signed=True)
        yield f"<p>{name.replace('-', '−')}: {value} ({interval}), paired, {contrast.n:,} turns</p>"


def _mark_lines(sentences: Mapping[str, str]) -> list[str]:
    return [f"<li><sup>{mark}</sup> {escaped(sentence)}</li>" for mark, sentence in sentences.items()]


def _superscript(mark: str) -> str:
    return f"<sup>{escaped(mark)}</sup>" if mark else ""


def _table(shown: Table) -> str:
    rows = []
    for name, cells in shown.rows:
        title = escaped(name) if is_measured(cells) else f"<span class='faint'>{escaped(name)}</span>"
        rows.append([title, *(_cell(cells.get(column, Cell())) for column in shown.columns)])
    return table([escaped(shown.corner), *map(escaped, shown.columns)], rows)


def _cell(cell: Cell) -> str:
    value = cell.text + _superscript(cell.mark)
    if cell.n is None:
        return value
    return f"{value}<br><small>{escaped(cell.shown_interval('–'))}<br>n {cell.n:,}</small>"


def _rated(run: FinishedRun) -> Iterator[str]:
    """What people gave replies to tasks of no group, or on other scales: no table above has them."""
    for people in run.people:
        if people.group not in run.result.groups or people.scales != BENCHMARK_SCALES:
            columns = rated_columns(people)
            yield f"<p>{escaped(rated_by(people))}</p>"
            cells = {name: metric_cell(metric) for name, metric in columns.items()}
            yield _table(Table("", tuple(columns), ((people.task, cells),)))


def _understanding(run: FinishedRun) -> Iterator[str]:
    """For each group: accuracy by condition, confusions, and F1 of each label."""
    groups: dict[str, list[TaskResult]] = {}
    for task, result in _scored_by(run, "understanding"):
        groups.setdefault(task.group or task.task, []).append(result)
    for name, results in groups.items():
        title = f"<h3>{escaped(TITLES.get(name, name))}</h3>" if len(groups) > 1 else ""
        yield title + slopes({one.condition: one.metrics["accuracy"] for one in results if "accuracy" in one.metrics})
        yield f"<div class='side'>{''.join(map(_confusion, results))}</div>"
        yield _class_scores(results)


def _scored_by(run: FinishedRun, scorer: str) -> Iterator[tuple[TaskSpec, TaskResult]]:
    """The tasks that were asked and have a scorer, whose details they therefore hold."""
    for task in run.record.tasks:
        result = run.result.tasks[task.task]
        if result.status != "skipped" and any(one.name == scorer for one in task.scorers):
            yield task, result


def _confusion(result: TaskResult) -> str:
    confusion = result.details["confusion"]
    columns, labels = confusion["columns"], result.details["labels"]
    rows = []
    for label, counts in zip(labels, confusion["counts"], strict=True):
        total = sum(counts)
        cells = "".join(f"<td class='{_shade(n, total)}'>{n:,}</td>" for n in counts)
        rows.append(f"<tr><th scope='row'>{escaped(label)}</th>{cells}</tr>")
    head = "".join(f"<th scope='col'>{escaped(name)}</th>" for name in columns)
    return (
        f"<figure><figcaption>{_condition(result)} <span class='faint'>rows: label, columns: answer</span></figcaption>"
        f"<div class='wide'><table class='confusion'><thead><tr><th></th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></figure>"
    )


def _shade(count: int, total: int) -> str:
    return f"s{round(_SHADES * count / total) if total else 0}"


def _class_scores(tasks: Sequence[TaskResult]) -> str:
    labels = list(dict.fromkeys(label for one in tasks for label in one.details["labels"]))
    rows = []
    for label in labels:
        scores = [one.details["per_class"].get(label) for one in tasks]
        rows.append([escaped(label), *(figure(score["f1"]) if score else UNDEFINED for score in scores)])
    return table(["F1 of each label", *map(_condition, tasks)], rows)


def _condition(result: TaskResult) -> str:
    return escaped(_CONDITIONS.get(result.condition, result.task))


def _conflicts(run: FinishedRun) -> Iterator[str]:
    for task, result in _scored_by(run, "modality_preference"):
        rows = [
            _conflict_row("all", {name: metric.value for name, metric in result.metrics.items()}, result.n_answered)
        ]
        for part in ("per_pair", "per_direction"):
            rows += [_conflict_row(name, rates, rates["n"]) for name, rates in result.details[part].items()]
        names = ("as heard (AAR)", "as seen (VAR)", "neither (OLR)")
        shares = (f"<span class='swatch part{number}'></span>{name}" for number, name in enumerate(names))
        head = ["", *shares, "n", ""]
        yield f"<h3>{escaped(task.task)}</h3>" + table(head, rows)


def _conflict_row(name: str, rates: Mapping[str, Any], n: int) -> list[str]:
    values = [rates.get(rate) for rate in ("aar", "var", "olr")]
    bar = share_bar([value for value in values if value is not None])
    return [escaped(name), *map(figure, values), f"{n:,}", bar]


def _metrics(run: FinishedRun) -> str:
    rows = []
    for task in run.record.tasks:
        result = run.result.tasks[task.task]
        if result.status == "skipped":
            rows.append([escaped(task.task), *[UNDEFINED] * 8])
            continue
        counts = [result.n_clusters, result.n_invalid, result.n_errors, result.n_missing]
        for number, (name, metric) in enumerate(result.metrics.items()):
            first = "" if number else escaped(task.task) + _not_asked(result)
            rest = [""] * 4 if number else [f"{count:,}" for count in counts]
            value = shown_value(metric) + _superscript(mark_of(metric))
            interval = escaped(shown_interval(metric, dash="–"))
            rows.append([first, escaped(name), value, interval, f"{metric.n:,}", *rest])
    return table(METRIC_COLUMNS, rows) + (_notes(_mark_lines(run.result.marks)) if run.result.marks else "")


def _not_asked(result: TaskResult) -> str:
    return f"<br><small>{escaped(not_asked(result))}</small>" if result.not_asked else ""


def _doubts(run: FinishedRun) -> Iterator[str]:
    """What the terminal's table says below it, and how often answers were odd."""
    notes = [note for note in result_notes(run.result) if not note.startswith(("replies judged by", "  "))]
    notes += [f"{name}: {not_asked(task)}" for name, task in run.result.tasks.items() if task.not_asked]
    rows = [
        [escaped(name), f"{count:,}", escaped(flag.replace("_", " ")), escaped(FLAGS.get(flag, ""))]
        for name, result in run.result.tasks.items()
        for flag, count in (*result.flags.items(), *([("invalid", result.n_invalid)] if result.n_invalid else []))
    ]
    if notes:
        yield f"<ul>{''.join(f'<li>{escaped(note)}</li>' for note in notes)}</ul>"
    if rows:
        yield table(["task", "answers", "oddity", ""], rows)
    if not notes and not rows:
        yield "<p>Nothing failed, nothing is missing, and no answer was odd.</p>"


def _judge(run: FinishedRun) -> Iterator[str]:
    judge = run.result.judge
    if judge is not None:
        yield f"<p>{escaped(publishable(judge.name))} <span class='faint'>{escaped(judge.digest[:12])}</span></p>"
        lines = publishable([str(line) for line in judge.card.get("lines", ())])
        yield f"<ul>{''.join(f'<li>{escaped(line)}</li>' for line in lines)}</ul>"


def _setup(run: FinishedRun) -> Iterator[str]:
    config = run.record.config
    rows = [
        ["model", escaped(" ".join([config.model, *(f"{k}={v}" for k, v in publishable(config.model_args).items())]))],
        ["tasks", escaped(", ".join(publishable(config.tasks)))],
        *([["generation", escaped(str(dict(config.generation)))]] if config.generation else []),
        ["seed", str(config.seed)],
        ["identity", escaped(", ".join(f"{k} {v}" for k, v in publishable(run.result.identity).items()))],
        ["intervals", f"95 %, {run.result.bootstrap['resamples']:,} resamples of whole dialogues; shares: exact"],
        *([escaped(name), f"version {r.version}, digest {r.digest[:12]}"] for name, r in run.result.tasks.items()),
    ]
    lines = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    yield f"<details><summary>Model, tasks and versions</summary><dl>{lines}</dl></details>"
