"""Verbs of pairs: a user and an item described for each other."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING

from .errors import LimnerError
from .opened import Opened
from .outcome import Outcome
from .pairings import Pair
from .streaming import bounded

if TYPE_CHECKING:
    from .tools.budget import Budget


class PairVerbs(Opened):
    """`pair` and its batch form."""

    async def pair(
        self,
        user_id: str,
        item_id: str,
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
    ) -> Pair:
        """Write a user profile and an item profile for each other, and say how well the two fit and why.

        Args:
            user_id: The user.
            item_id: The item.
            as_of: Nothing at or after this moment is used; the present if absent.
            budget: Most model calls, or a `limner.Budget` shared with other calls; `settings.budget` for this call
                alone if absent.

        Returns:
            Both profiles, the expected rating with its interval, reasons with evidence on both sides, one sentence
            to say aloud, and what it cost. A pair that is up to date is returned as it is.

        Raises:
            UnknownUserError: The user was never recorded.
            UnknownItemError: The item is not in the catalogue.
            EmptyHistoryError: Nothing was recorded before `as_of`.
            NoTextError: One side has no text.
            BudgetExceededError: The calls or tokens left are fewer than one pass needs. All of these are raised
                before a model is asked.
        """
        drawing = await self.prepare()
        return await drawing.pair(user_id, item_id, as_of=as_of or self._now(), budget=self.budget_of(budget))

    async def pairs(
        self,
        pairs: Iterable[tuple[str, str]] | AsyncIterable[tuple[str, str]],
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        at_once: int | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Write many pairs (user, item) with bounded concurrency; see `profiles`."""
        drawing = await self.prepare()
        shared, moment = self.budget_of(budget), as_of or self._now()

        async def draw(ids: tuple[str, str]) -> Outcome:
            try:
                shared.check()
                drawn = await drawing.pair(*ids, as_of=moment, budget=shared)
            except LimnerError as error:
                return Outcome(user_id=ids[0], item_id=ids[1], error=error)
            return Outcome(user_id=ids[0], item_id=ids[1], pair=drawn)

        async with aclosing(bounded(pairs, draw, at_once or self._at_once())) as outcomes:
            async for outcome in outcomes:
                yield outcome
