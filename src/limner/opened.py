"""An open Limner: the doors, what drawing needs, and the clock; its verbs are in modules of their own."""

import asyncio
from collections.abc import (
    Callable,
)
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Self

from .errors import InputError
from .settings import EMBEDDED, NO_MODEL, Settings, load_settings

if TYPE_CHECKING:
    from .agents.drawing import Drawing
    from .agents.state import Style
    from .doors import Doors, Lent
    from .tools.budget import Budget
    from .tools.chat import ChatModel
    from .tools.clock import Clock
    from .tools.embedder import Embedder
    from .tools.prices import Price
    from .tools.tokens import TokenCounter

_EMBEDDED_AT_ONCE = 2
_ITEMS_PER_BATCH = 500

Progress = Callable[[int, int], None]
"""Called with what is done and how much there is."""


class Opened:
    """What every verb stands on.

    Args:
        settings: Everything that can be configured; read from the environment and `limner.toml` if absent.
        chat: A language model to use in place of the one the settings name.
        clock: A source of time; the machine's own if absent.
        rebuild_index: Open an index of another encoder, or a damaged one, so that `reindex` can replace it.
        lent: What this process has open already for other tenants; absent to open everything.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        chat: "ChatModel | None" = None,
        clock: "Clock | None" = None,
        rebuild_index: bool = False,
        lent: "Lent | None" = None,
    ) -> None:
        self.settings = settings or load_settings()
        self._rebuild_index = rebuild_index
        self._given_chat, self._given_clock, self._lent = chat, clock, lent
        self._stack = AsyncExitStack()
        self._opened: Doors | None = None
        self._drawing: Drawing | None = None
        self._preparing = asyncio.Lock()
        self._items_changed = True
        self._questions: Embedder | None = None
        self._counters: dict[str, TokenCounter] = {}
        self._writer: tuple[str | None, Style] | None = None

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
                self.settings,
                stack,
                chat=self._given_chat,
                rebuild_index=self._rebuild_index,
                lent=self._lent,
            )
            self._stack = stack.pop_all()
        await self._go_on_forgetting()
        return self

    async def _go_on_forgetting(self) -> None:
        """Do what has to be done before anybody reads."""

    async def __aexit__(self, *exc: object) -> None:
        """Finish what is being written and close everything."""
        self._opened = self._drawing = self._questions = self._writer = None
        await self._stack.aclose()

    def budget_of(self, given: object) -> "Budget":
        """Return the budget that an argument stands for: a number is so many model calls, nothing the settings'.

        Raises:
            InputError: It is neither, or less than one call.
        """
        from .tools.budget import Budget

        if given is None:
            return self.new_budget()
        if isinstance(given, Budget):
            return given
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            raise InputError(
                f"`budget` must be a number of model calls, at least 1, or a `limner.Budget`; got {given!r}"
            )
        return Budget(self.settings.budget.model_copy(update={"calls": given}))

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

    def now(self) -> datetime:
        """Return the present moment, by the clock that everything here goes by."""
        return self._now()

    @property
    def has_given_doors(self) -> bool:
        """Whether a model, a clock or shared doors were given, which other processes do not have."""
        return any((self._given_chat, self._given_clock, self._lent))

    @property
    def users_at_once(self) -> int:
        """How many users a batch works on at once, unless it is told otherwise."""
        return self._at_once()

    def _price(self) -> "Price | None":
        from .tools.backends import load_litellm, resolve_backends

        if self._given_chat or self.settings.model == NO_MODEL:
            return None
        settings = self.settings
        return resolve_backends(load_litellm(), settings.model, settings.chat, settings.models_dir)[0].price

    def _at_once(self) -> int:
        if self.settings.model.startswith(EMBEDDED):
            return _EMBEDDED_AT_ONCE
        return self.settings.chat.concurrency * (1 + len(self.settings.chat.replicas))

    @property
    def _clock(self) -> "Clock":
        from .tools.clock import SystemClock

        return self._given_clock or SystemClock()

    def _now(self) -> datetime:
        return self._clock.now()
