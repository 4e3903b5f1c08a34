"""What each private environment is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from avemo_harness.errors import UsageError
from avemo_harness.models.environments.pins import libraries, names_of, read_lock, with_hashes
from avemo_harness.names import hint

FORMAT = 2
"""Raised when environments are made in another way, so that old ones count as stale."""

COMPILED = ("torch", "torchvision")
"""Packages whose build must fit the machine's drivers: those of the main environment are known to."""

SHARED = (
    "transformers==4.45.0",
    "tokenizers==0.20.3",
    "accelerate==1.2.1",
    "numpy==1.26.4",
    "scipy==1.14.1",
    "safetensors==0.8.0",
    "av==18.1.0",
    "jinja2==3.1.6",
    "pydantic==2.14.3",
    "pyyaml==6.0.3",
    # It builds what has no wheel; the last that has what librosa 0.9 and diffusers 0.24 import.
    "setuptools==80.9.0",
    # None is built for this torch; `avemo_harness.models.remote_code` makes do with its part that is plain Python.
    "torchaudio==2.11.0",
)
"""What both models' code runs on, and what this package needs of its own."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """An environment.

    Args:
        name: of it, and of the model that runs in it.
        builds: of torch and its like, pinned, with hashes where they are known.
        libraries: pins of what the builds need beyond the lock, such as those of CUDA; likewise.
        packages: further requirements, pinned.
        lock: the packages and all that they and the builds need, pinned, each with the hashes of its files.
        modules: to import when it is made, to see that it works.
        stand_ins: modules that published code imports for features that are not used here; where they are not
            installed, those of `avemo_harness.models.environments.stand_ins` take their place.
    """

    name: str
    builds: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    lock: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Of everything in it, hex."""
        content = json.dumps([FORMAT, asdict(self)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def distributions(self) -> tuple[str, ...]:
        """The names of the packages that are asked for."""
        return tuple(requirement.partition("==")[0] for requirement in (*self.builds, *self.packages))


def minicpm_o() -> Recipe:
    """MiniCPM-o 2.6, whose authors pin transformers 4.44.2; 4.45.0 runs it as well."""
    own = (
        "huggingface-hub==0.36.2",
        "librosa==0.9.0",
        "moviepy==1.0.3",
        "pillow==10.1.0",
        "soundfile==0.12.1",
        "timm==1.0.12",
        "vector-quantize-pytorch==1.18.5",
        "vocos==0.1.0",
    )
    modules = ("librosa", "numpy", "soundfile", "torch", "transformers", "vector_quantize_pytorch")
    return _locked("minicpm-o", (*SHARED, *own), modules)


def baichuan_omni() -> Recipe:
    """Baichuan-Omni-1.5, after its authors' list."""
    own = (
        "cairosvg==2.7.1",
        "decord==0.6.0",
        "diffusers==0.24.0",
        "easydict==1.13",
        "einops==0.8.0",
        "fire==0.7.0",
        # The last that has what diffusers 0.24 imports.
        "huggingface-hub==0.25.1",
        "imagesize==1.4.1",
        "librosa==0.10.2.post1",
        "omegaconf==2.3.0",
        "opencv-python-headless==4.10.0.84",
        "pillow==10.2.0",
        "soundfile==0.12.1",
        "ujson==5.10.0",
    )
    modules = ("cairosvg", "cv2", "decord", "diffusers", "numpy", "soundfile", "torch", "transformers")
    return _locked("baichuan-omni", (*SHARED, *own), modules, ("flash_attn", "deepspeed"))


def _locked(name: str, packages: tuple[str, ...], modules: tuple[str, ...], stand_ins: tuple[str, ...] = ()) -> Recipe:
    lock = read_lock(name)
    builds = main_builds()
    return Recipe(
        name,
        builds=with_hashes(builds),
        libraries=with_hashes(libraries(COMPILED, names_of(lock))),
        packages=packages,
        lock=lock,
        modules=modules,
        stand_ins=stand_ins,
    )


RECIPES: Mapping[str, Callable[[], Recipe]] = {"minicpm-o": minicpm_o, "baichuan-omni": baichuan_omni}


def find_recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        UsageError: there is none, or the main environment lacks what goes into it.
    """
    if name not in RECIPES:
        raise UsageError(f"unknown environment {name!r}{hint(name, RECIPES)}")
    return RECIPES[name]()


def main_builds() -> tuple[str, ...]:
    """Requirements for the very builds that this environment has, such as ``torch==2.13.0+cpu``.

    Raises:
        UsageError: one is not installed.
    """
    try:
        return tuple(f"{package}=={version(package)}" for package in COMPILED)
    except PackageNotFoundError as error:
        raise UsageError(f"{error.name} is not installed here; install avemo-harness again with pip") from error
