"""The chat door on LiteLLM: any model string, with limits, retries, fallbacks and a price."""

import asyncio
import itertools
import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ModelUnavailableError, PriceUnknownError, SettingsError
from ..records import Usage
from ..sections import ChatSettings
from ..settings import Settings
from .backends import Backend, load_litellm, resolve_backends, revision_suffix
from .budget import Budget, Reservation
from .chat import ChatRequest, ChatResult
from .clock import Clock, SystemClock
from .openai_server import ask_server, is_direct, is_hooked
from .replicas import Replica, Replicas
from .retrying import AttemptFailedError, Failure, classify, retrying
from .tracing import call_span
from .wire import Call, masked, read_answer, translate

if TYPE_CHECKING:
    from aiohttp import ClientSession

_TIMEOUT_SLACK = 5.0
_PREPARING = 0.5
_FAREWELL = 5.0
_IDS = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class _Line:
    """What belongs to one event loop."""

    loop: asyncio.AbstractEventLoop
    session: "ClientSession"
    slots: asyncio.Semaphore
    replicas: Replicas | None
    """Servers of `model`, if there are several; whoever else is asked waits for `slots`."""

    litellm_timeout: float
    """Longer than ours, which also covers answers that trickle in; unique, because LiteLLM finds a cached
    client by it and must not find one whose session another gateway closes."""


class _Place(NamedTuple):
    """A place among the calls in flight."""

    call: Call
    server: Replica | None
    """Which of several servers it is at."""


class LiteLLMChat:
    """A model behind LiteLLM, and its fallbacks.

    Call `aclose` in the event loop that made the calls.

    Args:
        model: LiteLLM model string; `limner/NAME` is an embedded model.
        settings: Address, key, concurrency, timeout, retries, fallbacks and price.
        models_dir: Folder of the embedded models' weights; absent for the default of `Settings`.
        clock: Source of waits between attempts.

    Raises:
        SettingsError: There are replicas without a first server.
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
        if self._settings.replicas and self._settings.api_base is None:
            raise SettingsError(
                "chat.replicas", "are further servers beside `chat.api_base`, which is not set"
            )
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
            if line.replicas:
                await line.replicas.aclose()
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
                replicas=self._servers(),
                litellm_timeout=self._settings.timeout + _TIMEOUT_SLACK + next(_IDS) * 1e-6,
            )
        return self._line

    def _servers(self) -> Replicas | None:
        """Return the servers of the model; `None` if there is one, or none that is named."""
        first, others = self._settings.api_base, self._settings.replicas
        if first is None or not others:
            return None
        return Replicas(
            (first, *others),
            most=self._settings.concurrency,
            longest=self._settings.max_wait,
            clock=self._clock,
        )

    @asynccontextmanager
    async def _place(self, call: Call, line: _Line) -> AsyncGenerator[_Place]:
        """Wait for a place among the calls in flight, and yield the call as it goes to the server that has it."""
        if line.replicas is None or call.backend.options.get("api_base") != self._settings.api_base:
            async with line.slots:
                yield _Place(call, None)
            return
        async with line.replicas.place() as server:
            options = {**call.backend.options, "api_base": server.url}
            direct = is_direct(self._litellm, call.backend.model, options)
            there = replace(call.backend, options=options, direct=direct)
            yield _Place(
                replace(call, backend=there, arguments={**call.arguments, "api_base": server.url}), server
            )

    def _stop_sending_schemas(self, refused: Backend) -> Backend:
        """Remember that a server does not take schemas; from here on they go into the prompt."""
        plain = replace(refused, takes_schema=False)
        self._backends = tuple(plain if known == refused else known for known in self._backends)
        return plain

    async def _ask(
        self, backend: Backend, request: ChatRequest, budget: Budget, spent: list[Usage]
    ) -> ChatResult | Failure:
        """Try one model until it answers or is given up."""
        call = translate(backend, request)
        retrier = retrying(self._clock, attempts=self._settings.attempts, max_wait=self._settings.max_wait)
        try:
            return await retrier(self._attempt, call, budget, spent)
        except AttemptFailedError as error:
            return error.failure

    async def _attempt(self, asked: Call, budget: Budget, spent: list[Usage]) -> ChatResult:
        """Send once, within the limits, and account for it whatever happens."""
        line = self._connect()
        async with self._place(asked, line) as (call, server):
            used = call.worst
            reservation = Reservation(tokens=used.tokens, money=used.cost)
            await budget.admit(reservation)
            started = time.perf_counter()
            try:
                result = await self._traced(call, line)
                used = result.usage
                if line.replicas and server:
                    line.replicas.worked(server)
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
            if line.replicas and server:
                failure = line.replicas.failed(server, failure)
        raise AttemptFailedError(failure)  # out here, so that no error that may hold a key hangs on it

    async def _traced(self, call: Call, line: _Line) -> ChatResult:
        """Send once, in a span."""
        with call_span(call.backend.model, call.request, content=self._settings.trace_content) as span:
            try:
                result = masked(read_answer(call, await self._send(call, line)), self._secrets)
            except BaseException as error:
                span.failed(type(error).__name__)
                raise
            span.answered(result)
            return result

    async def _send(self, call: Call, line: _Line) -> Any:
        if call.backend.direct and not is_hooked(self._litellm):
            async with asyncio.timeout(self._settings.timeout):
                return await ask_server(self._litellm, line.session, call.arguments)
        return await self._send_by_litellm(call, line)

    async def _send_by_litellm(self, call: Call, line: _Line) -> Any:
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


def _is_guided(backend: Backend, request: ChatRequest) -> bool:
    return backend.takes_schema and request.json_schema is not None
