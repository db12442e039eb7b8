"""The oracle's own journal: what was asked for, and what was acknowledged."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .invented import number_of


@dataclass
class Journal:
    """What must be true in the end."""

    sent: dict[int, str] = field(default_factory=dict[int, str])
    """Events ever sent, by number, with their user."""

    kept: set[int] = field(default_factory=set[int])
    """Events whose recording was acknowledged."""

    forgotten: dict[str, int] = field(default_factory=dict[str, int])
    """Users whose forgetting was acknowledged, with the number of events sent by then."""

    drawn: dict[str, list[tuple[int, str]]] = field(default_factory=dict[str, list[tuple[int, str]]])
    """Versions and fingerprints of portraits that were returned, by user."""

    wished: dict[str, int] = field(default_factory=dict[str, int])
    """Users whose drawing was queued and acknowledged, with the newest event of it."""

    written: dict[Path, dict[str, Any]] = field(default_factory=dict[Path, dict[str, Any]])
    """Files and folders that were acknowledged, with what was said of them."""

    breaches: list[str] = field(default_factory=list[str])
    """Budgets that were passed."""

    wrong: list[str] = field(default_factory=list[str])
    """What must not have happened on the way."""

    faults: Counter[str] = field(default_factory=Counter[str])
    """What was done to it, by kind."""

    kills: Counter[str] = field(default_factory=Counter[str])
    """Processes killed, by what they were doing."""

    def keep(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Note that events are recorded."""
        self.kept |= {number_of(event["text"]) for event in events}

    def forget(self, user_id: str) -> None:
        """Note that a user is forgotten, with everything sent so far."""
        self.forgotten[user_id] = len(self.sent)
        self.drawn.pop(user_id, None)
        self.wished.pop(user_id, None)

    def is_forgotten(self, number: int) -> bool:
        """Whether an event was forgotten."""
        return number < self.forgotten.get(self.sent[number], 0)
