"""The callers of the benchmark `serve`, in a process of their own.

`python -m limner.evals.bench.serve_load STEP '{"…": …}'` prints one JSON object.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from .http_client import Connection
from .serve_words import queries, user_id_of

Given = Mapping[str, Any]
MAX_TOKENS = 400
_WARM_UP = 2.0
"""Seconds at most before anything is counted."""

_MIXED = ("profile",) * 14 + ("context",) * 5 + ("record",)
"""What a mixed load asks for, in equal shares."""


class Ask(NamedTuple):
    """One request."""

    name: str
    """What is counted together."""

    method: str
    path: str
    document: Mapping[str, Any] | None = None


Asks = Iterator[Ask]


@dataclass
class Tally:
    """What was seen."""

    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """Time from sending to the last byte, of every answer of status below 400; a refusal is quick to make."""

    errors: Counter[str] = field(default_factory=Counter[str])
    """Answers of status 400 and above by status, and connections that broke."""

    def add(self, name: str, seconds: float) -> None:
        """Count an answer that was one."""
        self.seconds.setdefault(name, []).append(seconds)

    def facts(self, wall: float) -> dict[str, Any]:
        """Return percentiles in milliseconds, answers a second, and errors apart from both."""
        kinds: dict[str, Any] = {}
        for name, seconds in sorted(self.seconds.items()):
            p50, p95, p99 = np.percentile(np.array(seconds) * 1e3, [50, 95, 99]).tolist()
            kinds[name] = {"n": len(seconds), "p50": p50, "p95": p95, "p99": p99}
        answers = sum(map(len, self.seconds.values()))
        return {
            "kinds": kinds,
            "answers": answers,
            "rate": answers / wall,
            "errors": sum(self.errors.values()),
            "what": dict(self.errors),
        }


def rows(users: int, draw: random.Random) -> Asks:
    """Ask the plain server for rows."""
    while True:
        yield Ask("row", "GET", f"/rows/{user_id_of(draw.randrange(users))}")


def profiles(users: int, draw: random.Random) -> Asks:
    """Ask for stored portraits."""
    while True:
        yield Ask("profile", "GET", f"/v1/users/{user_id_of(draw.randrange(users))}/profile")


def contexts(users: int, draw: random.Random) -> Asks:
    """Ask for contexts, each with a question nobody asked before."""
    for query in queries(f"{draw.random()} {time.time_ns()}"):
        yield context_of(user_id_of(draw.randrange(users)), query)


def records(users: int, draw: random.Random) -> Asks:
    """Record what somebody says."""
    for query in queries(f"{draw.random()} {time.time_ns()}"):
        yield record_of(user_id_of(draw.randrange(users)), query)


def mixed(users: int, draw: random.Random) -> Asks:
    """Ask for all of these."""
    sources = {
        "profile": profiles(users, draw),
        "context": contexts(users, draw),
        "record": records(users, draw),
    }
    while True:
        yield next(sources[draw.choice(_MIXED)])


def context_of(user_id: str, query: str) -> Ask:
    """Return the request for a context."""
    path = f"/v1/users/{quote(user_id)}/context?max_tokens={MAX_TOKENS}&query={quote(query)}"
    return Ask("context", "GET", path)


def record_of(user_id: str, text: str) -> Ask:
    """Return the request that records a message."""
    event = {"kind": "message", "text": text, "at": datetime.now(UTC).isoformat()}
    return Ask("record", "POST", f"/v1/users/{quote(user_id)}/events", {"events": [event]})


SOURCES: Mapping[str, Callable[[int, random.Random], Asks]] = {
    "row": rows,
    "profile": profiles,
    "context": contexts,
    "mixed": mixed,
}


async def load(given: Given) -> dict[str, Any]:
    """Ask with so many clients for so long; each waits for its answer, then `think` seconds on average."""
    warm = min(_WARM_UP, given["seconds"] / 4)
    await _run(given, warm, f"{given['seed']} warm")
    theirs, wall = cpu_of(given["pid"]), time.perf_counter()
    tally = await _run(given, given["seconds"], str(given["seed"]))
    wall, after = time.perf_counter() - wall, cpu_of(given["pid"])
    worked = None if theirs is None or after is None else after - theirs
    return {**tally.facts(wall), "cpu": worked}


def cpu_of(pid: int) -> float | None:
    """Return the seconds that processors worked for a process, its threads together; nothing where Linux is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before may hold anything
    user, system = fields[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def _run(given: Given, seconds: float, seed: str) -> Tally:
    tally, until = Tally(), time.perf_counter() + seconds
    await asyncio.gather(
        *(
            _client(given, random.Random(f"{seed} {number}"), tally, until)
            for number in range(given["clients"])
        )
    )
    return tally


async def _client(given: Given, draw: random.Random, tally: Tally, until: float) -> None:
    asks, think = SOURCES[given["asks"]](given["users"], draw), given["think"]
    await asyncio.sleep(draw.random() * think)  # so that they do not march in step
    while time.perf_counter() < until:
        try:
            async with Connection(given["host"], given["port"], given["key"]) as connection:
                while time.perf_counter() < until:
                    await ask_once(connection, next(asks), tally)
                    if think:
                        await asyncio.sleep(min(draw.expovariate(1 / think), until - time.perf_counter()))
        except OSError:
            tally.errors["broken connection"] += 1
            await asyncio.sleep(0.1)


async def ask_once(connection: Connection, ask: Ask, tally: Tally) -> None:
    """Send one request, and count its answer or its error."""
    started = time.perf_counter()
    answer = await connection.ask(ask.method, ask.path, ask.document)
    if answer.status >= 400:
        tally.errors[f"{ask.name} {answer.status}"] += 1
    else:
        tally.add(ask.name, time.perf_counter() - started)


async def converse(given: Given) -> dict[str, Any]:
    """Hold conversations: ask for a context, record what was said, and so on; compare the stable parts.

    A share is that of the first turn's bytes that a later turn's stable part begins with.
    """
    shares: list[float] = []
    volatile: set[str] = set()
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(Connection(given["host"], given["port"], given["key"]))
        for number in range(given["conversations"]):
            async for stable, rest in _turns(connection, user_id_of(number * 7 % given["users"]), given):
                shares.append(stable)
                volatile.add(rest)
    return {"shares": shares, "volatile": len(volatile)}


async def _turns(connection: Connection, user_id: str, given: Given) -> AsyncGenerator[tuple[float, str]]:
    first = b""
    asked = queries(f"{given['seed']} {user_id} {time.time_ns()}")
    for turn in range(given["turns"]):
        query = next(asked)
        context = await _answered(connection, context_of(user_id, query))
        stable = str(context["stable"]).encode()
        if turn == 0:
            first = stable
        else:
            yield kept_share(first, stable), str(context["volatile"])
        await _answered(connection, record_of(user_id, query))


async def _answered(connection: Connection, ask: Ask) -> dict[str, Any]:
    answer = await connection.ask(ask.method, ask.path, ask.document)
    if answer.status >= 400:
        raise OSError(f"{ask.method} {ask.path}: {answer.status} {answer.body[:200]!r}")
    document: dict[str, Any] = json.loads(answer.body)
    return document


def kept_share(first: bytes, later: bytes) -> float:
    """Return the share of the first bytes that the later ones begin with.

    Examples:
        >>> kept_share(b"abcd", b"abcd"), kept_share(b"abcd", b"abXdYZ"), kept_share(b"abcd", b"")
        (1.0, 0.5, 0.0)
    """
    if not first:
        return 1.0 if not later else 0.0
    same = next((place for place, (a, b) in enumerate(zip(first, later, strict=False)) if a != b), None)
    return (min(len(first), len(later)) if same is None else same) / len(first)


STEPS: Mapping[str, Callable[[Given], Coroutine[Any, Any, dict[str, Any]]]] = {
    "load": load,
    "converse": converse,
}


def main() -> None:
    """Run the step named by the first argument with the JSON object of the second."""
    step, given = sys.argv[1:]
    print(json.dumps(asyncio.run(STEPS[step](json.loads(given)))), flush=True)


if __name__ == "__main__":
    main()
