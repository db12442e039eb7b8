"""Embedded models by name: whole weights, or a base with a LoRA adapter laid over it.

`limner/NAME` is, in this order: known weights; the folder `NAME/` of the models folder, if it holds a
`profiler.json`; the file `NAME.gguf` there; the folder `NAME/` that ships with the package.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ..errors import UnknownWeightsError, WeightsError
from ..records import Record
from .checksums import known_sha256, revision_of
from .weights import KNOWN, State, WeightsStatus, list_weights, weights_path

DESCRIPTION = "profiler.json"

SHIPPED = Path(str(files("limner") / "weights"))
"""Folder of the profilers that come with the package; it may be absent."""

Style = Literal["free", "lexicon", "plain"]


class BrokenProfilerError(WeightsError):
    """A profiler's folder does not hold what its description says."""

    code = "weights_profiler"

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}; export the profiler again, or delete its folder"


def _beside(name: str) -> str:
    """Refuse a path that leaves the folder."""
    if Path(name).name != name:
        raise ValueError(f"must be the name of a file beside the description, got {name!r}")
    return name


FileName = Annotated[str, Field(min_length=1), AfterValidator(_beside)]


class ProfilerDescription(Record):
    """What a profiler's folder says about itself, in `profiler.json`."""

    format: Literal["limner-profiler/1"] = "limner-profiler/1"
    """Form of this file."""

    weights: FileName | None = None
    """Whole model, a GGUF file in the folder; absent if an adapter is laid over a base."""

    base: str | None = None
    """Name of the weights below the adapter, as in `limner/BASE`."""

    base_sha256: str | None = None
    """The base's sha256 in hexadecimal digits; absent if any file of that name will do."""

    adapter: FileName | None = None
    """LoRA adapter, a GGUF file in the folder."""

    style: Style | None = None
    """Drafting style that the profiler was trained to write in; absent if any will do."""

    purpose: str = "profiler"
    """What it is, in a few words, for lists."""

    licence: str = "unknown"
    """SPDX expression for what is in the folder."""

    card: FileName | None = None
    """Model card, a Markdown file in the folder."""

    @model_validator(mode="after")
    def _whole_or_adapter(self) -> Self:
        laid_over = self.base is not None and self.adapter is not None
        if (self.weights is None) is not laid_over or (self.base is None) is not (self.adapter is None):
            raise ValueError("give either `weights`, or both `base` and `adapter`")
        return self


class ModelFiles(NamedTuple):
    """What an embedded model is loaded from."""

    weights: Path
    """GGUF file of the whole model, or of the base."""

    adapter: Path | None = None
    """GGUF file of the LoRA adapter to lay over it."""

    style: Style | None = None
    """Drafting style it was trained for; absent if nothing says so."""

    @property
    def revision(self) -> str:
        """Return 12 digits that change with any byte of the files."""
        return revision_of(self.weights) if self.adapter is None else _both(self.weights, self.adapter)


def model_files(name: str, models_dir: Path) -> ModelFiles:
    """Return the files of an embedded model.

    Args:
        name: What follows `limner/`; also the absolute path of a `.gguf` file.
        models_dir: Folder that weights lie in.

    Raises:
        UnknownWeightsError: Nothing known, present or shipped has this name.
        WeightsMissingError: Known weights, or the base of an adapter, are not on disk.
        BrokenProfilerError: The profiler's folder lacks a file, or its base is another one.
    """
    folder = _folder_of(name, models_dir)
    if folder is None:
        try:
            return ModelFiles(weights_path(name, models_dir))
        except UnknownWeightsError as error:
            raise UnknownWeightsError(name, _names(models_dir)) from error
    description = read_description(folder)
    for file in (description.weights, description.adapter):
        if file is not None and not (folder / file).is_file():
            raise BrokenProfilerError(str(folder), f"{file} is missing")
    if description.base is None or description.adapter is None:
        assert description.weights is not None, "a description names weights or an adapter"
        return ModelFiles(folder / description.weights, style=description.style)
    base = weights_path(description.base, models_dir)
    wanted, found = description.base_sha256, known_sha256(base)
    if wanted is not None and wanted != found:
        raise BrokenProfilerError(
            str(folder), f"its base {description.base!r} has sha256 {wanted}, but {base} has {found}"
        )
    return ModelFiles(base, folder / description.adapter, description.style)


def style_of(name: str, models_dir: Path) -> Style | None:
    """Return the drafting style that a profiler says it was trained for, whether or not its base is there."""
    folder = _folder_of(name, models_dir)
    return None if folder is None else read_description(folder).style


def base_of(name: str, models_dir: Path) -> str:
    """Return the weights to fetch so that a model runs: a profiler's base, else the name itself."""
    folder = _folder_of(name, models_dir)
    return (None if folder is None else read_description(folder).base) or name


def read_description(folder: Path) -> ProfilerDescription:
    """Return what a profiler's folder says about itself.

    Raises:
        BrokenProfilerError: There is no readable description.
    """
    path = folder / DESCRIPTION
    try:
        return ProfilerDescription.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise BrokenProfilerError(
            str(path), f"`{where}`: {fault['msg']}" if where else fault["msg"]
        ) from None
    except (OSError, ValueError) as error:
        raise BrokenProfilerError(str(path), str(error)) from error


def list_profilers(models_dir: Path) -> list[WeightsStatus]:
    """Return the profilers of the models folder, then those that ship and have no namesake there."""
    return [_status(name, folder, models_dir) for name, folder in _folders(models_dir)]


def _status(name: str, folder: Path, models_dir: Path) -> WeightsStatus:
    purpose, licence, size = "profiler", "unknown", 0
    state: State = "present"
    try:
        description = read_description(folder)
        own = [folder / file for file in (description.weights, description.adapter) if file is not None]
        size = sum(path.stat().st_size for path in own if path.is_file())
        over = f", adapter for {description.base}" if description.base else ""
        purpose, licence = f"{description.purpose}{over}", description.licence
        model_files(name, models_dir)
    except BrokenProfilerError:
        state = "damaged"
    except WeightsError:
        state = "missing"
    return WeightsStatus(
        name=name, purpose=purpose, licence=licence, size=size, path=folder, state=state, known=False
    )


def _folder_of(name: str, models_dir: Path) -> Path | None:
    """Return the folder that describes a model; `None` for bare weights, and for names of nothing."""
    if Path(name).name != name or any(known.name == name for known in KNOWN):
        return None
    if (models_dir / name / DESCRIPTION).is_file():
        return models_dir / name
    shipped = (SHIPPED / name / DESCRIPTION).is_file() and not (models_dir / f"{name}.gguf").is_file()
    return SHIPPED / name if shipped else None


def _folders(models_dir: Path) -> Iterator[tuple[str, Path]]:
    names = {
        path.parent.name for place in (models_dir, SHIPPED) for path in place.glob(f"[!.]*/{DESCRIPTION}")
    }
    for name in sorted(names):
        folder = _folder_of(name, models_dir)
        if folder is not None:
            yield name, folder


def _names(models_dir: Path) -> tuple[str, ...]:
    listed = (*list_weights(models_dir), *list_profilers(models_dir))
    return tuple(status.name for status in listed)


def _both(weights: Path, adapter: Path) -> str:
    status = adapter.stat()
    return _over(known_sha256(weights), adapter, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _over(base: str, adapter: Path, size: int, changed: int) -> str:
    """Return the revision of an adapter over a base; an adapter is small, so that it needs no stamp."""
    return hashlib.sha256(base.encode() + adapter.read_bytes()).hexdigest()[:12]
