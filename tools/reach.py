"""How far a user's history reaches."""

from datetime import datetime
from typing import NamedTuple


class Reach(NamedTuple):
    """How much somebody did, and between which moments."""

    events: int
    """Interactions, at least one."""

    first: datetime
    """When the first was."""

    last: datetime
    """When the last was."""
