"""Answers of unknown length: one JSON object a line, sent as it comes."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from ...errors import LimnerError
from .gate import gate_of, no_key
from .problems import Problem, problem_of

MEDIA_TYPE = "application/x-ndjson"


def described(what: str) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of such an answer."""
    return {200: {"content": {MEDIA_TYPE: {}}, "description": f"{what} a line."}}


async def in_lines(request: Request, documents: AsyncIterator[str]) -> StreamingResponse:
    """Send documents, a line each; what goes wrong before the first is answered as any other error.

    What goes wrong later is the last line, as `{"error": {"code": ..., "message": ...}}`; so is that the key opens
    nothing any more.
    """
    first = await anext(documents, None)
    return StreamingResponse(_lines(request, first, documents), media_type=MEDIA_TYPE)


async def _lines(request: Request, first: str | None, rest: AsyncIterator[str]) -> AsyncGenerator[bytes]:
    if first is None:
        return
    yield first.encode() + b"\n"
    try:
        async for document in rest:
            if not await gate_of(request).still_admits(request.state.caller):
                yield _ending(no_key())
                return
            yield document.encode() + b"\n"
    except LimnerError as error:
        yield _ending(problem_of(error))
    finally:
        if isinstance(rest, AsyncGenerator):
            await rest.aclose()


def _ending(problem: Problem) -> bytes:
    return json.dumps({"error": told(problem)}).encode() + b"\n"


def told(problem: Problem) -> dict[str, str]:
    """Return an error as an entry of a stream names it."""
    return {"code": problem.code, "message": problem.detail}
