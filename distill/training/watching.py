"""What may look at a model while it is trained, and end its training."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from ..log.training_rows import Messages

Writer = Callable[[Sequence[Messages]], list[str]]
"""Draws one completion for each prompt from the model that is being trained; the same seed at every look."""


class Look(NamedTuple):
    """What a watch saw."""

    metrics: Mapping[str, float]
    """Numbers by name; they join the run's history and its curves."""

    stop: str | None = None
    """Why training must end; absent to go on."""


class Watch(Protocol):
    """Looks at the model every `eval_every` steps, before the first step and after the last."""

    def look(self, step: int, write: Writer) -> Look:
        """Measure the model after `step` optimiser steps."""
        ...
