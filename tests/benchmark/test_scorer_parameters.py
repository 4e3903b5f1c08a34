"""Parameters of scorers are checked with the task: unknown ones with the nearest name, and wrong values."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.packages import write_package

from avemo_harness.benchmark.task_file import load_task_file
from avemo_harness.errors import TaskError, UsageError
from avemo_harness.scorers import METRICS, REGISTRY, SCORERS, WITHOUT_PARAMETERS, load_scorer
from avemo_harness.scorers.base import PluginScorer

TASK = """task: words
version: 1
dataset: {{path: table, name: default}}
condition: full_av
messages: [{{role: user, content: [{{type: text, text: "What is felt?"}}]}}]
output: {output}
scorers:
- name: {name}
  metrics: [{metric}]
{parameters}"""


def problems(
    folder: Path,
    parameters: str = "",
    name: str = "text_match",
    metric: str = "exact_match",
    output: str = "{type: text}",
) -> list[str]:
    file = folder / "words.yaml"
    file.write_text(TASK.format(parameters=parameters, name=name, metric=metric, output=output))
    try:
        load_task_file(file, METRICS)
    except TaskError as error:
        return [line.removeprefix(f"{file}:") for line in str(error).splitlines()]
    return []


def test_parameters_that_fit_are_taken(tmp_path: Path) -> None:
    assert problems(tmp_path, "  parameters: {ignore_case: false, compatible: true}") == []
    scorer = load_scorer("text_match", {"ignore_case": False})
    assert scorer.arguments.ignore_case is False  # type: ignore[attr-defined]


def test_each_wrong_parameter_is_named_with_its_line_and_the_nearest(tmp_path: Path) -> None:
    found = problems(tmp_path, "  parameters:\n    ignore_cases: true\n    ignore_articles: perhaps\n    xyz: 3\n")
    assert found[0] == (
        "11: scorers[0].parameters.ignore_cases: text_match takes no argument 'ignore_cases'; nearest: 'ignore_case'"
    )
    assert found[1].startswith(
        "12: scorers[0].parameters.ignore_articles: text_match: argument ignore_articles='perhaps'"
    )
    assert found[2].startswith("13: scorers[0].parameters.xyz: text_match takes no argument 'xyz'; known: ignore_case,")
    assert len(found) == 3


def test_a_scorer_without_arguments_refuses_parameters(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "  parameters: {bins: 3}", "choice", "accuracy", "{type: choice}")
    assert found == "10: scorers[0].parameters.bins: choice takes no argument 'bins'; it takes none"
    with pytest.raises(UsageError, match="choice takes no argument 'bins'"):
        load_scorer("choice", {"bins": 3})


def test_a_scorer_refuses_answers_of_another_type(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, name="choice", metric="accuracy")
    assert found == "8: scorers[0].name: the scorer choice is for output.type: choice, found text"


@pytest.mark.parametrize("name", SCORERS)
def test_a_scorer_is_looked_at_where_it_takes_parameters(name: str) -> None:
    assert (name in WITHOUT_PARAMETERS) is (getattr(REGISTRY.load(name), "Arguments", None) is None)


PACKAGE = '''
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    low: float
    high: float = 1.0


class Scorer:
    """Scores nothing."""

    Arguments = Limits
    metrics = ("mean",)

    def __init__(self, arguments):
        self.arguments = arguments

    def score(self, task, answers):
        raise NotImplementedError
'''


def test_a_packages_scorer_has_parameters_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(
        tmp_path, "limited", {"avemo_harness.scorers": {"limited": "limited:Scorer"}}, {"limited.py": PACKAGE}
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert problems(tmp_path, "  parameters: {low: 2}", "limited", "mean") == []
    assert problems(tmp_path, "", "limited", "mean") == ["8: scorers[0].parameters: limited needs low=…"]
    (found,) = problems(tmp_path, "  parameters: {low: 2, hihg: 3}", "limited", "mean")
    assert found == "10: scorers[0].parameters.hihg: limited takes no argument 'hihg'; nearest: 'high'"
    scorer = load_scorer("limited", {"low": 2})
    assert isinstance(scorer, PluginScorer)
