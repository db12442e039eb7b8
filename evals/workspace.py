"""What systems need from the machine they run on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..settings import Settings


def say_nothing(line: str) -> None:
    """Take a line of progress for nobody."""
    del line


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Where a system may keep things, and how it speaks."""

    folder: Path
    """For caches; made by whoever writes first."""

    seed: int
    """For whatever is drawn at random before a past is given."""

    settings: Settings
    """Limner's own: models, encoders, budgets."""

    notice: Callable[[str], None] = say_nothing
    """Takes one line of progress or warning for the person who waits."""
