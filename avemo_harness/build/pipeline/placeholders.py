"""Texts of a configuration with placeholders, such as ``voices/{speaker}.wav``. Nothing in them is ever run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Formatter

from avemo_harness.build.pipeline.backends import Utterance
from avemo_harness.errors import UsageError
from avemo_harness.names import hint

UTTERANCE_PLACEHOLDERS = ("speaker", "voice", "gender", "style", "emotion")


@dataclass(frozen=True, slots=True)
class Template:
    """A text in parts.

    Args:
        parts: literal text, and the placeholder that follows it; None at the end.
    """

    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, where: str, text: str, known: Iterable[str]) -> Template:
        """Split a text; braces that are meant themselves are doubled, as in Python's formats.

        Args:
            where: what the text is, for the message.
            known: placeholders there are.

        Raises:
            UsageError: a single brace, an unknown placeholder, or a format in one.

        >>> Template.parse("voice", "{gender}-{{1}}", ["gender"]).fill({"gender": "male"})
        'male-{1}'
        """
        known = list(known)
        try:
            parsed = list(Formatter().parse(text))
        except ValueError as error:
            raise UsageError(f"{where}: {text!r} has a brace too many or too few ({error}); double it") from error
        for _, name, form, conversion in parsed:
            if name is not None and (name not in known or form or conversion):
                raise UsageError(f"{where}: {text!r} has no valid placeholder {{{name}}}{hint(name, known)}")
        return cls(tuple((literal, name) for literal, name, _, _ in parsed))

    @property
    def names(self) -> frozenset[str]:
        """The placeholders in it."""
        return frozenset(name for _, name in self.parts if name is not None)

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with values in place of its placeholders; what stands in a value is taken as it is."""
        return "".join(literal + (values[name] if name is not None else "") for literal, name in self.parts)


def utterance_values(utterance: Utterance) -> Mapping[str, str]:
    """What `UTTERANCE_PLACEHOLDERS` stand for."""
    character, line = utterance.character, utterance.line
    return {
        "speaker": character.speaker_id,
        "voice": character.voice,
        "gender": character.gender,
        "style": line.style,
        "emotion": line.emotion,
    }
