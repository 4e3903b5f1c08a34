"""The exceptions of avemo-harness: one small tree.

AvemoError
├── UsageError            the caller can fix it; the command exits with 2
│   ├── TaskError         a task YAML is wrong
│   ├── ReleaseError      a release is missing, unreachable or malformed
│   ├── ModelError        an unknown model, or arguments it does not take
│   └── RunConflictError  the run directory holds a run of another configuration
├── StoreError            a run directory is damaged or cannot be written
└── SampleError           belongs to one sample: recorded and counted, the run goes on
    ├── MediaError        a clip cannot be read, decodes short, or exceeds a limit
    ├── GenerationError   a model failed on one request
    ├── RecognitionError  a recogniser or a feature extractor failed on one recording
    └── BuildError        a tool failed on one unit of a release that is being made
"""

from __future__ import annotations


class AvemoError(Exception):
    """Base of every exception that the package raises on purpose."""


class UsageError(AvemoError):
    """Something that the caller can fix: arguments, configuration, files."""


class TaskError(UsageError):
    """A task YAML is wrong; the message lists every problem as ``file:line: key: problem``."""


class ReleaseError(UsageError):
    """A release is missing, unreachable or malformed."""


class ModelError(UsageError):
    """An unknown model, or arguments that the model does not take."""


class RunConflictError(UsageError):
    """The run directory already holds a run of another configuration."""


class StoreError(AvemoError):
    """A run directory is damaged or cannot be written."""


class SampleError(AvemoError):
    """Belongs to one sample: it is recorded and counted, and the run goes on."""


class MediaError(SampleError):
    """A clip cannot be read, decodes short, or exceeds a limit."""


class GenerationError(SampleError):
    """A model failed on one request."""


class RecognitionError(SampleError):
    """A recogniser or a feature extractor failed on one recording, or gave what cannot be used."""


class BuildError(SampleError):
    """A tool failed on one unit of a release that is being made, or what it made cannot be used."""


def describe(error: BaseException) -> str:
    """An error as the record of an item keeps it.

    >>> describe(MediaError("clip.mp4: no video"))
    'MediaError: clip.mp4: no video'
    """
    return f"{type(error).__name__}: {str(error) or 'no message'}"


def first_line(error: BaseException) -> str:
    """The beginning of what a library says, which may go on for pages."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
