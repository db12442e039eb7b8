"""What the embedded model reads: `python -m limner.evals.bench.efficiency_worker draw '{"…": …}'`.

Portraits are drawn by the embedded model, and every request and answer is noted; then the same requests go to
llama.cpp alone, in the order in which they came. Prints one JSON object.
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ...doors import open_only_store
from ...face import Limner
from ...records import Usage
from ...sections import DraftingSettings
from ...settings import Settings
from ...tools.local_engine import CONTEXT, Answer, Engine, Job, start_server
from ...tools.sql.sql_tables import cued_events, cues, profiles
from ...tools.weights import weights_path
from .ratio_worker import models_dir
from .world import invent_histories, invent_items, user_ids

MODEL = "smollm2-135m"
KINDS = ("cues", "drafts", "revisions")
_CUES = "You note what"
_REVISION = "A first description:"


@dataclass(frozen=True, kw_only=True)
class Noted:
    """One request and its answer."""

    messages: Sequence[Mapping[str, Any]]
    answer: Answer


class Ear:
    """Notes what the engine is asked and answers, in the order of asking."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        submit = Engine.submit

        def listening(engine: Engine, body: Mapping[str, Any]) -> Job:
            job = submit(engine, body)
            self._jobs.append(job)
            return job

        Engine.submit = listening  # type: ignore[method-assign,assignment]  # the one way to hear all of it

    @property
    def noted(self) -> list[Noted]:
        """What was answered."""
        return [Noted(messages=job.body["messages"], answer=job.future.result()) for job in self._jobs]


async def draw(given: Mapping[str, Any]) -> dict[str, Any]:
    """Draw invented users, and draw them again once their portraits are lost."""
    ear = Ear()
    await _fill(given)
    first = await _drawn(given)
    noted = ear.noted
    await _lose(given)
    again = await _drawn(given)
    return {
        "calls": first.calls,
        "again": {"calls": again.calls, "cached": again.cached_calls},
        "kinds": {kind: _sums([one for one in noted if _kind_of(one) == kind]) for kind in KINDS},
        "all": _sums(noted),
        "bare": _replay(given, noted),
    }


async def _lose(given: Mapping[str, Any]) -> None:
    async with open_only_store(_settings(given)) as store:
        for table in (profiles, cues, cued_events):
            await store.engine.write(partial(Connection.execute, statement=table.delete()))


def _settings(given: Mapping[str, Any]) -> Settings:
    return Settings(
        store=Path(given["folder"]),
        model=f"limner/{MODEL}",
        models_dir=models_dir(given),
        embedder="hashing",
        drafting=DraftingSettings(seed=given["seed"]),
    )


async def _fill(given: Mapping[str, Any]) -> None:
    async with Limner(_settings(given)) as limner:
        await limner.add_items(invent_items(given["seed"]))
        for events in islice(invent_histories(given["users"], given["seed"]), given["users"]):
            await limner.record(events[0].user_id, events)


async def _drawn(given: Mapping[str, Any]) -> Usage:
    """Return what the portraits cost; a budget does not count the answers that are shared."""
    costs: list[Usage] = []
    async with (
        Limner(_settings(given)) as limner,
        aclosing(limner.profiles(user_ids(given["users"]))) as outcomes,
    ):
        async for outcome in outcomes:
            if outcome.profile is None:
                raise outcome.error or RuntimeError(f"no portrait of {outcome.user_id}")
            costs.append(outcome.profile.usage)
    return Usage.total(costs)


def _kind_of(one: Noted) -> str:
    first, last = (str(one.messages[place]["content"]) for place in (0, -1))
    if first.startswith(_CUES):
        return "cues"
    return "revisions" if _REVISION in last else "drafts"


def _sums(noted: Sequence[Noted]) -> dict[str, int]:
    """Return how many tokens were billed, and how many of those were read."""
    billed = sum(one.answer.prompt_tokens for one in noted)
    cached = sum(one.answer.cached_tokens for one in noted)
    written = sum(one.answer.completion_tokens for one in noted)
    return {"calls": len(noted), "billed": billed, "read": billed - cached, "written": written}


def _replay(given: Mapping[str, Any], noted: Sequence[Noted]) -> int:
    """Return how many tokens llama.cpp reads of the same prompts in the order of asking, with its own caching."""
    path = weights_path(MODEL, models_dir(given))
    server = start_server(path, threads=1, parallel=1, context=CONTEXT)
    read = 0
    for one in noted:
        reply = server.handle_chat_completions({"messages": one.messages, "max_tokens": 1})
        usage = reply["usage"]
        read += usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"]
    return read


def main() -> None:
    """Run the one step with the JSON object of the second argument."""
    _, given = sys.argv[1:]
    print(json.dumps(asyncio.run(draw(json.loads(given)))), flush=True)


if __name__ == "__main__":
    main()
