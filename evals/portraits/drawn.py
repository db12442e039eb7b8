"""Finished portraits as lines of a file, so that another system of the same run need not open a store for them."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from ...agents.colophon import INCOMPLETE
from ...models import Profile
from ...records import Moment, Record
from ..provenance import code_hash
from .studio import Wanted


class _Line(Record):
    """One portrait, and for whom and when it was asked for."""

    user_id: str
    as_of: Moment
    profile: Profile


class DrawnFile:
    """Portraits made by the very code that runs; other code looks into the store and may draw anew.

    Args:
        folder: The store's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"drawn-{code_hash()[:8]}.jsonl"

    def read(self) -> dict[Wanted, Profile]:
        """Return what is there; a line that a killed run left unfinished is passed over."""
        if not self._path.exists():
            return {}
        found: dict[Wanted, Profile] = {}
        for text in self._path.read_text(encoding="utf-8").splitlines():
            try:
                line = _Line.model_validate_json(text)
            except ValidationError:
                continue
            found[Wanted(line.user_id, line.as_of)] = line.profile
        return found

    def add(self, drawn: Mapping[Wanted, Profile]) -> None:
        """Keep portraits, but for those that wait for a model to be tried again."""
        lines = [
            _Line(user_id=entry.user_id, as_of=entry.as_of, profile=profile).model_dump_json()
            for entry, profile in drawn.items()
            if not profile.fingerprint.startswith(INCOMPLETE)
        ]
        with self._path.open("a", encoding="utf-8") as file:
            # Behind what a killed run left unfinished, a line must begin anew.
            file.write("".join(f"\n{line}" for line in lines) + "\n")
