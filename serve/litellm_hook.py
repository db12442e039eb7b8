"""The hook inside a LiteLLM proxy: every request for a known user carries what is known about that user.

One line of the proxy's configuration switches it on, `callbacks: limner.serve.litellm_hook.proxy_handler_instance`.
Settings come from the environment and `limner.toml`, as everywhere. What cannot be told in time, or at all, is left out:
the request goes through as it came.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litellm.integrations.custom_logger import CustomLogger

from ..records import content_hash
from ..settings import Settings, load_settings
from .backroom import Backroom
from .proxy.callers import tenant_of, user_of
from .proxy.outcomes import Outcome, Outcomes
from .proxy.shapes import Shape, Turn, new_turns, question_in, shape_of

if TYPE_CHECKING:
    from ..contexts import Context, Heard
    from ..tools.chat import ChatModel
    from .http.rooms import Rooms

_EXCHANGES = 10_000
"""Requests at most whose answer is awaited, the oldest are forgotten; and turns at most that wait to be recorded."""

_GIVE_UP = 30.0
"""Seconds after which a late lookup is given up, to make room for others."""

_UNFINISHED = 64
"""Late lookups at most; beyond that nothing is looked up."""


@dataclass(frozen=True, kw_only=True)
class _Exchange:
    """What a user said, until the model has answered."""

    tenant: str
    user_id: str
    conversation_id: str
    said: tuple[str, ...]


class LimnerHook(CustomLogger):
    """Places contexts before a call and records what the user said after it.

    Args:
        settings: What is configured; read on the first request if absent.
        chat: A model to use in place of the one the settings name.
    """

    def __init__(self, settings: Settings | None = None, *, chat: "ChatModel | None" = None) -> None:
        super().__init__()
        self.outcomes = Outcomes()
        """What became of requests."""

        self._settings, self._chat = settings, chat
        self._backroom: Backroom | None = None
        self._exchanges: OrderedDict[str, _Exchange] = OrderedDict()
        self._looking: set[Future[Context]] = set()
        self._recording: set[Future[Heard]] = set()

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any] | None:
        """Return the request with the user's context in place; nothing to let it through as it came."""
        shape = shape_of(call_type)
        if shape is None:
            return None
        try:
            return await self._placed(user_api_key_dict, data, shape)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request goes through
            self.outcomes.add("failed", error)
            return None

    async def async_log_success_event(
        self, kwargs: Mapping[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Record what the user said, in the background, now that it was answered."""
        exchange = self._exchanges.pop(str(kwargs.get("litellm_call_id")), None)
        if exchange is None:
            return
        if len(self._recording) >= _EXCHANGES:
            self.outcomes.add("unrecorded")
            return
        try:
            self._record(exchange)
        except Exception as error:  # noqa: BLE001 - the proxy's log is no place for ours
            self.outcomes.add("unrecorded", error)

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: str | None = None,
    ) -> None:
        """Forget what was asked in vain."""
        self._exchanges.pop(str(request_data.get("litellm_call_id")), None)

    def close(self) -> None:
        """Finish what is being written and close everything; for programs that go on without a proxy."""
        if self._backroom is not None:
            for future in tuple(self._recording):
                future.exception()
            self._backroom.close()
            self._backroom = None

    async def _placed(self, key: object, data: dict[str, Any], shape: Shape) -> dict[str, Any] | None:
        settings = self._settings = self._settings or load_settings()
        tenant, user_id, turns = tenant_of(key, settings), user_of(data, key), shape.turns(data)
        question = question_in(turns)
        if tenant is None or user_id is None or question is None:
            missing: Outcome = "no_user" if user_id is None else "no_question"
            self.outcomes.add("no_tenant" if tenant is None else missing)
            return None
        if settings.proxy.record:
            self._await_answer(data, turns, tenant=tenant, user_id=user_id)
        context = await self._context(settings, tenant, user_id, question)
        self.outcomes.add("late" if context is None else "told")
        return None if context is None else shape.place(data, context)

    async def _context(
        self, settings: Settings, tenant: str, user_id: str, question: str
    ) -> "Context | None":
        """Return the user's context, or nothing if it does not come in time; a late lookup is left to finish."""
        if len(self._looking) >= _UNFINISHED:
            return None

        async def look(rooms: "Rooms") -> "Context":
            async with asyncio.timeout(_GIVE_UP), rooms.limner(tenant) as limner:
                return await limner.context(user_id, question, max_tokens=settings.proxy.max_tokens)

        future = self._room(settings).ask(look)
        self._looking.add(future)
        future.add_done_callback(self._looking.discard)
        answer = asyncio.wrap_future(future)
        done, _ = await asyncio.wait({answer}, timeout=settings.proxy.timeout)
        if not done:
            answer.add_done_callback(self._look_away)
        return answer.result() if done else None

    def _await_answer(
        self, data: Mapping[str, Any], turns: Sequence[Turn], *, tenant: str, user_id: str
    ) -> None:
        """Keep what is new until the model has answered.

        The same words behind the same words are one turn, which makes retries harmless, and a history that a client
        cuts short: only what is new is recorded.
        """
        said, call_id = tuple(new_turns(turns)), data.get("litellm_call_id")
        if not said or not isinstance(call_id, str):
            return
        before = [turn.text for turn in turns if turn.speaker == "user"]
        thread = content_hash(user_id, data.get("previous_response_id"), *before)
        self._exchanges[call_id] = _Exchange(
            tenant=tenant, user_id=user_id, conversation_id=f"proxy-{thread}", said=said
        )
        while len(self._exchanges) > _EXCHANGES:
            self._exchanges.popitem(last=False)

    def _record(self, exchange: _Exchange) -> None:
        async def listen(rooms: "Rooms") -> "Heard":
            async with rooms.limner(exchange.tenant) as limner:
                return await limner.listen(
                    exchange.user_id,
                    [{"role": "user", "content": text} for text in exchange.said],
                    conversation_id=exchange.conversation_id,
                )

        assert self._settings is not None, "an exchange is only kept with settings"
        future = self._room(self._settings).ask(listen)
        self._recording.add(future)
        future.add_done_callback(self._recorded)

    def _recorded(self, future: "Future[Heard]") -> None:
        self._recording.discard(future)
        error = None if future.cancelled() else future.exception()
        done = error is None and not future.cancelled()
        self.outcomes.add("recorded" if done else "unrecorded", error)
        if done and (failed := future.result().failed):
            self.outcomes.unread(failed)

    def _look_away(self, late: "asyncio.Future[Context]") -> None:
        """Take a late answer's error, so that nobody reports it as overlooked; what has to be mended is said."""
        if not late.cancelled():
            self.outcomes.explain(late.exception())

    def _room(self, settings: Settings) -> Backroom:
        if self._backroom is None:
            self._backroom = Backroom(settings, chat=self._chat)
        return self._backroom


proxy_handler_instance = LimnerHook()
"""What the proxy's configuration names."""
