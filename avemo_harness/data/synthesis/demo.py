"""Demo release: planned, synthesised by the built-in voice and face on first use, then cached."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np

from avemo_harness.benchmark.origin import DEMO_SOURCE
from avemo_harness.benchmark.release import EMOTIONS, Clip, ConflictPair, Dialogue, Role, Turn
from avemo_harness.benchmark.release_writer import write_release
from avemo_harness.data.conflict_pairs import OPPOSITES, PairCandidate, in_both_orders
from avemo_harness.data.synthesis.affect import (
    ASSISTANT_ID,
    ASSISTANT_INTENSITY,
    ASSISTANT_NUMBER,
    Speaker,
    stored_tracks,
)
from avemo_harness.data.synthesis.clips import GENERATOR_VERSION, ClipSpec, make_clip, make_sound_clip, rated_affect
from avemo_harness.data.synthesis.planning import (
    REPLY_EMOTIONS,
    draw_frames,
    draw_sentence_length,
    role_of,
    shuffle_and_name,
)
from avemo_harness.data.synthesis.sentences import Situation
from avemo_harness.errors import ReleaseError
from avemo_harness.files import exclusive_lock
from avemo_harness.text import Notify
from avemo_harness.torch_setup import processors, worker_pool

_REPLY_STYLES = {
    "neutral": "calm and even",
    "happy": "warm and lively",
    "angry": "calm and even",
    "sad": "soft and slow",
}
"""Of the assistant's reply to each emotion."""
_ASSISTANT = Speaker.draw(ASSISTANT_ID, ASSISTANT_NUMBER)
_TURNS_OF_TALK = 5


@dataclass(frozen=True, slots=True)
class DemoSize:
    """Size of the demo, and how clearly its speakers express themselves.

    Args:
        train_speakers, test_speakers: people in each part; nobody is in both.
        train_sentences, test_sentences: of each speaker, each said in all four emotions.
        talks: multi-turn dialogues of each test speaker, a multiple of four.
        audio_intensity, video_intensity: range of how much of an emotion a voice and a face show; drawn separately
            for every clip, so that now one of them tells little, now the other.
    """

    train_speakers: int = 12
    test_speakers: int = 4
    train_sentences: int = 4
    test_sentences: int = 7
    talks: int = 4
    audio_intensity: tuple[float, float] = (0.15, 1.0)
    video_intensity: tuple[float, float] = (0.15, 1.0)
    seed: int = 2026


DEMO_SIZE = DemoSize()


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """An utterance to be recorded: with a face for the user, sound alone for the assistant."""

    role: Role
    spec: ClipSpec
    style_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedDialogue:
    """Utterances in order, the first of them the user's."""

    dialogue_id: str
    turns: tuple[PlannedTurn, ...]


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Everything that decides the demo release."""

    train: tuple[PlannedDialogue, ...]
    test: tuple[PlannedDialogue, ...]
    pairs: tuple[ConflictPair, ...]


def plan_demo(size: DemoSize = DEMO_SIZE) -> DemoPlan:
    """Plan the release; equal sizes give equal plans.

    >>> len(plan_demo().test)
    128
    """
    draft = _Draft(size)
    people = [Speaker.draw(f"speaker{i:02}", i) for i in range(size.train_speakers + size.test_speakers)]
    training, unseen = people[: size.train_speakers], people[size.train_speakers :]
    train = [(turn,) for speaker in training for turn in draft.recordings(speaker, size.train_sentences)]
    test = [draft.with_reply(turn) for speaker in unseen for turn in draft.recordings(speaker, size.test_sentences)]
    test += [talk for speaker in unseen for talk in draft.talks(speaker, size.talks)]
    named = draft.shuffled("test", test)
    return DemoPlan(draft.shuffled("train", train), named, _conflict_pairs(named))


class _Draft:
    """Draws one utterance after the other."""

    def __init__(self, size: DemoSize) -> None:
        self._size, self._rng = size, np.random.default_rng(size.seed)

    def recordings(self, speaker: Speaker, sentences: int) -> Iterator[PlannedTurn]:
        """Different sentences, each said in all four emotions."""
        said: set[str] = set()
        while len(said) < sentences:
            text = Situation.draw(self._rng).opening(self._rng)
            if text in said:
                continue
            said.add(text)
            length_s = draw_sentence_length(self._rng)
            for emotion in EMOTIONS:
                yield self._user_turn(speaker, text, emotion, length_s)

    def with_reply(self, turn: PlannedTurn) -> tuple[PlannedTurn, ...]:
        """A single-turn dialogue."""
        return (turn, self._reply(Situation.draw(self._rng).reply(self._rng), turn.spec.emotion))

    def talks(self, speaker: Speaker, count: int) -> Iterator[tuple[PlannedTurn, ...]]:
        """Dialogues of five utterances. Each of the three user turns goes through all emotions in an order of its own.

        A turn's emotion is thus independent of its place and, but for chance, of the turn before.
        """
        orders = [[EMOTIONS[i % 4] for i in self._rng.permutation(count)] for _ in range(3)]
        for emotions in zip(*orders, strict=True):
            # One generator draws the words of a turn, then its recording, then the words of the next.
            texts = Situation.draw(self._rng).talk(_TURNS_OF_TALK, self._rng)
            yield tuple(
                self._user_turn(speaker, text, emotions[turn // 2])
                if role_of(turn) == "user"
                else self._reply(text, emotions[turn // 2])
                for turn, text in enumerate(texts)
            )

    def shuffled(self, split: str, dialogues: Sequence[tuple[PlannedTurn, ...]]) -> tuple[PlannedDialogue, ...]:
        """Dialogues in an order, and with ids, that tell nothing."""
        return tuple(PlannedDialogue(*named) for named in shuffle_and_name(dialogues, split, 4, self._rng))

    def _user_turn(self, speaker: Speaker, text: str, emotion: str, length_s: float | None = None) -> PlannedTurn:
        size = self._size
        intensities = self._rng.uniform(*size.audio_intensity), self._rng.uniform(*size.video_intensity)
        return PlannedTurn("user", self._spec(text, speaker, emotion, intensities, length_s))

    def _reply(self, text: str, emotion: str) -> PlannedTurn:
        spec = self._spec(text, _ASSISTANT, REPLY_EMOTIONS[emotion], (ASSISTANT_INTENSITY, 0.0), None)
        return PlannedTurn("assistant", spec, _REPLY_STYLES[emotion])

    def _spec(
        self,
        text: str,
        speaker: Speaker,
        emotion: str,
        intensities: tuple[float, float],
        length_s: float | None,
    ) -> ClipSpec:
        frames = draw_frames(length_s or draw_sentence_length(self._rng), self._rng)
        seed = int(self._rng.integers(2**32))
        return ClipSpec(text, speaker, emotion, frames, *intensities, seed)


def _conflict_pairs(dialogues: Sequence[PlannedDialogue]) -> tuple[ConflictPair, ...]:
    """Pair a happy recording with a sad or an angry one of the same sentence by the same speaker, in both orders.

    Sad and angry take turns. Recordings of a sentence differ by less than a second in length, so every pair fits.
    """
    recordings: dict[tuple[str, str], dict[str, PairCandidate]] = defaultdict(dict)
    for dialogue in dialogues:
        if len(dialogue.turns) == 2:
            spec = dialogue.turns[0].spec
            speaker = spec.speaker.speaker_id
            candidate = PairCandidate(dialogue.dialogue_id, 0, speaker, spec.emotion, spec.duration_s)
            recordings[speaker, spec.text][spec.emotion] = candidate
    pairs = [
        pair
        for index, by_emotion in enumerate(recordings.values())
        for pair in in_both_orders(by_emotion["happy"], by_emotion[OPPOSITES["valence"][index % 2]])
    ]
    return tuple(replace(pair, pair_id=f"pair-{number:04}") for number, pair in enumerate(pairs))


CONFIG = "demo"
LICENCE = "CC0-1.0"

DemoPart = Literal["train", "test"]
PARTS: tuple[DemoPart, ...] = ("train", "test")

_CLIPS_A_CALL = 4
_CLIPS_A_WORKER = 16
_CLIPS_TIMED = 24
"""Clips after which it is said how long the others take."""
_SAY_EVERY_S = 5.0


def training_digest() -> str:
    """Digest (hex) of the plan of the train part: what is learned from it stays valid while this does."""
    return hashlib.sha256(repr((GENERATOR_VERSION, plan_demo().train)).encode()).hexdigest()


def demo_release(cache_dir: Path, progress: Notify | None = None, parts: Sequence[DemoPart] = PARTS) -> Path:
    """The folder of the demo release under the cache; parts that are not there yet are made, by one process for all.

    The folder's name tells what decides its content, so another version of the generator or of the libraries that
    draw and encode makes its own.

    Args:
        progress: is told in plain sentences how far the making is.
        parts: that are needed: asking needs the test part alone, and only what learns needs the train part.
    """
    folder = cache_dir / f"demo-v{GENERATOR_VERSION}-{_digest(plan_demo())}"
    if _missing(folder, parts):
        say = progress or (lambda sentence: None)
        waiting = partial(say, "another process is making the demo release; waiting for it")
        with exclusive_lock(cache_dir / "locks" / folder.name, waiting):
            if missing := _missing(folder, parts):
                build_demo(folder, parts=missing, progress=progress)
    return folder


def build_demo(
    folder: Path,
    *,
    workers: int | None = None,
    progress: Notify | None = None,
    size: DemoSize = DEMO_SIZE,
    parts: Sequence[DemoPart] = PARTS,
) -> None:
    """Make the release: config ``demo`` with splits ``train`` and ``test``, config ``demo_conflict`` with ``test``.

    What is made is made in a hidden folder beside and moved into place when complete. Where another process was faster,
    its release, which is the same, stays.

    Args:
        folder: to be made; may exist if it is empty or holds the other part.
        workers: processes that make clips, by default one a processor; 1 makes them in this one.
        parts: to be made.

    Raises:
        ReleaseError: the folder holds something else already.
    """
    if folder.exists() and any(folder.iterdir()) and not _is_release(folder):
        raise ReleaseError(f"{folder} is not empty; name a new folder for the demo release")
    if not (missing := _missing(folder, parts)):
        raise ReleaseError(f"{folder} holds the demo release already; name a new folder for another one")
    say = progress or (lambda sentence: None)
    plan = plan_demo(size)
    turns = [turn for part in missing for dialogue in _planned(plan, part) for turn in dialogue.turns]
    clips = iter(_made_clips(turns, missing, workers or processors(), say))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True) as made:
        hidden = Path(made) / "release"
        hidden.mkdir()
        for part in missing:
            dialogues = [_dialogue(planned, clips) for planned in _planned(plan, part)]
            write_release(hidden, CONFIG, {part: dialogues}, {"test": plan.pairs} if part == "test" else None)
        try:
            _put_into_place(hidden, folder, missing)
        except OSError as error:
            if not _is_release(folder):
                raise ReleaseError(
                    f"{folder} could not be made ({error}); name a new folder for the demo release"
                ) from error
    say(f"the demo release is in {folder}")


def _put_into_place(hidden: Path, folder: Path, parts: Sequence[DemoPart]) -> None:
    """Move a made release to its folder, or into it where the other part is there; the card, which names both, last."""
    if not _is_release(folder):
        hidden.rename(folder)
        return
    if not _missing(folder, parts):
        return
    for file in hidden.glob("*/*.parquet"):
        target = folder / file.relative_to(hidden)
        target.parent.mkdir(exist_ok=True)
        file.replace(target)
    write_release(folder, CONFIG, {})


def _planned(plan: DemoPlan, part: DemoPart) -> tuple[PlannedDialogue, ...]:
    return plan.train if part == "train" else plan.test


def _digest(plan: DemoPlan) -> str:
    versions = [f"{name} {version(name)}" for name in ("av", "numpy", "pillow")]
    return hashlib.sha256(repr((plan, versions)).encode()).hexdigest()[:10]


def _is_release(folder: Path) -> bool:
    return (folder / "README.md").is_file()


def _missing(folder: Path, parts: Sequence[DemoPart]) -> list[DemoPart]:
    """Those of the parts that the folder does not have, or that its card does not name yet, in the order of `PARTS`."""
    card = (folder / "README.md").read_text(encoding="utf-8") if _is_release(folder) else ""
    return [part for part in PARTS if part in parts and f"{CONFIG}/{part}-*.parquet" not in card]


def _made_clips(turns: Sequence[PlannedTurn], parts: Sequence[str], workers: int, say: Notify) -> list[bytes]:
    say(f"making the {len(turns)} clips of the demo's {' and '.join(parts)} part, once")
    # More processes than the work is worth would only start, which takes each about half a second.
    workers = min(workers, -(-len(turns) // _CLIPS_A_WORKER))
    if workers > 1:
        try:
            with worker_pool(workers) as pool:
                return _counted(pool.map(_record, turns, chunksize=_CLIPS_A_CALL), len(turns), say)
        except (BrokenProcessPool, OSError) as error:
            say(f"no further processes can be started here ({error}); going on in this one")
    return _counted(map(_record, turns), len(turns), say)


def _counted(clips: Iterable[bytes], total: int, say: Notify) -> list[bytes]:
    """The clips; it is said how many are made, and how long the others take by the pace of those."""
    made: list[bytes] = []
    begun = said = 0.0
    for clip in clips:
        made.append(clip)
        now = time.monotonic()
        # The first one waits for the processes to start, which says nothing of the others.
        begun = begun or now
        if len(made) < total and (len(made) == _CLIPS_TIMED or (said and now - said > _SAY_EVERY_S)):
            said = now
            left_s = (total - len(made)) * (now - begun) / (len(made) - 1)
            say(f"{len(made)} of {total} clips made, about {max(1, round(left_s))} s left on this machine")
    return made


def _record(turn: PlannedTurn) -> bytes:
    return make_clip(turn.spec) if turn.role == "user" else make_sound_clip(turn.spec)


def _dialogue(planned: PlannedDialogue, clips: Iterator[bytes]) -> Dialogue:
    turns = tuple(_turn(index, turn, next(clips)) for index, turn in enumerate(planned.turns))
    return Dialogue(planned.dialogue_id, DEMO_SOURCE, "en", LICENCE, turns)


def _turn(index: int, planned: PlannedTurn, clip: bytes) -> Turn:
    spec = planned.spec
    return Turn(
        turn_index=index,
        role=planned.role,
        speaker_id=spec.speaker.speaker_id,
        text=spec.text,
        emotion=spec.emotion,
        style_prompt=planned.style_prompt,
        clip=Clip.from_bytes(clip),
        duration_s=spec.duration_s,
        **stored_tracks(rated_affect(spec)),
    )
