"""What a server holds while it runs: memory, file handles, threads, and what its files take; and how that grows."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...tools import checkpoints
from ...tools.sql import sql_store
from .core import MeasurementError

BLOCKS = 40
"""Means that a series is cut into before a line is put through it: neighbouring samples tell much the same."""

_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Series:
    """One quantity."""

    name: str
    unit: str
    scale: float
    """Of the unit in which it is shown: bytes to MB."""

    flat: float | None = None
    """Growth in an hour, as a share of the median, that still counts as flat; absent where growth is not judged."""

    most: float | None = None
    """What it may reach at most, in its unit; absent where that is not judged."""


SERIES: Mapping[str, Series] = {
    "memory": Series(name="resident memory", unit="MB", scale=1e-6, flat=0.02),
    "handles": Series(name="open file handles", unit="handles", scale=1.0, flat=0.02),
    "threads": Series(name="threads", unit="threads", scale=1.0, flat=0.02),
    "log": Series(name="write-ahead log", unit="MB", scale=1e-6, most=64.0),
    "database": Series(name="database", unit="MB", scale=1e-6),
    "checkpoints": Series(name="checkpoints", unit="MB", scale=1e-6, most=96.0),
    "index": Series(name="index", unit="MB", scale=1e-6),
}
"""What is sampled, by name. A log is copied into its file at 32 MB, or as soon as a reader lets it; runs that ended leave
free pages in the file of checkpoints, which the next ones use."""


def sample(pid: int, folder: Path) -> dict[str, float]:
    """Look at a process and at a store's folder.

    Raises:
        MeasurementError: The process is gone, or the system does not tell.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        handles = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError as error:
        raise MeasurementError(
            "soak", f"process {pid} cannot be looked at ({error}); it takes Linux"
        ) from error
    told = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    kept, log = sql_store.FILE_NAME, f"{sql_store.FILE_NAME}-wal"
    return {
        "memory": float(told["VmRSS"].split()[0]) * 1024,
        "handles": handles,
        "threads": float(told["Threads"]),
        "log": _size(folder / log),
        "database": _size(folder / kept),
        "checkpoints": sum(_size(folder / f"{checkpoints.FILE_NAME}{end}") for end in ("", "-wal")),
        "index": sum(_size(path) for path in (folder / "chroma").rglob("*")),
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # it was replaced just now
        return 0


class Growth(NamedTuple):
    """A line through a series."""

    slope: float
    """Per unit of the moments."""

    low: float
    high: float
    """95 % interval of the slope."""


def growth(moments: Sequence[float], values: Sequence[float], *, blocks: int = BLOCKS) -> Growth:
    """Put a line through values by least squares, with the interval of its slope.

    Values are averaged in blocks first. Fewer than three blocks tell no interval: it is infinite then.

    Examples:
        >>> growth([0.0, 1.0, 2.0, 3.0], [5.0, 7.0, 9.0, 11.0])
        Growth(slope=2.0, low=2.0, high=2.0)
    """
    from scipy import stats

    parts = min(blocks, len(moments))
    x = np.array([part.mean() for part in np.array_split(np.asarray(moments, dtype=float), parts)])
    y = np.array([part.mean() for part in np.array_split(np.asarray(values, dtype=float), parts)])
    spread = float(((x - x.mean()) ** 2).sum())
    if parts < 3 or spread == 0:
        return Growth(0.0, -np.inf, np.inf)
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    rest = y - y.mean() - slope * (x - x.mean())
    error = float(np.sqrt((rest**2).sum() / (parts - 2) / spread))
    reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, parts - 2)) * error
    return Growth(slope, slope - reach, slope + reach)
