"""The chat door on LiteLLM: any model string, with limits, retries, fallbacks and a price."""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelUnavailableError, PriceUnknownError
from ..records import Usage
from ..sections import ChatSettings
from ..settings import Settings
from .backends import Backend, load_litellm, resolve_backends, revision_suffix
from .budget import Budget, Reservation
from .chat import ChatRequest, ChatResult, JsonSchema
from .clock import Clock, SystemClock
from .openai_server import ask_server, is_hooked
from .prices import most_tokens, usage_of_call
from .prompt import load_prompt
from .retrying import AttemptFailedError, Failure, classify, mask, retrying
from .schemas import is_strict
from .tracing import call_span

if TYPE_CHECKING:
    from aiohttp import ClientSession

_TIMEOUT_SLACK = 5.0
_PREPARING = 0.5
_FAREWELL = 5.0
_IDS = itertools.count(1)


_SHORTEST_KEY = 8
"""Characters of a key that is looked for in answers."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    """What belongs to one event loop."""

    loop: asyncio.AbstractEventLoop
    session: "ClientSession"
    slots: asyncio.Semaphore
    litellm_timeout: float
    """Longer than ours, which also covers answers that trickle in; unique, because LiteLLM finds a cached
    client by it and must not find one whose session another gateway closes."""


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One request in the words of `litellm.acompletion`, and the most it can use."""

    backend: Backend
    request: ChatRequest
    arguments: Mapping[str, Any]
    most_read: int
    most_written: int

    @property
    def worst(self) -> Usage:
        """What it is settled at if nobody knows what happened."""
        return self.usage(self.most_read, self.most_written)

    def usage(self, read: int, written: int) -> Usage:
        """Price one call."""
        return usage_of_call(self.backend.price, read, written)


class LiteLLMChat:
    """A model behind LiteLLM, and its fallbacks.

    Call `aclose` in the event loop that made the calls.

    Args:
        model: LiteLLM model string; `limner/NAME` is an embedded model.
        settings: Address, key, concurrency, timeout, retries, fallbacks and price.
        models_dir: Folder of the embedded models' weights; absent for the default of `Settings`.
        clock: Source of waits between attempts.
    """

    def __init__(
        self,
        model: str,
        settings: ChatSettings | None = None,
        *,
        models_dir: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._model = model
        self._settings = settings or ChatSettings()
        self._models_dir: Path = models_dir or Settings.model_fields["models_dir"].default
        self._clock = clock or SystemClock()
        key = self._settings.api_key
        self._secrets = () if key is None else (key.get_secret_value(),)
        self._litellm: Any = None
        self._backends: tuple[Backend, ...] = ()
        self._loading = asyncio.Lock()
        self._line: _Line | None = None
        self._abandoned: set[asyncio.Task[Any]] = set()

    @property
    def name(self) -> str:
        """Model string of the first choice."""
        return self._model

    @property
    def identity(self) -> str:
        """Model and fallbacks, the revision of those that are embedded, and the server's address."""
        models = (self._model, *self._settings.fallback_models)
        named = " ".join(f"{model}{revision_suffix(model, self._models_dir)}" for model in models)
        address = re.sub(r"//[^/]*@", "//", self._settings.api_base or "")  # without a password
        return f"{named} at {address}" if address else named

    async def complete(self, request: ChatRequest, budget: Budget) -> ChatResult:
        """Answer one request.

        The usage of the result includes attempts that failed, on any model. An attempt whose outcome is
        unknown (timeout, broken connection, cancellation) counts at its worst case. A server that reports
        no usage is taken to have read one token per byte and written `max_tokens`, or one token per byte
        of the answer if that is less.

        Raises:
            BudgetExceededError: The next attempt could pass a limit; it was not sent.
            PriceUnknownError: `budget` has a money limit and a model no known price; nothing was sent.
            ModelUnavailableError: Every attempt on every model failed.
            WeightsError: An embedded model's weights are missing or unknown.
        """
        await self._load()
        if budget.limits.money is not None:
            for backend in self._backends:
                if backend.price is None:
                    raise PriceUnknownError(backend.model)
        spent: list[Usage] = []
        failures: list[str] = []
        for backend in self._backends:
            answer = await self._ask(backend, request, budget, spent)
            if isinstance(answer, Failure) and answer.schema_refused and _is_guided(backend, request):
                backend = self._stop_sending_schemas(backend)
                answer = await self._ask(backend, request, budget, spent)
            if isinstance(answer, ChatResult):
                return replace(answer, usage=Usage.total(spent))
            failures.append(
                answer.reason if len(self._backends) == 1 else f"{backend.model}: {answer.reason}"
            )
        raise ModelUnavailableError(self._model, len(spent), "; ".join(failures), Usage.total(spent))

    async def aclose(self) -> None:
        """Wait for cancelled calls to end, and close connections."""
        if self._abandoned:
            await asyncio.wait(self._abandoned, timeout=_FAREWELL)
        line, self._line = self._line, None
        if line is not None:
            await line.session.close()

    async def _load(self) -> None:
        """Load LiteLLM and find the models, once, without holding up the event loop."""
        if self._backends:
            return
        async with self._loading:
            if not self._backends:
                self._litellm = await asyncio.to_thread(load_litellm)
                self._backends = await asyncio.to_thread(
                    resolve_backends, self._litellm, self._model, self._settings, self._models_dir
                )

    def _connect(self) -> _Line:
        """Return this event loop's connections."""
        loop = asyncio.get_running_loop()
        if self._line is None or self._line.loop is not loop:
            from aiohttp import ClientSession, DummyCookieJar, TCPConnector

            self._line = _Line(
                loop=loop,
                session=ClientSession(connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar()),
                slots=asyncio.Semaphore(self._settings.concurrency),
                litellm_timeout=self._settings.timeout + _TIMEOUT_SLACK + next(_IDS) * 1e-6,
            )
        return self._line

    def _stop_sending_schemas(self, refused: Backend) -> Backend:
        """Remember that a server does not take schemas; from here on they go into the prompt."""
        plain = replace(refused, takes_schema=False)
        self._backends = tuple(plain if known == refused else known for known in self._backends)
        return plain

    async def _ask(
        self, backend: Backend, request: ChatRequest, budget: Budget, spent: list[Usage]
    ) -> ChatResult | Failure:
        """Try one model until it answers or is given up."""
        call = _translate(backend, request)
        retrier = retrying(self._clock, attempts=self._settings.attempts, max_wait=self._settings.max_wait)
        try:
            return await retrier(self._attempt, call, budget, spent)
        except AttemptFailedError as error:
            return error.failure

    async def _attempt(self, call: _Call, budget: Budget, spent: list[Usage]) -> ChatResult:
        """Send once, within the limits, and account for it whatever happens."""
        line = self._connect()
        async with line.slots:
            used = call.worst
            reservation = Reservation(tokens=used.tokens, money=used.cost)
            await budget.admit(reservation)
            started = time.perf_counter()
            try:
                result = await self._traced(call, line)
                used = result.usage
                return result
            except TimeoutError:
                reason = f"no answer within {self._settings.timeout:g} s"
                failure = Failure(reason=reason, retry=True, billed=True)
            except Exception as error:  # noqa: BLE001  # LiteLLM raises whatever a provider's client raises
                failure = classify(error, now=self._clock.now(), secrets=self._secrets)
                used = used if failure.billed else call.usage(0, 0)
            finally:
                used = used.model_copy(update={"seconds": time.perf_counter() - started})
                budget.settle(reservation, used)
                spent.append(used)
        raise AttemptFailedError(failure)  # out here, so that no error that may hold a key hangs on it

    async def _traced(self, call: _Call, line: _Line) -> ChatResult:
        """Send once, in a span."""
        with call_span(call.backend.model, call.request, content=self._settings.trace_content) as span:
            try:
                result = _masked(_read(call, await self._send(call, line)), self._secrets)
            except BaseException as error:
                span.failed(type(error).__name__)
                raise
            span.answered(result)
            return result

    async def _send(self, call: _Call, line: _Line) -> Any:
        if call.backend.direct and not is_hooked(self._litellm):
            async with asyncio.timeout(self._settings.timeout):
                return await ask_server(self._litellm, line.session, call.arguments)
        return await self._send_by_litellm(call, line)

    async def _send_by_litellm(self, call: _Call, line: _Line) -> Any:
        sending = asyncio.create_task(
            self._litellm.acompletion(
                **call.arguments,
                timeout=line.litellm_timeout,
                shared_session=line.session,
                num_retries=0,
                max_retries=0,
                drop_params=True,
            )
        )
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await asyncio.shield(sending)
        finally:
            if not sending.done():
                self._abandon(sending)

    def _abandon(self, sending: asyncio.Task[Any]) -> None:
        """Cancel a call that nobody waits for, a moment later.

        LiteLLM prepares a call in a thread and then awaits the coroutine it made there; a cancellation
        during that moment would leave a coroutine that is never awaited, and Python warns about those.
        """
        self._abandoned.add(sending)
        sending.add_done_callback(self._abandoned.discard)
        sending.get_loop().call_later(_PREPARING, sending.cancel)


def _masked(result: ChatResult, secrets: Sequence[str]) -> ChatResult:
    """Return an answer without keys: a server that repeats one would have it traced, cached and logged.

    What is shorter than any real key is a server's placeholder and may be part of a word.
    """
    secrets = [secret for secret in secrets if len(secret) >= _SHORTEST_KEY]
    text = mask(result.text, secrets)
    first = {mask(token, secrets): logprob for token, logprob in result.first_token.items()}
    if text == result.text and first == result.first_token:
        return result
    return replace(result, text=text, first_token=first, token_ids=None, token_logprobs=None)


def _is_guided(backend: Backend, request: ChatRequest) -> bool:
    return backend.takes_schema and request.json_schema is not None


def _translate(backend: Backend, request: ChatRequest) -> _Call:
    """Put a request into LiteLLM's words."""
    messages = [{"role": part.role, "content": part.content} for part in request.messages]
    arguments: dict[str, Any] = {
        "model": backend.model,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        **backend.options,
    }
    texts: list[str] = []
    if request.json_schema is not None:
        schema = json.dumps(request.json_schema, ensure_ascii=False)
        if backend.takes_schema:
            form = {"response_format": _response_format(request.json_schema)}
            # In the body as it is, a schema is not walked through the OpenAI client's types: a seventh of a call.
            arguments |= {"extra_body": form} if backend.speaks_openai else form
            texts.append(schema)
        else:
            messages = _with_instruction(messages, schema)
    if request.seed is not None:
        arguments["seed"] = request.seed
    if request.top_logprobs:
        arguments |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    texts += [message["content"] for message in messages]
    return _Call(
        backend=backend,
        request=request,
        arguments={**arguments, "messages": messages},
        most_read=most_tokens(texts),
        most_written=request.max_tokens,
    )


def _with_instruction(messages: list[dict[str, str]], schema: str) -> list[dict[str, str]]:
    """Ask for JSON in words, in the system message, where the server takes no schema."""
    asked = load_prompt("answer_json").render(schema=schema)[0].content
    if messages[0]["role"] == "system":
        return [{"role": "system", "content": f"{messages[0]['content']}\n\n{asked}"}, *messages[1:]]
    return [{"role": "system", "content": asked}, *messages]


def _response_format(schema: JsonSchema) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": dict(schema), "strict": is_strict(schema)},
    }


def _read(call: _Call, response: Any) -> ChatResult:
    """Take what matters from LiteLLM's answer."""
    choice = response.choices[0]
    text = choice.message.content or ""
    reported = getattr(response, "usage", None)
    read = getattr(reported, "prompt_tokens", 0) or 0
    written = getattr(reported, "completion_tokens", 0) or 0
    if read == 0 and written == 0:
        read, written = call.most_read, min(call.most_written, len(text.encode()))
    logprobs = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    return ChatResult(
        text=text,
        finish_reason=choice.finish_reason or "unknown",
        model=call.backend.model,
        model_rev=getattr(response, "system_fingerprint", None) or "unknown",
        usage=call.usage(read, written),
        token_logprobs=tuple(token.logprob for token in logprobs) or None,
        token_ids=_ids(logprobs, written - (choice.finish_reason == "stop")),
        first_token=_alternatives(logprobs),
    )


def _ids(logprobs: Sequence[Any], said: int) -> tuple[int, ...] | None:
    """Return the answer's token ids, the one that ends it left out, if every token has one.

    llama.cpp lists tokens that form one character as one, so the count tells whether any is missing.
    """
    ids = [getattr(token, "id", None) for token in logprobs]
    whole = [token for token in ids if isinstance(token, int)]
    return tuple(whole) if whole and len(whole) == len(ids) == said else None


def _alternatives(logprobs: Sequence[Any]) -> dict[str, float]:
    top = logprobs[0].top_logprobs if logprobs else None
    return {token.token: token.logprob for token in top or ()}
