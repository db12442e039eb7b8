"""Rank candidates for one user by pairs, spending model calls only where they can change the top."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import cache
from typing import Any, cast

from ...errors import InputError
from ...pairings import Ranking, RankMode
from ...tools.budget import Budget
from ...tools.cross_scorer import CrossScorer
from ..drawing import Drawing
from .rank_graph import RankGraph, build_rank_graph
from .rank_state import Question, RankDeps, RankState, encoder_of

DEFAULT_TOP = 10
"""Places that matter if nobody says."""


def question_of(
    user_id: str, item_ids: Sequence[str], *, as_of: datetime, top: int | None, mode: RankMode
) -> Question:
    """Check what is asked; a candidate that is named twice counts once.

    Raises:
        InputError: There is no candidate, or `top` is not positive.
    """
    items = tuple(dict.fromkeys(item_ids))
    if not items:
        raise InputError("`items` is empty; name at least one candidate to rank")
    if top is not None and top < 1:
        raise InputError(f"`top` must be >= 1, got {top!r}; name how many places matter")
    if mode not in ("factored", "joint"):
        raise InputError(f"`mode` must be 'factored' or 'joint', got {mode!r}")
    return Question(
        user_id=user_id, items=items, as_of=as_of, top=min(top or DEFAULT_TOP, len(items)), mode=mode
    )


def rank_deps(drawing: Drawing, scorer: CrossScorer, user_id: str, budget: Budget) -> RankDeps:
    """Open what a ranking touches.

    Raises:
        WrongScorerError: The scorer was taught on another encoder.
    """
    deps = drawing.deps_for(f"user:{user_id}", budget)
    scorer.check(encoder_of(deps))
    return RankDeps(drawing=drawing, deps=deps, scorer=scorer)


async def rank_stream(rank: RankDeps, question: Question) -> AsyncGenerator[Ranking]:
    """Yield better and better rankings: the scorer's at once, one after each round of passes, the final one.

    Raises:
        UnknownUserError: The user was never recorded.
        EmptyHistoryError: Nothing was recorded before `as_of`.
        UnknownItemError: A candidate is not in the catalogue.
        NoTextError: A candidate has no text.
        BudgetExceededError: The budget does not allow a single pass that is worth one.
    """
    start = RankState(question=question)
    rounds = 4 * len(question.items) + 10
    steps = _graph().astream(start, {"recursion_limit": rounds}, context=rank, stream_mode="updates")
    async with aclosing(cast("AsyncGenerator[dict[str, Any]]", steps)) as updates:
        async for update in updates:
            for changed in update.values():
                if "ranking" in changed:
                    yield changed["ranking"]


@cache
def _graph() -> RankGraph:
    return build_rank_graph()
