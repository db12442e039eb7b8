"""What a call can cost at most, and what it did cost."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..records import Usage
from ..settings import EMBEDDED

Price = Callable[[int, int], float]
"""US dollars for so many prompt and completion tokens."""

_FREE = (EMBEDDED, "ollama/", "ollama_chat/")
_TOKENS_PER_REQUEST = 128
_TOKENS_PER_MESSAGE = 16


def flat(prompt: float, completion: float) -> Price:
    """Price tokens at these rates, in US dollars per million.

    Examples:
        >>> flat(2.0, 10.0)(500_000, 100_000)
        2.0
    """
    return lambda read, written: (read * prompt + written * completion) / 1_000_000


def is_loopback(url: str | None) -> bool:
    """Whether a server runs on this machine.

    Examples:
        >>> [is_loopback(url) for url in ("http://127.0.0.1:8000/v1", "http://[::1]/v1", "https://a.org/v1")]
        [True, True, False]
    """
    host = urlsplit(url or "").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def price_of(model: str, *, api_base: str | None, litellm: Any) -> Price | None:
    """Return the price of a model: nothing on this machine, LiteLLM's local list elsewhere.

    Args:
        model: LiteLLM model string.
        api_base: Server it is asked at; absent for the provider's own.
        litellm: The loaded package.

    Returns:
        `None` if nobody knows.
    """
    if model.startswith(_FREE) or is_loopback(api_base):
        return flat(0.0, 0.0)
    try:
        listed: Mapping[str, Any] = litellm.get_model_info(model)
    except Exception:  # noqa: BLE001  # LiteLLM raises a bare Exception for a model that is not on its list
        return None
    read, written = listed.get("input_cost_per_token"), listed.get("output_cost_per_token")
    other_units = any(rate for name, rate in listed.items() if "cost_per_" in name and "_token" not in name)
    if read is None or written is None or (not read and not written and other_units):
        return None
    if any("_above_" in name and rate for name, rate in listed.items()):
        return lambda read, written: sum(
            litellm.cost_per_token(model=model, prompt_tokens=read, completion_tokens=written)
        )
    thought = listed.get("output_cost_per_reasoning_token") or 0.0
    return flat(read * 1e6, max(written, thought) * 1e6)


def usage_of_call(price: Price | None, read: int, written: int) -> Usage:
    """Return the usage of one call; where nobody knows the price it says so and costs 0.

    Examples:
        >>> usage = usage_of_call(None, 10, 5)
        >>> usage.tokens, usage.cost, usage.unpriced_calls
        (15, 0.0, 1)
    """
    return Usage(
        calls=1,
        prompt_tokens=read,
        completion_tokens=written,
        cost=0.0 if price is None else price(read, written),
        unpriced_calls=int(price is None),
    )


def most_tokens(texts: Iterable[str]) -> int:
    """Return a bound on the tokens a tokenizer can make of a prompt.

    A byte-level tokenizer never makes more tokens than there are UTF-8 bytes. What a chat template adds
    (roles, separators, a default system prompt) is bounded by 16 tokens a message and 128 a request.

    Args:
        texts: One text per message, and the schema, which some servers write into the prompt.

    Examples:
        >>> most_tokens(["café"])  # 5 bytes + 16 + 128
        149
    """
    return _TOKENS_PER_REQUEST + sum(len(text.encode()) + _TOKENS_PER_MESSAGE for text in texts)
