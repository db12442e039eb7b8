"""Results on disk: `RUN.json` and, beside it, `RUN.npz` with the values of every user.

Both appear whole or not at all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ..errors import UnknownFormatError
from ..faults import first_fault
from ..tools.whole_files import whole_file, write_whole
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
    with whole_file(path.with_suffix(".npz")) as draft, draft.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    write_whole(path, result.model_dump_json(indent=2) + "\n")


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
        fault = first_fault(error)
        where = fault.field or "the document"
        raise UnknownFormatError(str(path), f"not a result: `{where}`: {fault.reason}") from error


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
