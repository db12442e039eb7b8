"""Why an attempt failed, in words, and whether and when to try again."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from ..errors import LimnerError
from .clock import Clock

_FIRST_WAIT = 0.5
_LONGEST_REASON = 300
_KEY_SHAPES = re.compile(
    r"(?i)\b(?:sk|pk|rk|gsk|hf|xai|tgp|r8|AIza|key)[-_][\w*.\-]{6,}|AIza[\w\-]{10,}|(?<=bearer )\S+"
)
_NO_KEY = re.compile(
    r"(?i)\bmissing\b[^.]*\b(?:credentials|api[ _]?key)\b|\bapi[ _]key\b[^.]*\bmust be set\b"
)
"""What clients say that found no key, before they send anything."""

_TRANSIENT = frozenset((408, 409, 425, 429))
_WORDS = {
    400: "the request was rejected",
    401: "the key was refused",
    403: "access was refused",
    404: "there is no such model or path",
    408: "the server ran out of time",
    413: "the request is too large",
    422: "the request was rejected",
    429: "too many requests",
}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What went wrong in one attempt."""

    reason: str
    """For people, without keys."""

    retry: bool
    """Whether the same request may succeed later."""

    billed: bool
    """Whether the provider may have charged for it."""

    retry_after: float | None = None
    """Seconds the server asked to wait; absent if it did not say."""

    schema_refused: bool = False
    """Whether the server does not take `response_format`."""


class AttemptFailedError(Exception):
    """One attempt failed; never leaves the gateway."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure)


def retrying(clock: Clock, *, attempts: int, max_wait: float) -> AsyncRetrying:
    """Return a retrier: exponential waits with full jitter, and never less than the server asked for.

    A server that asks for more than `max_wait` is not asked again.
    """
    backoff = wait_random_exponential(multiplier=_FIRST_WAIT, max=max_wait)

    def again(error: BaseException) -> bool:
        if not isinstance(error, AttemptFailedError):
            return False
        return error.failure.retry and (error.failure.retry_after or 0.0) <= max_wait

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.failure.retry_after if isinstance(error, AttemptFailedError) else None
        if asked is None:
            return backoff(state)
        return max(asked, min(max_wait, asked + backoff(state)))

    return AsyncRetrying(
        sleep=clock.sleep,
        stop=stop_after_attempt(attempts),
        wait=wait,
        retry=retry_if_exception(again),
        reraise=True,
    )


def classify(error: Exception, *, now: datetime, secrets: Sequence[str]) -> Failure:
    """Explain a failed call.

    Raises:
        LimnerError: The embedded model raised it; it says itself what to do.
    """
    import httpx

    chain = tuple(_chain(error))
    for link in chain:
        if isinstance(link, LimnerError):
            raise link
    said = _first_line(error, secrets)
    status = _status(chain)
    if status is None:
        if any(isinstance(link, httpx.ConnectError | httpx.ConnectTimeout) for link in chain):
            return Failure(reason=f"nobody answers there: {said}", retry=True, billed=False)
        if any(isinstance(link, httpx.TransportError) for link in chain):
            return Failure(reason=f"the connection broke: {said}", retry=True, billed=True)
        if _NO_KEY.search(said):
            reason = f"nothing was sent, for want of a key: {said}; or set `chat.api_key`"
            return Failure(reason=reason, retry=False, billed=False)
        return Failure(reason=f"the answer could not be read: {said}", retry=True, billed=True)
    words = _WORDS.get(status, "the server failed" if status >= 500 else "the request was rejected")
    if type(error).__name__ == "ContextWindowExceededError":
        words = "the prompt is longer than the model's context"
    return Failure(
        reason=f"{words} ({status}): {said}",
        retry=status in _TRANSIENT or status >= 500,
        billed=False,
        retry_after=_asked_wait(chain, now),
        schema_refused=status in (400, 422) and _blames_schema(str(error)),
    )


def mask(text: str, secrets: Sequence[str]) -> str:
    """Replace keys in a text.

    Examples:
        >>> mask("Incorrect API key: sk-abcdef123456 (mine: hunter2)", ["hunter2"])
        'Incorrect API key: [key] (mine: [key])'
    """
    for secret in secrets:
        text = text.replace(secret, "[key]")
    return _KEY_SHAPES.sub("[key]", text)


def retry_after_seconds(value: str, now: datetime) -> float | None:
    """Read a Retry-After header: seconds or an HTTP date.

    Examples:
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> retry_after_seconds("2.5", noon), retry_after_seconds("Thu, 01 Jan 2026 12:00:30 GMT", noon)
        (2.5, 30.0)
        >>> retry_after_seconds("soon", noon) is None
        True
    """
    if re.fullmatch(r"\d+(\.\d+)?", value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return max(0.0, (moment - now).total_seconds())


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it, outermost first."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _status(chain: Sequence[BaseException]) -> int | None:
    """Return the HTTP status the server gave; `None` if it gave none that can be trusted.

    LiteLLM gives connection errors and unreadable answers a status of its own (500, or the 200 that came),
    so only a real response, or a refusal that LiteLLM decides before sending, counts.
    """
    import httpx

    for link in chain:
        if isinstance(link, httpx.HTTPStatusError):
            return link.response.status_code
    status = getattr(chain[0], "status_code", None)
    return status if isinstance(status, int) and 400 <= status < 500 and status != 408 else None


def _asked_wait(chain: Sequence[BaseException], now: datetime) -> float | None:
    """Find a Retry-After header on any error of the chain."""
    for link in chain:
        response: Any = getattr(link, "response", None)
        for headers in (getattr(link, "litellm_response_headers", None), getattr(response, "headers", None)):
            value = headers.get("retry-after") if headers is not None else None
            if value is not None:
                return retry_after_seconds(str(value), now)
    return None


def _blames_schema(text: str) -> bool:
    return re.search(r"(?i)response_format|json_?schema|grammar|guided", text) is not None


def _first_line(error: Exception, secrets: Sequence[str]) -> str:
    """Return what the provider said, without LiteLLM's class names in front and without keys."""
    text = mask(str(error), secrets).strip().partition("\n")[0]
    _, found, said = text.partition("Exception - ")
    return (said if found else text).rstrip(".")[:_LONGEST_REASON] or type(error).__name__
