"""Exchanges that teach raters the scales: written here, said by the built-in voice and face, and told why at once.

Two scenes, each with two replies that are easily taken for equally good: anger that matches anger and understanding
that calms it; kind words for anybody and help with what was said. The built-in voice has no words: the page shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from avemo_harness.build.clips import ClipSpec, make_clip, make_speech
from avemo_harness.build.face import FPS
from avemo_harness.build.speakers import Speaker
from avemo_harness.build.voice import RATE
from avemo_harness.media import Samples

_PERSON, _ASSISTANT = Speaker.draw("person", 4), Speaker.draw("assistant", 7)
_SIDE = 240
_WORD_S, _PAUSE_S = 0.32, 0.8
"""How long a word takes, and the silence around a sentence."""


@dataclass(frozen=True, slots=True)
class Line:
    """Words, and the emotion that they are said with: neutral, happy, angry or sad."""

    words: str
    emotion: str
    intensity: float = 1.0


@dataclass(frozen=True, slots=True)
class Example:
    """An exchange whose rating is known.

    Args:
        name: as the study's key names it; raters do not see it.
        expected: from 1 to 5, on the scales that it teaches.
        why: by scale, what a rater is told after rating it.
    """

    name: str
    person: Line
    reply: Line
    expected: Mapping[str, int]
    why: Mapping[str, str]

    @property
    def words(self) -> tuple[str, str]:
        """What the person and the reply say."""
        return self.person.words, self.reply.words


_TRAIN = Line(
    "They cancelled my train again, without a word! I stood on that platform for two hours, and now my interview is "
    "gone!",
    "angry",
)
_TEST = Line(
    "I failed my driving test this morning, for the third time. I need the licence for my new job in June.", "sad"
)
EXAMPLES = (
    Example(
        "mirrored anger",
        _TRAIN,
        Line("That is outrageous! I am furious too! Those people are useless, all of them!", "angry"),
        {"er": 2},
        {
            "er": "The reply is as angry as the person. It matches, and it stirs the anger up: it does not show that "
            "it understands what was lost, and it calms nothing. Matching alone is never a 5 here."
        },
    ),
    Example(
        "kind platitude",
        _TEST,
        Line("Oh, I am so sorry to hear that. Stay positive, everything will be fine in the end!", "sad", 0.5),
        {"rr": 3},
        {
            "rr": "Kind, and it fits. But the same words would suit any bad news: nothing of the test, the new job or "
            "June is in them, and nothing helps. Kind words for anybody stay in the middle of this scale."
        },
    ),
    Example(
        "understanding of anger",
        _TRAIN,
        Line(
            "Two hours on that platform, nobody tells you anything, and then the interview is gone. Of course you are "
            "angry. Shall we write to them right now and ask for another day?",
            "neutral",
        ),
        {"er": 5},
        {
            "er": "The voice does not share the anger, and that is right: it stays calm, says that it understands what "
            "happened, and leads to what can still be saved. That helps an angry person most."
        },
    ),
    Example(
        "specific help",
        _TEST,
        Line(
            "A third time, with the new job so close, that hurts. June still leaves time: book the next test today, "
            "and two lessons on just what went wrong. I can also help you to tell your employer.",
            "sad",
            0.4,
        ),
        {"rr": 5},
        {
            "rr": "This takes up the test, the job and June, and says what to do next. Compare it with the kind words "
            "from before: help that is specific to this person is what the upper end of this scale is for."
        },
    ),
)


def person_clip(example: Example) -> bytes:
    """The person's face and voice: MP4, h264 and AAC. The same in every plan."""
    return make_clip(_spec(example.person, _PERSON))


def reply_speech(example: Example) -> tuple[Samples, int]:
    """The reply's voice, float32 mono, and its samples a second."""
    return make_speech(_spec(example.reply, _ASSISTANT)).samples, RATE


def _spec(line: Line, speaker: Speaker) -> ClipSpec:
    frames = round((len(line.words.split()) * _WORD_S + _PAUSE_S) * FPS)
    return ClipSpec(line.words, speaker, line.emotion, frames, line.intensity, line.intensity, seed=1, side=_SIDE)
