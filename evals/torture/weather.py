"""A model server that misbehaves as the weather says, in a process of its own."""

import asyncio
import json
import mmap
import os
import random
import time
from collections.abc import Mapping
from typing import Any, get_args

from ..bench.loopback_server import LoopbackServer, Reply
from ..bench.server import plausible
from .plan import WEATHERS, Weather

_NAMES: tuple[Weather, ...] = get_args(Weather)
_REQUESTS, _TOKENS, _WEATHER, _SEED, _PORT, _FAULTS = range(6)
_SLOTS = _FAULTS + len(_NAMES)
_HOW_OFTEN = {"fair": 0.0, "mixed": 0.5, "hang": 0.3}
_STORM = 0.85
"""Share of answers that a storm spoils; the others are right."""

DIMENSION = 8
_LATE = 0.15
_SETTLED = 0.02


class ModelServer:
    """The server, its weather and its counters; start it before any other process."""

    def __init__(self) -> None:
        self._shared = memoryview(mmap.mmap(-1, 8 * _SLOTS)).cast("q")
        self._parent = 0

    def start(self) -> int:
        """Start the process; return its id."""
        self._parent = os.getpid()
        process = os.fork()
        if process == 0:
            asyncio.run(self._serve())
            os._exit(0)
        while not self._shared[_PORT]:
            time.sleep(0.01)
        return process

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self._shared[_PORT]}/v1"

    @property
    def requests(self) -> int:
        """Requests so far."""
        return self._shared[_REQUESTS]

    @property
    def tokens(self) -> int:
        """Tokens charged so far."""
        return self._shared[_TOKENS]

    @property
    def faults(self) -> dict[str, int]:
        """Spoilt answers so far, by kind."""
        counts = {name: self._shared[_FAULTS + place] for place, name in enumerate(_NAMES)}
        return {f"model {name}": count for name, count in counts.items() if count}

    def turn(self, weather: Weather, seed: int) -> None:
        """Change the weather, once all that is on its way has come in."""
        seen = -1
        while seen != self.requests:
            seen = self.requests
            time.sleep(_SETTLED)
        self._shared[_WEATHER], self._shared[_SEED] = _NAMES.index(weather), seed

    async def _serve(self) -> None:
        async with LoopbackServer(self._answer, record=False) as server:
            self._shared[_PORT] = int(server.url.rsplit(":", 1)[1].partition("/")[0])
            while os.getppid() == self._parent:  # whoever was killed cannot stop it
                await asyncio.sleep(1.0)

    def _answer(self, request: Mapping[str, Any]) -> Reply:
        self._shared[_REQUESTS] += 1
        weather = _NAMES[self._shared[_WEATHER]]
        draw = random.Random(f"{self._shared[_SEED]} {self._shared[_REQUESTS]}")
        spoilt = draw.random() < _HOW_OFTEN.get(weather, _STORM)
        fault: Weather = draw.choice(WEATHERS[:-1]) if weather == "mixed" else weather
        if spoilt:
            self._shared[_FAULTS + _NAMES.index(fault)] += 1
        if "input" in request:
            return _vectors(request, DIMENSION + 1 if spoilt else DIMENSION)
        told = plausible(request)
        read, written = len(json.dumps(request)) // 8, min(request["max_tokens"], len(told.text) // 8)
        self._shared[_TOKENS] += read + written
        right = Reply(text=told.text, usage=(read, written))
        return _spoil(right, fault, draw) if spoilt else right


def _spoil(right: Reply, fault: Weather, draw: random.Random) -> Reply:
    """Return an answer as the weather has it."""
    text, usage = right.text, right.usage
    match fault:
        case "slow":
            return Reply(text=text, usage=usage, delay=_LATE)
        case "hang" | "drop" | "cut":
            return Reply(text=text, usage=usage, fault=fault)
        case "busy":
            return Reply(
                text="too many requests", status=429, retry_after=draw.choice((None, "0", "0.01", "soon"))
            )
        case "broken":
            return Reply(text="out of order", status=500)
        case "garbled":
            return Reply(
                raw=draw.choice((b"<html>busy</html>", b"", b'{"choices": []}', b"[1, 2", b"\xff\xfe"))
            )
        case "short":
            return Reply(
                text=text[: len(text) // 2], usage=usage, finish_reason=draw.choice(("length", "stop"))
            )
        case "empty":
            return Reply(text="", usage=usage)
        case _:
            return Reply(text="I'm sorry, but I can't help with that.", usage=usage)


def _vectors(request: Mapping[str, Any], dimension: int) -> Reply:
    """Return an embedding of each text, of this length."""
    texts: list[str] = request["input"]
    data = [
        {"object": "embedding", "index": place, "embedding": _vector(text, dimension)}
        for place, text in enumerate(texts)
    ]
    told = {"object": "list", "model": "loop", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    return Reply(raw=json.dumps(told).encode())


def _vector(text: str, dimension: int) -> list[float]:
    draw = random.Random(text)
    return [draw.uniform(-1, 1) for _ in range(dimension)]
