"""The shipped double of the chat door: answers from a list or a function, no network, no weights."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..records import Usage
from .budget import Budget, Reservation
from .chat import ChatRequest, ChatResult

Scripted = str | Mapping[str, Any] | Exception | ChatResult
Script = Callable[[ChatRequest], Scripted]


class ScriptedChat:
    """Answers as told and remembers what it was asked.

    It keeps budgets as a real model does, with words for tokens, and costs nothing.

    Args:
        answers: One answer per request, in order, or a function of the request. A mapping is sent as JSON,
            an exception is raised, a function in the list is called, a `ChatResult` gives everything but
            its usage.
        name: Model string to go by.
        concurrency: Requests in flight at once.
    """

    def __init__(
        self,
        answers: Sequence[Scripted | Script] | Script = (),
        *,
        name: str = "scripted",
        concurrency: int = 16,
    ) -> None:
        self.requests: list[ChatRequest] = []
        """What it was asked, refused requests left out."""
        self._name = name
        self._answers = answers
        self._slots = asyncio.Semaphore(concurrency)

    @property
    def name(self) -> str:
        """The model string it goes by."""
        return self._name

    @property
    def identity(self) -> str:
        """Its name: there is nothing else to tell scripts apart by."""
        return self._name

    async def complete(self, request: ChatRequest, budget: Budget) -> ChatResult:
        """Give the next answer.

        Raises:
            BudgetExceededError: The call could pass a limit; no answer was used up.
            AssertionError: There are no answers left.
        """
        async with self._slots:
            prompt = _words(request)
            worst = Usage(calls=1, prompt_tokens=prompt, completion_tokens=request.max_tokens)
            reservation = Reservation(tokens=worst.tokens, money=0.0)
            await budget.admit(reservation)
            used = worst
            try:
                self.requests.append(request)
                position = len(self.requests) - 1
                await asyncio.sleep(0)  # other requests get their turn, as with a real model
                used = Usage(calls=1)
                result = self._result(self._next(request, position), request)
                used = Usage(
                    calls=1,
                    prompt_tokens=prompt,
                    completion_tokens=min(request.max_tokens, len(result.text.split())),
                )
            finally:
                budget.settle(reservation, used)
        return replace(result, usage=used)

    async def aclose(self) -> None:
        """Do nothing."""

    def _next(self, request: ChatRequest, position: int) -> Scripted:
        if callable(self._answers):
            return self._answers(request)
        assert position < len(self._answers), f"no answer left for {request.purpose!r}: {request.messages}"
        answer = self._answers[position]
        return answer(request) if callable(answer) else answer

    def _result(self, answer: Scripted, request: ChatRequest) -> ChatResult:
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, ChatResult):
            return answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
        short = " ".join(text.split()[: request.max_tokens])
        cut = len(text.split()) > request.max_tokens
        return ChatResult(
            text=short if cut else text,
            finish_reason="length" if cut else "stop",
            model=self._name,
            model_rev="scripted",
            usage=Usage(),
        )


def _words(request: ChatRequest) -> int:
    return sum(len(message.content.split()) for message in request.messages)
