"""Build a release from its configuration: run every stage, resume, package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from avemo_harness.data.pipeline.backends import (
    DialogueBackend,
    FaceBackend,
    Portrait,
    Script,
    SpeakerProfile,
    SpeechBackend,
    Utterance,
    make_face,
    make_speech,
    make_writer,
)
from avemo_harness.data.pipeline.config import BuildConfig
from avemo_harness.data.pipeline.package import (
    BuiltDialogue,
    BuiltTurn,
    Recipe,
    check_output,
    clear_leftovers,
    package,
    require_folder,
)
from avemo_harness.data.pipeline.plan import Plan, PlannedDialogue, choose_portrait, plan_release, read_portraits
from avemo_harness.data.pipeline.units import (
    STAGE_VERSIONS,
    Job,
    Say,
    UnitKey,
    UnitStore,
    WorkerSettings,
    animate_utterance,
    encode_utterance,
    make_units,
    processes,
    read_script,
    speak_utterance,
    threads,
    write_script,
)
from avemo_harness.errors import UsageError
from avemo_harness.files import exclusive_lock


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What came of a build.

    Args:
        dialogues, pairs: in the release, by config.
        failed: why units could not be made, by unit; their dialogues are left out.
    """

    dialogues: Mapping[str, int]
    pairs: Mapping[str, int]
    failed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Tools:
    writer: DialogueBackend
    speech: SpeechBackend
    face: FaceBackend
    portraits: tuple[Portrait, ...]

    def identity(self) -> dict[str, Any]:
        return {
            "dialogue": dict(self.writer.identity()),
            "speech": dict(self.speech.identity()),
            "face": dict(self.face.identity()),
            "portraits": {one.portrait_id: [one.sha256, one.gender, one.licence] for one in self.portraits},
        }


def build_release(config: BuildConfig, out: Path, say: Say, *, retry_failed: bool = False) -> BuildResult:
    """Build a release, or what is missing of it. Equal configurations give byte-equal folders, however often a build
    was interrupted, as far as its tools give equal answers.

    Units are kept beside the release, in ``<out>.work``, which may be deleted when it is done.

    Raises:
        UsageError: a tool cannot be used, or the folder holds something else.
        StoreError: the disk is full or the folder cannot be written.
    """
    require_folder(out)
    tools = _make_tools(config)
    recipe = Recipe(config, tools.identity())
    store = UnitStore(out.with_name(out.name + ".work"))
    with exclusive_lock(store.folder / "lock", lambda: say("another process is building this release: waiting for it")):
        clear_leftovers(out)
        check_output(out, recipe)
        made = _Build(config, tools, store, WorkerSettings(None, retry_failed, say, config.hide))
        dialogues = made.run(plan_release(config, tools.portraits))
        pairs = package(out, recipe, dialogues, made.failed)
    counts = {split: len(built) for split, built in dialogues.items()}
    return BuildResult(counts, pairs, made.failed)


def _make_tools(config: BuildConfig) -> _Tools:
    face = make_face(config.face)
    if face.emotion_input == "none":
        raise UsageError(
            f"face: {config.face.backend}: no emotion reaches its faces (emotion_input: none), so labels could not be "
            "seen in them; choose a tool that takes an emotion"
        )
    if config.dialogue.backend == "builtin" and config.language != "en":
        raise UsageError(
            f"language: the built-in writer writes English, not {config.language!r}; set it to en, or choose another "
            "tool for the dialogue"
        )
    portraits = read_portraits(config.portraits) if config.portraits else ()
    return _Tools(make_writer(config.dialogue), make_speech(config.speech), face, portraits)


class _Build:
    """One build: runs the stages one after the other."""

    def __init__(self, config: BuildConfig, tools: _Tools, store: UnitStore, work: WorkerSettings) -> None:
        self._config, self._tools, self._store, self._work = config, tools, store, work
        self.failed: dict[str, str] = {}

    def run(self, plan: Plan) -> dict[str, list[BuiltDialogue]]:
        """Make every unit; returns what is complete, by split and in the order of the plan."""
        scripts = self._scripts(plan)
        asked = {
            split: [
                (one, self._utterances(one, scripts, plan.assistant)) for one in planned if one.dialogue_id in scripts
            ]
            for split, planned in plan.dialogues.items()
        }
        spoken = self._spoken([one for rows in asked.values() for _, turns in rows for one in turns])
        clips = self._clips([one for rows in asked.values() for _, turns in rows for one in turns], spoken)
        return {split: list(self._complete(rows, spoken, clips, scripts)) for split, rows in asked.items()}

    def _scripts(self, plan: Plan) -> dict[str, Script]:
        """Dialogues by id: the words of a story are those of its first take."""
        planned = [one for split in plan.dialogues.values() for one in split]
        identity = dict(self._tools.writer.identity())
        jobs = {one.dialogue_id: self._script_job(one, identity) for one in planned}
        self._make("dialogue", self._config.dialogue.backend, jobs.values())
        written = {
            name: read_script(self._store.read(job.key, "script.json"))
            for name, job in jobs.items()
            if self._store.has(job.key)
        }
        first = {one.story: one.dialogue_id for one in planned if one.brief.take == 0}
        return {
            one.dialogue_id: _merge_takes(written[first[one.story]], written[one.dialogue_id], one.asked_turn)
            for one in planned
            if one.dialogue_id in written and first[one.story] in written
        }

    def _script_job(self, planned: PlannedDialogue, identity: Mapping[str, str]) -> Job:
        decides = {**asdict(planned.brief), "script_id": None, "tool": identity, "version": STAGE_VERSIONS["dialogue"]}
        key = UnitKey.of("dialogue", decides)
        return Job(key, planned.dialogue_id, write_script, (self._tools.writer, planned.brief))

    def _utterances(
        self, planned: PlannedDialogue, scripts: Mapping[str, Script], assistant: SpeakerProfile
    ) -> list[Utterance]:
        utterances = []
        for turn, line in enumerate(scripts[planned.dialogue_id].lines):
            # Up to the asked turn, the takes of a story share their recordings.
            take = planned.brief.take + 1 if turn >= planned.asked_turn else 0
            place = f"{self._config.seed} {planned.story} {turn}"
            speaker = self._speaker(planned, place) if line.role == "user" else assistant
            seed = _seed(f"{place} {take}")
            utterances.append(Utterance(f"{planned.dialogue_id}, turn {turn}", line, speaker, seed))
        return utterances

    def _speaker(self, planned: PlannedDialogue, place: str) -> SpeakerProfile:
        """The user, with a picture for this utterance alone where that is wanted."""
        if self._config.portraits is None or self._config.portraits.per == "speaker":
            return planned.character
        character = planned.character
        return replace(character, portrait=choose_portrait(self._tools.portraits, character.gender, (_seed(place),)))

    def _spoken(self, utterances: list[Utterance]) -> dict[str, UnitKey]:
        """Units of sound by utterance."""
        identity = dict(self._tools.speech.identity())
        keys = {
            one.unit_id: UnitKey.of("speech", {"tool": identity, **_unit_inputs(one, "speech")}) for one in utterances
        }
        jobs = [Job(keys[one.unit_id], one.unit_id, speak_utterance, (self._tools.speech, one)) for one in utterances]
        self._make("speech", self._config.speech.backend, jobs)
        return {unit: key for unit, key in keys.items() if self._store.has(key)}

    def _clips(self, utterances: list[Utterance], spoken: Mapping[str, UnitKey]) -> dict[str, UnitKey]:
        """Units of clips by utterance: faces of users, sound alone of assistants."""
        heard = [one for one in utterances if one.unit_id in spoken]
        identity = dict(self._tools.face.identity())
        faces, sounds = [], []
        keys: dict[str, UnitKey] = {}
        for one in heard:
            speech = spoken[one.unit_id]
            path = self._store.path(speech) / "speech.wav"
            said = self._store.meta(speech)["files"]["speech.wav"]
            if one.line.role == "user":
                decides = {"tool": identity, "speech": said, **_unit_inputs(one, "face")}
                keys[one.unit_id] = UnitKey.of("face", decides)
                faces.append(Job(keys[one.unit_id], one.unit_id, animate_utterance, (self._tools.face, one, path)))
            else:
                keys[one.unit_id] = UnitKey.of("sound", {"speech": said, "version": STAGE_VERSIONS["sound"]})
                sounds.append(Job(keys[one.unit_id], one.unit_id, encode_utterance, (path,)))
        self._make("face", self._config.face.backend, faces)
        self._make("sound", "builtin", sounds)
        return {unit: key for unit, key in keys.items() if self._store.has(key)}

    def _make(self, stage: str, backend: str, jobs: Iterable[Job]) -> None:
        unique = {job.key: job for job in reversed(list(jobs))}
        with _workers(stage, backend, self._config.workers) as executor:
            make_units(stage, list(unique.values()), self._store, replace(self._work, executor=executor))
        for job in unique.values():
            if (why := self._store.failure(job.key)) is not None:
                self.failed[f"{stage} of {job.unit}"] = why

    def _complete(
        self,
        rows: list[tuple[PlannedDialogue, list[Utterance]]],
        spoken: Mapping[str, UnitKey],
        clips: Mapping[str, UnitKey],
        scripts: Mapping[str, Script],
    ) -> Iterator[BuiltDialogue]:
        for planned, utterances in rows:
            if all(one.unit_id in clips for one in utterances):
                turns = tuple(self._turn(one, spoken[one.unit_id], clips[one.unit_id]) for one in utterances)
                yield BuiltDialogue(planned.dialogue_id, turns, scripts[planned.dialogue_id].written_by)

    def _turn(self, utterance: Utterance, speech: UnitKey, clip: UnitKey) -> BuiltTurn:
        meta = self._store.meta(clip)
        path = self._store.path(clip) / "clip.mp4"
        return BuiltTurn(utterance, path, meta["files"]["clip.mp4"], meta["duration_s"], speech.digest, clip.digest)


def _workers(stage: str, backend: str, count: int) -> AbstractContextManager[Any]:
    if backend != "builtin":
        return threads(count)
    # The built-in writer is done before another process has started.
    return processes(1 if stage == "dialogue" else count)


def _merge_takes(first: Script, own: Script, asked_turn: int) -> Script:
    """The words and styles of the first take, and the take's own from its asked turn on."""
    lines = list(first.lines)
    for turn in range(asked_turn, len(lines)):
        lines[turn] = replace(own.lines[turn], text=first.lines[turn].text)
    return Script(tuple(lines), own.written_by)


def _unit_inputs(utterance: Utterance, stage: str) -> dict[str, Any]:
    """What decides a unit of an utterance, beside the tool."""
    character = asdict(replace(utterance.character, portrait=None))
    portrait = utterance.character.portrait
    return {
        "line": asdict(utterance.line),
        "character": character,
        "portrait": portrait.sha256 if portrait and stage == "face" else None,
        "seed": utterance.seed,
        "version": STAGE_VERSIONS[stage],
    }


def _seed(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big")
