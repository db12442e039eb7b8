"""What flows through the ranking graph, and what its nodes may touch outside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

import numpy as np

from ...pairings import Pair, RankedItem, Ranking, RankMode
from ...records import Usage, content_hash
from ...tools.belief import Belief, Gauge, Values, best_first, combine, shared_ranks
from ...tools.budget import Budget
from ...tools.cross_scorer import CrossScorer
from ..drawing import Drawing
from ..pairing.batch_pass import as_batched
from ..pairing.pair_judge import asks_judge
from ..state import Deps

ENOUGH = 0.05
"""A pass that changes the top with less than this probability is not worth its price."""

_UNLIMITED = 2**31


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked."""

    user_id: str
    items: tuple[str, ...]
    """Candidates, each once."""

    as_of: datetime
    top: int
    mode: RankMode
    enough: float = ENOUGH
    """Probability of a change below which no further call is made."""


class RankState(TypedDict, total=False):
    """The graph's state. `question` comes in; `ranking` comes out, better after every round."""

    question: Question
    prior: Belief
    passes: dict[str, Pair]
    tried: list[str]
    chosen: list[str]
    spent: Usage
    notes: list[str]
    exhausted: bool
    ranking: Ranking


@dataclass(frozen=True, kw_only=True)
class RankDeps:
    """Everything a node may touch outside its state."""

    drawing: Drawing
    """Writes single pairs."""

    deps: Deps
    """The doors on behalf of this user, and the budget."""

    scorer: CrossScorer

    @property
    def budget(self) -> Budget:
        """Limits of the whole ranking."""
        return self.deps.budget

    @property
    def calls_left(self) -> int:
        """How many calls the budget still allows."""
        limit, taken = self.budget.limits.calls, self.budget.spent.calls + self.budget.open
        return _UNLIMITED if limit is None else max(0, limit - taken)


def encoder_of(deps: Deps) -> str:
    """Name the vectors that features come from: the encoder, and the critic's space if it has one."""
    return deps.embedder.name if deps.space.is_identity else f"{deps.embedder.name}:{deps.space.name}"


def gauge_of(scorer: CrossScorer, *, judged: bool) -> Gauge:
    """Return how passes measure; those with a judge measure otherwise than those without."""
    return scorer.gauges["judged" if judged else "unjudged"]


def expected_gauge(rank: RankDeps) -> Gauge:
    """Return how the next passes will measure."""
    return gauge_of(rank.scorer, judged=asks_judge(as_batched(rank.deps)))


def believe(rank: RankDeps, state: RankState) -> Belief:
    """Combine the scorer's guess with the passes there are; `joint` believes its passes alone.

    In `joint` mode a candidate without a pass stands where the scorer puts it among the passes.
    """
    question, prior = state["question"], state["prior"]
    belief = prior
    for judged in (True, False):
        fits = _fits(question, state["passes"], judged=judged)
        belief = combine(belief, fits, gauge_of(rank.scorer, judged=judged))
    if question.mode == "factored":
        return belief
    measured = _fits(question, state["passes"], judged=None)
    done = ~np.isnan(measured)
    if not done.any():
        return prior
    shift = float(np.mean(measured[done] - prior.mean[done]))
    return Belief(np.where(done, measured, prior.mean + shift), belief.sd)


def _fits(question: Question, passes: Mapping[str, Pair], *, judged: bool | None) -> Values:
    """Return the fit of each candidate's pass, shape `(N,)`; NaN where there is none of this kind."""
    found = [passes.get(item_id) for item_id in question.items]
    return np.array(
        [pair.fit if pair and judged in (None, pair.judged) else np.nan for pair in found], dtype=np.float64
    )


def ranking_of(rank: RankDeps, state: RankState, *, final: bool) -> Ranking:
    """Lay the candidates out, best first."""
    question, belief = state["question"], believe(rank, state)
    lots = lots_of(question.user_id, question.items, rank.deps.settings.drafting.seed)
    ranks, low, high = shared_ranks(belief.mean), belief.low, belief.high
    scores = np.clip(belief.mean, 0.0, 1.0)
    items: list[RankedItem] = []
    for place in best_first(belief.mean, lots).tolist():
        pair = state["passes"].get(question.items[place])
        items.append(
            RankedItem(
                item_id=question.items[place],
                rank=float(ranks[place]),
                score=float(scores[place]),
                low=float(low[place]),
                high=float(high[place]),
                source="pair" if pair else "scorer",
                pair=pair,
                because=pair.because if pair else "",
            )
        )
    return Ranking(
        user_id=question.user_id,
        as_of=question.as_of,
        mode=question.mode,
        top=question.top,
        items=tuple(items),
        scorer=rank.scorer.name,
        final=final,
        calls=state["spent"].calls,
        usage=state["spent"],
        notes=tuple(dict.fromkeys(state["notes"])),
    )


def lots_of(user_id: str, items: Sequence[str], seed: int) -> Values:
    """Draw one number an item, shape `(N,)`, that depends on seed, user and item and not on their order."""
    return np.array(
        [int(content_hash(seed, user_id, item_id)[:12], 16) for item_id in items], dtype=np.float64
    )
