"""The measurement of Qwen2.5-Omni runs through in its small form, and finds equal answers at every batch size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_small_form_measures_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from performance.qwen_omni import main

    rows = main(["--tiny", "--out", str(tmp_path / "lines.jsonl"), "--minutes", "30"])
    assert [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()] == rows
    assert not [row for row in rows if "failed" in row or "left_out" in row]
    measured = {(row["way"], row["what"], row["batch"]) for row in rows if "way" in row}
    for what in ("labels", "rankings", "replies"):
        assert {("card", what, 1), ("product", what, 1), ("product", what, 2)} <= measured
    assert all(row["errors"] == 0 for row in rows if row.get("way", "").startswith("product"))
    assert all(row["per_s"] > 0 and row["peak_gib"] > 0 for row in rows if "way" in row)
    differences = [row for row in rows if "differences" in row]
    assert len(differences) == 3
    for row in differences:
        assert (row["texts"], row["speech"], row["first_labels"], row["most_nats"]) == (0, 0, 0, 0.0)
    printed = capsys.readouterr().out
    assert printed.count("time by phase") == 2
    assert "card's way x" in printed


@pytest.mark.slow
def test_what_does_not_fit_into_the_time_is_left_out_and_said(tmp_path: Path) -> None:
    from performance.qwen_omni import main

    rows = main(["--tiny", "--minutes", "0"])
    assert [row["left_out"] for row in rows if "left_out" in row][:2] == ["warm-up", "card, labels, 1"]
    assert not [row for row in rows if "way" in row]
