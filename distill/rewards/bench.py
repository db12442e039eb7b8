"""Rewards for trainers, which are plain code with threads: a store that is open in an event loop of its own."""

import asyncio
import atexit
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from ...agents.state import Deps
from ...errors import ExamChangedError
from ...face import Limner
from ...settings import NO_MODEL, Settings, load_settings
from .by_name import ASKS_A_MODEL, Options
from .exercise import Exercise
from .reward import Bounds, Terms
from .scorer import Scorer

if TYPE_CHECKING:
    from ...tools.chat import ChatModel

T = TypeVar("T")

OpenDeps = Callable[[], AbstractAsyncContextManager[Deps]]
"""Opens what rewards may touch, inside the loop that will use it."""


class RewardBench:
    """Scores completions from any thread while it is open.

        with open_bench(Path("store"), {"limner": 1.0}) as bench:
            bench.score("ada", "Describe…", '{"likes": ["…"]}', row.meta)

    Args:
        open_deps: Opens the store.
        weights: Name to weight of each reward.
        options: For each name, what is set for it.
    """

    def __init__(
        self,
        open_deps: OpenDeps,
        weights: Mapping[str, float],
        options: Mapping[str, Options] | None = None,
    ) -> None:
        self._open_deps, self.weights, self._options = open_deps, dict(weights), options
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        self._scorer: Scorer | None = None

    def __enter__(self) -> Self:
        """Open the store and build the rewards.

        Raises:
            SettingsError: A reward is unknown, or needs a chat model and none is there.
            StoreError: The store cannot be opened.
        """
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            deps = stack.enter_context(portal.wrap_async_context_manager(self._open_deps()))
            self._scorer = portal.call(Scorer, deps, self.weights, self._options)
            self._portal = portal
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the store."""
        self._portal = self._scorer = None
        self._stack.close()

    def keep_open(self) -> Self:
        """Open until the program ends, for modules whose functions others call."""
        opened = self.__enter__()

        def close() -> None:
            with suppress(RuntimeError):  # what waits for threads may find them gone
                self.__exit__()

        atexit.register(close)
        return opened

    @property
    def critic_version(self) -> str:
        """Encoder and settings of the critic; rewards compare only within one version."""
        return self._open.critic_version

    @property
    def bounds(self) -> Bounds:
        """Where weighted totals lie."""
        return self._open.bounds

    def score(self, user_id: str, prompt: Any, text: str, meta: Mapping[str, Any]) -> Terms:
        """Score one completion; see `Scorer.score`."""
        return self._call(lambda: self._open.score(user_id, prompt, text, meta))

    def score_many(self, exercises: Sequence[Exercise], texts: Sequence[str]) -> list[Terms]:
        """Score a batch; see `Scorer.score_many`."""
        return self._call(lambda: self._open.score_many(exercises, texts))

    def refused(self, exercises: Sequence[Exercise]) -> dict[int, ExamChangedError]:
        """Return the places of exercises that can no longer be graded alike, and why."""
        return self._call(lambda: self._open.refused(exercises))

    async def grade(self, name: str, exercises: Sequence[Exercise], texts: Sequence[str]) -> list[Terms]:
        """Return one reward's terms, for code that runs in another event loop."""
        assert self._portal is not None, "the bench is open"
        work = partial(self._open.grade, name, exercises, texts)
        return await asyncio.wrap_future(self._portal.start_task_soon(work))

    @property
    def _open(self) -> Scorer:
        if self._scorer is None:
            raise RuntimeError("the bench is not open; use `with`")
        return self._scorer

    def _call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self._portal is None:
            raise RuntimeError("the bench is not open; use `with`")
        result: T = self._portal.call(work)
        return result


def open_bench(
    store: Path | Settings,
    weights: Mapping[str, float],
    options: Mapping[str, Options] | None = None,
    *,
    chat: "ChatModel | None" = None,
) -> RewardBench:
    """Return a bench over a store; it is open inside `with`.

    Args:
        store: Folder of the store, or settings that name it.
        weights: Name to weight of each reward.
        options: For each name, what is set for it.
        chat: A model that grades, in place of the one the settings name.
    """
    settings = store if isinstance(store, Settings) else load_settings(store=store)
    return RewardBench(partial(_deps_of, settings_for_rewards(settings, weights), chat), weights, options)


def settings_for_rewards(settings: Settings, weights: Mapping[str, float]) -> Settings:
    """Return settings that open no chat model where no reward asks one."""
    if ASKS_A_MODEL & set(weights) or settings.reward.text > 0:
        return settings
    return settings.model_copy(update={"model": NO_MODEL})


@asynccontextmanager
async def _deps_of(settings: Settings, chat: "ChatModel | None") -> AsyncGenerator[Deps]:
    async with Limner(settings, chat=chat) as limner:
        yield (await limner.prepare()).deps
