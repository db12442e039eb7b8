"""Grade logged drafts again, when the critic has changed."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ...agents.critic import criticise
from ...agents.fingerprint import critic_version
from ...agents.state import Deps, Draft
from ...errors import ExamChangedError, InputError
from ...models import Rollout
from ...tools.reward import FLOOR
from .filters import inconsistency
from .groups import DraftGroup
from .reopened_case import reopen_case

UNREADABLE = {"malformed": 1.0, "total": FLOOR}
"""Rewards of a completion that holds no sentence."""


class Rescore(Protocol):
    """The door to a critic that grades drafts of the log."""

    @property
    def critic_version(self) -> str:
        """The version that its rewards belong to."""
        ...

    async def __call__(self, drafts: Sequence[Rollout]) -> Sequence[Mapping[str, float] | None]:
        """Return every reward term and `total` of each draft, `None` for one that cannot be graded.

        Args:
            drafts: One group: same user, prompt, moment, held-back events and seed of the negatives.
        """
        ...


class StoreCritic:
    """The critic of the drawing graph over the store that the log comes from.

    It grades against what the drafts were not shown: if the history before their moment, what is held back
    or the seed of the negatives is no longer the same, they are not graded. Nor are drafts of a pair, of
    which the log does not hold every part.

    Args:
        deps: What the graph may touch, with the critic's settings; the catalogue must be indexed.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._version = critic_version(deps)

    @property
    def critic_version(self) -> str:
        """Encoder and settings of the critic."""
        return self._version

    async def __call__(self, drafts: Sequence[Rollout]) -> Sequence[Mapping[str, float] | None]:
        """Grade a group; see `Rescore`."""
        first = drafts[0]
        nobody: list[Mapping[str, float] | None] = [None] * len(drafts)
        if first.item_id is not None:
            return nobody
        try:
            case = await reopen_case(
                self._deps, first.user_id, as_of=first.as_of, held=first.held, neg_seed=first.neg_seed
            )
        except ExamChangedError:
            return nobody
        readable = {place: _draft_of(draft) for place, draft in enumerate(drafts) if draft.facets}
        review = await criticise(self._deps, case, list(readable.values()))
        if review.notes or review.exhausted:  # a term is missing, so the totals would not compare
            return nobody
        graded = dict(zip(readable, review.drafts, strict=True))
        return [
            critique.rewards if place in graded and (critique := graded[place].critique) else UNREADABLE
            for place in range(len(drafts))
        ]


async def graded_by(
    group: DraftGroup, version: str, rescore: Rescore | None
) -> tuple[list[Rollout], list[Rollout]]:
    """Return the drafts of a group with rewards of one critic, and those it could not grade.

    If any draft was graded by another critic all are graded again, so that no group is mixed.

    Raises:
        InputError: The door gave a reward that is no number, or no total.
    """
    drafts = list(group.drafts)
    if all(draft.critic_version == version for draft in drafts):
        return drafts, []
    assert rescore is not None, "without the door, a log of several critics is refused before"
    graded: list[Rollout] = []
    lost: list[Rollout] = []
    for draft, rewards in zip(drafts, await rescore(drafts), strict=True):
        if rewards is None:
            lost.append(draft)
            continue
        again = draft.model_copy(update={"rewards": dict(rewards), "critic_version": version})
        if "total" not in rewards or inconsistency(again):
            raise InputError(
                f"critic {version!r} gave draft {draft.rollout_id!r} the rewards {dict(rewards)!r}"
            )
        graded.append(again)
    return graded, lost


def _draft_of(rollout: Rollout) -> Draft:
    """Return a logged draft as the critic reads it."""
    return Draft(
        round=rollout.round,
        draft_ix=rollout.draft_ix,
        facets=rollout.facets,
        claims=rollout.claims,
        completion=rollout.completion,
        finish_reason=rollout.finish_reason,
        model=rollout.backend,
        model_rev=rollout.model_rev,
        prompt_id=rollout.prompt_id,
        prompt_version=rollout.prompt_version,
        at=rollout.at,
    )
