"""The loopback server of the benchmark: answers as long as a model's, a function of the request alone.

`python -m limner.evals.bench.server --delay 0.2` prints its base URL and serves until it is stopped.
"""

import argparse
import asyncio
import contextlib
import json
import random
from collections.abc import Mapping
from typing import Any

from .loopback_server import LoopbackServer, Reply
from .world import WORDS

_LETTERS_A_TOKEN = 4
_WORD_LENGTH = 7


def plausible(request: Mapping[str, Any]) -> Reply:
    """Fill the schema of a request with as much as it allows, or answer with a sentence if it has none.

    Tokens are counted as four characters each.

    Examples:
        >>> plausible({"messages": []}).text == plausible({"messages": []}).text
        True
    """
    draw = random.Random(json.dumps(request, sort_keys=True))
    form = request.get("response_format")
    text = json.dumps(_fill(form["json_schema"]["schema"], draw)) if form else _words(80, draw)
    read = sum(len(message["content"]) for message in request.get("messages", ()))
    return Reply(text=text, usage=(read // _LETTERS_A_TOKEN, len(text) // _LETTERS_A_TOKEN))


def _fill(schema: Mapping[str, Any], draw: random.Random) -> Any:
    if "enum" in schema:
        return draw.choice(schema["enum"])
    if schema["type"] == "object":
        return {name: _fill(part, draw) for name, part in schema["properties"].items()}
    if schema["type"] == "array":
        return [_fill(schema["items"], draw) for _ in range(schema.get("maxItems", 4))]
    return _words(schema.get("maxLength", 40), draw)


def _words(characters: int, draw: random.Random) -> str:
    return " ".join(draw.choices(WORDS, k=max(1, characters // _WORD_LENGTH)))[:characters].strip()


async def _serve(delay: float) -> None:
    async with LoopbackServer(plausible, delay=delay, record=False) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before every answer")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args().delay))


if __name__ == "__main__":
    main()
