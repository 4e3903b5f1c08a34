"""MiniCPM-o 2.6 in its private environment."""

from __future__ import annotations

from avemo_harness.models.minicpm_o import MiniCpmO
from avemo_harness.models.worker.hosted import HostedModel


class HostedMiniCpmO(HostedModel):
    """`MiniCpmO`, answering from its environment."""

    environment = "minicpm-o"
    place = "avemo_harness.models.minicpm_o:MiniCpmO"
    Arguments = MiniCpmO.Arguments
    capabilities = MiniCpmO.capabilities
