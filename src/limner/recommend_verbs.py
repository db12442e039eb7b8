"""Verbs of recommending: what a user may choose next, with reasons."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from .errors import LimnerError
from .pairings import Ranking
from .rank_verbs import RankVerbs
from .recommendations import Filters, RecommendationOutcome, Recommendations
from .streaming import bounded

if TYPE_CHECKING:
    from .agents.recommend.recommending import Recommending
    from .tools.budget import Budget


class RecommendVerbs(RankVerbs):
    """`recommend` and its batch form."""

    _recommending: "Recommending | None" = None

    async def recommend(
        self,
        user_id: str,
        *,
        k: int = 10,
        as_of: datetime | None = None,
        filters: Filters | None = None,
        diversity: float = 0.0,
        explain: bool = True,
        rerank: int | None = None,
        generate: bool = False,
        outcome: str | None = None,
        budget: "Budget | int | None" = None,
    ) -> Recommendations:
        """Return what a user may choose next, best first.

        The index behind it is kept in the store's folder and built anew when what it rests on has changed; that takes
        a while for a large store. No model is asked unless `rerank` or `generate` asks for it.

        Args:
            user_id: For whom.
            k: How many items, at most 1000.
            as_of: Nothing at or after this moment is used; the present if absent.
            filters: What is not to be recommended; what the user had already if absent.
            diversity: From 0, best first, to 1, each as unlike those before it as possible.
            explain: Whether to say why.
            rerank: First items to rank again by pairs, as `rank` does.
            generate: Whether the model writes the next item in words, to find what lies near; each draft is logged.
            outcome: Item that the user is known to have chosen next: grades the drafts, and reaches nothing else.
            budget: Most model calls, or a `limner.Budget` shared with other calls; `settings.budget` for this call
                alone if absent.

        Raises:
            UnknownUserError: The user was never recorded.
            InputError: The catalogue is empty, or a number is out of range.
        """
        from .agents.recommend.recommending import wanted_of

        wanted = wanted_of(
            user_id,
            k=k,
            as_of=as_of or self._now(),
            filters=filters,
            diversity=diversity,
            explain=explain,
            rerank=rerank,
            generate=generate,
            outcome=outcome,
        )
        recommending = await self._open_recommending()
        index = await recommending.index(wanted.as_of)
        return await recommending.recommend(wanted, index, self.budget_of(budget))

    async def recommend_many(
        self,
        user_ids: Iterable[str] | AsyncIterable[str] | None = None,
        *,
        k: int = 10,
        as_of: datetime | None = None,
        filters: Filters | None = None,
        diversity: float = 0.0,
        explain: bool = False,
        rerank: int | None = None,
        generate: bool = False,
        budget: "Budget | int | None" = None,
        at_once: int | None = None,
    ) -> AsyncGenerator[RecommendationOutcome]:
        """Recommend to many users; yields outcomes as they finish, with memory that does not grow with the users.

        Args:
            user_ids: Users, streamed; everybody in the store if absent.
            k: As in `recommend`, as all that follow.
            as_of: One moment for all.
            filters: What is not to be recommended.
            diversity: From 0 to 1.
            explain: Whether to say why.
            rerank: First items to rank again by pairs.
            generate: Whether the model writes the next items.
            budget: Limits of the whole batch.
            at_once: Users in flight; chosen by the model if absent.
        """
        from .agents.recommend.recommending import wanted_of

        shared, moment = self.budget_of(budget), as_of or self._now()
        ask = partial(
            wanted_of,
            k=k,
            as_of=moment,
            filters=filters,
            diversity=diversity,
            explain=explain,
            rerank=rerank,
            generate=generate,
            outcome=None,
        )
        ask("")  # what nobody can be asked is refused before anybody is
        recommending = await self._open_recommending()
        index = await recommending.index(moment)

        async def one(user_id: str) -> RecommendationOutcome:
            try:
                found = await recommending.recommend(ask(user_id), index, shared)
            except LimnerError as error:
                return RecommendationOutcome(user_id=user_id, error=error)
            return RecommendationOutcome(user_id=user_id, recommendations=found)

        source = self._every_user() if user_ids is None else user_ids
        async with aclosing(bounded(source, one, at_once or self._at_once())) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def _open_recommending(self) -> "Recommending":
        from .agents.recommend.recommending import Recommending

        drawing = await self.prepare()
        if self._recommending is None or self._recommending.drawing is not drawing:
            folder, tenant = self.settings.store, self.settings.tenant
            self._recommending = Recommending(drawing, folder, tenant, self._rank_for_recommending)
        return self._recommending

    async def _rank_for_recommending(
        self, user_id: str, items: Sequence[str], as_of: datetime, budget: "Budget", top: int
    ) -> Ranking:
        return await self.rank(user_id, items, as_of=as_of, budget=budget, top=top)

    async def _every_user(self) -> AsyncIterator[str]:
        async for batch in self.doors.store.users():
            for user_id in batch:
                yield user_id
