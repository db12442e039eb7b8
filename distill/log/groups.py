"""Drafts whose rewards compare: one user, one prompt, one exam by one critic."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from ...models import Rollout
from ...records import content_hash


@dataclass(frozen=True, kw_only=True)
class DraftGroup:
    """Drafts of one user for one prompt, graded by one critic against the same items."""

    key: str
    """Content hash of what its drafts have in common."""

    drafts: tuple[Rollout, ...]
    """In the order of writing; never empty."""

    @property
    def rewards(self) -> list[float]:
        """The total reward of each draft."""
        return [draft.rewards["total"] for draft in self.drafts]


def group_drafts(drafts: Sequence[Rollout], critic_version: str) -> list[DraftGroup]:
    """Put drafts of one user into groups, in the order of their first drafts.

    Beside user, prompt, critic version and seed of the negatives, drafts of a group share the moment and what
    was held back: at another moment the same seed draws other negatives.

    Args:
        drafts: Drafts in the order of writing.
        critic_version: The critic that their rewards come from, or will.
    """
    groups: dict[str, list[Rollout]] = {}
    for draft in drafts:
        groups.setdefault(_key(draft, critic_version), []).append(draft)
    return [DraftGroup(key=key, drafts=tuple(members)) for key, members in groups.items()]


def _key(draft: Rollout, critic_version: str) -> str:
    prompt = json.dumps([message.model_dump() for message in draft.messages])
    exam = (draft.neg_seed, draft.as_of.isoformat(), draft.held)
    return content_hash(draft.user_id, draft.item_id, prompt, critic_version, *exam)
