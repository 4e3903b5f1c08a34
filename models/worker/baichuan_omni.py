"""Baichuan-Omni-1.5 in its private environment."""

from __future__ import annotations

from avemo_harness.models.baichuan_omni import BaichuanOmni
from avemo_harness.models.worker.hosted import HostedModel


class HostedBaichuanOmni(HostedModel):
    """`BaichuanOmni`, answering from its environment."""

    environment = "baichuan-omni"
    place = "avemo_harness.models.baichuan_omni:BaichuanOmni"
    Arguments = BaichuanOmni.Arguments
    capabilities = BaichuanOmni.capabilities
