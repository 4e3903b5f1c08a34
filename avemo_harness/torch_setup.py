"""Compute on this machine: device, threads and worker processes, transformers, pinned weights."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from avemo_harness.errors import UsageError, first_line, message_of
from avemo_harness.files import cache_dir, sha256_of, write_atomically
from avemo_harness.text import Notify

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def processors() -> int:
    """The processors that this process may run on, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class _Limit:
    """Number of threads inside a limit, and the call that ends it."""

    inside: int = 0
    restore: Callable[[], object] = lambda: None


@contextmanager
def worker_pool(count: int) -> Iterator[ProcessPoolExecutor]:
    # A forked process could inherit a held lock of a threaded library, so processes start afresh.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent) as pool:
        yield pool


def _end_with_parent() -> None:
    """End this process with its parent: nobody would ever stop a worker whose parent was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # it runs in a worker alone

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def own_device() -> str:
    """The device of this process: the GPU of its ``LOCAL_RANK`` under a launcher; without GPUs, the CPU."""
    import torch

    if torch.cuda.is_available():
        return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"
    return "cpu"


def device_is_lost(error: BaseException) -> bool:
    """True for an error after which this process cannot use its GPU any more, such as a failed assertion in a kernel.

    Running out of memory is none.
    """
    if not isinstance(error, RuntimeError):
        return False
    return type(error).__name__ == "AcceleratorError" or message_of(error).startswith(("CUDA error:", "HIP error:"))


_declared_operators: list[Any] = []
"""Keeps torchvision's declared operators alive: they vanish with the library object."""


def import_transformers() -> Any:
    """The package transformers, also beside a torchvision that does not load by itself."""
    repair_torchvision()
    return import_module("transformers")


def repair_torchvision() -> None:
    """Make torchvision importable on machines without CUDA, where its compiled part does not load.

    Its two compiled operators are not needed here, so that declaring them is enough.
    """
    import torch

    try:
        import_module("torchvision")
    except ImportError:
        pass  # (transformers does without it)
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library_class: Any = torch.library.Library
        library = library_class("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, operator):
                library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared_operators.append(library)
        import_module("torchvision")


def required_version(package: str, problem: str) -> str:
    """The version of an installed package; UsageError with that text where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        raise UsageError(problem) from None


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Silence the reports of transformers on unused weights of a checkpoint; missing ones are an error of ours."""
    logging: Any = import_module("transformers.utils.logging")
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


_limits_lock = threading.Lock()
_torch_limit = _Limit()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one CPU thread: fastest for small networks, and the same result on any number of processors.

    Several threads may do so side by side: the last one that leaves gives the usual number back for all.
    """
    import torch

    with _limits_lock:
        if not _torch_limit.inside:
            usual = torch.get_num_threads()
            _torch_limit.restore = lambda: torch.set_num_threads(usual)
        _torch_limit.inside += 1
        restore = _torch_limit.restore
    # Of this thread: its first look at the number takes over the one of whichever thread set it last.
    torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _limits_lock:
            _torch_limit.inside -= 1
        restore()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Compute NumPy's products of matrices on one thread, in all of this process: small ones take twice as long on two.

    Products in several threads side by side go into one such block around them, since the library is one for all.
    """
    with _blas_of_numpy().limit(limits=1):
        yield


@cache
def _blas_of_numpy() -> ThreadpoolController:
    import numpy
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController()
    libraries = [str(library["filepath"]) for library in found.info() if library["user_api"] == "blas"]
    # Not that of PyTorch, whose products are large.
    parents = (Path(numpy.__file__).parents[1] / name for name in ("numpy", "numpy.libs"))
    own = {str(path.resolve()) for path in parents}
    return found.select(filepath=[path for path in libraries if str(Path(path).resolve().parent) in own])


DType = Literal["float32", "bfloat16", "float16"]

_SLOW_TO_HASH_BYTES = 2**30
_NOT_WEIGHT_SUFFIXES = (".md", ".msgpack", ".h5", ".onnx")


@dataclass(frozen=True, slots=True)
class Weights:
    """Pinned weights.

    Args:
        path: folder or Hub id.
        revision: commit of a Hub id; None for a folder.
        content: identity wherever they lie: ``id@commit``, or a digest of the folder's files.
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

        path = self._file(name)
        if path is None or not path.is_file():
            return {}
        try:
            text = path.read_text(encoding="utf-8")
            settings = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        except (ValueError, yaml.YAMLError) as error:
            raise UsageError(f"{path}: damaged ({first_line(error)}); download it again") from error
        if not isinstance(settings, dict):
            raise UsageError(f"{path}: damaged (it holds no settings); download it again")
        return settings

    def stated_facts(self) -> Mapping[str, Any]:
        """The facts at the head of their README.md, such as ``license`` and ``datasets``; empty where it has none."""
        import yaml

        try:
            path = self._file("README.md")
            text = path.read_text(encoding="utf-8") if path is not None and path.is_file() else ""
            head = text.removeprefix("---\n").partition("\n---")[0] if text.startswith("---\n") else ""
            facts = yaml.safe_load(head)
        except (UsageError, OSError, ValueError, yaml.YAMLError):
            return {}  # (a card only: nothing is computed from it)
        return facts if isinstance(facts, dict) else {}

    def _file(self, name: str) -> Path | None:
        """A file of theirs; None where a repository lacks it."""
        return Path(self.path) / name if self.revision is None else _hub_file(self.path, self.revision, name)

    def folder(self) -> Path:
        """The folder of all files on this machine; a Hub repository is downloaded whole.

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
    pretrained: str, revision: str | None, config: str = "config.json", say: Notify = lambda sentence: None
) -> Weights:
    """Pin weights: the commit that a Hub id stands for now, or the content of a local folder.

    Args:
        pretrained: Hub id or folder.
        revision: branch, tag or commit of a Hub id.
        config: name of a file that every repository of the kind has.

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


def file_digest(path: Path, say: Notify = lambda sentence: None) -> str:
    """SHA-256 of a file, hex; remembered by its size and time, since weights are large.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        stat = path.stat()
        facts = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
        known = cache_dir() / "weights" / "files" / hashlib.sha256(facts.encode()).hexdigest()[:32]
        if known.exists():
            return known.read_text(encoding="utf-8")
        if stat.st_size > _SLOW_TO_HASH_BYTES:
            say(f"reading {path} once, to know its weights by their content")
        digest = sha256_of(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a file with weights") from error
    write_atomically(known, digest)
    return digest


def missing_weights(found: Mapping[str, Any], may_lack: tuple[str, ...] = ()) -> list[str]:
    """Names of the weights that a checkpoint lacks or has in another shape, sorted.

    Args:
        found: the loading info of ``from_pretrained``.
        may_lack: prefixes of names that are passed over.
    """
    missing = [*found["missing_keys"], *map(str, found["mismatched_keys"])]
    return sorted(name for name in missing if not name.startswith(may_lack))


def load_model(
    model_class: Any, weights: Weights, dtype: DType, device: str | None, may_lack: tuple[str, ...] = ()
) -> Any:
    """A model for inference: no gradients, evaluation mode; pickled weights are read as plain tensors only.

    Args:
        model_class: a `PreTrainedModel` or an auto class.
        device: None takes `own_device`.
        may_lack: prefixes of the names of weights that nothing depends on.

    Raises:
        UsageError: the weights cannot be read, are not all of this class, or cannot be put on the device.
    """
    from pickle import UnpicklingError

    import torch
    from safetensors import SafetensorError

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
    except (OSError, ValueError, RuntimeError, UnpicklingError, SafetensorError) as error:
        raise UsageError(f"{weights.path}: cannot be loaded ({first_line(error)})") from error
    if lacking := missing_weights(found, may_lack):
        raise UsageError(
            f"{weights.path}: not weights of {type(model).__name__}: {len(lacking)} are missing or of another shape, "
            f"such as {lacking[0]}; give another `pretrained`"
        )
    chosen = device or own_device()
    try:
        return model.eval().requires_grad_(False).to(chosen)
    except (RuntimeError, AssertionError) as error:  # no such device, no build for it, or too little memory
        raise UsageError(
            f"{weights.path}: cannot be put on {chosen} ({first_line(error)}); choose another device"
        ) from error


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


def _folder_digest(folder: Path, say: Notify) -> str:
    """Digest of the names and contents of a folder's files, documentation and other frameworks' weights aside."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in _NOT_WEIGHT_SUFFIXES and not path.name.startswith(".")
    ]
    content = json.dumps([[path.relative_to(folder).as_posix(), file_digest(path, say)] for path in files])
    return hashlib.sha256(content.encode()).hexdigest()
