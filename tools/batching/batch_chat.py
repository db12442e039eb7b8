"""A chat door that gathers what many users ask at about the same time into one batch, at half the price.

Every user's run waits for its answers, so what is gathered is one stage of the graph: the cues of all, then the drafts of
all, then the revisions. A batch is written down before it is handed over and its id before it is looked at; whoever asks
the same again after a kill is given the answer of the batch that is under way.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from ...errors import ModelUnavailableError, PriceUnknownError, SettingsError
from ...records import Usage
from ...sections import BatchSettings, ChatSettings
from ..backends import Backend, load_litellm, resolve_backends
from ..budget import Budget, Reservation
from ..chat import ChatRequest, ChatResult
from ..clock import Clock, SystemClock
from ..completion_cache import completion_key
from ..gateway import LiteLLMChat
from ..openai_server import PREFIX, answer_of
from ..prices import Price
from ..wire import Call, masked, read_answer, translate
from .batch_book import BatchBook, Page
from .batch_service import UNSAID, BatchService, Said, open_service

_OPTIONS = ("max_tokens", "temperature", "top_p", "seed", "logprobs", "top_logprobs", "response_format")


class BatchChat:
    """A model behind a Batch API. Fallbacks are not used, and answers come in minutes to a day.

    Args:
        model: `openai/NAME` of a server, or a model of OpenAI's own.
        settings: Address, key, attempts and price.
        batch: How requests are gathered.
        folder: Where batches are written down.
        models_dir: As of `LiteLLMChat`.
        clock: Source of waits.

    Raises:
        SettingsError: The model is not behind a Batch API that is spoken here, or there is no key.
    """

    def __init__(
        self,
        model: str,
        settings: ChatSettings,
        batch: BatchSettings,
        *,
        folder: Path,
        models_dir: Path,
        clock: Clock | None = None,
    ) -> None:
        self._settings, self._batch, self._models_dir = settings, batch, models_dir
        self._plain = LiteLLMChat(model, settings, models_dir=models_dir)
        self._clock = clock or SystemClock()
        key = settings.api_key
        self._secrets = () if key is None else (key.get_secret_value(),)
        self._service: BatchService = open_service(
            model=model,
            api_base=settings.api_base,
            api_key=self._secrets[0] if self._secrets else None,
            poll=batch.poll,
            clock=self._clock,
        )
        self._book = BatchBook(folder)
        self._litellm: Any = None
        self._backend: Backend | None = None
        self._opening = asyncio.Lock()
        self._waiting: dict[str, Call] = {}
        self._answers: dict[str, asyncio.Future[Said]] = {}
        self._holders: dict[str, str] = {}
        self._seen = Counter[str]()
        self._arrived = asyncio.Event()
        self._gatherer: asyncio.Task[None] | None = None
        self._looking: set[asyncio.Task[None]] = set()
        self._ended: list[Page] = []

    @property
    def name(self) -> str:
        """Model string."""
        return self._plain.name

    @property
    def identity(self) -> str:
        """As of `LiteLLMChat`, so that either takes the other's answers from the cache."""
        return self._plain.identity

    async def complete(self, request: ChatRequest, budget: Budget) -> ChatResult:
        """Answer one request, at the batch price.

        Raises:
            BudgetExceededError: It could pass a limit; it was not handed over.
            PriceUnknownError: `budget` has a money limit and the model no known price.
            ModelUnavailableError: The service refused it, or every attempt failed.
        """
        backend = await self._open()
        if budget.limits.money is not None and backend.price is None:
            raise PriceUnknownError(backend.model)
        call, key, spent = translate(backend, request), self._key(request), list[Usage]()
        said = UNSAID
        for _ in range(self._settings.attempts):
            said, result = await self._attempt(key, call, budget, spent)
            if result is not None:
                return replace(result, usage=Usage.total(spent))
            if not said.again:
                break
        raise ModelUnavailableError(self.name, len(spent), said.reason, Usage.total(spent))

    async def settle(self) -> None:
        """Clear away what the service keeps of batches that have ended; call it once their answers are kept elsewhere.

        What cannot be cleared now is tried again by the next run.
        """
        if self._backend is None and self._book.pages(self.identity):
            await self._open()
            if self._looking:
                await asyncio.wait(self._looking, timeout=self._batch.poll)
        ended, self._ended = self._ended, []
        for page in ended:
            if page.batch_id is None or await self._service.clear(page.batch_id):
                self._book.drop(page)

    async def aclose(self) -> None:
        """Stop waiting and close connections; batches go on without us, and are found again."""
        tasks = [*self._looking, *([self._gatherer] if self._gatherer else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._service.aclose()
        await self._plain.aclose()

    def _key(self, request: ChatRequest) -> str:
        """Name a request; those that want another sample each time are counted, so that a later run counts alike."""
        key = completion_key(self.identity, request)
        if request.temperature == 0 or request.seed is not None:
            return key
        self._seen[key] += 1
        return f"{key}-{self._seen[key]}"

    async def _attempt(
        self, key: str, call: Call, budget: Budget, spent: list[Usage]
    ) -> tuple[Said, ChatResult | None]:
        """Ask once, within the limits, and account for it whatever happens."""
        used = call.worst
        reservation = Reservation(tokens=used.tokens, money=used.cost)
        await budget.admit(reservation)
        started = time.perf_counter()
        try:
            said = await self._ask(key, call)
            result = None
            if said.answer is None:
                used = call.usage(0, 0)
            else:
                result = masked(read_answer(call, answer_of(self._litellm, said.answer)), self._secrets)
                used = result.usage
            return said, result
        finally:
            used = used.model_copy(update={"seconds": time.perf_counter() - started})
            budget.settle(reservation, used)
            spent.append(used)

    async def _ask(self, key: str, call: Call) -> Said:
        """Wait for what a batch says of a request: one under way that has it, else the next."""
        if key not in self._answers:
            self._answers[key] = asyncio.get_running_loop().create_future()
            self._waiting[key] = call
            self._arrived.set()
        answer = self._answers[key]
        said = await asyncio.shield(answer)
        if self._answers.get(key) is answer:  # whoever asks again goes into another batch
            del self._answers[key]
        return said

    async def _open(self) -> Backend:
        """Find the model, and take up batches of an earlier run."""
        async with self._opening:
            if self._backend is None:
                self._litellm = await asyncio.to_thread(load_litellm)
                self._backend = await asyncio.to_thread(self._resolve)
                await self._take_up()
                self._gatherer = asyncio.create_task(self._gather())
        return self._backend

    def _resolve(self) -> Backend:
        [backend, *_] = resolve_backends(self._litellm, self.name, self._settings, self._models_dir)
        _, provider, *_ = self._litellm.get_llm_provider(model=self.name)
        if provider != "openai":
            reason = f"{self.name!r} cannot be asked in batches; use `openai/NAME`, of OpenAI or a server"
            raise SettingsError("model", reason)
        return replace(backend, price=_cut(backend.price, self._batch.price_share))

    async def _take_up(self) -> None:
        """Look at batches that an earlier run began; one that never reached the service is as if it never was."""
        for page in self._book.pages(self.identity):
            if page.batch_id is None:
                found = await self._service.find(page.name)
                if found is None:
                    self._book.drop(page)
                    continue
                page = self._book.keep(page.model_copy(update={"batch_id": found}))
            self._look(page)

    async def _gather(self) -> None:
        """Hand over what waits, whenever nothing more has come for a moment or it is enough for a batch."""
        while True:
            await self._arrived.wait()
            before = -1
            while before != len(self._waiting) < self._batch.most:
                before = len(self._waiting)
                await self._clock.sleep(self._batch.linger)
            keys = list(self._waiting)[: self._batch.most]
            calls = {key: self._waiting.pop(key) for key in keys}
            if not self._waiting:
                self._arrived.clear()
            if calls:
                await self._hand_over(calls)

    async def _hand_over(self, calls: dict[str, Call]) -> None:
        page = self._book.begin(f"limner-{uuid4().hex}", self.identity, list(calls))
        try:
            bodies = {key: self._body(call) for key, call in calls.items()}
            batch_id = await self._service.submit(page.name, bodies)
        except ModelUnavailableError as error:
            self._tell(page.keys, {}, Said(None, error.reason, False))
            return
        self._look(self._book.keep(page.model_copy(update={"batch_id": batch_id})))

    def _body(self, call: Call) -> dict[str, Any]:
        """Return a request as the service takes it, in the words of the model's own provider."""
        given = {**call.arguments, **call.arguments.get("extra_body", {})}
        name = call.backend.model.removeprefix(PREFIX)
        wanted = {option: given[option] for option in _OPTIONS if option in given}
        options: dict[str, Any] = self._litellm.get_optional_params(
            model=name, custom_llm_provider="openai", drop_params=True, **wanted
        )
        options.pop("extra_body", None)
        return {"model": name, "messages": given["messages"], **wanted_of(wanted, options)}

    def _look(self, page: Page) -> None:
        """Wait for a batch in the background."""
        loop = asyncio.get_running_loop()
        for key in page.keys:
            self._holders[key] = page.name
            if key not in self._answers:
                self._answers[key] = loop.create_future()
        task = asyncio.create_task(self._read(page))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _read(self, page: Page) -> None:
        assert page.batch_id is not None, "only what is there is looked at"
        try:
            found = await self._service.results(page.batch_id)
            rest = UNSAID
        except ModelUnavailableError as error:
            found, rest = dict[str, Said](), Said(None, error.reason, False)
        self._ended.append(page)
        self._tell([key for key in page.keys if self._holders.get(key) == page.name], found, rest)

    def _tell(self, keys: Sequence[str], found: dict[str, Said], rest: Said) -> None:
        for key in keys:
            self._holders.pop(key, None)
            answer = self._answers.get(key)
            if answer is not None and not answer.done():
                answer.set_result(found.get(key, rest))


def wanted_of(wanted: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that LiteLLM made, without those it adds for itself."""
    renamed = {"max_completion_tokens"} if "max_tokens" in wanted else set[str]()
    return {name: value for name, value in options.items() if name in {*wanted, *renamed}}


def _cut(price: Price | None, share: float) -> Price | None:
    """Return a share of a price."""
    return None if price is None else lambda read, written: share * price(read, written)
