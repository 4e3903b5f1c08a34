"""Every registered model can be made, says who it is, and treats a batch as its requests one by one."""

from __future__ import annotations

import pytest

from avemo_harness.benchmark.request import Message, Request, Text
from avemo_harness.benchmark.task import GenerationSpec, LabelOutput
from avemo_harness.errors import ModelError, UsageError
from avemo_harness.models import MODELS, load_model
from avemo_harness.models.base import ModelSetup
from avemo_harness.registry import parse_arguments

ELSEWHERE = ("qwen2.5-omni", "hf-omni", "minicpm-o", "baichuan-omni", "openai", "replies")
"""Models of a checkpoint, a server or a folder, whose identity needs one: their own tests say who they are."""

LABELS = LabelOutput(type="label", labels=("neutral", "happy", "angry", "sad"))
RANKED = LABELS.model_copy(update={"method": "rank"})


def request(number: int, output: LabelOutput = LABELS) -> Request:
    return Request(f"{number:064x}", f"d{number}", 0, (Message("user", (Text("?"),)),), output, GenerationSpec())


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ELSEWHERE])
def test_every_registered_name_makes_a_model_with_an_identity(name: str) -> None:
    model = load_model(name, {}, ModelSetup(training=lambda which: ()))
    assert model.identity()["model"] == name
    assert model.capabilities.largest_batch >= 1
    assert model.capabilities.outputs


@pytest.mark.parametrize("name", ["random", "constant"])
@pytest.mark.parametrize("output", [LABELS, RANKED])
def test_a_batch_is_answered_as_its_requests_one_by_one(name: str, output: LabelOutput) -> None:
    model = load_model(name, {}, ModelSetup())
    batch = [request(number, output) for number in range(20)]
    assert list(model.generate(batch)) == [model.generate([one])[0] for one in batch]


def test_ranked_answers_give_a_distribution_over_the_labels() -> None:
    import math

    response = load_model("constant", {"label": "sad"}, ModelSetup()).generate([request(1, RANKED)])[0]
    assert response.label_logprobs is not None
    assert sum(math.exp(value) for value in response.label_logprobs.values()) == pytest.approx(1.0)
    assert max(response.label_logprobs, key=response.label_logprobs.__getitem__) == "sad"


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("basline", {}, "unknown model 'basline'; nearest: 'baseline'"),
        ("constant", {"labels": "sad"}, "constant takes no argument 'labels'; nearest: 'label'"),
        ("random", {"seed": "1"}, "random takes no argument 'seed'; it takes none"),
        ("baseline", {"seed": "one"}, "baseline: argument seed='one'"),
    ],
)
def test_wrong_names_and_arguments_are_refused_with_the_nearest(
    name: str, arguments: dict[str, str], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        load_model(name, arguments, ModelSetup())


@pytest.mark.parametrize("text", ["label", "=sad", "label=sad,label=happy"])
def test_arguments_are_written_key_equals_value(text: str) -> None:
    with pytest.raises(UsageError):
        parse_arguments(text)
