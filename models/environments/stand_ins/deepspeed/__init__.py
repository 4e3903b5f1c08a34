"""Stands in for deepspeed where published code imports it for training only: nothing is partitioned here."""

from __future__ import annotations

from types import SimpleNamespace


def _register_external_parameter(module: object, parameter: object) -> None:
    """Nothing to do: a parameter that is whole on its device needs no gathering before it is used."""
    del module, parameter


zero = SimpleNamespace(register_external_parameter=_register_external_parameter)
