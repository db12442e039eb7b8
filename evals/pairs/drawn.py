"""Limner's own pairs as a ranker: joint passes, factored ones within a budget, DUET's, and unpaired profiles.

All rank through `Limner.rank` over a store that holds the past and the histories of the queries, each list as of its
question. Every way of ranking has a store of its own, so that none lives on what another paid for; the stores of one
past are copies of one that was filled once.
"""

import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...records import Usage
from ...streaming import bounded
from ...tools.waiting import wait_for
from ..dataset import FloatArray, IntArray
from ..portraits.moments import interactions_of, moment_of
from ..portraits.portraits import alone_in, asked_at, hash_of, settings_of_store
from ..portraits.studio import open_studio
from ..splits import Past, Queries
from ..systems.raters import Bias, BiasOptions
from ..workspace import Workspace
from .kept import Ranked, RankedFile, Wish
from .lists import rank_list
from .options import PairPlan
from .stores import copy_store

if TYPE_CHECKING:
    from ...tools.chat import ChatModel

_QUIET_SECONDS = 10.0


class _Asking(NamedTuple):
    """Nobody is asked beside Limner itself."""

    kind: str = "pairs"
    asked: str | None = None


class PairRanker:
    """Ranks lists by Limner's pairs, and keeps every list that was paid for.

    Args:
        plan: How to rank.
        workspace: Where stores lie, and how models are reached.
        chat: A model to use in place of the one that is named.
    """

    def __init__(self, plan: PairPlan, workspace: Workspace, *, chat: "ChatModel | None" = None) -> None:
        self.name = plan.name
        self._plan, self._workspace, self._chat = plan, workspace, chat
        self._settings = plan.adapt(workspace.settings)
        self._means = Bias(BiasOptions())
        self._past: Past | None = None
        self._ranked: dict[Wish, Ranked] = {}
        self._asked: list[Wish] = []
        self._kept: set[Wish] = set()
        self._guessed = 0

    @property
    def inner(self) -> "PairRanker":
        """Itself: it says what it spent and doubts."""
        return self

    def fit(self, past: Past) -> None:
        """Take in what may be known; nothing is written before it is asked for."""
        self._past = past
        self._means.fit(past)

    def order(self, queries: Queries, items: IntArray) -> FloatArray:
        """Rank each list; who has nothing to write from ranks all candidates alike."""
        self._asked = self._wishes(queries, items)
        self._rank(self._asked, queries)
        scores = np.zeros(items.shape, dtype=np.float32)
        for row, wish in enumerate(self._asked):
            if wish in self._ranked:
                scores[row] = -np.array(self._ranked[wish].ranks)
        return scores

    def rate(self, queries: Queries, items: IntArray) -> FloatArray:
        """Return what a judge of the pair expects; damped means where none read it."""
        past = self._known
        rated = self._means.rate(queries, items)
        self._guessed = len(items)
        for row, (wish, item) in enumerate(zip(self._asked, items.tolist(), strict=True)):
            ranked, item_id = self._ranked.get(wish), past.items[item].item_id
            if ranked is None or item_id not in wish.items:
                continue
            expected = ranked.ratings[wish.items.index(item_id)]
            if expected is not None:
                rated[row] = expected
                self._guessed -= 1
        return rated

    @property
    def usage(self) -> Usage:
        """What all lists took when they were ranked."""
        return Usage.total(ranked.usage for ranked in self._ranked.values())

    @property
    def kept_seconds(self) -> float:
        """Seconds of those calls in `usage` that an earlier run made."""
        return sum(self._ranked[wish].usage.seconds for wish in self._kept)

    @property
    def complete(self) -> bool:
        """Whether whoever should have written did."""
        return all(ranked.finished for ranked in self._ranked.values())

    @property
    def caveats(self) -> Sequence[str]:
        """What a reader should know of the lists."""
        lists, pairs = len(self._ranked), sum(len(ranked.items) for ranked in self._ranked.values())
        passed = sum(ranked.paired for ranked in self._ranked.values())
        found = [f"{passed:,} of {pairs:,} pairs were written, the others scored without a model"] * (
            passed < pairs
        )
        if unfinished := [ranked for ranked in self._ranked.values() if not ranked.finished]:
            why = next((note for ranked in unfinished for note in ranked.notes), "a call was refused")
            found.append(f"{len(unfinished)} of {lists} lists wait for a model or the budget: {why}")
        if missing := len(self._asked) - lists:
            found.append(f"{missing} users have nothing to write from; their candidates are tied")
        if textless := sum(ranked.textless for ranked in self._ranked.values()):
            found.append(f"{textless:,} candidates without any text stand last")
        if self._guessed:
            found.append(
                f"{self._guessed:,} of {len(self._asked):,} targets are rated by damped means, without a judge"
            )
        if self._kept:
            found.append(
                f"{len(self._kept)} of {lists} lists were ranked before; calls and seconds are those of then"
            )
        return tuple(found)

    @property
    def _known(self) -> Past:
        if self._past is None:
            raise RuntimeError("lists are ranked after `fit`")
        return self._past

    @property
    def _folder(self) -> Path:
        """Where the store lies: one for each past and way of ranking."""
        card, way = self._known.card.name, self._plan.way(self._settings)
        return (
            self._workspace.folder / "pairs" / f"{card}-{self._plan.mode}-{hash_of(self._known)[:8]}{way[:8]}"
        )

    def _wishes(self, queries: Queries, items: IntArray) -> list[Wish]:
        past = self._known
        return [
            Wish(
                past.user_ids[user],
                moment_of(at, past.card.clock),
                tuple(past.items[item].item_id for item in row),
            )
            for (user, at), row in zip(asked_at(queries), items.tolist(), strict=True)
        ]

    def _rank(self, wishes: Sequence[Wish], queries: Queries) -> None:
        """Rank what is not kept; several processes take turns."""
        with alone_in(self._folder, self._workspace):
            file = RankedFile(self._folder)
            kept = file.read()
            self._kept = {wish for wish in wishes if wish in kept}
            self._ranked = {wish: kept[wish] for wish in self._kept}
            if missing := [wish for wish in dict.fromkeys(wishes) if wish not in kept]:
                copy_store(self._settings, self._known, self._workspace, self._folder)
                wait_for(self._rank_missing(missing, queries, file))

    async def _rank_missing(self, wishes: Sequence[Wish], queries: Queries, file: RankedFile) -> None:
        settings = settings_of_store(self._settings, self._folder, self._plan.writer)
        started = told = time.monotonic()
        async with open_studio(
            self._workspace,
            settings,
            self._known,
            budget=self._workspace.budget,
            painter=_Asking(),
            chat=self._chat,
        ) as studio:
            await studio.store.record(list(interactions_of(queries.history, self._known)))
            await studio.limner.prepare()

            async def one(wish: Wish) -> tuple[Wish, Ranked | None]:
                return wish, await rank_list(studio, self._plan, wish)

            async with aclosing(bounded(wishes, one, studio.at_once)) as lists:
                async for wish, ranked in lists:
                    if ranked is not None:
                        self._ranked[wish] = ranked
                        file.add([ranked])
                    if (now := time.monotonic()) - told > _QUIET_SECONDS:
                        told, done = now, len(self._ranked)
                        self._workspace.notice(
                            f"{self.name}: {done} of {len(self._asked)} lists, {now - started:.0f} s"
                        )
