"""What generated speakers say: everyday sentences that fit any emotion, so that the words do not tell it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_OPENINGS = (
    "I left the {thing} on the {place} before I went out.",
    "The {thing} that we ordered is here, it is on the {place}.",
    "My {person} put the {thing} back on the {place} again.",
    "They moved my {thing} to the {place} this morning.",
    "I saw your {person} at the door with the {thing}.",
    "We are taking the {thing} to my {person} on {day}.",
    "My {person} said that the {thing} will be ready by {day}.",
    "There is a note about the {thing} on the {place}.",
    "On {day} I have to show the {thing} to my {person}.",
    "You can see the {thing} from the {place}, next to the stairs.",
    "My {person} called about the {thing} on {day}.",
    "I counted everything, and the {thing} was on the {place}.",
)
_SEQUELS = (
    "So on {day} I went to look at the {thing} once more.",
    "And then my {person} asked me about the {thing}.",
    "It had been on the {place} the whole time.",
    "Now my {person} is coming over because of it.",
    "They told me that it would take until {day}.",
    "I did not think that the {thing} would be on the {place}.",
    "Then I put it all back on the {place} and went home.",
    "My {person} has the other half of it until {day}.",
)
_REPLIES = (
    "I see. Tell me more about the {thing}.",
    "Thank you for telling me. Where is the {thing} now?",
    "I am listening. What did your {person} say about it?",
    "Let us go through it together, starting with the {thing}.",
    "That is a lot to think about. What will you do on {day}?",
    "I understand. Shall I write that down for {day}?",
)
_SLOTS = {
    "thing": (
        "blue box",
        "old radio",
        "green bag",
        "letter",
        "key",
        "map",
        "picture",
        "table lamp",
        "notebook",
        "parcel",
    ),
    "place": ("kitchen table", "top shelf", "window sill", "back seat", "front desk", "balcony", "work bench"),
    "person": ("sister", "neighbour", "cousin", "teacher", "uncle", "manager", "room mate"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
}


@dataclass(frozen=True, slots=True)
class Situation:
    """What one talk is about: a word for each slot of the sentences."""

    thing: str
    place: str
    person: str
    day: str

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Situation:
        """Draw a word for every slot."""
        return cls(*(words[rng.integers(len(words))] for words in _SLOTS.values()))

    def opening(self, rng: np.random.Generator) -> str:
        """A sentence that starts a talk."""
        return self._fill(_OPENINGS, rng)

    def sequel(self, rng: np.random.Generator) -> str:
        """A sentence that goes on with it."""
        return self._fill(_SEQUELS, rng)

    def reply(self, rng: np.random.Generator) -> str:
        """What the other side says to either."""
        return self._fill(_REPLIES, rng)

    def _fill(self, templates: tuple[str, ...], rng: np.random.Generator) -> str:
        template = templates[rng.integers(len(templates))]
        return template.format(thing=self.thing, place=self.place, person=self.person, day=self.day)
