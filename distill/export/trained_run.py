"""What a training run left behind, whichever trainer it was."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from ...errors import InputError
from ...settings import EMBEDDED
from ...tools.checksums import revision_of, sha256_of
from ...tools.weights import weights_path
from ..log.manifest import MANIFEST
from ..training.run_folder import ADAPTER, RUN
from .adapter import CONFIG, AdapterError


class TrainedRun(NamedTuple):
    """An adapter and where it comes from."""

    adapter: Path
    """Folder that PEFT wrote."""

    base: str
    """`limner/NAME`, a `.gguf` file, or a Hugging Face folder."""

    base_revision: str | None
    """12 hexadecimal digits of the weights that it was trained on; absent if nothing says."""

    record: Mapping[str, Any]
    """`run.json`; empty if there is none."""

    manifest: Mapping[str, Any]
    """`manifest.json` of the training set; empty if that is not where the run found it, or another one is."""

    data: Path | None
    """Folder of the training set, if it is still there and the one that the run was trained on."""

    @property
    def public_base(self) -> str:
        """Return the base's name without folders of this machine."""
        return self.base if self.base.startswith(EMBEDDED) else Path(self.base).name

    @property
    def settings(self) -> Mapping[str, Any]:
        """Return the run's settings; empty if nothing says."""
        found: Mapping[str, Any] = self.record.get("identity", self.record).get("settings", {})
        return found


class BaseFile(NamedTuple):
    """A base as llama.cpp loads it."""

    path: Path
    """The GGUF file."""

    name: str
    """`NAME` of `limner/NAME`."""


def read_run(folder: Path, base: str | None) -> TrainedRun:
    """Return what a run's folder, or a bare folder of an adapter, says.

    Args:
        folder: With `adapter/` and, as a rule, `run.json`; or what PEFT's `save_pretrained` wrote.
        base: Base to use instead of the one that the run names.

    Raises:
        AdapterError: There is no adapter.
        InputError: Nothing says which base it is for, or `run.json` is not readable.
    """
    adapter = folder / ADAPTER if (folder / ADAPTER).is_dir() else folder
    try:
        config: dict[str, Any] = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AdapterError(str(adapter), f"{CONFIG} cannot be read: {error}") from error
    found = TrainedRun(adapter, "", None, _json(folder / RUN), {}, None)
    base = base or found.settings.get("base") or config.get("base_model_name_or_path")
    if not base:
        raise InputError(f"{folder}: does not say which base the adapter is for; name it with `--base`")
    revision = found.record.get("identity", {}).get("base_revision") or config.get("revision")
    data = Path(found.settings["data"]) if found.settings.get("data") else None
    if data is not None and not _is_still(data, found.record.get("identity", {}).get("data_sha256")):
        data = None
    manifest: Mapping[str, Any] = {} if data is None else _json(data / MANIFEST)
    return found._replace(base=base, base_revision=revision, manifest=manifest, data=data)


def base_file(run: TrainedRun, given: str | None, models_dir: Path) -> BaseFile:
    """Return the GGUF file of a run's base.

    Args:
        run: The run.
        given: `limner/NAME` or a `.gguf` file to use; needed if the run's base is a Hugging Face folder.
        models_dir: Folder that weights lie in.

    Raises:
        InputError: The base is no GGUF file, or not the one that the adapter was trained on.
        UnknownWeightsError: No weights have this name.
        WeightsMissingError: The weights are not on disk.
    """
    base = given or run.base
    if base.startswith(EMBEDDED):
        name = base.removeprefix(EMBEDDED)
        found = BaseFile(weights_path(name, models_dir), name)
    elif Path(base).is_file() and Path(base).suffix == ".gguf":
        found = BaseFile(Path(base), Path(base).stem)
    else:
        raise InputError(
            f"base {base!r} is no GGUF file; name one of the same model with `--base-gguf`, or export `merged` "
            "and convert that with llama.cpp's convert_hf_to_gguf.py"
        )
    revision = revision_of(found.path)
    if given is None and run.base_revision is not None and revision != run.base_revision:
        raise InputError(
            f"base {base!r} has revision {revision}, but the adapter was trained on {run.base_revision}; put "
            "those weights back, or name a file of the same model with `--base-gguf`"
        )
    return found


def _is_still(data: Path, sha256: str | None) -> bool:
    """Whether a folder holds the training set whose manifest has this sum; any, if the sum is not known."""
    path = data / MANIFEST
    return path.is_file() and sha256 in (None, sha256_of(path))


def _json(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        read: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    if not isinstance(read, dict):
        raise InputError(f"{path}: must be a JSON object")
    return cast(dict[str, Any], read)  # JSON's keys are strings
