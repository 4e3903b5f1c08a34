"""Utterances to be spoken and animated."""

from __future__ import annotations

from dataclasses import replace

from avemo_harness.data.pipeline.backends import Portrait, ScriptLine, SpeakerProfile, Utterance

LINE = ScriptLine("user", "I left the key on the shelf.", "happy", "bright and quick")
SPEAKER = SpeakerProfile("speaker03", 3, "female", "vivian", None)
UTTERANCE = Utterance("single-0003, turn 0", LINE, SPEAKER, seed=11)


def with_portrait(portrait: Portrait | None) -> Utterance:
    """The utterance above, said by someone who has a portrait."""
    return replace(UTTERANCE, speaker=replace(SPEAKER, portrait=portrait))
