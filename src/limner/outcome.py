"""What became of one entry of a batch."""

from dataclasses import dataclass

from .errors import LimnerError
from .models import Profile
from .pairings import Pair


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one entry of a batch."""

    user_id: str
    """The user."""

    item_id: str | None = None
    """The item of a pair; absent for a profile."""

    profile: Profile | None = None
    """The portrait, if it was drawn or already up to date."""

    pair: Pair | None = None
    """The pair, if one was asked for."""

    error: LimnerError | None = None
    """Why there is none."""
