"""The face of Limner: one object with the verbs, asynchronous; `LimnerSync` is its twin for plain code."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .batch_verbs import BatchVerbs
from .card_verbs import CardVerbs
from .context_verbs import ContextVerbs
from .errors import LimnerError
from .group_verbs import GroupVerbs
from .models import Profile, Rollout
from .opened import Progress
from .outcome import Outcome
from .pair_verbs import PairVerbs
from .recommend_verbs import RecommendVerbs
from .records import Interaction, Item
from .rows import read_event, read_item
from .streaming import bounded

if TYPE_CHECKING:
    from .agents.estimate import Estimate
    from .tools.budget import Budget
    from .tools.import_report import ImportProgress, ImportReport
    from .tools.store import Counts, Recorded


class Limner(PairVerbs, RecommendVerbs, BatchVerbs, CardVerbs, GroupVerbs, ContextVerbs):
    """Readable portraits of users, drawn from what they did.

    Use it as a context manager:

        async with Limner() as limner:
            await limner.record("ada", [{"item_id": "b1", "kind": "purchase", "at": "2026-01-05"}])
            portrait = await limner.profile("ada")

    Args:
        settings: Everything that can be configured; read from the environment and `limner.toml` if absent.
        chat: A language model to use in place of the one the settings name.
        clock: A source of time; the machine's own if absent.
        rebuild_index: Open an index of another encoder, or a damaged one, so that `reindex` can replace it.
        lent: What this process has open already for other tenants; absent to open everything.
    """

    async def record(
        self, user_id: str, events: Iterable[Interaction | Mapping[str, Any]], *, draw: bool = False
    ) -> "Recorded":
        """Keep what a user did; durable when it returns.

        Args:
            user_id: Who did it.
            events: Interactions, or mappings with their fields (`user_id` may be left out). An `event_id`
                that was recorded before changes nothing.
            draw: Whether to queue a drawing of the user, in the same transaction; `limner serve` or `limner work` does
                it.

        Returns:
            How many were new and how many were repeated.

        Raises:
            BadRowError: An event is not valid; nothing was recorded.
        """
        return await self.doors.store.record(
            [read_event(user_id, row, ix) for ix, row in enumerate(events, start=1)],
            draw_at=self._now() if draw else None,
        )

    async def record_many(
        self, events: Iterable[Interaction | Mapping[str, Any]], *, draw: bool = False
    ) -> "Recorded":
        """Keep what several users did, in one durable write; see `record`.

        Args:
            events: Interactions, or mappings with their fields; each names its user.
            draw: Whether to queue a drawing of each user who did something; see `record`.

        Raises:
            BadRowError: An event is not valid; nothing was recorded.
        """
        return await self.doors.store.record(
            [read_event(None, row, ix) for ix, row in enumerate(events, start=1)],
            draw_at=self._now() if draw else None,
        )

    async def add_items(self, items: Iterable[Item | Mapping[str, Any]]) -> int:
        """Insert or replace catalogue items and index them; return how many were new or changed.

        Raises:
            BadRowError: An item is not valid; nothing was written.
        """
        valid = [read_item(row, ix) for ix, row in enumerate(items, start=1)]
        changed = await self.doors.store.put_items(valid)
        shown = await self.doors.store.items([item.item_id for item in valid])
        await self.doors.catalogue.upsert(list(shown.values()))
        self._items_changed = True
        return changed

    async def profile(
        self, user_id: str, *, as_of: datetime | None = None, budget: "Budget | int | None" = None
    ) -> Profile:
        """Return a user's portrait; it is drawn anew only if anything it rests on has changed.

        Args:
            user_id: Whose portrait.
            as_of: Nothing at or after this moment is used; the present if absent.
            budget: Most model calls, or a `limner.Budget` shared with other calls; `settings.budget` for this call
                alone if absent.

        Raises:
            UnknownUserError: The user was never recorded.
            EmptyHistoryError: Nothing was recorded before `as_of`.
            NoTextError: Nothing in the history has any text.
        """
        drawing = await self.prepare()
        return await drawing.profile(user_id, as_of=as_of or self._now(), budget=self.budget_of(budget))

    async def profiles(
        self,
        user_ids: Iterable[str] | AsyncIterable[str] | None = None,
        *,
        as_of: datetime | None = None,
        budget: "Budget | int | None" = None,
        at_once: int | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Draw many portraits with bounded concurrency; yields outcomes as they finish.

        Args:
            user_ids: Users, streamed; everybody in the store if absent.
            as_of: One bound for all; the present moment if absent.
            budget: Limits of the whole batch; `settings.budget` if absent. Once it refuses a call, users not
                yet started get a `BudgetExceededError` in their outcome.
            at_once: Users in flight; chosen by the model if absent.
        """
        drawing = await self.prepare()
        shared, moment = self.budget_of(budget), as_of or self._now()

        async def draw(user_id: str) -> Outcome:
            try:
                shared.check()
                drawn = await drawing.profile(user_id, as_of=moment, budget=shared)
            except LimnerError as error:
                return Outcome(user_id=user_id, error=error)
            return Outcome(user_id=user_id, profile=drawn)

        source = self.users() if user_ids is None else user_ids
        async with aclosing(bounded(source, draw, at_once or self._at_once())) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def estimate(
        self, user_ids: Sequence[str] | None = None, *, as_of: datetime | None = None
    ) -> "Estimate":
        """Say what drawing would cost, without a model call; see `agents.estimate`."""
        from .agents.estimate import estimate_profiles

        drawing = await self.prepare()
        return await estimate_profiles(
            drawing.deps,
            self.users() if user_ids is None else user_ids,
            as_of=as_of or self._now(),
            price=await asyncio.to_thread(self._price),
        )

    async def stored_profile(self, user_id: str, *, version: int | None = None) -> Profile | None:
        """Return a published portrait as it is, without drawing; the newest if no version is given."""
        return await self.doors.store.profile(user_id, version=version)

    async def users(self) -> AsyncIterator[str]:
        """Stream every user id, in order."""
        async for batch in self.doors.store.users():
            for user_id in batch:
                yield user_id

    async def counts(self) -> "Counts":
        """Return how much the store holds."""
        return await self.doors.store.counts()

    async def history(self, user_id: str, *, as_of: datetime | None = None) -> list[Interaction]:
        """Return what a user did before `as_of`, oldest first."""
        return await self.doors.recorded.history(user_id, as_of=as_of or self._now())

    async def items(self, item_ids: Sequence[str]) -> dict[str, Item]:
        """Return the items that exist, by id."""
        return await self.doors.recorded.items(item_ids)

    async def rollouts(self) -> AsyncIterator[Rollout]:
        """Stream the log of all drafts in the order of writing."""
        async for batch in self.doors.store.rollouts():
            for rollout in batch:
                yield rollout

    async def import_file(
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
        """Import a file of interactions or items; see `tools.importing.import_file`.

        Raises:
            UnknownFormatError: Nobody can read it.
            BadRowError: With `strict`, at the first bad row; nothing was written.
        """
        from .tools.importing import import_file

        self._items_changed = True
        return await import_file(
            path,
            store=self.doors.store,
            form=form,
            mapping=mapping,
            kind=kind,
            user=user_id,
            kinds=kinds,
            strict=strict,
            rejects=rejects or self.settings.store / "rejects" / f"{path.name}.rejects.jsonl",
            progress=progress,
        )

    async def export_rollouts(self, path: Path) -> int:
        """Write the log of all drafts to a Parquet file; return the number of rows."""
        from .distill.log.export_rollouts import export_rollouts

        return await export_rollouts(self.doors.store, path)

    async def reindex(self, progress: Progress | None = None) -> int:
        """Drop every vector and embed the catalogue and the portraits again; return the number of items."""
        await self.doors.catalogue.reset()
        return await self.fill_index(progress)

    async def fill_index(self, progress: Progress | None = None) -> int:
        """Embed what the catalogue lacks of items and portraits; return the number of items that it holds now."""
        from .agents.publish_profiles import indexed_facets

        catalogue = self.doors.catalogue
        indexed, there = await self._index(progress), await catalogue.portrayed()
        async for batch in self.doors.store.profiles():
            lacking = {
                profile.user_id: facets
                for profile in batch
                if len(facets := indexed_facets(profile)) != there.get(profile.user_id, 0)
            }
            vectors = await self.doors.embedder.embed(
                [facet.text for facets in lacking.values() for facet in facets]
            )
            ends = accumulate(len(facets) for facets in lacking.values())
            # Together: the catalogue writes what is published at once in one go, and waits between writes.
            await asyncio.gather(
                *(
                    catalogue.publish_facets(user_id, facets, vectors[end - len(facets) : end])
                    for end, (user_id, facets) in zip(ends, lacking.items(), strict=True)
                )
            )
        return indexed
