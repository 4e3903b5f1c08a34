"""Judges made of published checkpoints, which need no training."""
