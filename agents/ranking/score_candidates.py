"""Node: gather the factors of both sides and score every candidate by them.

Reads `question`; writes `prior`, `passes`, `tried`, `spent`, `notes`, `exhausted`, `ranking`. No model call.
"""

from typing import TypedDict

from langgraph.runtime import Runtime

from ...pairings import Pair, Ranking
from ...records import Usage
from ...tools.belief import Belief
from .rank_factors import gather_factors
from .rank_state import Question, RankDeps, RankState, ranking_of


class Update(TypedDict):
    """The keys this node may change."""

    prior: Belief
    passes: dict[str, Pair]
    tried: list[str]
    spent: Usage
    notes: list[str]
    exhausted: bool
    ranking: Ranking


async def score_candidates(state: RankState, runtime: Runtime[RankDeps]) -> Update:
    """Rank by the scorer alone: the first answer of a stream.

    Raises:
        UnknownUserError: The user was never recorded.
        EmptyHistoryError: Nothing was recorded before `as_of`.
        UnknownItemError: A candidate is not in the catalogue.
        NoTextError: A candidate has no text.
    """
    rank, question = runtime.context, state["question"]
    prior = await prior_of(rank, question)
    begun = RankState(
        question=question, prior=prior, passes={}, tried=[], spent=Usage(), notes=[], exhausted=False
    )
    return {
        "prior": prior,
        "passes": {},
        "tried": [],
        "spent": Usage(),
        "notes": [],
        "exhausted": False,
        "ranking": ranking_of(rank, begun, final=False),
    }


async def prior_of(rank: RankDeps, question: Question) -> Belief:
    """Score every candidate without a model call."""
    factors = await gather_factors(rank.deps, question.user_id, question.items, as_of=question.as_of)
    return rank.scorer.score(factors.features(rank.deps))
