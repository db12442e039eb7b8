"""llama.cpp inside this process: a queue of requests, worker threads, one slot for each.

On a CPU, reading a prompt costs more than writing the answer, and slots that run at once gain nothing over
one. Requests with the same messages therefore run one after the other on one slot, and all but the first
find the prompt already read.
"""

import importlib
import json
import re
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import WeightsError

Json = dict[str, Any]

CONTEXT = 4096
"""Tokens of prompt and answer together, for each slot."""

PROMPT_CACHE_MIB = 256
"""Memory for prompts that were read and may come again."""

_COMPACT = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":", "lenient": True}
_COMPACT_START = re.compile(r'[{\[]\S|["\-\dtfn]')


class EngineClosedError(Exception):
    """The engine was closed before it answered, or nobody waited for the answer."""


class ModelLoadError(WeightsError):
    """A file is not a model, or not an adapter of this model, that llama.cpp can load."""

    code = "weights_unusable"

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return (
            f"{self.path} cannot be loaded: {self.reason}; is it a whole GGUF file of a language model, "
            "or of an adapter made for this model?"
        )


class RequestRefusedError(Exception):
    """llama.cpp does not take this request, for example because of its schema."""


class PromptTooLongError(RequestRefusedError):
    """Prompt and answer do not fit the context."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model wrote."""

    text: str
    finish_reason: str
    logprobs: list[Json]
    """One entry a token, as OpenAI's `logprobs.content`; empty unless asked for."""

    prompt_tokens: int
    cached_tokens: int
    """How many of them had been read before, for an earlier request."""

    completion_tokens: int


@dataclass(eq=False)
class Job:
    """One request and its answer to come."""

    body: Json
    """An OpenAI chat request without `model`."""

    prompt: str
    """What the prompt is made of; requests with equal ones run one after the other."""

    future: Future[Answer] = field(default_factory=Future[Answer])
    abandoned: bool = False
    """Whether nobody waits for the answer any more."""

    def abandon(self) -> None:
        """Drop the request if it waits, stop it at its next token if it runs."""
        self.abandoned = True
        self.future.cancel()


class Engine:
    """One model in memory; loaded by the first request, in a thread.

    Args:
        path: The GGUF file.
        adapter: GGUF file of a LoRA adapter that every answer is written with.
        threads: Threads of one forward pass.
        parallel: Slots.
        context: Tokens a slot holds.
    """

    def __init__(
        self, path: Path, adapter: Path | None = None, *, threads: int, parallel: int, context: int = CONTEXT
    ) -> None:
        self.path, self.adapter = path, adapter
        self._threads, self._parallel, self._context = threads, parallel, context
        self._server: Any = None
        self._loading = threading.Lock()
        self._waiting: OrderedDict[str, deque[Job]] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._workers: list[threading.Thread] = []
        self._prompts: dict[int, str] = {}
        """The prompt that each slot has read, or is about to."""

        self._ignored: set[str] = set()

    def submit(self, body: Mapping[str, Any]) -> Job:
        """Queue a request; its future gets the answer or one of this module's errors.

        Raises:
            EngineClosedError: The engine is closed.
        """
        job = Job(dict(body), json.dumps(body["messages"], ensure_ascii=False, default=str))
        with self._changed:
            if self._closed:
                raise EngineClosedError(f"{self.path.name} is being unloaded")
            self._waiting.setdefault(job.prompt, deque()).append(job)
            self._start_workers()
            self._changed.notify_all()
        return job

    def close(self) -> None:
        """Refuse what waits, stop what runs, and unload the model."""
        with self._changed:
            self._closed = True
            waiting = [job for jobs in self._waiting.values() for job in jobs]
            self._waiting.clear()
            self._changed.notify_all()
        for job in waiting:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(EngineClosedError(f"{self.path.name} was unloaded"))
        for worker in self._workers:
            worker.join()
        self._server = None

    def _start_workers(self) -> None:
        """Start the threads once; daemons, so that an interpreter that exits runs `close` instead of waiting."""
        if not self._workers:
            for slot in range(self._parallel):
                worker = threading.Thread(
                    target=self._work, args=(slot,), name=f"limner-{self.path.stem}-{slot}", daemon=True
                )
                self._workers.append(worker)
                worker.start()

    def _work(self, slot: int) -> None:
        """Answer requests until the engine is closed."""
        read: str | None = None
        while (job := self._next(slot)) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                server = self._load()
                processed = 0
                if job.prompt != read:
                    read = None
                    processed = self._read_prompt(server, job, slot)
                    read = job.prompt
                answer = self._write(server, job, slot)
                cached = max(answer.cached_tokens - processed, 0)
                job.future.set_result(replace(answer, cached_tokens=cached))
            except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to whoever waits
                job.future.set_exception(error)
            del job  # an answered request must not live until the next one comes

    def _next(self, slot: int) -> Job | None:
        """Wait for a request that no other slot has the prompt of; first of all one with this slot's."""
        with self._changed:
            while (prompt := self._choose(slot)) is None:
                if self._closed:
                    return None
                self._changed.wait()
            if self._prompts.get(slot) != prompt:
                self._prompts[slot] = prompt
                self._changed.notify_all()  # what this slot gave up is free for the others
            jobs = self._waiting[prompt]
            job = jobs.popleft()
            if not jobs:
                del self._waiting[prompt]
            return job

    def _choose(self, slot: int) -> str | None:
        own = self._prompts.get(slot)
        if own in self._waiting:
            return own
        taken = set(self._prompts.values())
        return next((prompt for prompt in self._waiting if prompt not in taken), None)

    def _load(self) -> Any:
        with self._loading:
            if self._server is None:
                self._server = start_server(
                    self.path,
                    self.adapter,
                    threads=self._threads,
                    parallel=self._parallel,
                    context=self._context,
                )
            return self._server

    def _read_prompt(self, server: Any, job: Job, slot: int) -> int:
        """Read a prompt into the slot's cache before anything is written; return how many tokens that took.

        llama.cpp's numbers for a prompt's last token depend on whether it is read alone or in a batch, so a
        seed would give one answer to a new prompt and another to a known one. After this, it is always alone.
        """
        prompt = {"messages": job.body["messages"], "max_tokens": 0, "id_slot": slot}
        usage: Json = _refuse_error(_call(server, prompt))["usage"]
        return int(usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"])

    def _write(self, server: Any, job: Job, slot: int) -> Answer:
        body = {key: value for key, value in job.body.items() if key != "response_format"}
        schema = _schema_of(job.body.get("response_format"))
        if schema is None:
            return self._generate(server, job, {**body, "id_slot": slot})
        grammar: str = importlib.import_module("xllamacpp").json_schema_to_grammar(
            {**schema, "x-guidance": _COMPACT}
        )
        if grammar not in self._ignored:
            answer = self._generate(server, job, {**body, "id_slot": slot, "grammar": grammar})
            if _COMPACT_START.match(answer.text) or not answer.text:
                return answer
            # llama.cpp goes on without a word after a grammar that it cannot compile.
            self._ignored.add(grammar)
        return self._generate(server, job, {**job.body, "id_slot": slot})

    def _generate(self, server: Any, job: Job, body: Json) -> Answer:
        chunks: list[Json] = []

        def take(chunk: Json) -> bool:
            chunks.append(chunk)
            return job.abandoned or self._closed  # true stops the generation

        _call(server, {**body, "stream": True, "stream_options": {"include_usage": True}}, take)
        if self._closed:
            raise EngineClosedError(f"{self.path.name} was unloaded")
        if job.abandoned:
            raise EngineClosedError("nobody waits for this answer")
        return _collect(chunks)


def start_server(
    path: Path, adapter: Path | None = None, *, threads: int, parallel: int, context: int
) -> Any:
    """Load a model, with an adapter laid over it if one is given.

    llama.cpp's server also listens on a loopback port of its own choice and cannot be told not to. Nothing
    here uses it; a random key closes it to everybody else on the machine.

    Raises:
        ModelLoadError: A file is not a model, or not an adapter of this model, that llama.cpp can load.
    """
    llama = importlib.import_module("xllamacpp")
    params = llama.CommonParams()
    params.model.path = str(path)
    if adapter is not None:
        params.lora_adapters = [llama.CommonAdapterLoraInfo(str(adapter), 1.0)]
    params.n_parallel = parallel
    params.n_ctx = context * parallel
    params.kv_unified = False  # every slot has its own room, whatever the others hold
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED  # a fifth slower here
    for pool in (params.cpuparams, params.cpuparams_batch):
        pool.n_threads = threads
        pool.poll = 0  # waiting threads that spin starve a busy machine
    params.warmup = params.fit_params = params.ui = params.endpoint_slots = False
    params.n_threads_http = 1
    params.api_keys = [secrets.token_urlsafe(32)]
    params.verbosity = 0
    try:
        return llama.Server(params)
    except RuntimeError as error:
        names = str(path) if adapter is None else f"{path} with {adapter}"
        raise ModelLoadError(names, str(error)) from error


def _call(server: Any, body: Json, take: Any = None) -> Any:
    try:
        return server.handle_chat_completions(body, take)
    except ValueError as error:
        raise RequestRefusedError(str(error)) from error


def _refuse_error(reply: Json) -> Json:
    """Return a reply as it is, or raise what it reports."""
    error = reply.get("error")
    if error is None:
        return reply
    if error.get("type") == "exceed_context_size_error":
        raise PromptTooLongError(f"{error['n_prompt_tokens']} prompt tokens, {error['n_ctx']} fit")
    raise RequestRefusedError(error.get("message", str(error)))


def _collect(chunks: list[Json]) -> Answer:
    """Put the pieces of a streamed answer together."""
    text: list[str] = []
    logprobs: list[Json] = []
    finish_reason = "unknown"
    usage: Json = {}
    for chunk in map(_refuse_error, chunks):
        usage = chunk.get("usage", usage)
        for choice in chunk["choices"]:
            text.append(choice["delta"].get("content") or "")
            finish_reason = choice["finish_reason"] or finish_reason
            if choice.get("logprobs"):
                logprobs.extend(choice["logprobs"]["content"])
    return Answer(
        text="".join(text),
        finish_reason=finish_reason,
        logprobs=logprobs,
        prompt_tokens=usage["prompt_tokens"],
        cached_tokens=usage["prompt_tokens_details"]["cached_tokens"],
        completion_tokens=usage["completion_tokens"],
    )


def _schema_of(response_format: Mapping[str, Any] | None) -> Json | None:
    """Return the JSON Schema an answer must fit; `None` for free text."""
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind == "text":
        return None
    if kind == "json_object":
        return dict(response_format.get("schema") or {"type": "object"})
    if kind == "json_schema":
        return dict(response_format["json_schema"]["schema"])
    raise RequestRefusedError(f"response_format of type {kind!r}")
