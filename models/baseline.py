"""The embedded default: a weight-free recogniser, and spoken replies by a stated rule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any, Literal, TypeVar

import numpy as np

from avemo_harness import files, media
from avemo_harness.benchmark.planning import connected_components
from avemo_harness.benchmark.release import Clip, Release, labels_of_users
from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.benchmark.task import LabelOutput, SpokenOutput
from avemo_harness.data.synthesis.affect import NEUTRAL, AffectPath, Speaker
from avemo_harness.data.synthesis.voice import RATE, VoiceVariation, control_times, speak
from avemo_harness.errors import GenerationError, ModelError, UsageError
from avemo_harness.files import exclusive_lock
from avemo_harness.metrics.classification import Floats
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.models.base import Capabilities, ModelSetup
from avemo_harness.models.controls import labels_of
from avemo_harness.recognizers import EMBEDDED, RECOGNIZERS, identify_recognizer, load_recognizer
from avemo_harness.recognizers.checkpoint import EMBEDDED_VERSION as LISTENER_VERSION
from avemo_harness.recognizers.checkpoint import load_label_recognizer
from avemo_harness.recognizers.features.builtin import clip_features
from avemo_harness.recognizers.heads.late_fusion import FORMAT, FusionRecognizer
from avemo_harness.recognizers.judging import (
    FeatureRecognizer,
    JudgeSetup,
    Recognizer,
    RecordingRecognizer,
    TrajectoryJudge,
    open_judge,
    trained_folder,
)
from avemo_harness.recognizers.recordings import Recording
from avemo_harness.recognizers.trained import find_trained, trained_on
from avemo_harness.torch_setup import one_blas_thread, processors

Rule = Literal["mirror", "balance", "neutral"]
Result = TypeVar("Result")
ValenceArousal = tuple[float, float]
"""Valence and arousal on the unit scale [0, 1], 0.5 = neutral."""

TEXT = "I see. Thank you for telling me. Tell me more about it."
LENGTH_S = 2.6

_VOICE = Speaker.draw("assistant", 6)
"""One of the demo's train part: the embedded judge's errors about strangers' voices would drown the rules."""
_INTENSITY = 0.9
_HABITS = VoiceVariation(level_db=0, pitch_semitones=0, brightness_db=0, tempo=1, liveliness=1, noise_db=-60)
_UNPLEASANT, _EXCITED = 0.46, 0.67
_MORE_PLEASANT, _CALMER = 0.17, 0.09


def mean_affect(trajectory: Trajectory) -> ValenceArousal:
    """Average a speaker's affect past the first half second, in which expressions only begin.

    >>> mean_affect(Trajectory(np.array([[0.5, 0.5], [0.2, 0.7], [0.2, 0.9]]), ("valence", "arousal"), "unit", 2.0))
    (0.2, 0.8)
    """
    valence, arousal = (trajectory.column(name) for name in ("valence", "arousal"))
    begun = min(1, len(trajectory) - 1)
    return float(valence[begun:].mean()), float(arousal[begun:].mean())


def reply_affect(rule: Rule, speaker: ValenceArousal) -> ValenceArousal:
    """Choose the affect of the reply's voice.

    ``mirror``: the speaker's. ``balance``: 0.17 more pleasant than a speaker below 0.46, 0.09 calmer than one above
    0.67, else the speaker's; about half more than what counts as perfect balance, for a judge that hears less than is
    there. ``neutral``: neutral.

    >>> [round(x, 2) for x in reply_affect("balance", (0.2, 0.8))]
    [0.37, 0.71]
    """
    if rule == "neutral":
        return NEUTRAL, NEUTRAL
    valence, arousal = speaker
    if rule == "balance":
        valence += _MORE_PLEASANT * (valence < _UNPLEASANT)
        arousal -= _CALMER * (arousal > _EXCITED)
    return valence, arousal


def reply_path(rule: Rule, speaker: ValenceArousal) -> AffectPath:
    """The path of the reply's voice: from neutral to its affect, where it stays."""
    return AffectPath(*reply_affect(rule, speaker), wander_hz=(0.0, 0.0), wander_phase=(0.0, 0.0))


def spoken_reply(path: AffectPath, seed: int) -> Response:
    """Say the reply along a path; the same for every speaker but for how it is said."""
    affect = path.at(control_times(LENGTH_S), _INTENSITY)
    speech = speak(TEXT, _VOICE, affect, _HABITS, np.random.default_rng(seed))
    return Response(text=TEXT, speech=Speech(speech.samples, RATE))


VERSION = "2"


class Baseline:
    """Names the emotion of the asked clip, and replies to it by rule; looks at neither the history nor the text."""

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """
        Args:
            train: ``auto``, ``demo``, or the folder of a release whose train part to learn from.
            seed: of the cross-validation that weighs voice against face.
            recognizer: what learns and answers (see `avemo-eval ls recognizers`), or the folder of a trained recogniser
                of labels (`avemo-eval recognizer train`), which answers as it is.
            reply: the emotion of its spoken replies: the speaker's (mirror), a step out of the speaker's extreme
                (balance), or none (neutral).
        """

        train: str = "auto"
        seed: int = 0
        recognizer: str = "fusion"
        reply: Rule = "mirror"

    capabilities = Capabilities(
        outputs=frozenset({"label_text", "label_ranking", "spoken_response"}), largest_batch=16, chooses=False
    )

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        self._setup, self._seed, self._say = setup, arguments.seed, setup.say
        self._recognizer_name, self._rule = arguments.recognizer, arguments.reply
        folder = trained_folder(arguments.recognizer, RECOGNIZERS)
        if folder is None:
            self._features, self._recognizer_identity = FORMAT, identify_recognizer(arguments.recognizer)
            self._trained = self._trained_on_demo(arguments)
            if self._trained is None:
                self._training = setup.training(arguments.train)
                self._trained_on = " ".join(release.fingerprint for release in self._training)
            else:
                self._trained_on = trained_on()
        else:
            if arguments.train != "auto":
                raise UsageError(f"baseline: {folder} is trained already; leave train out, or name a recogniser")
            self._trained = load_label_recognizer(folder, files.cache_dir(), "cpu")
            identity = self._trained.identity()
            self._features = identity["extractors"]
            self._recognizer_identity = f"{identity['format']} {identity['labels']} {identity['weights']}"
            self._trained_on = self._trained.card.training.fingerprint

    def identity(self) -> Mapping[str, str]:
        return {
            "model": "baseline",
            "version": VERSION,
            "features": self._features,
            "recognizer": self._recognizer_identity,
            "reply": self._rule,
            "listener": f"{EMBEDDED} {LISTENER_VERSION}",
            "trained_on": self._trained_on,
            "seed": str(self._seed),
            **{package: version(package) for package in ("numpy", "scikit-learn", "torch", "av")},
        }

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        labelled = [request for request in requests if not isinstance(request.output, SpokenOutput)]
        spoken = [request for request in requests if isinstance(request.output, SpokenOutput)]
        scores = iter(self._log_probabilities([self._asked_clip(request) for request in labelled]))
        replies = iter(self._replies([self._asked_clip(request) for request in spoken]))
        return [
            next(replies) if isinstance(request.output, SpokenOutput) else self._label(request, next(scores))
            for request in requests
        ]

    def _trained_on_demo(self, arguments: Arguments) -> Recognizer | None:
        """The recogniser that comes trained; None where this one is to be another one, or learns from other data."""
        digest = self._setup.demo_digest(arguments.train)
        if digest is None:
            return None
        recipe = trained_recipe(digest, arguments.recognizer, arguments.seed)
        path = find_trained("baseline.safetensors", recipe)
        return None if path is None else RecordingRecognizer(FusionRecognizer.load(path))

    @cached_property
    def _taught(self) -> frozenset[str]:
        return frozenset(labels_of_users(self._training))

    def _asked_clip(self, request: Request) -> Clip:
        """The clip that is asked about; GenerationError where there is none or it is asked for what is not taught."""
        if request.asked_clip is None:
            raise GenerationError("baseline: the question has no clip")
        offered = labels_of(request) if isinstance(request.output, LabelOutput) else ()
        # Known before it is trained, which takes long.
        if self._trained is None and (unknown := sorted(set(offered) - self._taught)):
            raise _untaught(unknown[0])
        return request.asked_clip

    def _log_probabilities(self, clips: Sequence[Clip]) -> list[Floats]:
        if not clips:
            return []
        recognizer = self._recognizer  # (which may be trained first, before threads ask for it)

        def ask(clip: Clip) -> Floats:
            recording = Recording.of(clip)
            return recognizer.log_probabilities(recording, next(iter(recording.views), "both"))

        return _in_parallel(ask, clips)

    def _label(self, request: Request, scores: Floats) -> Response:
        by_label = dict(zip(self._recognizer.labels, map(float, scores), strict=True))
        if unknown := sorted(set(labels_of(request)) - set(by_label)):
            raise _untaught(unknown[0])
        if isinstance(request.output, LabelOutput) and request.output.method == "rank":
            return Response(label_logprobs={label: by_label[label] for label in request.output.labels})
        return Response(text=max(labels_of(request), key=lambda label: by_label[label]))

    def _replies(self, clips: Sequence[Clip]) -> list[Response]:
        if not clips:
            return []
        _ = self._listener  # (which may be trained first, before threads ask for it)
        return _in_parallel(self._reply, clips)

    def _reply(self, clip: Clip) -> Response:
        streams = Recording.of(clip)
        speaker = mean_affect(self._listener.trajectory(streams, streams.views[0]))
        # The voice varies with the clip, not with the rule, so that rules differ in nothing else.
        return spoken_reply(self._reply_path(speaker), int(clip.sha256[:15], 16))

    def _reply_path(self, speaker: ValenceArousal) -> AffectPath:
        return reply_path(self._rule, speaker)

    @cached_property
    def _listener(self) -> TrajectoryJudge:
        """The judge of the speaker's valence and arousal."""
        return open_judge(
            EMBEDDED,
            JudgeSetup(
                lambda: self._setup.training("demo")[0],
                files.cache_dir(),
                self._say,
                "cpu",
                lambda: self._setup.demo_digest("demo"),
            ),
        )

    @cached_property
    def _recognizer(self) -> Recognizer:
        """The trained recogniser, from its folder, or from the cache where it was trained before."""
        if self._trained is not None:
            return self._trained
        digest = hashlib.sha256(json.dumps(dict(self.identity()), sort_keys=True).encode()).hexdigest()
        path = files.cache_dir() / "baseline" / f"{digest[:16]}.recognizer"
        if not path.exists():
            waiting = partial(self._say, "another process is training the baseline; waiting for it")
            with exclusive_lock(files.cache_dir() / "locks" / path.name, waiting):
                if not path.exists():
                    self._train().save(path)
        return RecordingRecognizer(load_recognizer(self._recognizer_name).load(path))

    def _train(self) -> FeatureRecognizer:
        examples = list(labelled_clips(self._training))
        if not examples:
            raise ModelError("baseline: the train part holds no labelled user turn with a clip")
        self._say(f"training the baseline on {len(examples)} clips of {self._training[0].source}")
        recognizer = train_recognizer(self._recognizer_name, examples, self._seed)
        if isinstance(recognizer, FusionRecognizer):
            self._say_what_is_left_out(recognizer)
        return recognizer

    def _say_what_is_left_out(self, recognizer: FusionRecognizer) -> None:
        for name, stream in (("sound", recognizer.sound), ("face", recognizer.face)):
            if stream is None:
                self._say(
                    f"the baseline leaves the {name} out: the train part does not have it of two people for every label"
                )


def _in_parallel(describe: Callable[[Clip], Result], clips: Sequence[Clip]) -> list[Result]:
    """Apply a function to each clip, in order, on several processors at once."""
    with one_blas_thread(), ThreadPoolExecutor(processors()) as pool:
        return list(pool.map(describe, clips))


def _whose_faces(clips: Sequence[Clip], speakers: Sequence[str]) -> list[str]:
    """For each clip the speakers whose clips show its recording: a dubbed face may serve several voices.

    Clips cut from one recording begin with the same packet of video.
    """
    beginnings = [media.packet_digests(clip.read()).video[:1] for clip in clips]
    # A tilde sorts after every speaker's name, so that faces are called by their speakers.
    owners = connected_components(
        (speaker, f"~{digest}") for speaker, begun in zip(speakers, beginnings, strict=True) for digest in begun
    )
    return [owners.get(speaker, speaker) for speaker in speakers]


LabelledClip = tuple[Clip, str, str]
"""Clip, emotion and speaker of a turn."""


def train_recognizer(name: str, examples: Sequence[LabelledClip], seed: int) -> FeatureRecognizer:
    """Train the recogniser of that name on labelled clips."""
    clips, labels, speakers = map(list, zip(*examples, strict=True))
    features = _in_parallel(lambda clip: clip_features(clip.read()), clips)
    return load_recognizer(name).fit(features, labels, speakers, faces=_whose_faces(clips, speakers), seed=seed)


def trained_recipe(demo: str, recognizer: str, seed: int) -> dict[str, Any]:
    """Everything that decides a recogniser that learned from the demo but for the versions of libraries.

    Args:
        demo: digest of the plan of its train part.
    """
    return {"demo": demo, "features": FORMAT, "recognizer": recognizer, "seed": seed}


def labelled_clips(releases: Sequence[Release]) -> Iterator[LabelledClip]:
    """Every labelled user turn."""
    for release in releases:
        for dialogue in release.dialogues:
            for turn in dialogue.turns:
                if turn.role == "user" and turn.clip is not None and turn.emotion is not None:
                    yield turn.clip, turn.emotion, turn.speaker_id


def _untaught(label: str) -> GenerationError:
    return GenerationError(
        f"baseline: it was not taught the label {label!r}; name a release whose train part has it by --model_args "
        "train=DIR, or a trained recogniser by recognizer=DIR"
    )
