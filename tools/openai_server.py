"""A shorter way to OpenAI-compatible servers than LiteLLM's own, with the same answers and the same errors.

LiteLLM needs 3 to 4 ms of CPU for a call, so that 64 calls in flight wait for one busy core rather than for the
model; this way needs a tenth of that. LiteLLM still says which models may go this way, reads the answers and
names the errors.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from .schemas import is_object

if TYPE_CHECKING:
    import httpx
    from aiohttp import ClientSession

PREFIX = "openai/"
_PROVIDER = "openai"
_PARAMETERS: Mapping[str, Any] = {
    "max_tokens": 1,
    "temperature": 0.5,
    "top_p": 0.5,
    "seed": 1,
    "logprobs": True,
    "top_logprobs": 1,
}
_HOOKS = (
    *("callbacks", "input_callback", "success_callback", "failure_callback", "cache", "headers"),
    # Where LiteLLM's first call puts coroutine functions that it finds in the lists above.
    *("_async_input_callback", "_async_success_callback", "_async_failure_callback"),
    *("pre_call_rules", "post_call_rules", "model_alias_map", "max_budget"),
)
_NOT_IN_BODY = frozenset({"api_base", "api_key", "extra_body"})
_OF_THE_BYTES = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def is_direct(litellm: Any, model: str, options: Mapping[str, Any]) -> bool:
    """Whether a model's requests need nothing that LiteLLM would do on the way.

    Only models that LiteLLM does not list and whose parameters it would send as they are; only plain `http://`
    addresses with a key at hand and without a password or a proxy on the way, because certificates and
    proxies are LiteLLM's to configure.
    """
    api_base: str = options.get("api_base", "")
    address = urlsplit(api_base)
    name = model.removeprefix(PREFIX)
    if not model.startswith(PREFIX) or name in litellm.model_cost or "api_key" not in options:
        return False
    if address.scheme != "http" or not address.hostname or address.username or address.query:
        return False
    if not getproxies().keys().isdisjoint({"http", "all"}) and not proxy_bypass(address.hostname):
        return False
    sent = litellm.get_optional_params(
        model=name, custom_llm_provider=_PROVIDER, drop_params=True, **_PARAMETERS
    )
    return bool(sent.items() >= _PARAMETERS.items())


def is_hooked(litellm: Any) -> bool:
    """Whether LiteLLM was set up to watch, cache or change calls; then every call belongs to it."""
    return any(getattr(litellm, name, None) for name in _HOOKS)


async def ask_server(litellm: Any, session: "ClientSession", arguments: Mapping[str, Any]) -> Any:
    """Send what `litellm.acompletion` would send, once, and return what it would return.

    Args:
        litellm: The package.
        session: Connections to use.
        arguments: Words of `litellm.acompletion`, of a model that `is_direct`.

    Raises:
        httpx.TransportError: The connection failed.
        Exception: LiteLLM's error for what the server said.
    """
    import aiohttp
    import httpx

    url = f"{arguments['api_base'].rstrip('/')}/chat/completions"
    headers = {"Authorization": f"Bearer {arguments['api_key']}", "Content-Type": "application/json"}
    try:
        async with session.post(
            url, data=body_of(arguments), headers=headers, timeout=aiohttp.ClientTimeout(total=None)
        ) as answer:
            status, text = answer.status, await answer.read()
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error)) from error
    except aiohttp.ClientError as error:
        raise httpx.ReadError(str(error)) from error
    try:
        if status >= 300:
            raise _refusal(httpx.Response(status, headers=_headers(answer.headers), content=text))
        return answer_of(litellm, json.loads(text))
    except Exception as error:
        raise litellm.exception_type(_name(arguments), error, _PROVIDER) from error


def _name(arguments: Mapping[str, Any]) -> str:
    """Return the model as the server calls it."""
    model: str = arguments["model"]
    return model.removeprefix(PREFIX)


def body_of(arguments: Mapping[str, Any]) -> bytes:
    """Return the body of a chat completion."""
    body = {name: value for name, value in arguments.items() if name not in _NOT_IN_BODY}
    body |= {"model": _name(arguments), **arguments.get("extra_body", {})}
    return json.dumps(body, ensure_ascii=False).encode()


def answer_of(litellm: Any, answer: Mapping[str, Any]) -> Any:
    """Return LiteLLM's form of an answer; a missing role, which LiteLLM insists on, is the assistant's."""
    for choice in answer.get("choices") or ():
        choice["message"].setdefault("role", "assistant")
    return litellm.utils.convert_to_model_response_object(
        response_object=answer, model_response_object=litellm.ModelResponse()
    )


def _headers(sent: Mapping[str, str]) -> dict[str, str]:
    """Leave out what described the body as it was sent: it is unpacked already."""
    return {name: value for name, value in sent.items() if name.lower() not in _OF_THE_BYTES}


def _refusal(response: "httpx.Response") -> Exception:
    """Return the error that LiteLLM makes of the OpenAI client's, with the response among its causes."""
    import httpx
    from litellm.llms.openai.common_utils import OpenAIError

    body: Any
    try:
        body = response.json()
        said = f"Error code: {response.status_code} - {body}"
    except ValueError:
        body = said = response.text.strip()
    refusal = OpenAIError(
        response.status_code,
        said,
        headers=response.headers,
        body=body.get("error", body) if is_object(body) else body,
    )
    without_key = httpx.Request("POST", "http://server")
    refusal.__cause__ = httpx.HTTPStatusError(said, request=without_key, response=response)
    return refusal
