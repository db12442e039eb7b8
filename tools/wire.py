"""A request in the words of `litellm.acompletion`, and what an answer says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..records import Usage
from .backends import Backend
from .chat import ChatRequest, ChatResult, JsonSchema
from .prices import most_tokens, usage_of_call
from .prompt import load_prompt
from .retrying import mask
from .schemas import is_strict

_SHORTEST_KEY = 8
"""Characters of a key that is looked for in answers."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, and the most it can use."""

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


def masked(result: ChatResult, secrets: Sequence[str]) -> ChatResult:
    """Return an answer without keys: a server that repeats one would have it traced, cached and logged.

    What is shorter than any real key is a server's placeholder and may be part of a word.
    """
    secrets = [secret for secret in secrets if len(secret) >= _SHORTEST_KEY]
    text = mask(result.text, secrets)
    first = {mask(token, secrets): logprob for token, logprob in result.first_token.items()}
    if text == result.text and first == result.first_token:
        return result
    return replace(result, text=text, first_token=first, token_ids=None, token_logprobs=None)


def translate(backend: Backend, request: ChatRequest) -> Call:
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
    return Call(
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


def read_answer(call: Call, response: Any) -> ChatResult:
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
