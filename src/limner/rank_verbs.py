"""Verbs of ranking: candidates for one user, best first, by pairs where a pair can change the top."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING

from .opened import Opened
from .pairings import Ranking, RankMode

if TYPE_CHECKING:
    from .agents.ranking.rank_estimate import RankEstimate
    from .agents.ranking.rank_state import Question, RankDeps
    from .tools.budget import Budget


class RankVerbs(Opened):
    """`rank`, its streaming form and its estimate."""

    async def rank(
        self,
        user_id: str,
        items: Sequence[str],
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        top: int | None = None,
        mode: RankMode | None = None,
    ) -> Ranking:
        """Rank candidates for a user.

        A scorer ranks all of them without a model call; pairs are written only for those that could change the top,
        several a call, until nothing can or the budget is spent. Pairs that are in the store cost nothing.

        Args:
            user_id: For whom.
            items: Candidates by id, in any order; one that is named twice counts once.
            as_of: Nothing at or after this moment is used; the present if absent.
            budget: Most model calls, or a `limner.Budget` shared with other calls; `settings.budget` for this call
                alone if absent.
            top: How many places matter; 10 if absent.
            mode: `factored` as above, the default; `joint` pairs every candidate alone, as far as the budget goes.

        Raises:
            UnknownUserError: The user was never recorded.
            UnknownItemError: A candidate is not in the catalogue.
            EmptyHistoryError: Nothing was recorded before `as_of`.
            NoTextError: A candidate has no text.
            InputError: There is no candidate.
            BudgetExceededError: A pass is needed and the budget does not allow a single one; nothing was sent.
            ScorerFileError: `pairing.scorer` names no readable scorer.
            WrongScorerError: That scorer was taught on another encoder.
        """
        stream = self.rank_stream(user_id, items, as_of=as_of, budget=budget, top=top, mode=mode)
        async with aclosing(stream) as rankings:
            newest = [ranking async for ranking in rankings][-1]
        return newest

    async def rank_stream(
        self,
        user_id: str,
        items: Sequence[str],
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        top: int | None = None,
        mode: RankMode | None = None,
    ) -> AsyncGenerator[Ranking]:
        """Yield better and better rankings: the scorer's at once, the last one marked `final`; see `rank`."""
        from .agents.ranking.ranking import rank_stream

        rank, question = await self._ask_rank(user_id, items, as_of, budget, top, mode)
        async with aclosing(rank_stream(rank, question)) as rankings:
            async for ranking in rankings:
                yield ranking

    async def estimate_rank(
        self,
        user_id: str,
        items: Sequence[str],
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        top: int | None = None,
        mode: RankMode | None = None,
    ) -> "RankEstimate":
        """Say what ranking would cost, without a model call; see `agents.ranking.rank_estimate`."""
        from .agents.ranking.rank_estimate import estimate_rank

        return await estimate_rank(*await self._ask_rank(user_id, items, as_of, budget, top, mode))

    async def _ask_rank(
        self,
        user_id: str,
        items: Sequence[str],
        as_of: datetime | None,
        budget: "Budget | int | None",
        top: int | None,
        mode: RankMode | None,
    ) -> "tuple[RankDeps, Question]":
        from .agents.ranking.rank_state import encoder_of
        from .agents.ranking.ranking import question_of, rank_deps
        from .tools.cross_scorer import open_scorer

        question = question_of(user_id, items, as_of=as_of or self._now(), top=top, mode=mode or "factored")
        drawing = await self.prepare()
        scorer = open_scorer(self.settings.pairing.scorer, encoder=encoder_of(drawing.deps))
        return rank_deps(drawing, scorer, user_id, self.budget_of(budget)), question
