"""Verbs of assistants: what to tell one about a user, and what a chat tells about the user."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .forget_verbs import ForgetVerbs
from .records import FEWEST_TOKENS, LONGEST_ID, whole

if TYPE_CHECKING:
    from .agents.context.read_context import Reading
    from .agents.state import Style
    from .contexts import Context, Heard
    from .tools.budget import Budget
    from .tools.tokens import TokenCounter

_QUESTIONS_KEPT = 512


class ContextVerbs(ForgetVerbs):
    """`context`, `personalise`, `listen`."""

    async def context(
        self,
        user_id: str,
        query: str | None = None,
        *,
        max_tokens: int = 400,
        as_of: datetime | None = None,
        model: str | None = None,
    ) -> "Context":
        """Return what to tell an assistant about a user; nothing is drawn and no model is asked.

        The stable part tells the newest stored portrait and depends on its version, `max_tokens` and `model` alone.
        The volatile part holds what the user said since, what matters for `query` by meaning and recency, and the
        newest interactions. A user whom nobody knows gets words that say so.

        Args:
            user_id: Whom the assistant talks to.
            query: What the user asks now; without one, the newest interactions are told.
            max_tokens: Most tokens of both parts together, without what a chat template adds around a message.
            as_of: Nothing at or after this moment is used; the present if absent.
            model: Whose tokenizer counts, a LiteLLM model string; `settings.model` if absent. See `tools.tokens`.

        Raises:
            InputError: `user_id` is not an id, or `max_tokens` is not a whole number of at least
                `records.FEWEST_TOKENS`.
        """
        from .agents.context.read_context import read_context

        _check(user_id, query, max_tokens)
        return await read_context(
            await self._reading(model or self.settings.model),
            user_id,
            query and whole(query),
            [await self._shelf(user_id)],
            max_tokens=max_tokens,
            as_of=as_of or self._now(),
            present=as_of is None,
        )

    async def personalise(
        self,
        messages: Sequence[Mapping[str, Any]],
        user_id: str,
        *,
        max_tokens: int = 400,
        model: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return chat messages with what is known of a user in place; see `agents.context.place_context`.

        Args:
            messages: In OpenAI's form; left as they are. The last message of the user's is the query.
            user_id: Whom the assistant talks to.
            max_tokens: Most tokens of what is added.
            model: Whose tokenizer counts; `settings.model` if absent.

        Raises:
            InputError: As of `context`; a message is no mapping, or lies too deep.
        """
        from .agents.context.place_context import last_question, place_context

        told = await self.context(user_id, last_question(messages), max_tokens=max_tokens, model=model)
        return place_context(messages, told)

    async def listen(
        self,
        user_id: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        conversation_id: str | None = None,
        at: datetime | None = None,
        budget: "Budget | int | None" = None,
    ) -> "Heard":
        """Take a chat as behaviour: keep the user's own turns and note what they tell of the user.

        Turns that were heard before change nothing, so a conversation may be handed over again with every turn. A turn
        that tells nothing costs no model call. Later statements outweigh earlier observations about the same thing;
        both stay, with their evidence. What the user asks to forget ("forget that", "forget what I said about fish")
        is forgotten, and neither it nor the request is kept.

        Args:
            user_id: Who speaks in the role `user`.
            messages: In OpenAI's form.
            conversation_id: Which conversation; its first turn stands for it if absent.
            at: When the last of these turns was said; the present if absent.
            budget: Most model calls, or a `limner.Budget`; `settings.budget` if absent.

        Raises:
            InputError: `user_id` is not an id.
            BadRowError: A message is no mapping or has no role; nothing was kept.
        """
        from .agents.listening.hear_turns import Listening
        from .agents.listening.listen import hear, language_of
        from .tools.conversations import own_turns

        _check(user_id)
        turns = own_turns(user_id, messages, conversation_id=conversation_id, at=at or self._now())
        limits, shelf, (_, style) = self.budget_of(budget), await self._shelf(user_id), await self._drawn_by()
        listening = Listening(
            chat=self.doors.chat,
            budget=limits,
            style=style,
            subject=f"user:{user_id}",
            language=await language_of(self.doors.store, user_id, turns),
            seed=self.settings.drafting.seed,
        )
        return await hear(
            self.doors.store, listening, user_id, turns, shelf, forget=partial(self._forget_turns, user_id)
        )

    async def _reading(self, model: str) -> "Reading":
        """Return what reading a context may touch."""
        from .agents.context.read_context import Reading
        from .tools.encoders import without_store

        doors = self.doors
        if self._questions is None:
            self._questions = without_store(doors.embedder, in_memory=_QUESTIONS_KEPT)
        return Reading(
            store=doors.store,
            embedder=doors.embedder,
            questions=self._questions,
            counter=await self._counter(model),
            screen=doors.screen,
        )

    async def _counter(self, model: str) -> "TokenCounter":
        """Return a model's tokenizer, made ready in a thread the first time."""
        from .tools.tokens import open_counter

        if model not in self._counters:
            counter = await asyncio.to_thread(open_counter, model, self.settings.models_dir)
            await asyncio.to_thread(counter.count, "")
            self._counters[model] = counter
        return self._counters[model]

    async def _drawn_by(self) -> "tuple[str | None, Style]":
        """Return who writes observations here: the model's identity, absent without one, and the style."""
        from .easel import style_for

        if self._writer is None:
            own_chat, chat = self._given_chat is None, self.doors.chat
            style = await asyncio.to_thread(style_for, self.settings, own_chat=own_chat)
            identity = (
                await asyncio.to_thread(getattr, chat, "identity") if chat else None
            )  # may hash weights
            self._writer = (identity, style)
        return self._writer

    async def _shelf(self, user_id: str) -> str:
        """Return where a user's observations are kept."""
        from .agents.extract_cues import shelf_name

        return shelf_name(f"user:{user_id}", *await self._drawn_by())

    async def _forget_turns(self, user_id: str, event_ids: Sequence[str]) -> None:
        """Forget some interactions of a user; files are rewritten once, with the last."""
        for event_id in event_ids:
            await self.forget(user_id, event_id=event_id, scrub=event_id == event_ids[-1])


def _check(user_id: object, query: object = None, max_tokens: object = FEWEST_TOKENS) -> None:
    if not isinstance(user_id, str) or not 0 < len(user_id) <= LONGEST_ID:
        raise InputError(f"`user_id` must be text of 1 to {LONGEST_ID} characters, got {user_id!r:.80}")
    if user_id != whole(user_id):
        raise InputError(f"`user_id` {user_id!r:.80} holds half a character (a lone surrogate)")
    if query is not None and not isinstance(query, str):
        raise InputError(f"`query` must be text, got {query!r:.80}")
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < FEWEST_TOKENS:
        raise InputError(
            f"`max_tokens` must be a whole number of at least {FEWEST_TOKENS}, got {max_tokens!r:.80}; a context with "
            "less room holds nothing but its frame"
        )
