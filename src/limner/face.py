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
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from .errors import LimnerError
from .models import Pair, Profile, Rollout
from .records import Interaction, Item
from .rows import read_event, read_item
from .settings import EMBEDDED, NO_MODEL, Settings, load_settings
from .streaming import bounded

if TYPE_CHECKING:
    from .agents.drawing import Drawing
    from .agents.estimate import Estimate
    from .doors import Doors
    from .tools.budget import Budget
    from .tools.chat import ChatModel
    from .tools.clock import Clock
    from .tools.import_report import ImportReport
    from .tools.prices import Price
    from .tools.store import Counts, Recorded

_EMBEDDED_AT_ONCE = 2
_ITEMS_PER_BATCH = 500

Progress = Callable[[int, int], None]
"""Called with what is done and how much there is."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one entry of a batch."""

    user_id: str
    """The user."""

    item_id: str | None = None
    """The item of a pair; absent for a profile."""

    profile: Profile | None = None
    """The portrait, if it was drawn or already up to date."""

    pair: Pair | None = None
    """The pair, if one was asked for."""

    error: LimnerError | None = None
    """Why there is none."""


class Limner:
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
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        chat: "ChatModel | None" = None,
        clock: "Clock | None" = None,
        rebuild_index: bool = False,
    ) -> None:
        self.settings = settings or load_settings()
        self._rebuild_index = rebuild_index
        self._given_chat, self._given_clock = chat, clock
        self._stack = AsyncExitStack()
        self._opened: Doors | None = None
        self._drawing: Drawing | None = None
        self._preparing = asyncio.Lock()
        self._items_changed = True

    async def __aenter__(self) -> Self:
        """Open store, index and models.

        Raises:
            StoreError: The database or the index cannot be opened.
            EncoderChangedError: The index holds vectors of another encoder; run `limner reindex`.
            WeightsMissingError: The encoder's weights are not on disk; run `limner models fetch`.
        """
        from .doors import open_doors
        from .tools.promotion import with_promoted

        self.settings = with_promoted(self.settings)
        async with AsyncExitStack() as stack:
            self._opened = await open_doors(
                self.settings, stack, chat=self._given_chat, rebuild_index=self._rebuild_index
            )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Finish what is being written and close everything."""
        self._opened = self._drawing = None
        await self._stack.aclose()

    async def record(self, user_id: str, events: Iterable[Interaction | Mapping[str, Any]]) -> "Recorded":
        """Keep what a user did; durable when it returns.

        Args:
            user_id: Who did it.
            events: Interactions, or mappings with their fields (`user_id` may be left out). An `event_id`
                that was recorded before changes nothing.

        Returns:
            How many were new and how many were repeated.

        Raises:
            BadRowError: An event is not valid; nothing was recorded.
        """
        return await self.doors.store.record(
            [read_event(user_id, row, ix) for ix, row in enumerate(events, start=1)]
        )

    async def record_many(self, events: Iterable[Interaction | Mapping[str, Any]]) -> "Recorded":
        """Keep what several users did, in one durable write; see `record`.

        Args:
            events: Interactions, or mappings with their fields; each names its user.

        Raises:
            BadRowError: An event is not valid; nothing was recorded.
        """
        return await self.doors.store.record(
            [read_event(None, row, ix) for ix, row in enumerate(events, start=1)]
        )

    async def add_items(self, items: Iterable[Item | Mapping[str, Any]]) -> int:
        """Insert or replace catalogue items and index them; return how many were new or changed.

        Raises:
            BadRowError: An item is not valid; nothing was written.
        """
        valid = [read_item(row, ix) for ix, row in enumerate(items, start=1)]
        changed = await self.doors.store.put_items(valid)
        await self.doors.catalogue.upsert(valid)
        self._items_changed = True
        return changed

    async def profile(
        self, user_id: str, *, as_of: datetime | None = None, budget: "Budget | None" = None
    ) -> Profile:
        """Return a user's portrait; it is drawn anew only if anything it rests on has changed.

        Args:
            user_id: Whose portrait.
            as_of: Nothing at or after this moment is used; the present if absent.
            budget: Limits shared with other calls; `settings.budget` for this call alone if absent.

        Raises:
            UnknownUserError: The user was never recorded.
            EmptyHistoryError: Nothing was recorded before `as_of`.
            NoTextError: Nothing in the history has any text.
        """
        drawing = await self.prepare()
        return await drawing.profile(user_id, as_of=as_of or self._now(), budget=budget or self.new_budget())

    async def profiles(
        self,
        user_ids: Iterable[str] | AsyncIterable[str] | None = None,
        *,
        as_of: datetime | None = None,
        budget: "Budget | None" = None,
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
        shared, moment = budget or self.new_budget(), as_of or self._now()

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

    async def pair(
        self,
        user_id: str,
        item_id: str,
        *,
        as_of: datetime | None = None,
        budget: "Budget | None" = None,
    ) -> Pair:
        """Write a user profile and an item profile for each other.

        Raises:
            UnknownUserError: The user was never recorded.
            UnknownItemError: The item is not in the catalogue.
            EmptyHistoryError: Nothing was recorded before `as_of`.
            NoTextError: One side has no text.
        """
        drawing = await self.prepare()
        return await drawing.pair(
            user_id, item_id, as_of=as_of or self._now(), budget=budget or self.new_budget()
        )

    async def pairs(
        self,
        pairs: Iterable[tuple[str, str]] | AsyncIterable[tuple[str, str]],
        *,
        as_of: datetime | None = None,
        budget: "Budget | None" = None,
        at_once: int | None = None,
    ) -> AsyncGenerator[Outcome]:
        """Write many pairs (user, item) with bounded concurrency; see `profiles`."""
        drawing = await self.prepare()
        shared, moment = budget or self.new_budget(), as_of or self._now()

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

    def _price(self) -> "Price | None":
        from .tools.backends import load_litellm, resolve_backends

        if self._given_chat or self.settings.model == NO_MODEL:
            return None
        settings = self.settings
        return resolve_backends(load_litellm(), settings.model, settings.chat, settings.models_dir)[0].price

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
        return await self.doors.store.history(user_id, as_of=as_of or self._now())

    async def items(self, item_ids: Sequence[str]) -> dict[str, Item]:
        """Return the items that exist, by id."""
        return await self.doors.store.items(item_ids)

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
        strict: bool = False,
    ) -> "ImportReport":
        """Import a file of interactions or items; see `tools.importing.import_file`.

        Raises:
            UnknownFormatError: Nobody can read it.
            BadRowError: With `strict`, at the first bad row; nothing was written.
        """
        from .tools.importing import import_file

        self._items_changed = True
        rejects = self.settings.store / "rejects" / f"{path.name}.rejects.jsonl"
        return await import_file(
            path,
            store=self.doors.store,
            form=form,
            mapping=mapping,
            kind=kind,
            strict=strict,
            rejects=rejects,
        )

    async def export_rollouts(self, path: Path) -> int:
        """Write the log of all drafts to a Parquet file; return the number of rows."""
        from .distill.log.export_rollouts import export_rollouts

        return await export_rollouts(self.doors.store, path)

    async def reindex(self, progress: Progress | None = None) -> int:
        """Drop every vector and embed the catalogue and the portraits again; return the number of items."""
        from .agents.publish_profiles import indexed_facets

        await self.doors.catalogue.reset()
        indexed = await self._index(progress)
        async for batch in self.doors.store.profiles():
            for profile in batch:
                facets = indexed_facets(profile)
                vectors = await self.doors.embedder.embed([facet.text for facet in facets])
                await self.doors.catalogue.publish_facets(profile.user_id, facets, vectors)
        return indexed

    def new_budget(self) -> "Budget":
        """Return a budget with the limits of the settings and nothing spent."""
        from .tools.budget import Budget

        return Budget(self.settings.budget)

    async def prepare(self, progress: Progress | None = None) -> "Drawing":
        """Index items that are not indexed yet and learn the catalogue's phrases; again after items came in."""
        from .easel import learn_phrases, start_drawing

        async with self._preparing:
            if self._drawing is None:
                if self.doors.chat:  # the first look may hash weights
                    await asyncio.to_thread(getattr, self.doors.chat, "identity")
                own_chat = self._given_chat is None
                self._drawing = start_drawing(
                    self.doors, self.settings, self._clock, self._stack, own_chat=own_chat
                )
            if self._items_changed:
                await self._index(progress)
                lexicon = await learn_phrases(self.doors.store)
                self._drawing.deps = replace(self._drawing.deps, lexicon=lexicon)
                self._items_changed = False
        return self._drawing

    async def _index(self, progress: Progress | None) -> int:
        total, done = (await self.doors.store.counts()).items, 0
        async for batch in self.doors.store.all_items(_ITEMS_PER_BATCH):
            await self.doors.catalogue.upsert(batch)
            done += len(batch)
            if progress:
                progress(done, total)
        return done

    @property
    def doors(self) -> "Doors":
        """The open doors, for code that needs more than the verbs.

        Raises:
            RuntimeError: Limner is not open.
        """
        if self._opened is None:
            raise RuntimeError("Limner is not open; use `async with Limner() as limner:`")
        return self._opened

    def _at_once(self) -> int:
        return (
            _EMBEDDED_AT_ONCE if self.settings.model.startswith(EMBEDDED) else self.settings.chat.concurrency
        )

    @property
    def _clock(self) -> "Clock":
        from .tools.clock import SystemClock

        return self._given_clock or SystemClock()

    def _now(self) -> datetime:
        return self._clock.now()
