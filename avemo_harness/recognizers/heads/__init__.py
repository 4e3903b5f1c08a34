"""Heads on features: late fusion, labels, and trajectories of valence and arousal."""

from __future__ import annotations
