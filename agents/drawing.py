"""Run the graph for one user or pair: skip what is up to date, resume what was interrupted."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, cast
from weakref import WeakValueDictionary

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver

from ..errors import ForgottenMeanwhileError
from ..models import Profile
from ..pairings import Judgement, Pair, PairOutcome, PairSide
from ..records import Message, content_hash
from ..tools.behalf import on_behalf
from ..tools.budget import Budget
from ..tools.completion_cache import CachedChat
from ..tools.forgetting.forget_checkpoints import checkpoint_metadata
from .build_case import build_case
from .case import Case
from .colophon import INCOMPLETE
from .fingerprint import fingerprint_of
from .graph import build_graph
from .pairing.one_pass import require_one_pass
from .state import Deps, Draft, State

STATE_TYPES: tuple[type, ...] = (Draft, Judgement, Pair, PairOutcome, PairSide, Message)
"""Types that a checkpoint may bring back to life, beside Limner's own words."""


class Drawing:
    """Draws portraits and pairs; safe to use from many tasks at once."""

    def __init__(
        self, deps: Deps, chat: CachedChat | None, saver: "BaseCheckpointSaver[Any]", *, tenant: str
    ) -> None:
        self.deps = deps
        self._chat, self._saver, self._tenant = chat, saver, tenant
        # Where no model is paid, drawing again costs less than keeping every step.
        self._graph = build_graph(None if chat is None else saver)
        self._turns: WeakValueDictionary[tuple[str, str | None], asyncio.Lock] = WeakValueDictionary()

    async def profile(self, user_id: str, *, as_of: datetime, budget: Budget) -> Profile:
        """Return a user's portrait, drawn anew only if anything it rests on has changed.

        Raises:
            UnknownUserError: The user was never recorded.
            EmptyHistoryError: Nothing was recorded before `as_of`.
            NoTextError: Nothing in the history has any text.
        """
        state = State(user_id=user_id, item_id=None, as_of=as_of, run_id="")
        async with self.turn(user_id, None), self.concerning(user_id):
            deps, case, fingerprint = await self.open_case(state, budget)
            newest = await deps.store.profile(user_id, as_of=as_of)
            run_id = self.run_id(fingerprint, newest)
            if newest and newest.fingerprint == fingerprint:
                await self._forget_run(run_id)
                return newest
            return (await self._run(deps, case, state, run_id))["profile"]

    async def pair(self, user_id: str, item_id: str, *, as_of: datetime, budget: Budget) -> Pair:
        """Write a user profile and an item profile for each other.

        Raises:
            UnknownUserError: The user was never recorded.
            UnknownItemError: The item is not in the catalogue.
            EmptyHistoryError: Nothing was recorded before `as_of`.
            NoTextError: One side has no text.
            BudgetExceededError: The budget is smaller than one pass; no model was asked.
        """
        state = State(user_id=user_id, item_id=item_id, as_of=as_of, run_id="")
        async with self.turn(user_id, item_id), self.concerning(user_id, item_id):
            deps, case, fingerprint = await self.open_case(state, budget)
            newest = await deps.store.pair(user_id, item_id)
            run_id = self.run_id(fingerprint, newest)
            if newest and newest.fingerprint == fingerprint and newest.as_of <= as_of:
                await self._forget_run(run_id)
                return newest
            return await self._write_pair(deps, case, state, run_id)

    async def rehearse(
        self,
        user_id: str,
        item_id: str,
        outcome: PairOutcome,
        *,
        as_of: datetime,
        budget: Budget,
        logged: Collection[str] = (),
    ) -> Pair | None:
        """Write a pair whose outcome is known, grade its drafts by it and log them; the pair itself is not kept.

        Args:
            user_id: The user.
            item_id: The item: the chosen one, or another.
            outcome: What the user did; it reaches no prompt and no choice between drafts.
            as_of: The moment of the outcome; nothing at or after it is used.
            budget: Limits.
            logged: Runs that are in the log already.

        Returns:
            The pair; `None` if this very run is in `logged`. If its `fingerprint` starts with `INCOMPLETE`, a call
            is missing and nothing was logged; written again, it pays only for what is missing.

        Raises:
            UnknownUserError: The user was never recorded.
            UnknownItemError: The item is not in the catalogue.
            EmptyHistoryError: Nothing was recorded before `as_of`.
            NoTextError: One side has no text.
            BudgetExceededError: The budget is smaller than one pass; no model was asked.
        """
        state = State(user_id=user_id, item_id=item_id, as_of=as_of, run_id="", outcome=outcome)
        async with self.turn(user_id, item_id), self.concerning(user_id, item_id):
            deps, case, fingerprint = await self.open_case(state, budget)
            run_id = content_hash(self._tenant, fingerprint, "outcome", outcome)
            if run_id in logged:
                return None
            return await self._write_pair(deps, case, state, run_id)

    async def _write_pair(self, deps: Deps, case: Case, state: State, run_id: str) -> Pair:
        """Run the graph for a pair that the budget can pay for; one that was begun goes on in any case."""
        if not await self._saver.aget_tuple({"configurable": {"thread_id": run_id}}):
            await require_one_pass(deps, case)
        return (await self._run(deps, case, state, run_id))["pair"]

    @asynccontextmanager
    async def concerning(self, user_id: str, *item_ids: str) -> AsyncGenerator[None]:
        """Work on behalf of a user, and of everybody who wrote about items; see `tools.behalf`.

        Raises:
            ForgottenMeanwhileError: One of them was forgotten meanwhile; what was kept of the work is gone.
        """
        subjects = (f"user:{user_id}", *(f"item:{item_id}" for item_id in item_ids))
        with on_behalf(*subjects, since=await self.deps.store.forgets()):
            try:
                yield
            except ForgottenMeanwhileError:
                await self.flush()
                await self.deps.store.drop_caches(subjects)
                raise

    async def flush(self) -> None:
        """Return once every answer is in the store."""
        if self._chat is not None:
            await self._chat.flush()

    def let_go(self) -> None:
        """Drop what is remembered of histories."""
        self.deps.cases.clear()
        self.deps.audience.clear()

    def turn(self, user_id: str, item_id: str | None) -> asyncio.Lock:
        """Return the lock of one portrait, so that two callers do not draw it at once."""
        return self._turns.setdefault((user_id, item_id), asyncio.Lock())

    async def open_case(self, state: State, budget: Budget) -> tuple[Deps, Case, str]:
        """Read the material of a run; returns what it may touch, the material and its fingerprint."""
        deps = self.deps_for(f"user:{state['user_id']}", budget)
        case = await build_case(deps, state)
        return deps, case, fingerprint_of(deps, case)

    def run_id(self, fingerprint: str, newest: Profile | Pair | None) -> str:
        """Name a run; one that follows a failed attempt has its own name, and so its own rollouts."""
        failed = newest is not None and newest.fingerprint == f"{INCOMPLETE}{fingerprint}"
        return content_hash(
            self._tenant, fingerprint, newest.created_at.isoformat() if newest and failed else ""
        )

    async def _forget_run(self, run_id: str) -> None:
        """Delete what a run left that was killed after it had published."""
        if self._chat is None:
            return
        if await self._saver.aget_tuple({"configurable": {"thread_id": run_id}}):
            await self._saver.adelete_thread(run_id)

    def deps_for(self, subject: str, budget: Budget) -> Deps:
        """Return what a run may touch on behalf of a subject: its completions, and this budget."""
        chat = self._chat.for_subject(subject) if self._chat else None
        return replace(self.deps, chat=chat, budget=budget)

    async def _run(self, deps: Deps, case: Case, state: State, run_id: str) -> State:
        """Start the graph, or continue where a killed run of the same name stopped."""
        deps.keep_case(run_id, case)
        if self._chat is None:
            done = await self._graph.ainvoke(State(**{**state, "run_id": run_id}), context=deps)
            return cast(State, done)  # LangGraph types a graph's output as a plain dict
        whose = checkpoint_metadata(self._tenant, state["user_id"], state.get("item_id"))
        config: RunnableConfig = {"configurable": {"thread_id": run_id}, "metadata": whose}
        interrupted = await self._saver.aget_tuple(config)
        if (
            interrupted
            and interrupted.checkpoint["channel_values"].get("as_of", state["as_of"]) > state["as_of"]
        ):
            await self._saver.adelete_thread(run_id)  # it may have seen what this run must not
            interrupted = None
        given = None if interrupted else State(**{**state, "run_id": run_id})
        try:
            done = await self._graph.ainvoke(given, config, context=deps, durability="async")
        except ForgottenMeanwhileError:
            await self._saver.adelete_thread(run_id)
            raise
        await self._saver.adelete_thread(run_id)
        return cast(State, done)  # LangGraph types a graph's output as a plain dict
