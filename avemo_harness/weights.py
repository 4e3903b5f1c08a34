"""Weights: a folder or a Hub repository, known by its content, and how a model for inference is made of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from avemo_harness import paths
from avemo_harness.errors import UsageError, first_line
from avemo_harness.inference import own_device, quiet_loading

DType = Literal["float32", "bfloat16", "float16"]

Say = Callable[[str], None]
"""Takes a sentence for the user before something slow."""

_BLOCK = 2**22
_SLOW = 2**30
_NOT_WEIGHTS = (".md", ".msgpack", ".h5", ".onnx")


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights that are pinned down.

    Args:
        path: folder or Hub id.
        revision: commit of a Hub id; None for a folder.
        content: what they are, wherever they lie: ``id@commit``, or a digest of the folder's files.
    """

    path: str
    revision: str | None
    content: str

    def settings(self, name: str) -> Mapping[str, Any]:
        """A JSON or YAML file of theirs, such as ``config.json``; empty where there is no such file.

        Raises:
            UsageError: the file is not a mapping, or the Hub cannot be reached.
        """
        import yaml

        path = _settings_file(self, name)
        if path is None:
            return {}
        try:
            text = path.read_text(encoding="utf-8")
            settings = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        except (ValueError, yaml.YAMLError) as error:
            raise UsageError(f"{path}: damaged ({first_line(error)}); download it again") from error
        if not isinstance(settings, dict):
            raise UsageError(f"{path}: damaged (it holds no settings); download it again")
        return settings

    def folder(self) -> Path:
        """Where all the files are on this machine; a Hub repository is downloaded whole.

        Raises:
            UsageError: the Hub cannot be reached and the files are not in its cache.
        """
        if self.revision is None:
            return Path(self.path)
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(self.path, revision=self.revision))
        except Exception as error:
            raise UsageError(f"{self.content}: cannot be downloaded ({first_line(error)}); give a folder") from error


def find_weights(
    pretrained: str, revision: str | None, config: str = "config.json", say: Say = lambda sentence: None
) -> Weights:
    """Pin weights down: the commit that a Hub id stands for now, or the content of a local folder.

    Args:
        pretrained: Hub id or folder.
        revision: branch, tag or commit of a Hub id.
        config: a file that any repository of the kind has.

    Raises:
        UsageError: there is no such folder or repository, or the Hub cannot be reached and nothing is in its cache.
    """
    folder = Path(pretrained).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise UsageError(f"{pretrained} is a folder, which has no revision; leave `revision` out")
        folder = folder.resolve()
        return Weights(str(folder), None, f"sha256:{_folder_digest(folder, say)}")
    if folder.is_absolute() or pretrained.startswith((".", "~")) or pretrained.count("/") != 1:
        raise UsageError(f"{pretrained!r}: no such folder, and not a Hub id; give pretrained=FOLDER or OWNER/NAME")
    found = _hub_file(pretrained, revision, config)
    if found is None:
        raise UsageError(f"{pretrained}: the repository has no {config}; these are no weights that can be used")
    commit = found.parent.name
    return Weights(pretrained, commit, f"{pretrained}@{commit}")


def file_digest(path: Path, say: Say = lambda sentence: None) -> str:
    """SHA-256 of a file, hex; remembered by its size and time, since weights are large.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        stat = path.stat()
        facts = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
        known = paths.cache_dir() / "weights" / "files" / hashlib.sha256(facts.encode()).hexdigest()[:32]
        if known.exists():
            return known.read_text(encoding="utf-8")
        if stat.st_size > _SLOW:
            say(f"reading {path} once, to know its weights by their content")
        digest = _hash_file(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a file with weights") from error
    paths.write_atomically(known, digest)
    return digest


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def load_model(
    model_class: Any, weights: Weights, dtype: DType, device: str | None, may_lack: tuple[str, ...] = ()
) -> Any:
    """A model for inference: no gradients, evaluation mode; pickled weights are read as plain tensors only.

    Args:
        model_class: a `PreTrainedModel` or an auto class.
        device: where it runs; None takes the GPU of this process, else the CPU.
        may_lack: beginnings of the names of weights that nothing depends on.

    Raises:
        UsageError: the weights cannot be read, or are not all of this class.
    """
    from pickle import UnpicklingError

    import torch

    try:
        with quiet_loading():
            model, found = model_class.from_pretrained(
                weights.path,
                revision=weights.revision,
                dtype=getattr(torch, dtype),
                weights_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, UnpicklingError) as error:
        raise UsageError(f"{weights.path}: cannot be loaded ({first_line(error)})") from error
    missing = [*found["missing_keys"], *(str(one) for one in found["mismatched_keys"])]
    if lacking := sorted(key for key in missing if not key.startswith(may_lack)):
        raise UsageError(
            f"{weights.path}: not weights of {type(model).__name__}: {len(lacking)} are missing or of another shape, "
            f"such as {lacking[0]}; give another `pretrained`"
        )
    return model.eval().requires_grad_(False).to(device or own_device())


def _settings_file(weights: Weights, name: str) -> Path | None:
    if weights.revision is None:
        path = Path(weights.path) / name
        return path if path.is_file() else None
    return _hub_file(weights.path, weights.revision, name)


def _hub_file(repository: str, revision: str | None, name: str) -> Path | None:
    """A file of a repository, from the cache where the Hub cannot be reached; None where the repository lacks it."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    where = f"{repository}@{revision}" if revision else repository
    try:
        return Path(hf_hub_download(repository, name, revision=revision))
    except HFValidationError as error:
        raise UsageError(f"{repository}: neither a folder nor a Hub id ({first_line(error)})") from error
    except LocalEntryNotFoundError as error:  # older releases of the library count it among the Hub's answers
        raise _unreachable(where, name) from error
    except HfHubHTTPError as error:
        if isinstance(error, EntryNotFoundError):
            return None
        raise UsageError(f"{where}: the Hub refuses it ({first_line(error)})") from error
    except Exception as error:
        # However the connection failed, the file may be in the cache from another time.
        try:
            return Path(hf_hub_download(repository, name, revision=revision, local_files_only=True))
        except LocalEntryNotFoundError:
            raise _unreachable(where, name) from error


def _unreachable(where: str, name: str) -> UsageError:
    return UsageError(
        f"{where}: the Hub cannot be reached and {name} is not in the cache; download it first, or give a folder: "
        "pretrained=FOLDER"
    )


def _folder_digest(folder: Path, say: Say) -> str:
    """Digest of the names and contents of a folder's files, documentation and other frameworks' weights aside."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in _NOT_WEIGHTS and not path.name.startswith(".")
    ]
    content = json.dumps([[path.relative_to(folder).as_posix(), file_digest(path, say)] for path in files])
    return hashlib.sha256(content.encode()).hexdigest()
