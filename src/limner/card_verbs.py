"""Verbs of cards: items described by whom they suit, whom they do not, and what sets them apart."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from .cards import CardOutcome
from .opened import Opened
from .streaming import bounded

if TYPE_CHECKING:
    from .agents.cards.card_estimate import CardEstimate
    from .tools.budget import Budget


class CardVerbs(Opened):
    """`cards` and what it would cost."""

    async def cards(
        self,
        item_ids: Iterable[str] | AsyncIterable[str] | None = None,
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        at_once: int | None = None,
    ) -> AsyncGenerator[CardOutcome]:
        """Describe items; yields outcomes as they finish, with memory that does not grow with the items.

        A card rests on publisher text and on reviews before `as_of`, and is written anew only if any of that
        changed. Near-duplicate items share one (`settings.cards`).

        Args:
            item_ids: Items, streamed; the whole catalogue in id order if absent.
            as_of: Nothing at or after this moment is used; the present if absent.
            budget: Limits of the whole batch; `settings.budget` if absent. Once it refuses a call, items not yet
                started get a `BudgetExceededError` in their outcome.
            at_once: Calls in flight; chosen by the model if absent.
        """
        from .agents.cards.describe_items import Describing

        drawing = await self.prepare()
        deps = replace(drawing.deps, budget=self.budget_of(budget))
        describing = Describing(deps, as_of or self._now())
        jobs = describing.jobs(self._all_items() if item_ids is None else item_ids)
        async with aclosing(bounded(jobs, describing.work, at_once or self._at_once())) as finished:
            async for outcomes in finished:
                for outcome in outcomes:
                    yield outcome

    async def estimate_cards(
        self,
        item_ids: Iterable[str] | AsyncIterable[str] | None = None,
        *,
        as_of: datetime | None = None,
    ) -> "CardEstimate":
        """Say what describing items would cost, without a model call; see `agents.cards.card_estimate`."""
        from .agents.cards.card_estimate import estimate_cards

        drawing = await self.prepare()
        return await estimate_cards(
            drawing.deps,
            self._all_items() if item_ids is None else item_ids,
            as_of=as_of or self._now(),
            price=await asyncio.to_thread(self._price),
        )

    async def _all_items(self) -> AsyncIterator[str]:
        async for batch in self.doors.store.all_items():
            for item in batch:
                yield item.item_id
