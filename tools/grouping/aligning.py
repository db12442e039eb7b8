"""What trains individuals and groups towards each other, as those who use it see it."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..embedder import FloatArray
from ..space import Side
from .grouping import Groups

Gain = Callable[[Side, Groups], float]
"""Value of a map and of groups on held-back choices: higher is better."""


class Pass(NamedTuple):
    """One pass over all users."""

    number: int
    side: str
    """`individuals` or `groups`: which one learned."""

    loss: float
    """Mean over the batches, in nats."""

    gain: float | None
    """Value on held-back choices after it; absent if nobody measures."""

    seconds: float


class Aligned(NamedTuple):
    """What was learned."""

    side: Side
    """Moves users' vectors; apply it before `tools.grouping.grouping.assign`."""

    groups: Groups
    """Groups among the moved vectors."""

    log: tuple[Pass, ...]


class Align(Protocol):
    """Lets individuals and groups learn from each other in turns."""

    def __call__(
        self,
        user_vectors: FloatArray,
        groups: Groups,
        *,
        seed: int,
        gain: Gain | None = None,
        notice: Callable[[str], None] = ...,
    ) -> Aligned:
        """Return what served held-back choices best.

        Args:
            user_vectors: One row a user, shape `(U, D)`; zeros for users who are left out.
            groups: Found among these vectors; where learning starts.
            seed: Order of the batches.
            gain: Value on held-back choices.
            notice: Takes one line a pass.

        Raises:
            MissingExtraError: The trainer's library is not installed.
        """
        ...
