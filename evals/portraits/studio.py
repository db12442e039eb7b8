"""Where portraits are made: an open Limner that holds the past, and the models that are asked beside it."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ...errors import EmptyHistoryError, NoTextError
from ...face import Limner
from ...models import Profile
from ...settings import EMBEDDED, NO_MODEL, Settings
from ...streaming import bounded
from ...tools.store import Store
from ..encoding import Encoding, key_of
from ..splits import Past
from ..workspace import Workspace
from .moments import interactions_of

if TYPE_CHECKING:
    from ...tools.budget import Budget
    from ...tools.chat import ChatModel
    from ...tools.completion_cache import CachedChat

FILLED = "filled"
"""File that marks a store with everything of the past in it."""

_CHUNK = 10_000
_EXTRACTIVE_AT_ONCE = 4
_EMBEDDED_AT_ONCE = 2
_QUIET_SECONDS = 10.0


class Wanted(NamedTuple):
    """One portrait to make."""

    user_id: str
    as_of: datetime


class Asking(Protocol):
    """Who makes portraits, as far as it matters for what is opened."""

    @property
    def kind(self) -> str:
        """Name of what is made; portraits that Limner did not publish itself are kept under it."""
        ...

    @property
    def asked(self) -> str | None:
        """Model that is asked beside Limner's own drawing; absent if none is."""
        ...


@dataclass(frozen=True, kw_only=True)
class Studio:
    """What a painter works with."""

    limner: Limner
    """Holds the past and the histories of everybody who is wanted."""

    kept: Store
    """For portraits that Limner did not publish itself: another tenant of the same database."""

    chat: "CachedChat | None"
    """The model that is asked beside Limner's own drawing."""

    budget: "Budget"
    at_once: int
    notice: Callable[[str], None]

    @property
    def store(self) -> Store:
        """Limner's own store."""
        return self.limner.doors.store

    async def draw(self, entry: Wanted) -> Profile:
        """Draw one portrait by Limner's own loop."""
        return await self.limner.profile(entry.user_id, as_of=entry.as_of, budget=self.budget)

    async def each(
        self, wanted: Sequence[Wanted], paint: Callable[[Wanted], Awaitable[Profile]], doing: str
    ) -> dict[Wanted, Profile]:
        """Paint everybody, several at once; who has nothing to draw from is left out."""
        done: dict[Wanted, Profile] = {}
        started = told = time.monotonic()

        async def one(entry: Wanted) -> tuple[Wanted, Profile | None]:
            try:
                return entry, await paint(entry)
            except (EmptyHistoryError, NoTextError):
                return entry, None

        async with aclosing(bounded(wanted, one, self.at_once)) as painted:
            async for entry, profile in painted:
                if profile is not None:
                    done[entry] = profile
                if (now := time.monotonic()) - told > _QUIET_SECONDS:
                    told = now
                    self.notice(f"{doing}: {len(done)} of {len(wanted)} in {now - started:.0f} s")
        return done


@asynccontextmanager
async def open_studio(
    workspace: Workspace,
    settings: Settings,
    past: Past,
    *,
    budget: "Budget",
    painter: Asking,
    chat: "ChatModel | None" = None,
) -> AsyncGenerator[Studio]:
    """Open a Limner store that holds the past, and what a painter asks beside it.

    Args:
        workspace: Where vectors are shared, and who is told what is being done.
        settings: Limner's own, with the store's folder.
        past: What the store is filled with if it is new.
        budget: Limits of everything made here.
        painter: Who works here.
        chat: A model to use in place of every one that is named.
    """
    from ...doors import open_only_store

    given = None if settings.model == NO_MODEL else chat
    async with Limner(settings, chat=given) as limner:
        await fill_store(limner, past, workspace)
        await limner.prepare()
        aside = settings.model_copy(update={"tenant": painter.kind})
        async with open_only_store(aside) as kept, _open_chat(settings, limner, painter, chat) as asked:
            yield Studio(
                limner=limner,
                kept=kept,
                chat=asked,
                budget=budget,
                at_once=_at_once(settings, painter),
                notice=workspace.notice,
            )


@asynccontextmanager
async def _open_chat(
    settings: Settings, limner: Limner, painter: Asking, given: "ChatModel | None"
) -> "AsyncGenerator[CachedChat | None]":
    """Open the model that the painter asks; what it answers is kept in Limner's store."""
    if painter.asked is None:
        yield None
        return
    from ...tools.completion_cache import CachedChat
    from ...tools.gateway import LiteLLMChat

    chat = given or LiteLLMChat(painter.asked, settings.chat, models_dir=settings.models_dir)
    cached = CachedChat(chat, limner.doors.store)
    try:
        yield cached
    finally:
        await cached.aclose()


async def fill_store(limner: Limner, past: Past, workspace: Workspace) -> None:
    """Bring catalogue and past into a store, once; an interrupted filling is done over."""
    done = limner.settings.store / FILLED
    if done.exists():
        return
    workspace.notice(
        f"filling a store with {past.card.name}: {past.n_items} items, {len(past.events)} events"
    )
    store = limner.doors.store
    await store.put_items(list(past.items))
    await _share_vectors(limner, past, workspace)
    for start in range(0, len(past.events), _CHUNK):
        part = past.events.take(slice(start, start + _CHUNK))
        await store.record(list(interactions_of(part, past)))
    await limner.prepare()
    done.touch()


async def _share_vectors(limner: Limner, past: Past, workspace: Workspace) -> None:
    """Hand Limner the vectors of the catalogue, which other systems may have paid for already."""
    encoding = Encoding(limner.settings.embedder, workspace)
    try:
        texts = [item.describe() for item in past.items]
        vectors = (await encoding.embed(texts)).astype("<f4")
        raw = {key_of(text).hex(): vector.tobytes() for text, vector in zip(texts, vectors, strict=True)}
        await limner.doors.store.cache_vectors(encoding.name, raw)
    finally:
        await encoding.aclose()


def _at_once(settings: Settings, painter: Asking) -> int:
    """Return how many users are in flight: few where this machine does the work."""
    models = {settings.model, painter.asked or NO_MODEL}
    if models == {NO_MODEL}:
        return _EXTRACTIVE_AT_ONCE
    return (
        _EMBEDDED_AT_ONCE if any(name.startswith(EMBEDDED) for name in models) else settings.chat.concurrency
    )
