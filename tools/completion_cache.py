"""Completions kept by content: what was answered once is not paid for again."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ..errors import BudgetExceededError
from ..records import Usage, content_hash
from .behalf import behalf
from .budget import Budget
from .chat import ChatModel, ChatRequest, ChatResult
from .store import Subject

_LINGER = 0.25


class CompletionStore(Protocol):
    """The part of `Store` that the cache needs."""

    async def cached_completions(self, keys: Sequence[str]) -> dict[str, str]:
        """Return cached answers (JSON) by key."""
        ...

    async def cache_completions(self, entries: Mapping[str, str], subject: Subject) -> None:
        """Keep answers; `subject` lets a forget find them."""
        ...


def completion_key(identity: str, request: ChatRequest) -> str:
    """Hash everything an answer depends on; the purpose is only a label.

    Args:
        identity: `ChatModel.identity` of who answers.
        request: What is asked.
    """
    messages = [(message.role, message.content) for message in request.messages]
    sampling = (request.temperature, request.top_p, request.seed, request.max_tokens, request.top_logprobs)
    schema = None if request.json_schema is None else json.dumps(request.json_schema)
    return content_hash(identity, messages, sampling, schema)


class CachedChat:
    """A model whose answers are kept in a store, for one event loop.

    Identical requests in flight at once are sent once. Only complete answers (`stop`) of the first choice
    are kept, and of those without a schema at temperature 0, whose length is part of the question, also cut ones; a
    sample without a seed is never taken from the cache, since another one is wanted. Look-ups
    of concurrent requests share a query, and writes share a transaction: await `flush` before anything
    that used an answer is published, and before anything is forgotten.

    Args:
        inner: Who answers what is not kept.
        store: Where answers are kept.
        linger: Seconds that a write waits for company.
    """

    def __init__(self, inner: ChatModel, store: CompletionStore, *, linger: float = _LINGER) -> None:
        self._inner = inner
        self._store = store
        self._linger = linger
        self._under_way: dict[str, asyncio.Future[ChatResult]] = {}
        self._wanted: dict[str, asyncio.Future[str | None]] = {}
        self._unsaved: dict[str, dict[Subject, str]] = {}
        self._saving: dict[str, dict[Subject, str]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    def for_subject(self, subject: Subject) -> ChatModel:
        """Return a view whose completions belong to this subject (`user:ID`), and to the items it works on behalf of."""
        return _SubjectChat(self, subject)

    @property
    def name(self) -> str:
        """Model string of the first choice."""
        return self._inner.name

    @property
    def identity(self) -> str:
        """Model, address and weights revision of the inner model."""
        return self._inner.identity

    async def complete(self, request: ChatRequest, budget: Budget, subject: Subject) -> ChatResult:
        """Answer from the cache, else ask and keep the answer.

        A hit costs nothing, whatever is left of the budget, and has the usage `Usage(cached_calls=1)`.

        Raises:
            BudgetExceededError: As the inner model; so do its other errors.
            StoreError: The cache cannot be read.
        """
        if request.temperature > 0 and request.seed is None:
            return await self._inner.complete(request, budget)
        key = completion_key(self._inner.identity, request)
        while (leader := self._under_way.get(key)) is not None:
            await asyncio.wait([leader])
            if leader.cancelled() or isinstance(leader.exception(), BudgetExceededError):
                continue  # that was the other caller's affair: ask in its place
            result = leader.result()
            self._keep(key, request, result, subject)
            return replace(result, usage=Usage(cached_calls=1))
        return await self._lead(key, request, budget, subject)

    async def flush(self) -> None:
        """Return once every answer kept so far is durable.

        Raises:
            StoreError: The store refused; the answers stay waiting and the next flush tries again.
        """
        async with self._turn:
            if not self._unsaved:
                return
            self._saving, self._unsaved = self._unsaved, {}
            by_subject: dict[Subject, dict[str, str]] = {}
            for key, answers in self._saving.items():
                for subject, answer in answers.items():
                    by_subject.setdefault(subject, {})[key] = answer
            try:
                await asyncio.gather(
                    *(self._store.cache_completions(part, subject) for subject, part in by_subject.items())
                )
            except BaseException:
                for key, answers in self._saving.items():
                    self._unsaved[key] = answers | self._unsaved.get(key, {})
                raise
            finally:
                self._saving = {}

    async def aclose(self) -> None:
        """Write what waits and close the inner model."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait([self._writer])
        try:
            await self.flush()
        finally:
            await self._inner.aclose()

    async def _lead(self, key: str, request: ChatRequest, budget: Budget, subject: Subject) -> ChatResult:
        """Answer for everybody who asks the same meanwhile."""
        leader: asyncio.Future[ChatResult] = asyncio.get_running_loop().create_future()
        self._under_way[key] = leader
        try:
            kept = await self._look_up(key)
            if kept is not None:
                result = _from_json(kept)
            else:
                result = await self._inner.complete(request, budget)
                self._keep(key, request, result, subject)
            leader.set_result(result)
            return result
        except Exception as error:
            leader.set_exception(error)
            leader.exception()  # nobody may be waiting; then it is not news
            raise
        finally:
            leader.cancel()  # no effect unless this caller was cancelled
            del self._under_way[key]

    async def _look_up(self, key: str) -> str | None:
        """Return a kept answer; concurrent look-ups share one query."""
        for waiting in (self._unsaved.get(key), self._saving.get(key)):
            if waiting:
                return next(iter(waiting.values()))
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._wanted[key] = future
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read_wanted())
        return await future

    async def _read_wanted(self) -> None:
        while self._wanted:
            batch, self._wanted = self._wanted, {}
            try:
                found = await self._store.cached_completions(list(batch))
            except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to those who wait
                for future in batch.values():
                    if not future.done():
                        future.set_exception(error)
            else:
                for key, future in batch.items():
                    if not future.done():
                        future.set_result(found.get(key))

    def _keep(self, key: str, request: ChatRequest, result: ChatResult, subject: Subject) -> None:
        """Queue an answer that may serve again; a fallback's would outlive the trouble that led to it."""
        # Of a verdict or a choice only the first token counts, whatever a talkative model would say behind it.
        short = request.json_schema is None and request.temperature == 0 and result.finish_reason == "length"
        if not (result.finish_reason == "stop" or short) or result.model != self._inner.name:
            return
        shown = {other for other in behalf().subjects if other.startswith("item:")}
        self._unsaved.setdefault(key, {}).update(dict.fromkeys({subject, *shown}, _to_json(result)))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_soon())

    async def _write_soon(self) -> None:
        while self._unsaved:
            await asyncio.sleep(self._linger)
            try:
                await self.flush()
            except Exception:  # noqa: BLE001  # the entries wait for the next `flush`, which will tell its caller
                return


@dataclass(frozen=True)
class _SubjectChat:
    """The cache on behalf of one subject."""

    cache: CachedChat
    subject: Subject

    @property
    def name(self) -> str:
        return self.cache.name

    @property
    def identity(self) -> str:
        return self.cache.identity

    async def complete(self, request: ChatRequest, budget: Budget) -> ChatResult:
        return await self.cache.complete(request, budget, self.subject)

    async def aclose(self) -> None:
        """Do nothing; the cache outlives its views."""


def _to_json(result: ChatResult) -> str:
    return json.dumps(
        {
            "text": result.text,
            "finish_reason": result.finish_reason,
            "model": result.model,
            "model_rev": result.model_rev,
            "token_logprobs": result.token_logprobs,
            "token_ids": result.token_ids,
            "first_token": dict(result.first_token),
        },
        ensure_ascii=False,
    )


def _from_json(text: str) -> ChatResult:
    fields = json.loads(text)
    logprobs, ids = fields.pop("token_logprobs"), fields.pop("token_ids", None)
    return ChatResult(
        **fields,
        token_logprobs=None if logprobs is None else tuple(logprobs),
        token_ids=None if ids is None else tuple(ids),
        usage=Usage(cached_calls=1),
    )
