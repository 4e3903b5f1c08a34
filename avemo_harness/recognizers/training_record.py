"""What a recogniser learned from, for its card."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Training:
    """What a recogniser learned from.

    Args:
        corpus: the corpora's names.
        fingerprint: digest of the recordings and their ratings.
        split: how validation was kept apart.
        delay_s: by how much the ratings were moved earlier, as raters who follow live lag behind.
    """

    corpus: str
    fingerprint: str
    n_recordings: int
    n_speakers: int
    seconds: float
    split: str
    seed: int
    delay_s: float = 0.0

    def lines(self) -> list[str]:
        """In a line for a terminal."""
        delay = f"; ratings moved earlier by {self.delay_s:g} s" if self.delay_s else ""
        return [
            f"trained on {self.corpus}: {self.n_recordings} recordings of {self.n_speakers} speakers, "
            f"{self.seconds / 60:.1f} min; {self.split}{delay}"
        ]
