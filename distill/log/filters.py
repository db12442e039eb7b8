"""Which rollouts may teach, and why the others may not."""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated, Literal, get_args

from pydantic import Field, NonNegativeFloat

from ...models import Rollout
from ...records import Record

Reason = Literal[
    "repeated",
    "excluded",
    "no_consent",
    "forgotten",
    "extractive",
    "pair",
    "finish_reason",
    "incomplete",
    "ungraded",
    "after_boundary",
    "before_boundary",
    "duplicate",
    "not_rescored",
    "single",
    "equal",
]
"""Why a rollout was dropped, in the order in which the reasons are tried:

- `repeated`: its `rollout_id` was already read
- `excluded`, `no_consent`, `forgotten`: its user must not be learned from
- `extractive`: no model wrote it
- `pair`: it describes an item too
- `finish_reason`: the model was cut off or refused
- `incomplete`: prompt, completion or total reward is missing
- `ungraded`: nothing was held back and no outcome is known, so the reward says nothing about what the user
  did next
- `after_boundary`, `before_boundary`: on the wrong side of the boundary for its split
- `duplicate`: the same completion as an earlier draft of its group
- `not_rescored`: the wanted critic could not grade it again
- `single`: alone in its group
- `equal`: best and worst of its group are less than `epsilon` apart
"""

REASONS: tuple[Reason, ...] = get_args(Reason)


class Filters(Record):
    """What a rollout and a group must be like to be kept."""

    finish_reasons: Annotated[tuple[str, ...], Field(min_length=1)] = ("stop",)
    """Finish reasons of a completion that is whole, as the backend gives them."""

    epsilon: NonNegativeFloat = 0.01
    """Least difference between best and worst reward of a group. Real rewards are never quite equal, so 0 keeps
    groups that teach nothing."""

    pairs: bool = False
    """Whether drafts of a pair of user and item are kept."""

    require_consent: bool = False
    """Whether a rollout that does not say so counts as written without consent."""


def fault(rollout: Rollout, filters: Filters) -> Reason | None:
    """Return why a rollout cannot teach by itself, whatever its group is."""
    if rollout.round < 0:
        return "extractive"
    if rollout.item_id is not None and not filters.pairs:
        return "pair"
    if rollout.finish_reason not in filters.finish_reasons:
        return "finish_reason"
    if not rollout.messages or not rollout.completion.strip() or "total" not in rollout.rewards:
        return "incomplete"
    return None if rollout.held or rollout.outcome else "ungraded"


def first_of_each(drafts: Sequence[Rollout]) -> list[Rollout]:
    """Return the drafts of a group without those that repeat an earlier completion, white space aside."""
    seen: dict[str, Rollout] = {}
    for draft in drafts:
        seen.setdefault(" ".join(draft.completion.split()), draft)
    return list(seen.values())


def group_fault(rewards: Sequence[float], filters: Filters) -> Reason | None:
    """Return why the rewards of a group tell its drafts not apart.

    Examples:
        >>> group_fault([0.5], Filters()), group_fault([0.5, 0.505], Filters()), group_fault([0.5, 0.6], Filters())
        ('single', 'equal', None)
    """
    if len(rewards) < 2:
        return "single"
    return "equal" if max(rewards) - min(rewards) < filters.epsilon else None


def inconsistency(rollout: Rollout) -> tuple[str, str] | None:
    """Return the field of a rollout that contradicts itself, and how; `None` if all is well.

    Such a row was damaged or made by hand: it is an error, not something to drop in silence.
    """
    for name, value in rollout.rewards.items():
        if not isfinite(value):
            return "rewards", f"{name!r} is {value!r}, not a finite number"
    ids, logprobs = rollout.token_ids, rollout.token_logprobs
    if ids is not None and logprobs is not None and len(ids) != len(logprobs):
        return "token_logprobs", f"{len(logprobs)} values for {len(ids)} `token_ids`"
    return None
