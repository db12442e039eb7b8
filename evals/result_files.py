"""Results on disk: `RUN.json` and, beside it, `RUN.npz` with the values of every user.

Both appear whole or not at all.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ..errors import UnknownFormatError
from .results import Measured, Result, Values


@dataclass(frozen=True, kw_only=True)
class PerQuery:
    """One system's values on one data set, as saved."""

    system: str
    dataset: str
    users: NDArray[np.str_]
    values: Mapping[str, Values]


def result_files(source: Path) -> tuple[Path, ...]:
    """Return a result file itself, or all those of a folder.

    Raises:
        UnknownFormatError: A folder has none.
    """
    if not source.is_dir():
        return (source,)
    files = tuple(sorted(path for path in source.glob("*.json") if path.with_suffix(".npz").exists()))
    if not files:
        raise UnknownFormatError(str(source), "holds no results; run `limner eval SUITE --out` there first")
    return files


def save_result(result: Result, measured: Sequence[Measured], path: Path) -> None:
    """Write `path` (JSON) and the values of every user beside it (`.npz`), the document last.

    Args:
        result: The document.
        measured: Where its rows come from.
        path: Ends in `.json`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {}
    index: list[dict[str, object]] = []
    for place, part in enumerate(measured):
        names = list(part.per_query)
        index.append({"system": part.system, "dataset": part.dataset, "metrics": names})
        arrays[f"{place}/users"] = np.asarray(part.users, dtype=np.str_)
        arrays.update(
            {f"{place}/{at}": part.per_query[name].astype(np.float32) for at, name in enumerate(names)}
        )
    arrays["index"] = np.asarray(json.dumps(index))
    with _Whole(path.with_suffix(".npz")) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
    with _Whole(path) as temporary:
        temporary.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_result(path: Path) -> Result:
    """Read a document.

    Raises:
        UnknownFormatError: The file is missing, or is not such a document.
    """
    try:
        return Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UnknownFormatError(
            str(path), f"cannot be read ({error.strerror}); give a result file"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise UnknownFormatError(str(path), f"not a result: `{where}`: {first['msg']}") from error


def load_per_query(path: Path) -> tuple[PerQuery, ...]:
    """Read the values of every user that were saved beside a document.

    Args:
        path: The document's path.

    Raises:
        UnknownFormatError: They are missing or broken.
    """
    beside = path.with_suffix(".npz")
    try:
        with np.load(beside, allow_pickle=False) as archive:
            index = json.loads(str(archive["index"]))
            return tuple(
                PerQuery(
                    system=part["system"],
                    dataset=part["dataset"],
                    users=archive[f"{place}/users"],
                    values={name: archive[f"{place}/{at}"] for at, name in enumerate(part["metrics"])},
                )
                for place, part in enumerate(index)
            )
    except (OSError, ValueError, KeyError) as error:
        raise UnknownFormatError(
            str(beside), f"values of users cannot be read ({error}); run again"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class _Whole:  # reads as a verb at its place
    """A temporary path that becomes the real one only if nothing failed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".", suffix=self._path.suffix)
        os.close(handle)
        self._temporary = Path(name)
        return self._temporary

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._temporary.chmod(0o666 & ~_umask())  # as if it had been opened at its place
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)
