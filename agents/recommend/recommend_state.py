"""What flows through the recommending graph, and what its nodes may touch outside it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from ...models import Profile, Rollout
from ...pairings import Ranking
from ...recommendations import Filters, Recommendation, Recommendations
from ...records import Usage
from ...tools.budget import Budget
from ...tools.embedder import FloatArray
from ...tools.grouping.stored_groups import Choice
from ...tools.recommender.recommender_index import RecommenderIndex
from ..state import Deps

Rank = Callable[[str, Sequence[str], datetime, Budget, int], Awaitable[Ranking]]
"""Takes a user, candidates, a moment, limits and how many places matter."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked."""

    user_id: str
    as_of: datetime
    """Nothing at or after this moment is used."""

    k: int
    filters: Filters
    diversity: float
    """From 0, best first, to 1, each as far as possible from those before it."""

    explain: bool
    rerank: int
    """First items that are ranked again by pairs; 0 for none."""

    generate: bool
    """Whether a model writes the next item in words."""

    outcome: str | None
    """What the user is known to have chosen next: grades what the model writes, and reaches nothing else."""


@dataclass(frozen=True, kw_only=True)
class RecommendDeps:
    """What a recommendation may touch."""

    deps: Deps
    index: RecommenderIndex
    rank: Rank
    """Ranks by pairs."""


class RecommendState(TypedDict, total=False):
    """The graph's state. `wanted` comes in, `found` comes out."""

    wanted: Wanted
    history: list[Choice]
    """The newest items that the user had, oldest first; messages without an item do not crowd them out."""

    profile: Profile | None
    language: str
    parts: dict[str, FloatArray]
    """What each signal adds, by name, each of shape `(N,)`."""

    total: FloatArray
    """Fused scores, shape `(N,)`."""

    drafts: list[str]
    rollouts: list[Rollout]
    draft_vectors: FloatArray
    """Of the drafts, shape `(drafts, D)`."""

    chosen: list[int]
    """Numbers of items, best first."""

    items: list[Recommendation]
    spent: Usage
    notes: list[str]
    found: Recommendations
