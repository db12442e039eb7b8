"""Remote encoders: any embedding model that LiteLLM reaches."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ModelOutputError, ModelUnavailableError
from ..sections import ChatSettings
from .backends import load_litellm
from .clock import Clock, SystemClock
from .embedder import FloatArray
from .retrying import AttemptFailedError, Failure, classify, retrying

_BATCH = 64
_AT_ONCE = 4


class _Zero(int):
    """A zero that LiteLLM does not take for absent: it says `max_retries or 2` where it calls OpenAI."""

    def __bool__(self) -> bool:
        return True


class LiteLLMEmbedder:
    """An embedding model behind LiteLLM.

    Args:
        model: LiteLLM model string.
        api_base: Base URL of an OpenAI-compatible server; absent for hosted models.
        api_key: Its key; absent to let LiteLLM read the provider's own variable.
        settings: Timeout and retries.
        clock: Source of waits between attempts.
    """

    def __init__(
        self,
        model: str,
        *,
        api_base: str | None = None,
        api_key: str | None = None,
        settings: ChatSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = model
        self.dimension = 0
        self._settings = settings or ChatSettings()
        self._clock = clock or SystemClock()
        self._secrets = () if api_key is None else (api_key,)
        self._options: dict[str, str] = {} if api_base is None else {"api_base": api_base}
        if api_key is not None:
            self._options["api_key"] = api_key
        elif api_base is not None:
            # Servers without keys accept any, but the OpenAI client insists on one.
            self._options["api_key"] = "none"
        self._litellm: Any = None

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return unit-norm vectors; `dimension` is 0 until the first text came back.

        Raises:
            ModelUnavailableError: Every attempt failed.
            ModelOutputError: The server sent too few vectors, of another length, or no numbers.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        if self._litellm is None:
            self._litellm = await asyncio.to_thread(load_litellm)
        turns = asyncio.Semaphore(_AT_ONCE)
        batches = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
        return np.concatenate(await asyncio.gather(*(self._embed(batch, turns) for batch in batches)))

    async def aclose(self) -> None:
        """Hold nothing: connections are LiteLLM's."""

    async def _embed(self, texts: Sequence[str], turns: asyncio.Semaphore) -> FloatArray:
        retrier = retrying(self._clock, attempts=self._settings.attempts, max_wait=self._settings.max_wait)
        asked = 0

        async def ask() -> Any:
            nonlocal asked
            asked += 1
            return await self._ask(texts)

        try:
            async with turns:
                response: Any = await retrier(ask)
        except AttemptFailedError as error:
            failure = error.failure
        else:
            return self._read(response, len(texts))
        raise ModelUnavailableError(self.name, asked, failure.reason)

    async def _ask(self, texts: Sequence[str]) -> Any:
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await self._litellm.aembedding(
                    model=self.name,
                    input=[text or " " for text in texts],  # OpenAI refuses an empty text
                    encoding_format="float",
                    max_retries=_Zero(0),
                    drop_params=True,
                    **self._options,
                )
        except TimeoutError:
            failure = Failure(
                reason=f"no answer within {self._settings.timeout:g} s", retry=True, billed=True
            )
        except Exception as error:  # noqa: BLE001  # LiteLLM raises whatever a provider's client raises
            failure = classify(error, now=self._clock.now(), secrets=self._secrets)
        raise AttemptFailedError(failure)  # out here, so that no error that may hold a key hangs on it

    def _read(self, response: Any, wanted: int) -> FloatArray:
        """Take the vectors in the order of the texts, whatever order they came in."""
        rows = sorted(response.data, key=lambda row: int(row["index"]))
        if [row["index"] for row in rows] != list(range(wanted)):
            raise ModelOutputError(self.name, f"{len(rows)} vectors for {wanted} texts", "")
        vectors = [np.asarray(row["embedding"], dtype=np.float32) for row in rows]
        lengths = {vector.size for vector in vectors}
        if len(lengths) != 1 or self.dimension not in (0, *lengths):
            wrong = ", ".join(str(length) for length in sorted(lengths))
            raise ModelOutputError(
                self.name, f"vectors of {wrong} numbers, not {self.dimension or 'one'}", ""
            )
        stacked: FloatArray = np.stack(vectors)
        norms = np.linalg.norm(stacked, axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and norms.all()):
            raise ModelOutputError(self.name, "a vector that has no direction", "")
        self.dimension = stacked.shape[1]
        unit: FloatArray = stacked / norms
        return unit
