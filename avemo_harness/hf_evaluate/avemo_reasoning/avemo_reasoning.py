"""The relation of a spoken reply's emotion to the user's, for `evaluate.load`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate  # type: ignore[import-untyped]  # (it has no types)

from avemo_harness.hf_evaluate.inputs import Turn, as_trajectories, metric_info, require_dimensions, spoken_exchanges
from avemo_harness.metrics.profiles import AV_EMO, PROFILES, Profile
from avemo_harness.metrics.trajectory import Scale
from avemo_harness.scorers.reasoning_columns import Scores, companion_columns

DESCRIPTION = """\
Whether the emotion of a spoken reply follows the user's (ECS, contagion), balances it where it is extreme (EBS) and
stays steady (ESS), all together (ERS), and the same across the turns of a dialogue (CT-*): the reasoning metrics of
AV-EMO-Reasoning (arXiv 2510.07355), from trajectories of valence and arousal. Under the default profile all are in
[0, 1], higher is better. The configuration names the profile: av_emo (default), emo_reasoning, emo_reasoning_unit.
"""
INPUTS = """
Args:
    predictions: the replies, each a dict of lists of equal length by dimension: valence, arousal, and dominance for the
        profiles emo_reasoning and emo_reasoning_unit. Empty lists stand for a reply without speech: it is not scored.
    references: the users' turns before them, alike.
    dialogues: the dialogue of each turn, the turns of one in their order; default, every turn stands alone.
    scale: "unit" ([0, 1], 0.5 neutral, the default) or "signed" ([-1, 1], 0 neutral).
    rate_hz: values a second; each profile takes its own alone, av_emo 2 (the default), emo_reasoning 1.
Returns:
    ecs, ebs, ess, ers: means over turns where defined. EBS is undefined for a user who is not extreme, ESS for one
        value, ERS without ECS or ESS.
    ct_ecs, ct_ebs, ct_ess, ct_ers: means over dialogues where defined.
    ebs_dir, ct_ebs_dir: beside EBS and CT-EBS, which punish calm: how much of the shift out of the extreme was made.
    ecs_band, ess_rate: companions, each sighted where the published form is blind: to lag, to small steps.
    n_<metric>: turns or dialogues where it is defined.
    coverage: spoken replies / turns.
    n_turns: turns.
    A mean is None where nothing is defined.
Examples:
    >>> user, reply = {"valence": [0.2, 0.2], "arousal": [0.5, 0.5]}, {"valence": [0.3, 0.3], "arousal": [0.5, 0.5]}
    >>> scores = metric.compute(predictions=[reply], references=[user])
    >>> {name: round(scores[name], 4) for name in ("ecs", "ebs", "ess", "ers")}
    {'ecs': 0.875, 'ebs': 0.9725, 'ess': 1.0, 'ers': 0.9492}
    >>> scores["ct_ess"], scores["n_ct_ess"]
    (None, 0)
"""
CITATIONS = ("AV-EMO-Reasoning, arXiv 2510.07355", "EMO-Reasoning, arXiv 2508.17623")
COMPANIONS = ("ecs_band", "ess_rate")


class AvemoReasoning(evaluate.Metric):  # type: ignore[misc]  # (evaluate has no types)
    """ECS, EBS, ESS, ERS and CT-* of replies under a profile."""

    @property
    def profile(self) -> Profile:
        """The profile that the configuration names (ValueError: there is none)."""
        name = AV_EMO.name if self.config_name == "default" else self.config_name
        if name not in PROFILES:
            raise ValueError(f"expected the profile {', '.join(PROFILES)}, found {name!r}")
        return PROFILES[name]

    def _info(self) -> evaluate.MetricInfo:
        turn = {name: datasets.List(datasets.Value("float64")) for name in self.profile.dimensions}
        return metric_info(DESCRIPTION, INPUTS, {"predictions": turn, "references": turn}, *CITATIONS)

    def add_batch(
        self, *, predictions: Sequence[Turn] | None = None, references: Sequence[Turn] | None = None, **others: Any
    ) -> None:
        """Add turns, each with the dimensions of the profile and no other (ValueError)."""
        require_dimensions(predictions or (), self.profile, "predictions")
        require_dimensions(references or (), self.profile, "references")
        super().add_batch(predictions=predictions, references=references, **others)

    def _compute(
        self,
        predictions: Sequence[Turn],
        references: Sequence[Turn],
        dialogues: Sequence[str] | None = None,
        scale: Scale = "unit",
        rate_hz: float = 2.0,
    ) -> dict[str, float | None]:
        replies = as_trajectories(predictions, self.profile, scale, rate_hz, "predictions")
        users = as_trajectories(references, self.profile, scale, rate_hz, "references")
        exchanges = spoken_exchanges(users, replies, dialogues)
        columns = Scores.of(exchanges, self.profile).columns()
        beside = companion_columns(exchanges, self.profile)
        columns.update({name: beside[name] for name in COMPANIONS})
        return {
            **{name: column.mean for name, column in columns.items()},
            **{f"n_{name}": int(column.defined.sum()) for name, column in columns.items()},
            "coverage": len(exchanges) / len(users) if users else None,
            "n_turns": len(users),
        }
