"""The embedded language model as a LiteLLM provider: `limner/NAME` runs in this process.

`NAME` is the name of known weights, of any `NAME.gguf` in the models folder, of a profiler (`profilers.py`), or
an absolute path. The model answers in threads; the event loop is never held up.

Unless a request says otherwise, `top_k` is off and `min_p` is 0.05: tokens less than a twentieth as likely as
the likeliest are never drawn, because a small model loses its thread after one. Log-probabilities are the
model's own, before temperature and cuts.
"""

import asyncio
import atexit
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .local_engine import (
    Answer,
    Engine,
    EngineClosedError,
    Job,
    ModelLoadError,
    PromptTooLongError,
    RequestRefusedError,
)
from .profilers import ModelFiles, model_files

PROVIDER = "limner"

_DEFAULTS: Mapping[str, Any] = {"top_k": 0, "min_p": 0.05}
_PASSED = frozenset(
    {"temperature", "top_p", "top_k", "min_p", "max_tokens", "seed", "stop", "logit_bias"}
    | {"frequency_penalty", "presence_penalty", "logprobs", "top_logprobs", "response_format"}
)
_IGNORED = frozenset({"stream", "user", "max_retries", "num_retries"})


_Key = tuple[Path, Path | None]
"""Weights, and the adapter over them."""


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """Weights in use."""

    engine: Engine
    stamp: tuple[tuple[int, int], ...]
    """Size and time of change of the files when they were registered."""


class LocalModels:
    """The models that answer in this process: one engine for each pair of weights and adapter."""

    def __init__(self) -> None:
        self._models: dict[str, _Key] = {}
        self._loaded: dict[_Key, _Loaded] = {}
        self._lock = threading.Lock()

    def add(self, name: str, files: ModelFiles, *, threads: int, parallel: int) -> None:
        """Make a model answer to `name`.

        Files that are in use keep their engine, and that engine's threads, unless one of them has changed.
        """
        key = (files.weights, files.adapter)
        stamp = tuple(_stamp(path) for path in key if path is not None)
        with self._lock:
            self._models[name] = key
            known = self._loaded.get(key)
            if known is not None and known.stamp == stamp:
                return
            engine = Engine(*key, threads=threads, parallel=parallel)
            self._loaded[key] = _Loaded(engine=engine, stamp=stamp)
        if known is not None:
            known.engine.close()

    def submit(self, model: str, messages: list[Any], options: Mapping[str, Any]) -> tuple[Engine, Job]:
        """Queue a request.

        Raises:
            RequestRefusedError: The model is not registered, or an option means nothing here.
        """
        body = _body(messages, options)
        with self._lock:
            key = self._models.get(model)
            loaded = None if key is None else self._loaded.get(key)
        if loaded is None:
            raise RequestRefusedError(f"model {model!r} is not registered")
        return loaded.engine, loaded.engine.submit(body)

    def close(self) -> None:
        """Unload everything; a model must be registered again before its next call."""
        with self._lock:
            loaded = list(self._loaded.values())
            self._loaded.clear()
            self._models.clear()
        for each in loaded:
            each.engine.close()


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


_MODELS = LocalModels()
_REGISTERING = threading.Lock()


def ensure_registered(model: str, *, models_dir: Path, threads: int, parallel: int) -> None:
    """Make LiteLLM answer `model` from this process. Loads no weights: the first call does.

    Args:
        model: `limner/NAME`.
        models_dir: Folder that weights lie in.
        threads: Threads of one forward pass.
        parallel: Requests answered at once. With 1, equal requests with equal seeds get equal answers; with
            more, what runs beside a request changes its numbers in the last digits.

    Raises:
        UnknownWeightsError: Nothing known or present has this name.
        WeightsMissingError: The weights, or a profiler's base, are known but not on disk.
        BrokenProfilerError: The profiler's folder lacks a file, or its base is another one.
    """
    name = model.removeprefix(f"{PROVIDER}/")
    _MODELS.add(name, model_files(name, models_dir), threads=threads, parallel=parallel)
    import litellm

    with _REGISTERING:
        if all(entry["provider"] != PROVIDER for entry in litellm.custom_provider_map):
            litellm.custom_provider_map.append({"provider": PROVIDER, "custom_handler": _handler()})


def shutdown() -> None:
    """Stop every generation and unload every embedded model; called at exit."""
    _MODELS.close()


# Without this a generation that still runs when the interpreter exits crashes the process.
atexit.register(shutdown)


def _handler() -> Any:
    """Return what LiteLLM calls."""
    from litellm.llms.custom_llm import CustomLLM

    class LocalLLM(CustomLLM):
        """Chat completions from `LocalModels`."""

        def completion(self, *args: Any, **call: Any) -> Any:
            """Answer, and block until then."""
            with _as_litellm_errors(call["model"]):
                engine, job = _MODELS.submit(call["model"], call["messages"], call["optional_params"])
                answer = job.future.result()
                return _fill(call["model_response"], call["model"], answer, _revision_of(engine))

        async def acompletion(self, *args: Any, **call: Any) -> Any:
            """Answer; being cancelled stops the generation at its next token."""
            with _as_litellm_errors(call["model"]):
                engine, job = _MODELS.submit(call["model"], call["messages"], call["optional_params"])
                try:
                    answer = await asyncio.wrap_future(job.future)
                finally:
                    job.abandon()
                revision = await asyncio.to_thread(_revision_of, engine)
                return _fill(call["model_response"], call["model"], answer, revision)

    return LocalLLM()


def _revision_of(engine: Engine) -> str:
    return ModelFiles(engine.path, engine.adapter).revision


def _body(messages: list[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request in llama.cpp's words."""
    given = {key: value for key, value in options.items() if value is not None and key not in _IGNORED}
    if "max_completion_tokens" in given:
        given["max_tokens"] = given.pop("max_completion_tokens")
    given |= given.pop("extra_body", {})
    if given.pop("n", 1) != 1:
        raise RequestRefusedError("`n` must be 1: send one request for each draft, they share the prompt")
    unknown = sorted(given.keys() - _PASSED)
    if unknown:
        raise RequestRefusedError(f"the embedded model does not take {', '.join(unknown)}")
    return {**_DEFAULTS, **given, "messages": messages}


def _fill(response: Any, model: str, answer: Answer, revision: str) -> Any:
    """Put an answer into LiteLLM's response."""
    from litellm.types.utils import ChatCompletionTokenLogprob, ChoiceLogprobs, Usage

    choice = response.choices[0]
    choice.message.content = answer.text
    choice.finish_reason = answer.finish_reason
    if answer.logprobs:
        tokens = [ChatCompletionTokenLogprob.model_validate(entry) for entry in answer.logprobs]
        choice.logprobs = ChoiceLogprobs(content=tokens)
    response.model = f"{PROVIDER}/{model}"
    response.system_fingerprint = revision
    response.usage = Usage(
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        total_tokens=answer.prompt_tokens + answer.completion_tokens,
        prompt_tokens_details={"cached_tokens": answer.cached_tokens},
    )
    response._hidden_params = {**(response._hidden_params or {}), "model_rev": revision}
    return response


@contextmanager
def _as_litellm_errors(model: str) -> Generator[None]:
    """Translate the engine's errors into those that LiteLLM's callers expect."""
    from litellm.exceptions import BadRequestError, ContextWindowExceededError, ServiceUnavailableError

    try:
        yield
    except PromptTooLongError as error:
        raise ContextWindowExceededError(str(error), model, PROVIDER) from error
    except (RequestRefusedError, ModelLoadError) as error:
        raise BadRequestError(str(error), model, PROVIDER) from error
    except EngineClosedError as error:
        raise ServiceUnavailableError(str(error), PROVIDER, model) from error
