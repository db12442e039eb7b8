"""The synchronous twin: the same verbs for code without an event loop."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .batch_twins import BatchTwins
from .batch_verbs import Engine
from .cards import CardOutcome
from .communities import Community, Group, RefreshReport
from .contexts import Context, Heard
from .group_verbs import RefreshProgress
from .models import Profile, Rollout
from .opened import Progress
from .outcome import Outcome
from .pairings import Pair, Ranking, RankMode
from .recommendations import Filters, RecommendationOutcome, Recommendations
from .records import Interaction, Item

if TYPE_CHECKING:
    from .agents.cards.card_estimate import CardEstimate
    from .agents.estimate import Estimate
    from .agents.ranking.rank_estimate import RankEstimate
    from .tools.budget import Budget
    from .tools.import_report import ImportProgress, ImportReport
    from .tools.store import Counts, Recorded

Events = Iterable[Interaction | Mapping[str, Any]]


class LimnerSync(BatchTwins):
    """`Limner` for plain code; an event loop runs in a thread while it is open.

        with LimnerSync() as limner:
            portrait = limner.profile("ada")

    Arguments, results and errors are those of `Limner`; streams are plain iterators.
    """

    def record(self, user_id: str, events: Events, *, draw: bool = False) -> "Recorded":
        """See `Limner.record`."""
        return self._call(lambda: self._limner.record(user_id, events, draw=draw))

    def record_many(self, events: Events, *, draw: bool = False) -> "Recorded":
        """See `Limner.record_many`."""
        return self._call(lambda: self._limner.record_many(events, draw=draw))

    def add_items(self, items: Iterable[Item | Mapping[str, Any]]) -> int:
        """See `Limner.add_items`."""
        return self._call(lambda: self._limner.add_items(items))

    def import_file(
        self,
        path: Path,
        *,
        form: str | None = None,
        mapping: Mapping[str, str] | None = None,
        kind: str = "purchase",
        user_id: str | None = None,
        kinds: Mapping[str, str] | None = None,
        strict: bool = False,
        rejects: Path | None = None,
        progress: "Callable[[ImportProgress], None] | None" = None,
    ) -> "ImportReport":
        """See `Limner.import_file`."""
        return self._call(
            lambda: self._limner.import_file(
                path,
                form=form,
                mapping=mapping,
                kind=kind,
                user_id=user_id,
                kinds=kinds,
                strict=strict,
                rejects=rejects,
                progress=progress,
            )
        )

    def profile(
        self, user_id: str, *, as_of: datetime | None = None, budget: "Budget | int | None" = None
    ) -> Profile:
        """See `Limner.profile`."""
        return self._call(lambda: self._limner.profile(user_id, as_of=as_of, budget=budget))

    def profiles(
        self,
        user_ids: Iterable[str] | None = None,
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        at_once: int | None = None,
    ) -> Iterator[Outcome]:
        """See `Limner.profiles`."""
        return self._iterate(self._limner.profiles(user_ids, as_of=as_of, budget=budget, at_once=at_once))

    def pair(
        self,
        user_id: str,
        item_id: str,
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
    ) -> Pair:
        """See `Limner.pair`."""
        return self._call(lambda: self._limner.pair(user_id, item_id, as_of=as_of, budget=budget))

    def pairs(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        at_once: int | None = None,
    ) -> Iterator[Outcome]:
        """See `Limner.pairs`."""
        return self._iterate(self._limner.pairs(pairs, as_of=as_of, budget=budget, at_once=at_once))

    def cards(
        self,
        item_ids: Iterable[str] | None = None,
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        at_once: int | None = None,
    ) -> Iterator[CardOutcome]:
        """See `Limner.cards`."""
        return self._iterate(self._limner.cards(item_ids, as_of=as_of, budget=budget, at_once=at_once))

    def estimate_cards(
        self, item_ids: Iterable[str] | None = None, *, as_of: datetime | None = None
    ) -> "CardEstimate":
        """See `Limner.estimate_cards`."""
        return self._call(lambda: self._limner.estimate_cards(item_ids, as_of=as_of))

    def rank(
        self,
        user_id: str,
        items: Sequence[str],
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        top: int | None = None,
        mode: RankMode | None = None,
    ) -> Ranking:
        """See `Limner.rank`."""
        return self._call(
            lambda: self._limner.rank(user_id, items, as_of=as_of, budget=budget, top=top, mode=mode)
        )

    def rank_stream(
        self,
        user_id: str,
        items: Sequence[str],
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        top: int | None = None,
        mode: RankMode | None = None,
    ) -> Iterator[Ranking]:
        """See `Limner.rank_stream`."""
        return self._iterate(
            self._limner.rank_stream(user_id, items, as_of=as_of, budget=budget, top=top, mode=mode)
        )

    def estimate_rank(
        self,
        user_id: str,
        items: Sequence[str],
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        top: int | None = None,
        mode: RankMode | None = None,
    ) -> "RankEstimate":
        """See `Limner.estimate_rank`."""
        return self._call(
            lambda: self._limner.estimate_rank(user_id, items, as_of=as_of, budget=budget, top=top, mode=mode)
        )

    def estimate(self, user_ids: Sequence[str] | None = None, *, as_of: datetime | None = None) -> "Estimate":
        """See `Limner.estimate`."""
        return self._call(lambda: self._limner.estimate(user_ids, as_of=as_of))

    def stored_profile(self, user_id: str, *, version: int | None = None) -> Profile | None:
        """See `Limner.stored_profile`."""
        return self._call(lambda: self._limner.stored_profile(user_id, version=version))

    def users(self) -> Iterator[str]:
        """See `Limner.users`."""
        return self._iterate(self._limner.users())

    def counts(self) -> "Counts":
        """See `Limner.counts`."""
        return self._call(self._limner.counts)

    def history(self, user_id: str, *, as_of: datetime | None = None) -> list[Interaction]:
        """See `Limner.history`."""
        return self._call(lambda: self._limner.history(user_id, as_of=as_of))

    def items(self, item_ids: Sequence[str]) -> dict[str, Item]:
        """See `Limner.items`."""
        return self._call(lambda: self._limner.items(item_ids))

    def rollouts(self) -> Iterator[Rollout]:
        """See `Limner.rollouts`."""
        return self._iterate(self._limner.rollouts())

    def group(self, user_id: str, *, as_of: datetime | None = None) -> Group:
        """See `Limner.group`."""
        return self._call(lambda: self._limner.group(user_id, as_of=as_of))

    def groups(self, *, as_of: datetime | None = None) -> Iterator[Community]:
        """See `Limner.groups`."""
        return self._iterate(self._limner.groups(as_of=as_of))

    def group_members(self, group_id: str) -> Iterator[str]:
        """See `Limner.group_members`."""
        return self._iterate(self._limner.group_members(group_id))

    def refresh(
        self,
        *,
        as_of: datetime | None = None,
        dry_run: bool = False,
        full: bool = False,
        budget: "Budget | int | None" = None,
        at_once: int | None = None,
        engine: Engine = "asyncio",
        progress: RefreshProgress | None = None,
    ) -> RefreshReport:
        """See `Limner.refresh`."""
        return self._call(
            lambda: self._limner.refresh(
                as_of=as_of,
                dry_run=dry_run,
                full=full,
                budget=budget,
                at_once=at_once,
                engine=engine,
                progress=progress,
            )
        )

    def export_rollouts(self, path: Path) -> int:
        """See `Limner.export_rollouts`."""
        return self._call(lambda: self._limner.export_rollouts(path))

    def reindex(self, progress: Progress | None = None) -> int:
        """See `Limner.reindex`."""
        return self._call(lambda: self._limner.reindex(progress))

    def fill_index(self, progress: Progress | None = None) -> int:
        """See `Limner.fill_index`."""
        return self._call(lambda: self._limner.fill_index(progress))

    def recommend(
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
        """See `Limner.recommend`."""
        return self._call(
            lambda: self._limner.recommend(
                user_id,
                k=k,
                as_of=as_of,
                filters=filters,
                diversity=diversity,
                explain=explain,
                rerank=rerank,
                generate=generate,
                outcome=outcome,
                budget=budget,
            )
        )

    def recommend_many(
        self,
        user_ids: Iterable[str] | None = None,
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
    ) -> Iterator[RecommendationOutcome]:
        """See `Limner.recommend_many`."""
        return self._iterate(
            self._limner.recommend_many(
                user_ids,
                k=k,
                as_of=as_of,
                filters=filters,
                diversity=diversity,
                explain=explain,
                rerank=rerank,
                generate=generate,
                budget=budget,
                at_once=at_once,
            )
        )

    def context(
        self,
        user_id: str,
        query: str | None = None,
        *,
        max_tokens: int = 400,
        as_of: datetime | None = None,
        model: str | None = None,
    ) -> Context:
        """See `Limner.context`."""
        return self._call(
            lambda: self._limner.context(user_id, query, max_tokens=max_tokens, as_of=as_of, model=model)
        )

    def personalise(
        self,
        messages: Sequence[Mapping[str, Any]],
        user_id: str,
        *,
        max_tokens: int = 400,
        model: str | None = None,
    ) -> list[dict[str, Any]]:
        """See `Limner.personalise`."""
        return self._call(
            lambda: self._limner.personalise(messages, user_id, max_tokens=max_tokens, model=model)
        )

    def listen(
        self,
        user_id: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        conversation_id: str | None = None,
        at: datetime | None = None,
        budget: "Budget | int | None" = None,
    ) -> Heard:
        """See `Limner.listen`."""
        return self._call(
            lambda: self._limner.listen(
                user_id, messages, conversation_id=conversation_id, at=at, budget=budget
            )
        )

    def new_budget(self) -> "Budget":
        """See `Limner.new_budget`."""
        return self._limner.new_budget()
