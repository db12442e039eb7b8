"""Rankings that were paid for, as lines of a file: nobody is ranked twice by the very code and settings that run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from ...records import Moment, Record, Usage
from ..provenance import code_hash


class Wish(NamedTuple):
    """One list of candidates to rank."""

    user_id: str
    as_of: Moment
    items: tuple[str, ...]
    """Candidates, in the order of the question."""


class Ranked(Record):
    """One ranked list, and what it took."""

    user_id: str
    as_of: Moment
    items: tuple[str, ...]
    """As asked."""

    ranks: tuple[float, ...]
    """Place of each item, 1 is best; those that tie share the mean of their places."""

    ratings: tuple[float | None, ...]
    """Rating that a judge of the pair expects of each; absent where none read it, or nothing was rated."""

    paired: int = 0
    """Items that a pass was made for."""

    textless: int = 0
    """Items that nothing is said about anywhere; they share the last places."""

    usage: Usage = Usage()
    """What it took when it was made."""

    finished: bool = True
    """False where a model or the budget of the whole run failed: another run tries again."""

    notes: tuple[str, ...] = ()
    """Anything a reader should know."""

    @property
    def wish(self) -> Wish:
        """What was asked."""
        return Wish(self.user_id, self.as_of, self.items)


class RankedFile:
    """Ranked lists by the very code that runs; other code starts anew.

    Args:
        folder: Made by whoever adds first.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"ranked-{code_hash()[:8]}.jsonl"

    def read(self) -> Mapping[Wish, Ranked]:
        """Return what is there; a line that a killed run left unfinished is passed over."""
        if not self._path.exists():
            return {}
        found: dict[Wish, Ranked] = {}
        for text in self._path.read_text(encoding="utf-8").splitlines():
            try:
                line = Ranked.model_validate_json(text)
            except ValidationError:
                continue
            found[line.wish] = line
        return found

    def add(self, ranked: Iterable[Ranked]) -> None:
        """Keep lists, but for those that wait for a model to be tried again."""
        lines = [line.model_dump_json() for line in ranked if line.finished]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            # Behind what a killed run left unfinished, a line must begin anew.
            file.write("".join(f"\n{line}" for line in lines) + "\n")
