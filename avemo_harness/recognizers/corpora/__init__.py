"""Corpora that recognisers learn from: recordings with ratings over time, or with a label each."""

from __future__ import annotations
