"""The continuous recogniser of valence and arousal (AV-CSER; AV-EMO-Reasoning, arXiv 2510.07355, section 4)."""

from __future__ import annotations
