"""Neural networks on this machine."""

from __future__ import annotations

import pytest

from avemo_harness.torch_setup import own_device


def test_each_launched_process_has_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_device() == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert own_device() == "cuda:2"
    monkeypatch.setenv("LOCAL_RANK", "5")
    assert own_device() == "cuda:1"
    monkeypatch.delenv("LOCAL_RANK")
    assert own_device() == "cuda:0"
