"""Build a release from its configuration: run every stage, resume, package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from avemo_harness.data.pipeline.backends import Script, Utterance, make_backend, seed_of
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
from avemo_harness.data.pipeline.plan import (
    PlannedTake,
    assistant_profile,
    choose_portrait,
    plan_release,
    read_portraits,
)
from avemo_harness.data.pipeline.units import (
    STAGE_VERSIONS,
    Job,
    UnitKey,
    UnitStore,
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
from avemo_harness.text import Notify


@dataclass(frozen=True, slots=True)
class BuildResult:
    """Outcome of a build.

    Args:
        dialogues, pairs: in the release, by config.
        failed: why units could not be made, by unit; their dialogues are left out.
    """

    dialogues: Mapping[str, int]
    pairs: Mapping[str, int]
    failed: Mapping[str, str]


def build_release(config: BuildConfig, out: Path, say: Notify, *, retry_failed: bool = False) -> BuildResult:
    """Build a release, or what is missing of it. Equal configurations give byte-equal folders, however often a build
    was interrupted, as far as its tools give equal answers.

    Units are kept beside the release, in ``<out>.work``, which may be deleted when it is done.

    Raises:
        UsageError: a tool cannot be used, or the folder holds something else.
        StoreError: the disk is full or the folder cannot be written.
    """
    require_folder(out)
    recipe = _make_recipe(config)
    store = UnitStore(out.with_name(out.name + ".work"))
    with exclusive_lock(store.folder / "lock", lambda: say("another process is building this release: waiting for it")):
        clear_leftovers(out)
        check_output(out, recipe)
        build = _Build(recipe, store, say, retry_failed)
        dialogues = build.run()
        pairs = package(out, recipe, dialogues, build.failed)
    return BuildResult({split: len(built) for split, built in dialogues.items()}, pairs, build.failed)


def _make_recipe(config: BuildConfig) -> Recipe:
    face = make_backend("face", config.face)
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
    writer, speech = make_backend("dialogue", config.dialogue), make_backend("speech", config.speech)
    return Recipe(config, writer, speech, face, portraits)


class _Build:
    """One build: runs the stages one after the other."""

    def __init__(self, recipe: Recipe, store: UnitStore, say: Notify, retry: bool) -> None:
        self._recipe, self._config = recipe, recipe.config
        self._store, self._say, self._retry = store, say, retry
        self.failed: dict[str, str] = {}

    def run(self) -> dict[str, list[BuiltDialogue]]:
        """Make every unit; returns what is complete, by split and in the order of the plan."""
        plan = plan_release(self._config, self._recipe.portraits)
        scripts = self._write([one for planned in plan.values() for one in planned])
        utterances = {
            split: {one.dialogue_id: self._utterances(one, scripts) for one in planned if one.dialogue_id in scripts}
            for split, planned in plan.items()
        }
        every = [one for dialogues in utterances.values() for turns in dialogues.values() for one in turns]
        speech = self._speak(every)
        clips = self._show(every, speech)
        return {
            split: [
                BuiltDialogue(
                    name,
                    tuple(self._turn(one, speech[one.unit_id], clips[one.unit_id]) for one in turns),
                    scripts[name].written_by,
                )
                for name, turns in dialogues.items()
                if all(one.unit_id in clips for one in turns)
            ]
            for split, dialogues in utterances.items()
        }

    def _write(self, planned: Sequence[PlannedTake]) -> dict[str, Script]:
        """Scripts by dialogue: the words of a story are those of its first take."""
        writer, identity = self._recipe.writer, self._recipe.tools["dialogue"]
        jobs = []
        for one in planned:
            inputs = {**asdict(one.request), "script_id": None, "tool": identity, "version": STAGE_VERSIONS["dialogue"]}
            jobs.append(Job(UnitKey.of("dialogue", inputs), one.dialogue_id, write_script, (writer, one.request)))
        units = self._make("dialogue", self._config.dialogue.backend, jobs)
        written = {name: read_script(self._store.read(key, "script.json")) for name, key in units.items()}
        first = {one.story: one.dialogue_id for one in planned if one.request.take == 0}
        return {
            one.dialogue_id: _merge_takes(written[first[one.story]], written[one.dialogue_id], one.asked_turn)
            for one in planned
            if one.dialogue_id in written and first[one.story] in written
        }

    def _utterances(self, planned: PlannedTake, scripts: Mapping[str, Script]) -> list[Utterance]:
        utterances, assistant = [], assistant_profile(self._config)
        for turn, line in enumerate(scripts[planned.dialogue_id].lines):
            # Up to the asked turn, the takes of a story share their recordings.
            take = planned.request.take + 1 if turn >= planned.asked_turn else 0
            seed_text = f"{self._config.seed} {planned.story} {turn}"
            speaker = planned.speaker if line.role == "user" else assistant
            if line.role == "user" and self._config.portraits and self._config.portraits.per == "segment":
                portrait = choose_portrait(self._recipe.portraits, speaker.gender, (seed_of(seed_text),))
                speaker = replace(speaker, portrait=portrait)
            seed = seed_of(f"{seed_text} {take}")
            utterances.append(Utterance(f"{planned.dialogue_id}, turn {turn}", line, speaker, seed))
        return utterances

    def _speak(self, utterances: Sequence[Utterance]) -> dict[str, UnitKey]:
        """Units of sound by utterance."""
        speech, identity = self._recipe.speech, self._recipe.tools["speech"]
        jobs = []
        for one in utterances:
            key = UnitKey.of("speech", {"tool": identity, **_unit_inputs(one, "speech")})
            jobs.append(Job(key, one.unit_id, speak_utterance, (speech, one)))
        return self._make("speech", self._config.speech.backend, jobs)

    def _show(self, utterances: Sequence[Utterance], speech: Mapping[str, UnitKey]) -> dict[str, UnitKey]:
        """Units of clips by utterance: faces of users, sound alone of assistants."""
        face, identity = self._recipe.face, self._recipe.tools["face"]
        faces, sounds = [], []
        for one in utterances:
            if one.unit_id not in speech:
                continue
            path = self._store.path(speech[one.unit_id]) / "speech.wav"
            digest = self._store.meta(speech[one.unit_id])["files"]["speech.wav"]
            if one.line.role == "user":
                key = UnitKey.of("face", {"tool": identity, "speech": digest, **_unit_inputs(one, "face")})
                faces.append(Job(key, one.unit_id, animate_utterance, (face, one, path)))
            else:
                key = UnitKey.of("sound", {"speech": digest, "version": STAGE_VERSIONS["sound"]})
                sounds.append(Job(key, one.unit_id, encode_utterance, (path,)))
        return {
            **self._make("face", self._config.face.backend, faces),
            **self._make("sound", "builtin", sounds),
        }

    def _make(self, stage: str, backend: str, jobs: Sequence[Job]) -> dict[str, UnitKey]:
        """Make the units of a stage; returns the keys of those that there are."""
        unique = {job.key: job for job in reversed(jobs)}
        with _workers(stage, backend, self._config.workers) as executor:
            make_units(
                stage,
                list(unique.values()),
                self._store,
                executor,
                retry=self._retry,
                say=self._say,
                hide=self._config.hide,
            )
        for job in unique.values():
            if (why := self._store.failure(job.key)) is not None:
                self.failed[f"{stage} of {job.unit}"] = why
        return {job.unit: job.key for job in jobs if self._store.has(job.key)}

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
    """Everything that decides a unit of an utterance, beside the tool."""
    portrait = utterance.speaker.portrait
    return {
        "line": asdict(utterance.line),
        "character": asdict(replace(utterance.speaker, portrait=None)),
        "portrait": portrait.sha256 if portrait and stage == "face" else None,
        "seed": utterance.seed,
        "version": STAGE_VERSIONS[stage],
    }
