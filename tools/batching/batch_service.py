"""An OpenAI-compatible Batch API: hand over, look, read, clear away."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ...errors import ModelUnavailableError, SettingsError
from ..clock import Clock
from ..retrying import mask

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import Batch

ENDPOINT: Final = "/v1/chat/completions"
_MARK = "limner"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_RETRIES = 5
_CROWDED = "token_limit_exceeded"
"""What OpenAI says of a batch beyond what may wait at once."""


class Said(NamedTuple):
    """What became of one request."""

    answer: Mapping[str, Any] | None
    """A chat completion; absent for a failure."""

    reason: str = ""
    """Why there is none."""

    again: bool = False
    """Whether the same request may succeed later."""


UNSAID = Said(None, "the batch ended before it came to this request", True)


class BatchService:
    """Speaks to the service.

    Args:
        client: OpenAI's client.
        model: Model string, for errors.
        poll: Seconds between looks.
        clock: Source of waits.
    """

    def __init__(self, client: "AsyncOpenAI", *, model: str, poll: float, clock: Clock) -> None:
        self._client, self._model, self._poll, self._clock = client, model, poll, clock

    async def submit(self, name: str, bodies: Mapping[str, Mapping[str, Any]]) -> str:
        """Hand requests over and return the batch's id.

        Args:
            name: Unique; `find` knows the batch by it.
            bodies: Request bodies by key.

        Raises:
            ModelUnavailableError: The service refused, or cannot be reached.
        """
        import openai

        lines = (
            json.dumps(
                {"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body}, ensure_ascii=False
            )
            for key, body in bodies.items()
        )
        file = io.BytesIO("\n".join(lines).encode())
        try:
            there = await self._client.files.create(file=(f"{name}.jsonl", file), purpose="batch")
            batch = await self._client.batches.create(
                input_file_id=there.id,
                endpoint=ENDPOINT,
                completion_window="24h",
                metadata={_MARK: name},
            )
        except openai.OpenAIError as error:
            raise self._unavailable(error) from None
        return batch.id

    async def find(self, name: str) -> str | None:
        """Return the id of the batch of this name; `None` if it never came to be, and then not even its file.

        Raises:
            ModelUnavailableError: The service cannot be asked.
        """
        import openai

        try:
            async for batch in self._client.batches.list(limit=100):
                if (batch.metadata or {}).get(_MARK) == name:
                    return batch.id
            async for file in self._client.files.list(purpose="batch"):
                if file.filename == f"{name}.jsonl":
                    await self._client.files.delete(file.id)
        except openai.OpenAIError as error:
            raise self._unavailable(error) from None
        return None

    async def results(self, batch_id: str) -> dict[str, Said]:
        """Wait until a batch has ended, and return what it says by key; keys that are missing were not done.

        A service that cannot be reached for a while is asked again.

        Raises:
            ModelUnavailableError: The batch was refused as a whole.
        """
        batch = await self._ended(batch_id)
        found: dict[str, Said] = {}
        for file_id in (batch.error_file_id, batch.output_file_id):
            if file_id:
                async for key, said in self._lines(file_id):
                    found[key] = said
        if batch.status == "failed":
            faults = (batch.errors.data if batch.errors else None) or []
            if all(fault.code != _CROWDED for fault in faults):
                told = "; ".join(fault.message or fault.code or "" for fault in faults) or "no reason given"
                raise ModelUnavailableError(self._model, 1, f"the batch was refused: {mask(told, ())}")
            await self._clock.sleep(self._poll)
        return found

    async def clear(self, batch_id: str) -> bool:
        """Delete a batch's files, which hold what people said and what was answered; return whether they are gone."""
        import openai

        try:
            batch = await self._client.batches.retrieve(batch_id)
            for file_id in (batch.input_file_id, batch.output_file_id, batch.error_file_id):
                if file_id:
                    with suppress(openai.NotFoundError):
                        await self._client.files.delete(file_id)
        except openai.NotFoundError:
            return True
        except openai.OpenAIError:
            return False
        return True

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.close()

    async def _ended(self, batch_id: str) -> "Batch":
        import openai

        while True:
            try:
                batch = await self._client.batches.retrieve(batch_id)
            except openai.NotFoundError as error:
                raise self._unavailable(error) from None
            except (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError):
                batch = None
            if batch is not None and batch.status in _ENDED:
                return batch
            await self._clock.sleep(self._poll)

    async def _lines(self, file_id: str) -> AsyncIterator[tuple[str, Said]]:
        import openai

        try:
            content = await self._client.files.content(file_id)
        except openai.OpenAIError as error:
            raise self._unavailable(error) from None
        for line in await asyncio.to_thread(content.text.splitlines):
            if line.strip():
                row = json.loads(line)
                yield row["custom_id"], _said(row)

    def _unavailable(self, error: Exception) -> ModelUnavailableError:
        return ModelUnavailableError(self._model, 1, mask(str(error), ()))


def open_service(
    *, model: str, api_base: str | None, api_key: str | None, poll: float, clock: Clock
) -> BatchService:
    """Open a service.

    Raises:
        SettingsError: There is no key.
    """
    import openai

    given = api_key or ("none" if api_base else None)
    try:
        client = openai.AsyncOpenAI(base_url=api_base, api_key=given, max_retries=_RETRIES)
    except openai.OpenAIError as error:
        raise SettingsError("chat.api_key", f"is missing: {error}") from error
    return BatchService(client, model=model, poll=poll, clock=clock)


def _said(row: Mapping[str, Any]) -> Said:
    """Read a line of a batch's output or errors."""
    response: Mapping[str, Any] = row.get("response") or {}
    status = response.get("status_code", 0)
    body = response.get("body")
    if 200 <= status < 300 and isinstance(body, Mapping):
        return Said(body)
    error = row.get("error") or (body.get("error") if isinstance(body, Mapping) else None) or {}
    told = (
        error.get("message") or error.get("code") or "no reason given"
        if isinstance(error, Mapping)
        else error
    )
    again = status in (0, 408, 409, 425, 429) or status >= 500
    return Said(None, f"the batch answered {status or 'nothing'}: {mask(str(told), ())}", again)
