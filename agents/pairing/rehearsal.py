"""Pairs whose outcome is known: past interactions written as if they were still to come, graded by what came.

For each of a user's newest interactions, as of its own moment: a pair for the item that was chosen and for a few
that were not. The drafts, with every span, the judge's distribution and the outcome, go into the log to be learned
from; the pairs themselves are not kept.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import NamedTuple

from ...errors import EmptyHistoryError, NoTextError
from ...pairings import PairOutcome
from ...records import Interaction, Usage
from ...tools.budget import Budget
from ...tools.negatives import Negatives
from ..case import MOST_EVENTS
from ..colophon import INCOMPLETE
from ..drawing import Drawing
from ..state import Deps
from .outcomes import disliked, line_up

_KINDS = ("hard", "popular", "random")


class Scene(NamedTuple):
    """One pass to be written."""

    user_id: str
    item_id: str
    outcome: PairOutcome
    as_of: datetime
    """The moment of the outcome."""


class Rehearsed(NamedTuple):
    """What came of one scene."""

    scene: Scene
    state: str
    """`logged`, `there` (in the log already), `skipped` (too little to write from) or `unfinished` (a call failed or
    was refused)."""

    usage: Usage


async def scenes_of(
    deps: Deps, user_id: str, *, as_of: datetime, per_user: int, negatives: int
) -> list[Scene]:
    """Return the passes for a user's newest interactions, newest first.

    An interaction counts if its item is in the catalogue and new to the user at that moment, and if anything was
    recorded before. A chosen item that was not liked gets no negatives: nobody knows that they would be worse.

    Args:
        deps: What a run may touch.
        user_id: Whose past.
        as_of: Exclusive bound.
        per_user: Interactions, newest first.
        negatives: Items for each that were not chosen: hard, popular and random ones in turn.
    """
    events = await deps.store.history(user_id, as_of=as_of, last=MOST_EVENTS)
    chosen = await _new_choices(deps, events)
    scenes: list[Scene] = []
    for event, item_id in chosen[:per_user]:
        own = PairOutcome(event_id=event.event_id, item_id=item_id, chosen=True, rating=event.rating)
        scenes.append(Scene(user_id, item_id, own, event.at))
        scale = await deps.store.rating_scale(as_of=event.at)
        if negatives == 0 or disliked(own, scale):
            continue
        other = own.model_copy(update={"chosen": False, "rating": None})
        drawn = await line_up(deps, user_id, own, as_of=event.at)
        scenes += [Scene(user_id, item, other, event.at) for item in in_turn(drawn)[:negatives]]
    return scenes


async def _new_choices(deps: Deps, events: Sequence[Interaction]) -> list[tuple[Interaction, str]]:
    """Return the interactions with an item that nothing earlier names, newest first; the very first one has no past."""
    known = await deps.store.items(list({event.item_id for event in events if event.item_id}))
    first: dict[str, Interaction] = {}
    for event in events:
        if event.item_id:
            first.setdefault(event.item_id, event)
    begun = events[0].at if events else None
    return [
        (event, event.item_id)
        for event in reversed(events)
        if event.item_id in known and first[event.item_id] is event and event.at != begun
    ]


def in_turn(drawn: Negatives) -> list[str]:
    """Return negatives one of each kind in turn.

    Examples:
        >>> in_turn(Negatives(item_ids=("a", "b", "c", "d"), kinds=("hard", "hard", "popular", "random")))
        ['a', 'c', 'd', 'b']
    """
    kinds = [
        [item for item, drawn_as in zip(drawn.item_ids, drawn.kinds, strict=True) if drawn_as == kind]
        for kind in _KINDS
    ]
    return [item for row in zip_longest(*kinds) for item in row if item is not None]


async def rehearse(drawing: Drawing, scene: Scene, *, budget: Budget, logged: Collection[str]) -> Rehearsed:
    """Write and log one scene.

    Raises:
        BudgetExceededError: The budget is smaller than one pass; no model was asked.
    """
    try:
        pair = await drawing.rehearse(
            scene.user_id, scene.item_id, scene.outcome, as_of=scene.as_of, budget=budget, logged=logged
        )
    except (EmptyHistoryError, NoTextError):
        return Rehearsed(scene, "skipped", Usage())
    if pair is None:
        return Rehearsed(scene, "there", Usage())
    missing = pair.fingerprint.startswith(INCOMPLETE)
    return Rehearsed(scene, "unfinished" if missing else "logged", pair.usage)
