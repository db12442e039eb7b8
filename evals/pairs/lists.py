"""One user's list, ranked through Limner: what was paid for it before counts, what has no text stands last."""

from collections.abc import Sequence
from contextlib import aclosing

from ...agents.colophon import INCOMPLETE
from ...errors import BudgetExceededError, EmptyHistoryError, NoTextError
from ...pairings import Ranking
from ...records import Usage
from ...tools.budget import Budget
from ..portraits.studio import Studio
from .kept import Ranked, Wish
from .options import PairPlan
from .sharing import UserBudget


async def rank_list(studio: Studio, plan: PairPlan, wish: Wish) -> Ranked | None:
    """Rank one list; candidates without any text stand last, and a user without a history has no list."""
    left = list(wish.items)
    while left:
        try:
            return await _rank_some(studio, plan, wish, left)
        except EmptyHistoryError:
            return None
        except NoTextError as error:  # raised before a model is paid for
            item_id = error.subject.removeprefix("item:")
            if item_id not in left:
                return None
            left.remove(item_id)
    return None


async def _rank_some(studio: Studio, plan: PairPlan, wish: Wish, left: Sequence[str]) -> Ranked:
    """Rank the candidates that have text."""
    taken = await _taken_before(studio, wish, left)
    budget = UserBudget(studio.budget, calls=plan.calls or None, taken=taken)
    newest: Ranking | None = None
    stream = studio.limner.rank_stream(
        wish.user_id, left, as_of=wish.as_of, budget=budget, top=plan.options.top, mode=plan.mode
    )
    try:
        async with aclosing(stream) as rankings:
            async for ranking in rankings:
                newest = ranking
                if plan.calls == 0:
                    break
    except BudgetExceededError:
        if newest is None:
            raise
    assert newest is not None, "a ranking begins with the scorer's"
    return _told(wish, newest, budget.spent, refused=_refuses(studio.budget))


async def _taken_before(studio: Studio, wish: Wish, items: Sequence[str]) -> Usage:
    """Return what an interrupted run paid for the pairs of this list that are in the store."""
    found = [await studio.store.pair(wish.user_id, item_id) for item_id in items]
    return Usage.total(
        pair.usage
        for pair in found
        if pair and pair.as_of == wish.as_of and not pair.fingerprint.startswith(INCOMPLETE)
    )


def _told(wish: Wish, ranking: Ranking, spent: Usage, *, refused: bool) -> Ranked:
    """Put down what a ranking says of each candidate; those it was not asked about share the last places."""
    found = {entry.item_id: entry for entry in ranking.items}
    last = (len(found) + 1 + len(wish.items)) / 2
    pairs = [entry.pair for entry in ranking.items if entry.pair]
    failed = any(pair.fingerprint.startswith(INCOMPLETE) for pair in pairs)
    mute = spent.calls > 0 and spent.completion_tokens == 0
    judged = {pair.item_id: pair.expected_rating for pair in pairs if pair.judged}
    # A pass that went on where a killed run stopped knows of calls that this process never saw.
    usage = _larger(spent, Usage.total(pair.usage for pair in pairs))
    return Ranked(
        user_id=wish.user_id,
        as_of=wish.as_of,
        items=wish.items,
        ranks=tuple(found[item_id].rank if item_id in found else last for item_id in wish.items),
        ratings=tuple(judged.get(item_id) for item_id in wish.items),
        paired=len(pairs),
        textless=len(wish.items) - len(found),
        usage=usage,
        finished=not (refused or failed or mute),
        notes=ranking.notes,
    )


def _larger(one: Usage, other: Usage) -> Usage:
    """Return the larger of two in every field."""
    return Usage(**{name: max(getattr(one, name), getattr(other, name)) for name in Usage.model_fields})


def _refuses(budget: Budget) -> bool:
    """Whether the run's limits refused a call."""
    try:
        budget.check()
    except BudgetExceededError:
        return True
    return False
