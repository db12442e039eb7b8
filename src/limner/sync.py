"""The synchronous twin: the same verbs for code without an event loop."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal

from .face import Limner, Outcome
from .models import Interaction, Item, Pair, Profile
from .settings import Settings

if TYPE_CHECKING:
    from .tools.chat import ChatModel
    from .tools.store import Recorded


class LimnerSync:
    """`Limner` for plain code; an event loop runs in a thread while it is open.

        with LimnerSync() as limner:
            portrait = limner.profile("ada")

    Arguments, results and errors are those of `Limner`.
    """

    def __init__(self, settings: Settings | None = None, *, chat: "ChatModel | None" = None) -> None:
        self._limner = Limner(settings, chat=chat)
        self._starting: AbstractContextManager[BlockingPortal] | None = None
        self._running: BlockingPortal | None = None

    def __enter__(self) -> Self:
        """Open store, index and models."""
        self._starting = start_blocking_portal()
        self._running = self._starting.__enter__()
        try:
            self._running.call(self._limner.__aenter__)
        except BaseException as error:
            self._starting.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        """Finish what is being written and close everything."""
        assert self._starting is not None, "opened by `with`"
        try:
            self._portal.call(self._limner.__aexit__, None, None, None)
        finally:
            self._running = None
            self._starting.__exit__(None, None, None)

    def record(self, user_id: str, events: Iterable[Interaction | Mapping[str, Any]]) -> "Recorded":
        """See `Limner.record`."""
        call = partial(self._limner.record, user_id, events)
        return self._portal.call(call)

    def record_many(self, events: Iterable[Interaction | Mapping[str, Any]]) -> "Recorded":
        """See `Limner.record_many`."""
        return self._portal.call(partial(self._limner.record_many, events))

    def add_items(self, items: Iterable[Item | Mapping[str, Any]]) -> int:
        """See `Limner.add_items`."""
        return self._portal.call(partial(self._limner.add_items, items))

    def profile(self, user_id: str, *, as_of: datetime | None = None) -> Profile:
        """See `Limner.profile`."""
        return self._portal.call(partial(self._limner.profile, user_id, as_of=as_of))

    def profiles(
        self, user_ids: Iterable[str] | None = None, *, as_of: datetime | None = None
    ) -> Iterator[Outcome]:
        """See `Limner.profiles`."""
        return self._iterate(self._limner.profiles(user_ids, as_of=as_of))

    def pair(self, user_id: str, item_id: str, *, as_of: datetime | None = None) -> Pair:
        """See `Limner.pair`."""
        return self._portal.call(partial(self._limner.pair, user_id, item_id, as_of=as_of))

    def pairs(self, pairs: Iterable[tuple[str, str]], *, as_of: datetime | None = None) -> Iterator[Outcome]:
        """See `Limner.pairs`."""
        return self._iterate(self._limner.pairs(pairs, as_of=as_of))

    def stored_profile(self, user_id: str, *, version: int | None = None) -> Profile | None:
        """See `Limner.stored_profile`."""
        return self._portal.call(partial(self._limner.stored_profile, user_id, version=version))

    def export_rollouts(self, path: Path) -> int:
        """See `Limner.export_rollouts`."""
        return self._portal.call(self._limner.export_rollouts, path)

    def _iterate(self, outcomes: Any) -> Iterator[Outcome]:
        """Pull an asynchronous generator from this thread, and close it if the caller stops early."""

        async def step() -> Outcome | None:
            return await anext(outcomes, None)

        try:
            while (outcome := self._portal.call(step)) is not None:
                yield outcome
        finally:
            self._portal.call(outcomes.aclose)

    @property
    def _portal(self) -> BlockingPortal:
        if self._running is None:
            raise RuntimeError("LimnerSync is not open; use `with LimnerSync() as limner:`")
        return self._running
