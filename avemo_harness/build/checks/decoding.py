"""Whether every clip decodes to the end and is as long as the release says."""

from __future__ import annotations

from dataclasses import dataclass

from avemo_harness.build.checks.base import Finding, told
from avemo_harness.build.checks.material import Material
from avemo_harness.build.checks.survey import ClipFacts, ClipProblem

DURATION_SLACK_S = 0.12
"""How far a clip may be from the duration that its row gives: three frames of 25 a second."""


@dataclass(frozen=True, slots=True)
class MediaDetails:
    """What is wrong with clips.

    Args:
        problems: clips that are damaged, or not of the length that their row gives.
        uneven: clips whose sound and video are not equally long, so that one of them ends early.
    """

    problems: tuple[str, ...]
    uneven: tuple[str, ...]


def check_media(material: Material) -> Finding:
    """Whether sound and video decode to the end, last as long as `duration_s` says, and equally long."""
    problems = [one.text for one in material.clips.values() if isinstance(one, ClipProblem) and one.kind == "damaged"]
    uneven = []
    whole = unread = 0
    for place in material.turns():
        facts = material.clips[place.turn.clip.sha256] if place.turn.clip else None
        if isinstance(facts, ClipFacts):
            whole += 1
            lengths = [length for length in (facts.sound_s, facts.video_s) if length is not None]
            stated_s = place.turn.duration_s
            if stated_s is not None and all(abs(length - stated_s) > DURATION_SLACK_S for length in lengths):
                problems.append(f"{place.name}: its clip lasts {max(lengths):.2f} s, duration_s says {stated_s:.2f}")
            if max(lengths) - min(lengths) > DURATION_SLACK_S:
                uneven.append(f"{place.name}: its sound lasts {facts.sound_s:.2f} s, its video {facts.video_s:.2f} s")
        elif facts is not None:
            unread += 1
    details = MediaDetails(tuple(problems), tuple(uneven))
    if problems:
        return Finding("media", material.config, "fail", told(details.problems), details)
    if not whole:
        return Finding("media", material.config, "cannot tell", "there is no clip here", details)
    if uneven:
        return Finding("media", material.config, "warn", told(details.uneven), details)
    if unread:
        why = f"the clips of {unread:,} of {whole + unread:,} turns could not be read; the others decode to the end"
        return Finding("media", material.config, "cannot tell", why, details)
    return Finding("media", material.config, "pass", f"the clips of {whole:,} turns decode to the end", details)
